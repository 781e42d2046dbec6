"""`loadtest list`, `report`, `compare` and `trend`: commands on finished runs."""

from pathlib import Path

import click

from loadtest.cli.setting_options import setting_option
from loadtest.cli.shared_options import (
    check_output,
    check_standard_input,
    exit_with,
    finish_comparison,
    format_option,
    github_option,
    inconclusive_option,
    json_option,
    markdown_option,
    print_json,
    print_sheet_as,
    results_option,
    rules_option,
    write_for_github,
)


@click.command("list")
@results_option
@json_option
def list_command(results: Path, as_json: bool) -> None:
    """List all runs, newest first.

    Other commands accept as RUN an id, or its beginning (4 characters or more); a directory,
    DIR/REVISION/START-ID; or a revision, which means its newest complete run. Pinned baselines are marked;
    the id of one means the original run, if it still exists.

    \b
    Examples:
      loadtest list
      loadtest list --json | jq -r '.runs[0].run_id'
      loadtest list --json | jq -r '.runs[] | select(.verdict == "FAIL") | .path'
    """
    from loadtest.runs.find import list_runs, listing_sheet

    listing = list_runs(results)
    print_sheet_as(listing_sheet(listing, results), listing, as_json=as_json)


_OTHER_FOLDER = "Make room there, or choose another folder with --output"
_ROOM_FOR_REPORTS = "Make room in the run's folder, or report a copy of it"


@click.command()
@click.argument("run")
@click.option(
    "--baseline",
    metavar="RUN",
    help="Run directory, run id or revision to compare with, or none.  [default: the baseline of the last "
    "report, else see `loadtest baseline --help`]",
)
@click.option(
    "--server-log",
    "server_logs",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Also judge this server log, replacing the run's log; - for standard input; repeatable.",
)
@format_option
@rules_option
@github_option
@inconclusive_option
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
    """Judge RUN again from its files, write its reports again, and print the verdict.

    RUN is a run directory or a run id (`loadtest list`), complete or not; a revision, which means its newest
    complete run; or the directory of a duel, which is judged again from the files of its runs. The margins
    are those of the run or duel.

    The run directory gets verdict.json, summary.md (for a pull request or $GITHUB_STEP_SUMMARY), junit.xml
    (one case per item; INCONCLUSIVE is an error, NOT_JUDGED is skipped) and report.html. --json prints
    verdict.json.

    Exit code: 0 passed, 1 failed, 2 usage error, 4 inconclusive, 5 the tool itself failed.

    \b
    Examples:
      loadtest report v1.4.2
      loadtest report 0a1b2c3d
      loadtest report results/v1.4.2/20261123T142335Z-0a1b2c3d --baseline v1.4.1
      loadtest report v1.4.2 --json | jq -r .verdict
      gcloud logging read 'resource.labels.service_name="chat"' --freshness=1h --format=json |
        loadtest report v1.4.2 --server-log -
    """
    from loadtest.duel.duel import rejudge
    from loadtest.duel.duel_record import find_duel
    from loadtest.duel.output import duel_sheet
    from loadtest.errors import ResultsUnwritable
    from loadtest.report.terminal import print_verdict
    from loadtest.runs.ci_output import run_report
    from loadtest.runs.find import resolve
    from loadtest.runs.publish import attach_logs, judge_run, write_reports
    from loadtest.serverlog.rules import load_rules

    folder = find_duel(run, results)
    if folder is not None:
        if baseline or server_logs:
            raise click.UsageError("--baseline and --server-log cannot be used with a duel")
        again = rejudge(folder)
        sheet = duel_sheet(again.record, folder)
        finish_comparison(ctx, sheet, again.record, again.comparison, again.report, as_json=as_json)
        if again.failure is not None:
            raise again.failure
        exit_with(ctx, again.record.exit_code)
    check_standard_input(server_logs)
    path = resolve(run, results)
    if server_logs:
        attach_logs(path, server_logs, rules=load_rules(rules, option="--rules"), format=log_format)
    judged = judge_run(path, results=results, baseline=baseline)
    unwritable: ResultsUnwritable | None = None
    try:
        write_reports(judged)
    except ResultsUnwritable as error:  # of a full disk or an archive: the verdict is still worth printing
        unwritable = ResultsUnwritable(error.path, error.problem, _ROOM_FOR_REPORTS)
    if as_json:
        print_json(judged.verdict)
    else:
        print_verdict(judged)
    write_for_github(ctx, lambda: run_report(judged))
    if unwritable is not None:
        raise unwritable
    exit_with(ctx, judged.verdict.exit_code)


