"""`loadtest duel`: compare two deployments."""

from pathlib import Path
from typing import Any

import click

from loadtest.cli.setting_options import setting_option
from loadtest.cli.shared_options import (
    check_output,
    echo,
    exit_with,
    finish_comparison,
    github_option,
    inconclusive_option,
    json_option,
    markdown_option,
    results_option,
)


@click.command()
@click.option("--a", "a_url", metavar="URL", help="The baseline: ws://HOST[:PORT][/PATH] or wss://…")
@click.option("--b", "b_url", metavar="URL", help="The candidate.")
@click.option("--a-cmd", metavar="COMMAND", help="Command to start the baseline on port {port} ($PORT).")
@click.option("--b-cmd", metavar="COMMAND", help="Command to start the candidate.")
@click.option("--a-revision", metavar="NAME", help="Version of the baseline.  [default: a]")
@click.option("--b-revision", metavar="NAME", help="Version of the candidate.  [default: b]")
@click.option("--pairs", default=12, show_default=True, help="Maximum number of pairs of runs.")
@click.option(
    "--duration",
    default="30s",
    show_default=True,
    help="Duration of each run: 30s, 5m or 1h30m; at least 10 s longer than the warm-up.",
)
@click.option("-u", "--users", default=5, show_default=True, help="Locust users of each run.")
@click.option(
    "--order",
    type=click.Choice(["turns", "parallel"]),
    default="turns",
    show_default=True,
    help="Whether the runs of a pair take turns, in an order drawn from --ws-seed, or run in parallel, "
    "which is faster but shares the host.",
)
@click.option(
    "--restart-every",
    default=1,
    show_default=True,
    metavar="PAIRS",
    help="Number of pairs after which the servers of --a-cmd and --b-cmd restart; 0 to start them only once.",
)
@click.option(
    "--locustfile",
    "-f",
    type=click.Path(path_type=Path),
    help="File with a WebSocketUser.  [default: the reference dialect's]",
)
@click.option(
    "--start-timeout",
    "start_timeout_s",
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="Maximum time for a server to start.",
)
@setting_option("margins")
@markdown_option
@github_option
@inconclusive_option
@results_option
@json_option
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[-- LOCUST ARGUMENTS]")
@click.pass_context
def duel(
    ctx: click.Context,
    /,
    a_url: str | None,
    b_url: str | None,
    a_cmd: str | None,
    b_cmd: str | None,
    a_revision: str | None,
    b_revision: str | None,
    duration: str,
    order: str,
    locustfile: Path | None,
    margins: tuple[str, ...],
    markdown: bool,
    as_json: bool,
    **settings: Any,
) -> None:
    """Compare two deployments, a (the baseline) and b (the candidate), by pairs of runs.

    Each run is a headless Locust run with the same plan and seed; arguments after -- are passed to Locust.
    The duel evaluates the result after 4, 8 and 12 pairs, and ends as soon as the verdict is settled.
    Progress is printed to standard error.

    Two processes of the same server differ, too. So both commands restart for every pair, and the verdict is
    about the programs. A server behind a URL cannot be restarted: then the verdict is about the two running
    instances, and says so. With --restart-every above 1 the pairs between two restarts count as one, so use
    more pairs.

    Every item has a line: `server_log FAIL → PASS (fixed)`. An item that b fails and a never fails ends the
    duel with FAIL. An item that both fail does not, unless b fails it more often: then the result is
    INCONCLUSIVE, or FAIL if the difference is significant (Fisher's exact test, 5%).

    Commands run without a shell. They must stay in the foreground and listen on 127.0.0.1; they are stopped
    at the end. Their output is followed as the server's log, unless you give another one with --ws-server-log
    or --ws-server-log-cmd. Ctrl-C ends the duel with a verdict on the pairs completed so far. The duel is
    stored in DIR/duels, its runs with all other runs. `loadtest report DIR/duels/NAME` judges it again.

    The duel's folder gets report.html (both versions in each chart, the change at each gate), summary.md
    (which --markdown prints), junit.xml (a case per item and per gate) and duel.json (which --json prints).

    Exit code: 0 passed, 1 failed, 2 usage error, 4 inconclusive, 5 the tool itself failed.

    \b
    Examples:
      loadtest duel --a wss://old.example.org --b wss://new.example.org --duration 2m
      loadtest duel --a-cmd "old/bin/server {port}" --b-cmd "new/bin/server {port}" --order parallel
      loadtest duel --a ws://127.0.0.1:8001 --a-revision v41 --b ws://127.0.0.1:8002 \\
        --b-revision v42 --margin p50=8%,p99=2ms -- --ws-sessions 10 --ws-rate 5
    """
    from loadtest.duel.duel import run_duel
    from loadtest.duel.output import duel_sheet
    from loadtest.duel.settings import LOCUSTFILE, DuelSettings, Order, Side, parse_duration
    from loadtest.duel.stopping import End
    from loadtest.signals import ignore_signals
    from loadtest.statistics.margins import parse_margins

    check_output(as_json=as_json, markdown=markdown)
    gates = parse_margins(margins, option="--margin")
    asked = DuelSettings(
        a=Side.given("a", url=a_url, command=a_cmd, revision=a_revision),
        b=Side.given("b", url=b_url, command=b_cmd, revision=b_revision),
        duration_s=parse_duration(duration),
        order=Order(order),
        gates=gates,
        locustfile=locustfile or LOCUSTFILE,
        **settings,
    )
    result = run_duel(asked, lambda line: echo(line, err=True))
    if result.record.end == End.INTERRUPTED:
        ignore_signals()
    sheet = duel_sheet(result.record, result.folder)
    finish_comparison(
        ctx, sheet, result.record, result.comparison, result.report, as_json=as_json, markdown=markdown
    )
    if result.failure is not None:
        raise result.failure
    exit_with(ctx, result.record.exit_code)
