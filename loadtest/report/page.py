"""Pages: one self-contained HTML file each, made from a template that escapes every value.

A page loads nothing and sends nothing. Its content security policy allows only its own style and script, by
their hashes, and the icon: untrusted text cannot run even if it were not escaped. Without JavaScript only the
read-out of the charts is missing.
"""

import base64
import hashlib
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from loadtest.report.chart_svg import drawing
from loadtest.report.forest_drawing import forest_drawing
from loadtest.report.tables import Untrusted
from loadtest.ruling import Ruling
from loadtest.text import one_line, sentence

_TEMPLATES = Path(__file__).parent / "templates"

_ICON_COLOURS = {
    Ruling.PASS: "#1a7f4b",
    Ruling.FAIL: "#c5281c",
    Ruling.INCONCLUSIVE: "#b7791f",
    Ruling.NOT_JUDGED: "#6b7686",
}


def page(template: str, ruling: Ruling, **values: object) -> str:
    """Return the page of a template that extends page.html.

    Args:
        template: its name in the folder of templates.
        ruling: the page's verdict, which decides on the icon.
        values: what the template shows.
    """
    return _environment.get_template(template).render(icon=_icon(ruling), **values)


def _shown(value: Any) -> Any:
    """Make control characters visible in every text that a template prints."""
    markup = hasattr(value, "__html__")  # output of a macro is already escaped
    return one_line(value, sys.maxsize) if isinstance(value, str) and not markup else value


_CODE = re.compile(r"`([^`]+)`|(?<![\w-])(--?[a-z][a-z0-9-]{0,40})(?![\w-])")


def _worded(value: str) -> Markup:
    """Return text of this package with options and backticked text as code; options do not wrap."""
    shown = str(escape(_shown(value)))
    if isinstance(value, Untrusted):
        return Markup(shown)  # noqa: S704 - escaped above
    return Markup(_CODE.sub(_code, shown))  # noqa: S704


def _code(found: re.Match[str]) -> str:
    return f"<code>{found[1]}</code>" if found[1] else f'<code class="option">{found[2]}</code>'


def _moment(iso: str) -> str:
    """Write a moment of a run for people: `29 Nov 2026, 20:52 UTC`; anything else as it is."""
    try:
        at = datetime.strptime(iso, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        return iso
    return f"{at.day} {at:%b %Y, %H:%M} UTC"


def _hash(inline: str) -> str:
    """Return the source by which a content security policy allows an inline style or script."""
    digest = hashlib.sha256(inline.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _icon(ruling: Ruling) -> str:
    """Return the icon of the browser's tab: a dot in the colour of the verdict."""
    circle = f"<circle cx='8' cy='8' r='7' fill='{_ICON_COLOURS[ruling]}'/>"
    image = f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'>{circle}</svg>"
    return f"data:image/svg+xml,{quote(image)}"


_STYLE = (_TEMPLATES / "page.css").read_text(encoding="utf-8")
_SCRIPT = (_TEMPLATES / "page.js").read_text(encoding="utf-8")

POLICY = (
    f"default-src 'none'; style-src {_hash(_STYLE)}; script-src {_hash(_SCRIPT)}; img-src data:; "
    "base-uri 'none'; form-action 'none'"
)
"""The content security policy of a page."""

_environment = Environment(
    loader=FileSystemLoader(_TEMPLATES),
    autoescape=True,
    undefined=StrictUndefined,
    finalize=_shown,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.tests["untrusted"] = lambda value: isinstance(value, Untrusted)
_environment.filters["drawing"] = drawing
_environment.filters["worded"] = _worded
_environment.filters["moment"] = _moment
_environment.filters["sentence"] = sentence
_environment.filters["forest_drawing"] = forest_drawing
_environment.globals.update(
    rulings=frozenset(Ruling),
    policy=POLICY,
    style=Markup(_STYLE),  # noqa: S704 - files of this package
    script=Markup(_SCRIPT),  # noqa: S704
)