@click.command()
@click.argument("baseline")
@click.argument("candidate")
@click.option(
    "--pair",
    "more_pairs",
    nargs=2,
    multiple=True,
    metavar="BASELINE CANDIDATE",
    help="Another pair of runs to compare, made before or after the others; repeatable.",
)
@click.option(
    "--all",
    "all_runs",
    is_flag=True,
    help="Compare all complete runs of both revisions with CANDIDATE's plan, paired in order of start. "
    "They must alternate in time.",
)
@click.option(
    "--force", is_flag=True, help="Compare runs with different plans; the result is INCONCLUSIVE at best."
)
@setting_option("margins", "the margins of CANDIDATE")
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Folder of the reports.  [default: DIR/comparisons/BASELINE..CANDIDATE, by the ids of the runs]",
)
@markdown_option
@github_option
@inconclusive_option
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
    output: Path | None,
    markdown: bool,
    results: Path,
    as_json: bool,
) -> None:
    """Compare CANDIDATE with BASELINE: what was fixed, what broke, and latency.

    Each is a run directory, a run id or a revision, which means its newest complete run. Runs with different
    plans are refused. Latency is not judged for runs with different machines, versions or durations. Other
    differences are shown.

    Every item has a line: `server_log FAIL → PASS (fixed)`. Both runs are judged by CANDIDATE's limits and
    allowances. An item that fails only in CANDIDATE fails the comparison. An item that fails in both does
    not; if it fails in another way, or much more often, the comparison is INCONCLUSIVE.

    For each gate of latency (p50, p99, resume, losses and so on) you see both values, the change with its
    bounds, the margin and the verdict: FAIL if the lower bound is above the margin, PASS if the upper bound
    is below it, else INCONCLUSIVE.

    The margins are those of CANDIDATE (with several pairs, of its last run; --ws-margin). To change them for
    this comparison, use --margin.

    Several pairs of runs give a much better result than one: from four pairs on, the bounds come from the
    spread of the pairs. The runs of the two revisions must alternate: `loadtest duel` makes such pairs and
    stops as soon as the verdict is settled.

    The reports are report.html (both revisions in each chart, the change at each gate), summary.md (which
    --markdown prints), junit.xml (a case per item and per gate; INCONCLUSIVE is an error) and comparison.json
    (which --json prints).

    Exit code: 0 passed, 1 failed, 2 usage error, 4 inconclusive, 5 the tool itself failed.

    \b
    Examples:
      loadtest compare v1.4.1 v1.4.2
      loadtest compare v1.4.1 v1.4.2 --all
      loadtest compare v1.4.1 v1.4.2 --margin p50=8%,p99=15%/2ms --margin outage=30%
      loadtest compare v1.4.1 v1.4.2 --github --inconclusive-exit 0
      loadtest compare v1.4.1 results/v1.4.2/20261123T142335Z-0a1b2c3d --json
    """
    from loadtest.errors import ResultsUnwritable
    from loadtest.report.pair_sums import PairSums
    from loadtest.runs import compare
    from loadtest.runs.comparison_reports import folder_of, judged_comparison, write_comparison

    check_output(as_json=as_json, markdown=markdown)
    if all_runs and more_pairs:
        raise click.UsageError("--all and --pair cannot be used together")
    pairs = (
        compare.all_pairs(baseline, candidate, results)
        if all_runs
        else compare.named_pairs([(baseline, candidate), *more_pairs], results)
    )
    drawn = PairSums()
    compared = compare.compare(pairs, results=results, force=force, margins=margins, drawn=drawn)
    judged = judged_comparison(compared, drawn)
    folder = output or folder_of(compared, results)
    unwritable: ResultsUnwritable | None = None
    report: Path | None = None
    try:
        report = write_comparison(folder, compared, judged)
    except ResultsUnwritable as error:  # of a full disk or an archive: the verdict is still worth printing
        unwritable = ResultsUnwritable(error.path, error.problem, _OTHER_FOLDER)
    sheet = compare.comparison_sheet(compared)
    finish_comparison(ctx, sheet, compared, judged, report, as_json=as_json, markdown=markdown)
    if unwritable is not None:
        raise unwritable
    exit_with(ctx, compared.exit_code)


@click.command()
@click.option(
    "--plan",
    metavar="RUN|HASH",
    help="A run of the plan, or the beginning of the plan's hash.  [default: the newest complete run]",
)
@markdown_option
@inconclusive_option
@results_option
@json_option
@click.pass_context
def trend(ctx: click.Context, plan: str | None, markdown: bool, results: Path, as_json: bool) -> None:
    """Show the runs of one plan, oldest first, and judge whether latency has risen over them.

    The newest third of the runs (and the newest few) is compared with the first third, or with the pinned
    revision. FAIL means that a gate has risen above its margin with 95% confidence over all gates, in steps
    or by a slow creep that no single comparison shows; PASS that all are below with this confidence;
    otherwise the result is INCONCLUSIVE. At least six runs are needed, all from one day or from six days.
    Only runs that were fit to measure latency, on the newest run's kind of machine, count.

    A permutation test finds where each gated quantile changed; the first run after a change is marked.

    Exit code: 0 passed, 1 failed, 2 usage error, 4 inconclusive, 5 the tool itself failed.

    \b
    Examples:
      loadtest trend
      loadtest trend --plan v1.4.2 --json | jq '.changes[]'
      loadtest trend --json | jq '.levels[] | select(.decision == "FAIL")'
    """
    from loadtest.runs.trend import trend as trend_of
    from loadtest.runs.trend_sheet import trend_sheet

    found = trend_of(plan, results)
    print_sheet_as(trend_sheet(found), found, as_json=as_json, markdown=markdown)
    exit_with(ctx, found.exit_code)
