"""Generates the files of docs/ that are made from the code.

    python -m tests.support.generate_docs

A test fails if a file is out of date. To add a file, write a function that returns its text and add a row to
`PAGES`.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from loadtest.dialects.bundled import Described, described
from loadtest.options import SETTINGS, TABLE
from loadtest.serverlog.rules import LogClass, listed, load_rules
from loadtest.setting import Group, Setting
from tests.support.schemas import FILES, schema, summary_schema

DOCS = Path(__file__).parent.parent.parent / "docs"

MADE_BY = "<!-- Made by `python -m tests.support.generate_docs`. Edit the code instead. -->"


_PIPE = "\\|"
"""A pipe in a table cell, which must be escaped even in code (GitHub Flavored Markdown, section 4.10)."""


def _not_in_web_form() -> str:
    """Return the options that are for the command line only."""
    return ", ".join(f"`{row.option}`" for row in SETTINGS.values() if not row.in_web_form)


def options_page() -> str:
    """Return the page that says how to set options, and links to those of each group."""
    lines = [
        "# Options",
        "",
        MADE_BY,
        "",
        "Every setting of a run, by group. Set it",
        "",
        "- on Locust's command line: `locust -f locustfiles/ws.py --ws-rate 2`",
        "- in the environment: `LOCUST_WS_RATE=2`",
        f"- in Locust's web form, except for {_not_in_web_form()}",
        "- as an attribute of the `WebSocketUser` class in your locustfile: `rate = 2`",
        "",
        "Options win over the environment, and both over attributes. `loadtest options` prints the same",
        "list, `loadtest options --json` for programs. Locust's own `--help` does not have them.",
        "",
        "| group | options |",
        "|---|---|",
        *(
            _group_row(group, page_name(group), (row.option for row in rows if row.name))
            for group, rows in TABLE.items()
        ),
        _group_row("Options of bundled dialects", OF_DIALECTS, (dialect.name for dialect in described())),
        "",
        "An option marked *repeatable* can be given more than once; its attribute is a list. Settings marked",
        "*plan* must be the same in two runs for them to be comparable.",
    ]
    return "\n".join(lines) + "\n"


def _group_row(group: str, page: str, names: Iterable[str]) -> str:
    return f"| [{group}](options/{page}) | {', '.join(f'`{name}`' for name in names)} |"


def page_name(title: str) -> str:
    """Return the file name of a page with this title."""
    return title.lower().replace(" ", "-") + ".md"


def _group_page(group: Group) -> str:
    """Return the page of a group of options."""
    lines = [f"# Options: {group.lower()}", "", MADE_BY, "", _BACK, "", *_table(TABLE[group])]
    return "\n".join(lines) + "\n"


_BACK = "[How to set options](../options.md), and what *repeatable* and *plan* mean."

OF_DIALECTS = "bundled-dialects.md"


def _dialects_page() -> str:
    """Return the page of the options of bundled dialects."""
    lines = ["# Options of bundled dialects", "", MADE_BY, "", *_OF_DIALECTS]
    for dialect in described():
        lines += [f"## {dialect.name}", "", _about(dialect), "", *_dialect_table(dialect), ""]
    return "\n".join(lines)


_OF_DIALECTS = (
    "Set them with `--ws-dialect-option NAME=VALUE`, or as attributes of a subclass in your locustfile, with",
    "underscores for hyphens. [bundled-dialects.md](../bundled-dialects.md) says how to use each dialect.",
    "",
)


def _about(dialect: Described) -> str:
    needs = f" It needs `pip install 'loadtest-ws[{dialect.extra}]'`." if dialect.extra else ""
    return f"{dialect.speaks}.{needs}"


def _dialect_table(dialect: Described) -> Iterator[str]:
    if not dialect.options:
        yield "It has no options."
        return
    yield "| option | default | what it does |"
    yield "|---|---|---|"
    for option in dialect.options:
        text = f"{option.help} Allowed: {option.allowed}." if option.allowed else option.help
        default = f"`{option.default}`" if option.default else "none"
        cells = (f"`{option.name}={option.metavar}`", default, text)
        yield f"| {' | '.join(cell.replace('|', _PIPE) for cell in cells)} |"


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
    return _as_page(schema(name))


def _as_page(made: Mapping[str, Any]) -> str:
    return json.dumps(made, indent=2) + "\n"


def _rules_page(kind: LogClass) -> str:
    """Return the page of the rules of a class that come with the package."""
    lines = [
        f"# Rules for server logs: {kind}",
        "",
        MADE_BY,
        "",
        "[What this class means, and how to add a rule](../server-log-rules.md).",
        "",
        "| who writes it, and when | example |",
        "|---|---|",
    ]
    for rule in load_rules().rules:
        if rule.log_class is not kind:
            continue
        example = listed(rule.example)[0].strip().splitlines()
        traced = "Traceback (most recent call last):" in example
        shown = next(line for line in (reversed(example) if traced else example) if line[:1].strip())
        lines.append(f"| {rule.source} | {_as_code(shown)} |")
    return "\n".join(lines) + "\n"


def _as_code(line: str) -> str:
    """Return a line of a log as code in a table's cell."""
    return "`` " + line[:110].replace("|", _PIPE) + ("…" if len(line) > 110 else "") + " ``"


PAGES: Mapping[str, Callable[[], str]] = {
    "options.md": options_page,
    **{f"options/{page_name(group)}": partial(_group_page, group) for group in TABLE},
    f"options/{OF_DIALECTS}": _dialects_page,
    **{f"server-log-rules/{kind}.md": partial(_rules_page, kind) for kind in LogClass},
    **{f"schemas/{name}.schema.json": partial(_schema_page, name) for name in FILES},
    "schemas/summary.schema.json": lambda: _as_page(summary_schema()),
}
"""Functions that return a file's text, by its path under docs/."""


if __name__ == "__main__":
    for name, page in PAGES.items():
        (DOCS / name).parent.mkdir(parents=True, exist_ok=True)
        (DOCS / name).write_text(page(), encoding="utf-8", newline="\n")
