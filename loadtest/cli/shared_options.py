"""Options, output functions and exit codes that commands share."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click
import msgspec

from loadtest.options import SETTINGS
from loadtest.ruling import Ruling
from loadtest.text import without_commands

if TYPE_CHECKING:
    from loadtest.report.judged_comparison import JudgedComparison
    from loadtest.report.tables import Sheet
    from loadtest.runs.ci_output import CiReport


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

_GITHUB = "loadtest.github"
_INCONCLUSIVE_EXIT = "loadtest.inconclusive_exit"
"""Where a command's context keeps these options, for the functions below."""


def _keep_github(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
    ctx.meta[_GITHUB] = value


github_option = click.option(
    "--github", is_flag=True, expose_value=False, callback=_keep_github, help=SETTINGS["github"].help
)
"""For commands that report their result by `write_for_github`."""


def _keep_exit(ctx: click.Context, _parameter: click.Parameter, value: str) -> None:
    ctx.meta[_INCONCLUSIVE_EXIT] = int(value)


inconclusive_option = click.option(
    "--inconclusive-exit",
    type=click.Choice(SETTINGS["inconclusive_exit"].allowed.replace(" or ", ", ").split(", ")),
    default=str(Ruling.INCONCLUSIVE.exit_code),
    show_default=True,
    expose_value=False,
    callback=_keep_exit,
    help="Exit code of an INCONCLUSIVE result. The verdict stays the same.",
)
"""For commands that end with `exit_with`."""


def exit_with(ctx: click.Context, code: int) -> NoReturn:
    """End a command with its exit code, or with that of --inconclusive-exit if the result is INCONCLUSIVE."""
    if code == Ruling.INCONCLUSIVE.exit_code:
        code = ctx.meta[_INCONCLUSIVE_EXIT]
    ctx.exit(code)


def write_for_github(ctx: click.Context, report: Callable[[], "CiReport"]) -> None:
    """Write output for GitHub Actions if --github was given: the job's summary, annotations and outputs.

    Args:
        ctx: the command's context.
        report: returns the report; of several reports only the first is written.

    Raises:
        ResultsUnwritable: a file cannot be written.
    """
    if not ctx.meta.pop(_GITHUB, False):
        return
    from loadtest.runs.ci_output import CiOutput

    CiOutput(github=True).write(report())


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
    lines = msgspec.json.format(msgspec.json.encode(document), indent=2)
    click.echo(lines.replace(b"##[", rb"#\u0023["))  # JSON's own escape of what `without_commands` breaks


def echo(lines: str, *, err: bool = False) -> None:
    """Print lines that may contain text from a server or a file."""
    click.echo(without_commands(lines), err=err)


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
        echo(in_markdown.sheet(sheet))
    else:
        print_sheet(sheet)


def finish_comparison(
    ctx: click.Context,
    sheet: "Sheet",
    document: object,
    comparison: "JudgedComparison",
    report: Path | None,
    *,
    as_json: bool,
    markdown: bool = False,
) -> None:
    """Print a comparison as JSON, Markdown or tables, and where its report is; then write for GitHub.

    Args:
        ctx: the command's context.
        sheet: the comparison as tables.
        document: the comparison as an object for JSON.
        comparison: the comparison in the form for its reports.
        report: its report.html, None if that could not be written.
        as_json, markdown: the format; Markdown is its summary.md.
    """
    from loadtest.report.comparison_markdown import comparison_summary
    from loadtest.runs.ci_output import comparison_report
    from loadtest.text import one_line

    check_output(as_json=as_json, markdown=markdown)
    if markdown:
        echo(comparison_summary(comparison))
    else:
        print_sheet_as(sheet, document, as_json=as_json)
    if report is not None:
        path = one_line(str(report), 4096)
        echo(f"report: {path}", err=as_json or markdown)  # programs read their output
    write_for_github(ctx, lambda: comparison_report(sheet, comparison, report))


def check_standard_input(files: Sequence[Path]) -> None:
    """Refuse standard input given twice: the second reader would find it empty.

    Raises:
        UsageError: `-` is given more than once.
    """
    if files.count(Path("-")) > 1:
        raise click.UsageError("- (standard input) must be given only once")
