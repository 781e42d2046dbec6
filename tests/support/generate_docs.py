"""Generates the files of docs/ that are made from the code.

    python -m tests.support.generate_docs

A test fails if a file is out of date. To add a file, write a function that returns its text and add a row to
`PAGES`.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from loadtest.options import TABLE
from loadtest.setting import Setting
from tests.support.schemas import FILES, schema

DOCS = Path(__file__).parent.parent.parent / "docs"

MADE_BY = "<!-- Made by `python -m tests.support.generate_docs`. Edit the code instead. -->"


_PIPE = "\\|"
"""A pipe in a table cell, which must be escaped even in code (GitHub Flavored Markdown, section 4.10)."""


def options_page() -> str:
    """Return the page that lists all settings."""
    lines = [
        "# Options",
        "",
        MADE_BY,
        "",
        "Every setting of a run, by group. You can set it",
        "",
        "- on Locust's command line: `locust -f locustfiles/ws.py --ws-rate 2`",
        "- in the environment: `LOCUST_WS_RATE=2`",
        "- in Locust's web form, except for what names files and commands",
        "- as an attribute of the `WebSocketUser` class in your locustfile: `rate = 2`",
        "",
        "Options win over the environment, and both over attributes. `loadtest options` prints the same",
        "list, `loadtest options --json` for programs. An option marked *repeatable* can be given more than",
        "once; its attribute is a list. Settings marked *plan* must be the same in two runs for them to be",
        "comparable.",
        "",
    ]
    for group, rows in TABLE.items():
        lines += [f"## {group}", "", *_table(rows), ""]
    return "\n".join(lines)


def _table(rows: Sequence[Setting]) -> Iterator[str]:
    yield "| option | attribute | default | what it does |"
    yield "|---|---|---|---|"
    for row in rows:
        option = f"`{row.option} {row.kind.metavar}`".replace(" `", "`") if row.name else "(attribute only)"
        marks = [mark for mark, holds in (("repeatable", row.repeatable), ("plan", row.in_plan)) if holds]
        cells = (
            option,
            f"`{row.attribute}`",
            row.default_text or f"`{row.shown_default}`" if row.shown_default != "none" else "none",
            " ".join(
                [
                    row.help,
                    *([f"Allowed: {row.allowed}."] if row.allowed else []),
                    *([f"*{', '.join(marks)}*"] if marks else []),
                ]
            ),
        )
        yield f"| {' | '.join(cell.replace('|', _PIPE) for cell in cells)} |"


def _schema_page(name: str) -> str:
    return json.dumps(schema(name), indent=2) + "\n"


PAGES: Mapping[str, Callable[[], str]] = {
    "options.md": options_page,
    **{f"schemas/{name}.schema.json": partial(_schema_page, name) for name in FILES},
}
"""Functions that return a file's text, by its path under docs/."""


if __name__ == "__main__":
    for name, page in PAGES.items():
        (DOCS / name).parent.mkdir(parents=True, exist_ok=True)
        (DOCS / name).write_text(page(), encoding="utf-8", newline="\n")
