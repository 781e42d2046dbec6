"""`loadtest list`, `report`, `compare`, `trend`: all runs, one of them, two of them, those of a plan."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from loadtest.cli.shared_options import (
    format_option,
    json_option,
    margin_option,
    markdown_option,
    options_named,
    print_json,
    print_sheet_as,
    results_option,
    rules_option,
)

if TYPE_CHECKING:
    from loadtest.runs.find import Listing


@click.command("list")
@results_option
@json_option
def list_command(results: Path, as_json: bool) -> None:
    """List the runs, the newest first.

    A run is named by its directory, which stands under DIR as REVISION/START-ID, or by its revision: its
    newest complete run. Pinned baselines are marked.

    \b
    Examples:
      loadtest list
      loadtest list --json | jq -r '.runs[] | select(.verdict == "FAIL") | .path'
    """
    from loadtest.runs.find import list_runs

    listing = list_runs(results)
    if as_json:
        print_json(listing)
    else:
        print_listing(listing)


@click.command()
@click.argument("run")
@click.option(
    "--baseline",
    metavar="RUN",
    help="Run directory or revision to compare with, or none.  [default: what it was compared with before, "
    "else as `loadtest baseline show` says]",
)
@click.option(
    "--server-log",
    "server_logs",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Judge this server's log, too, in place of one that the run had; - is standard input; repeatable.",
)
@format_option
@rules_option
@results_option
@json_option
@click.pass_context
def report(
    ctx: click.Context,
    run: str,
    baseline: str | None,
    server_logs: tuple[Path, ...],
    log_format: str,
    rules: Path | None,
    results: Path,
    as_json: bool,
) -> None:
    """Judge RUN again from its files, rebuild its reports, and print the verdict.

    RUN may be the folder of a duel, too, which is then judged again from the files of its runs.
    RUN is a run directory, complete or not, or a revision: its newest complete run. A run is judged with the
    margins that it was made with, which its run.json keeps, a duel with its own. The run's directory gets
    verdict.json, summary.md (for a pull request or $GITHUB_STEP_SUMMARY), junit.xml (a case per item;
    INCONCLUSIVE is an error, NOT_JUDGED is skipped) and report.html. --json prints what verdict.json holds.

    Exit code: 0 passed, 1 failed, 2 usage error, 4 inconclusive, 5 the tool itself failed.

    \b
    Examples:
      loadtest report v1.4.2
      loadtest report results/v1.4.2/20261123T142335Z-0a1b2c3d --baseline v1.4.1
      loadtest report v1.4.2 --json | jq -r .verdict
      gcloud logging read 'resource.labels.service_name="chat"' --freshness=1h --format=json |
        loadtest report v1.4.2 --server-log -
    """
    from loadtest.duel.duel import rejudge
    from loadtest.duel.judging import find_duel
    from loadtest.duel.output import duel_sheet
    from loadtest.report.terminal import print_verdict
    from loadtest.runs.find import resolve
    from loadtest.runs.publish import attach_logs, publish
    from loadtest.serverlog.rules import load_rules

    folder = find_duel(run, results)
    if folder is not None:
        if baseline or server_logs:
            raise click.UsageError("--baseline and --server-log are for a run, and this is a duel")
        record = rejudge(folder)
        print_sheet_as(duel_sheet(record, folder), record, as_json=as_json)
        ctx.exit(record.exit_code)
    path = resolve(run, results)
    if server_logs:
        with options_named(ctx):
            attach_logs(path, server_logs, rules=load_rules(rules), format=log_format)
    published = publish(path, results=results, baseline=baseline)
    if as_json:
        print_json(published.verdict)
    else:
        print_verdict(published)
    ctx.exit(published.verdict.exit_code)


@click.command()
@click.argument("baseline")
@click.argument("candidate")
@click.option(
    "--pair",
    "more_pairs",
    nargs=2,
    multiple=True,
    metavar="BASELINE CANDIDATE",
    help="Compare these, too, as a further pair of runs; repeatable.",
)
@click.option(
    "--all",
    "all_runs",
    is_flag=True,
    help="Compare all complete runs of both revisions with the plan of CANDIDATE, paired in order of start.",
)
@click.option(
    "--force", is_flag=True, help="Compare runs of unlike plans, too; the outcome is INCONCLUSIVE at best."
)
@margin_option("what CANDIDATE was judged with")
@markdown_option
@results_option
@json_option
@click.pass_context
def compare(
    ctx: click.Context,
    baseline: str,
    candidate: str,
    more_pairs: tuple[tuple[str, str], ...],
    all_runs: bool,
    force: bool,
    margins: tuple[str, ...],
    markdown: bool,
    results: Path,
    as_json: bool,
) -> None:
    """Compare the latency of CANDIDATE with that of BASELINE.

    Both are run directories, or revisions: their newest complete run. Each gated quantile is shown with both
    values, the change with its interval, the margin and the verdict: PASS if the whole interval is below the
    margin, FAIL if the change is above it and surely a change, else INCONCLUSIVE. Runs that were made with
    unlike plans are refused, and the fields named.

    The margins are those that CANDIDATE was judged with (--ws-margin), of its last run where several are
    compared; --margin changes them for this comparison.

    Several runs of each, made in turn, tell much more than one pair: from four pairs on the interval comes
    from their own spread. `loadtest duel` makes them, and stops when it is settled.

    Exit code: 0 passed, 1 failed, 2 usage error, 4 inconclusive, 5 the tool itself failed.

    \b
    Examples:
      loadtest compare v1.4.1 v1.4.2
      loadtest compare v1.4.1 v1.4.2 --all
      loadtest compare v1.4.1 v1.4.2 --margin p50=8%,p99=15%/2ms --margin outage=30%
      loadtest compare v1.4.1 v1.4.2 --markdown >> "$GITHUB_STEP_SUMMARY"
      loadtest compare v1.4.1 results/v1.4.2/20261123T142335Z-0a1b2c3d --json
    """
    from loadtest.runs import compare

    if all_runs and more_pairs:
        raise click.UsageError("--all and --pair exclude each other")
    pairs = (
        compare.all_pairs(baseline, candidate, results)
        if all_runs
        else compare.named_pairs([(baseline, candidate), *more_pairs], results)
    )
    with options_named(ctx):
        compared = compare.compare(pairs, results=results, force=force, margins=margins)
    print_sheet_as(compare.comparison_sheet(compared), compared, as_json=as_json, markdown=markdown)
    ctx.exit(compared.exit_code)


@click.command()
@click.option(
    "--plan",
    metavar="RUN|HASH",
    help="Run whose plan is meant, or the beginning of its comparability hash.  [default: the newest run]",
)
@markdown_option
@results_option
@json_option
def trend(plan: str | None, markdown: bool, results: Path, as_json: bool) -> None:
    """Show the runs of one plan in the order of time, and where their latency changed.

    Changes are found by a permutation test at each gated quantile, and marked at the first run after them;
    a series needs six runs, and three on each side of a change.

    \b
    Examples:
      loadtest trend
      loadtest trend --plan v1.4.2 --json | jq '.changes[]'
    """
    from loadtest.runs import trend

    found = trend.trend(plan, results)
    print_sheet_as(trend.trend_sheet(found), found, as_json=as_json, markdown=markdown)


def print_listing(listing: "Listing") -> None:
    """Print the runs of a results folder for a person."""
    from loadtest.report.terminal import new_console, print_table
    from loadtest.runs.find import listing_tables

    console = new_console()
    for table in listing_tables(listing):
        if table:
            print_table(console, table)
            console.print()
    if not listing.runs:
        console.print("no runs yet: `locust -f locustfiles/ws.py --headless -u 5 -r 5 -t 30s` makes one")
