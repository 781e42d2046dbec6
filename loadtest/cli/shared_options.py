"""Options and output functions that commands share."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

if TYPE_CHECKING:
    from loadtest.report.tables import Sheet


results_option = click.option(
    "--results",
    default="results",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder of all runs.",
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document to standard output, and nothing else."
)
markdown_option = click.option("--markdown", is_flag=True, help="Print Markdown for a pull request.")


format_option = click.option(
    "--format",
    "log_format",
    default="auto",
    show_default=True,
    metavar="FORMAT",
    help="Format of the log: auto, json, or a format string of Python's logging.",
)
rules_option = click.option(
    "--rules",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Your own rules (TOML), tried before the built-in ones.",
)


def print_json(document: object) -> None:
    """Print a document as indented JSON."""
    click.echo(msgspec.json.format(msgspec.json.encode(document), indent=2))


def check_output(*, as_json: bool, markdown: bool) -> None:
    """Refuse `--markdown` with `--json`.

    Raises:
        UsageError: both are given.
    """
    if markdown and as_json:
        raise click.UsageError("--markdown and --json cannot be used together")


def print_sheet_as(sheet: "Sheet", document: object, *, as_json: bool, markdown: bool = False) -> None:
    """Print a result as JSON, as Markdown, or as tables for the terminal.

    Args:
        sheet: the result as tables.
        document: the result as an object for JSON.
        as_json: whether to print JSON.
        markdown: whether to print Markdown.
    """
    from loadtest.report import markdown as in_markdown
    from loadtest.report.terminal import print_sheet

    check_output(as_json=as_json, markdown=markdown)
    if as_json:
        print_json(document)
    elif markdown:
        click.echo(in_markdown.sheet(sheet))
    else:
        print_sheet(sheet)
