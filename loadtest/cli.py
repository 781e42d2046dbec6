"""The command line: each command parses its options, calls the package, prints, and leaves with an exit code.

Exit codes: 0 passed, 1 failed, 2 usage error, 4 inconclusive, 5 the tool itself failed. Errors of the package
carry theirs and print one line; anything else is a defect, prints its traceback and leaves with 5. Nothing is
computed here. A command imports what it needs when it runs, so that the others need not wait for it.
"""

import contextlib
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from loadtest.errors import LoadtestError

if TYPE_CHECKING:
    from loadtest.report.tables import Sheet


class _Commands(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        with _errors_as_exit_codes(ctx):
            return super().invoke(ctx)


@contextlib.contextmanager
def _errors_as_exit_codes(ctx: click.Context) -> Iterator[None]:
    try:
        yield
    except (click.ClickException, click.Abort, click.exceptions.Exit, BrokenPipeError):
        raise  # click's own
    except LoadtestError as error:
        click.echo(f"Error: {error}", err=True)
        ctx.exit(error.exit_code)
    except Exception:
        traceback.print_exc()
        ctx.exit(LoadtestError.exit_code)


@click.group(
    cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="loadtest", message="%(prog)s %(version)s")
def main() -> None:
    """Test whether a WebSocket server still connects, answers, takes clients back and remembers them.

    Load comes from Locust: `locust -f locustfiles/ws.py --host wss://staging.example.org`. The commands here
    are for what comes before and after a run.
    """


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Loopback address to listen on.")
@click.option("--port", default=8765, show_default=True, help="Port to listen on; 0 takes a free one.")
@click.option(
    "--database",
    type=click.Path(dir_okay=False, path_type=Path),
    help="SQLite file that keeps sessions and messages, also over a restart.  [default: a temporary one]",
)
@click.option(
    "--handling",
    type=click.Choice(["before", "after"]),
    default="after",
    show_default=True,
    help="Handle and log disconnects as the modelled application did before or after its hotfix.",
)
@click.option("--fault", "faults", multiple=True, metavar="NAME[=VALUE]", help="Break one thing; repeatable.")
@click.option(
    "--token",
    envvar="LOADTEST_SERVE_TOKEN",
    show_envvar=True,
    help="Ask clients to log in with it: subprotocols `jwt, TOKEN`. Better given in the environment.",
)
@click.option(
    "--push-every", "push_every_s", default=5.0, show_default=True, help="Seconds between pushes; 0: none."
)
@click.option(
    "--inactivity-timeout",
    "inactivity_timeout_s",
    default=300.0,
    show_default=True,
    help="Seconds without a message until a client is closed with 4408; 0: never.",
)
@click.option(
    "--ping-interval",
    "ping_interval_s",
    default=20.0,
    show_default=True,
    help="Seconds between keepalive pings; 0: none.",
)
@click.option(
    "--ping-timeout",
    "ping_timeout_s",
    default=20.0,
    show_default=True,
    help="Seconds to wait for a pong until a client is given up.",
)
@click.option(
    "--ws-implementation",
    type=click.Choice(["websockets", "wsproto"]),
    default="websockets",
    show_default=True,
    help="Library that uvicorn speaks WebSocket with.",
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Lines of Python's logging, or JSON lines as Cloud Run reads them.",
)
@click.option("--parent-pid", type=int, hidden=True)
def serve(**settings: Any) -> None:
    """Run the reference server: a sound WebSocket backend, or one with a single fault.

    Once it listens, it prints `listening on ws://HOST:PORT`; its log goes to standard error. Ctrl-C or
    SIGTERM stop it. Sessions are at /ws/SESSION_ID?thread_id=ID, echo at /echo and /, health at /api/health,
    and the server's own counts, to compare a client's with, at /api/counters.

    \b
    Faults; a RATIO is from 0 to 1:
      refuse_connect=RATIO    new sessions are refused with HTTP 503
      refuse_reconnect=RATIO  known sessions are refused with HTTP 503
      lose_reply=RATIO        a message is stored and never answered
      corrupt_reply=RATIO     the reply echoes another text
      duplicate_reply=RATIO   the reply comes twice
      reorder_reply=RATIO     the reply comes after the next one, or 3 s late
      forget_session          a returning session is treated as a new one
      latency=MS              every reply is late
      latency_tail=RATIO:MS   some replies are late
      database_down=SECONDS   from its start, all sessions are refused with 503

    Example: a server that loses every tenth reply, and what a run says of it:

    \b
      loadtest serve --fault lose_reply=0.1
      locust -f locustfiles/ws.py --host ws://127.0.0.1:8765
    """
    from loadtest import server

    server.serve(server.ServerSettings(**settings))


_results_option = click.option(
    "--results",
    default="results",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder of all runs.",
)
_json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document and nothing else on standard output."
)


_format_option = click.option(
    "--format",
    "log_format",
    default="auto",
    show_default=True,
    metavar="FORMAT",
    help="How the log is written: auto, json, or a format string of Python's logging.",
)
_rules_option = click.option(
    "--rules",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Rules of your own (TOML), tried before those built in.",
)


def _print_json(document: object) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(document), indent=2))


def _check_output(*, as_json: bool, markdown: bool) -> None:
    if markdown and as_json:
        raise click.UsageError("--markdown and --json exclude each other")


def _print(sheet: "Sheet", document: object, *, as_json: bool, markdown: bool = False) -> None:
    """Print the same for a machine, for a pull request, or for a person."""
    from loadtest.report import markdown as in_markdown
    from loadtest.report.terminal import print_sheet

    _check_output(as_json=as_json, markdown=markdown)
    if as_json:
        _print_json(document)
    elif markdown:
        click.echo(in_markdown.sheet(sheet))
    else:
        print_sheet(sheet)


@main.command("list")
@_results_option
@_json_option
def list_command(results: Path, as_json: bool) -> None:
    """List the runs, the newest first.

    A run is named by its directory, which stands under DIR as REVISION/START-ID, or by its revision: its
    newest complete run. Pinned baselines are marked.

    \b
    Examples:
      loadtest list
      loadtest list --json | jq -r '.runs[] | select(.verdict == "FAIL") | .path'
    """
    from loadtest.report.listing import list_runs
    from loadtest.report.terminal import print_listing

    listing = list_runs(results)
    if as_json:
        _print_json(listing)
    else:
        print_listing(listing)


@main.command()
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
@_format_option
@_rules_option
@_results_option
@_json_option
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
    RUN is a run directory, complete or not, or a revision: its newest complete run. Its directory gets
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
    from loadtest import duel
    from loadtest.report import attach_logs, print_verdict, publish
    from loadtest.run import resolve
    from loadtest.serverlog import load_rules

    folder = duel.find_duel(run, results)
    if folder is not None:
        if baseline or server_logs:
            raise click.UsageError("--baseline and --server-log are for a run, and this is a duel")
        record = duel.rejudge(folder)
        _print(duel.duel_sheet(record, folder), record, as_json=as_json)
        ctx.exit(record.exit_code)
    path = resolve(run, results)
    if server_logs:
        attach_logs(path, server_logs, rules=load_rules(rules), format=log_format)
    published = publish(path, results=results, baseline=baseline)
    if as_json:
        _print_json(published.verdict)
    else:
        print_verdict(published)
    ctx.exit(published.verdict.exit_code)


_markdown_option = click.option("--markdown", is_flag=True, help="Print Markdown, for a pull request.")


@main.command()
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
@_markdown_option
@_results_option
@_json_option
@click.pass_context
def compare(
    ctx: click.Context,
    baseline: str,
    candidate: str,
    more_pairs: tuple[tuple[str, str], ...],
    all_runs: bool,
    force: bool,
    markdown: bool,
    results: Path,
    as_json: bool,
) -> None:
    """Compare the latency of CANDIDATE with that of BASELINE.

    Both are run directories, or revisions: their newest complete run. Each gated quantile is shown with both
    values, the change with its interval, the margin and the verdict: PASS if the whole interval is below the
    margin, FAIL if the change is above it and surely a change, else INCONCLUSIVE. Runs that were made with
    unlike plans are refused, and the fields named.

    Several runs of each, made in turn, tell much more than one pair: from four pairs on the interval comes
    from their own spread. `loadtest duel` makes them, and stops when it is settled.

    Exit code: 0 passed, 1 failed, 2 usage error, 4 inconclusive, 5 the tool itself failed.

    \b
    Examples:
      loadtest compare v1.4.1 v1.4.2
      loadtest compare v1.4.1 v1.4.2 --all
      loadtest compare v1.4.1 v1.4.2 --markdown >> "$GITHUB_STEP_SUMMARY"
      loadtest compare v1.4.1 results/v1.4.2/20261123T142335Z-0a1b2c3d --json
    """
    from loadtest.report import comparing

    if all_runs and more_pairs:
        raise click.UsageError("--all and --pair exclude each other")
    pairs = (
        comparing.all_pairs(baseline, candidate, results)
        if all_runs
        else comparing.named_pairs([(baseline, candidate), *more_pairs], results)
    )
    compared = comparing.compare(pairs, results=results, force=force)
    _print(comparing.comparison_sheet(compared), compared, as_json=as_json, markdown=markdown)
    ctx.exit(compared.exit_code)


@main.command()
@click.option("--a", "a_url", metavar="URL", help="The baseline: ws://HOST[:PORT] or wss://HOST[:PORT].")
@click.option("--b", "b_url", metavar="URL", help="The candidate.")
@click.option("--a-cmd", metavar="COMMAND", help="Starts the baseline on port {port}, which is also $PORT.")
@click.option("--b-cmd", metavar="COMMAND", help="Starts the candidate.")
@click.option("--a-revision", metavar="NAME", help="Version of the baseline.  [default: a]")
@click.option("--b-revision", metavar="NAME", help="Version of the candidate.  [default: b]")
@click.option("--pairs", default=12, show_default=True, help="Pairs of runs at most.")
@click.option("--duration", default="30s", show_default=True, help="Of each run: 30s, 5m or 1h30m.")
@click.option("-u", "--users", default=5, show_default=True, help="Locust users of each run.")
@click.option(
    "--order",
    type=click.Choice(["abba", "parallel"]),
    default="abba",
    show_default=True,
    help="In turn, a b, b a, and so on; or both of a pair at once, which is faster and shares the host.",
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
    help="For a server that a command starts.",
)
@_markdown_option
@_results_option
@_json_option
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
    markdown: bool,
    as_json: bool,
    **settings: Any,
) -> None:
    """Compare two deployments, a (the baseline) and b (the candidate), by runs made in turn or at once.

    Each run is an ordinary one of headless Locust, with the same plan and seed; what follows -- goes to it as
    it is. Runs are paired, and the pairs looked at after 4, 8 and 12: the duel ends as soon as the verdict is
    settled, or when all pairs are run. What is known and what is missing is told on standard error.

    A command is started as it is, without a shell, has to listen on 127.0.0.1, and is stopped at the end.
    Ctrl-C ends a duel with a verdict on the pairs that were made. The duel is kept under DIR/duels, its runs
    with all others; `loadtest report DIR/duels/NAME` judges it again.

    Exit code: 0 passed, 1 failed, 2 usage error, 4 inconclusive, 5 the tool itself failed.

    \b
    Examples:
      loadtest duel --a wss://old.example.org --b wss://new.example.org --duration 2m
      loadtest duel --a-cmd "old/bin/server {port}" --b-cmd "new/bin/server {port}" --order parallel
      loadtest duel --a ws://127.0.0.1:8001 --a-revision v41 --b ws://127.0.0.1:8002 \\
        --b-revision v42 -- --ws-sessions 10 --ws-rate 5
    """
    from loadtest import duel as duels

    _check_output(as_json=as_json, markdown=markdown)
    asked = duels.DuelSettings(
        a=duels.Side.given("a", url=a_url, command=a_cmd, revision=a_revision),
        b=duels.Side.given("b", url=b_url, command=b_cmd, revision=b_revision),
        duration_s=duels.parse_duration(duration),
        order=duels.Order(order),
        locustfile=locustfile or duels.LOCUSTFILE,
        **settings,
    )
    fought = duels.fight(asked, lambda line: click.echo(line, err=True))
    sheet = duels.duel_sheet(fought.record, fought.folder)
    _print(sheet, fought.record, as_json=as_json, markdown=markdown)
    if fought.failure is not None:
        raise fought.failure
    ctx.exit(fought.record.exit_code)


@main.group()
def baseline() -> None:
    """Pin the run that others are compared with, or see which one that would be.

    A run is compared with what was asked for (--ws-baseline), else with the run pinned for its plan, else
    with the newest complete run of another revision with its plan.
    """


@baseline.command("set")
@click.argument("run")
@_results_option
@_json_option
def baseline_set(run: str, results: Path, as_json: bool) -> None:
    """Pin RUN, a run directory or a revision, for its plan, in place of what is pinned for it.

    A copy goes to DIR/baselines, which git tracks; its reports can be made again with `loadtest report`.

    \b
    Example:
      loadtest baseline set v1.4.1
    """
    from loadtest.report import pinning

    change = pinning.set_baseline(run, results)
    _print(pinning.change_sheet(change), change, as_json=as_json)


@baseline.command("show")
@click.argument("run", required=False)
@_results_option
@_json_option
def baseline_show(run: str | None, results: Path, as_json: bool) -> None:
    """Show which run RUN would be compared with, and why, and all pinned runs.

    RUN is a run directory, a revision, or the beginning of a plan's comparability hash; by default the newest
    run.

    \b
    Examples:
      loadtest baseline show
      loadtest baseline show v1.4.2 --json | jq -r .baseline.path
    """
    from loadtest.report import pinning

    choice = pinning.show_baseline(run, results)
    _print(pinning.choice_sheet(choice), choice, as_json=as_json)


@baseline.command("clear")
@click.argument("run", required=False)
@_results_option
@_json_option
def baseline_clear(run: str | None, results: Path, as_json: bool) -> None:
    """Remove the pinned copy of RUN, a run, its id or a revision; without RUN, all of them.

    The runs themselves stay.
    """
    from loadtest.report import pinning

    change = pinning.clear_baselines(run, results)
    _print(pinning.change_sheet(change), change, as_json=as_json)


@main.command()
@click.option(
    "--plan",
    metavar="RUN|HASH",
    help="Run whose plan is meant, or the beginning of its comparability hash.  [default: the newest run]",
)
@_markdown_option
@_results_option
@_json_option
def trend(plan: str | None, markdown: bool, results: Path, as_json: bool) -> None:
    """Show the runs of one plan in the order of time, and where their latency changed.

    Changes are found by a permutation test at each gated quantile, and marked at the first run after them;
    a series needs six runs, and three on each side of a change.

    \b
    Examples:
      loadtest trend
      loadtest trend --plan v1.4.2 --json | jq '.changes[]'
    """
    from loadtest.report import trending

    found = trending.trend(plan, results)
    _print(trending.trend_sheet(found), found, as_json=as_json, markdown=markdown)


@main.command("check-log")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE…")
@click.option(
    "--since",
    metavar="WHEN",
    help="Only records from then on: 10m, 1h or 2d ago, or a time (UTC, if it names no zone).",
)
@click.option("--revision", metavar="NAME", help="Only records of this revision (Cloud Run's revision_name).")
@_format_option
@_rules_option
@_json_option
@click.pass_context
def check_log(
    ctx: click.Context,
    files: tuple[Path, ...],
    since: str | None,
    revision: str | None,
    log_format: str,
    rules: Path | None,
    as_json: bool,
) -> None:
    """Tell in a server's log the clients that left from the server's errors, without any run.

    FILE is a log, also gzipped, or - for standard input: text of Python's logging or uvicorn, JSON lines, or
    what `gcloud logging read --format=json` prints. With several, each is a column: BEFORE AFTER.

    
    OK         no real error, no disconnect logged as an error, 95 % of disconnects at INFO or below
    DEGRADED   not so, or no record to judge
    CRITICAL   a record at CRITICAL, or 5 real errors that are over 5 % of all records

    Exit code, that of the last FILE: 0 OK, 1 DEGRADED or CRITICAL, 2 usage error, 4 nothing to judge.

    
    A rule of your own says what a text means: graceful, abrupt, send_to_gone_client (a client left),
    cancelled_at_shutdown, real_error or other. * stands for anything, ^ and $ for the ends:
      [[rule]]
      class = "abrupt"
      message = "peer * went away"          # or exception = "…", frames = "…" of its traceback

    
    Examples:
      loadtest check-log server.log
      loadtest check-log before.log.gz after.log
      docker logs chat 2>&1 | loadtest check-log - --since 10m
    
    Ten minutes after a deploy, and an hour after it:
      gcloud logging read 'resource.labels.service_name="chat"' --freshness=10m --format=json |
        loadtest check-log - --revision chat-00042-kof
      gcloud logging read 'resource.labels.service_name="chat"' --freshness=1h --format=json |
        loadtest check-log - --revision chat-00042-kof --json | jq -r .status
    """
    from loadtest import serverlog

    now_ns = time.time_ns()
    selection = serverlog.Selection(
        since_ns=None if since is None else serverlog.parse_since(since, now_ns), revision=revision
    )
    table = serverlog.load_rules(rules)
    reports = [serverlog.check([file], rules=table, selection=selection, format=log_format) for file in files]
    if as_json:
        earlier = [one.to_json(now_ns) for one in reports[:-1]]
        _print_json(reports[-1].to_json(now_ns) | ({"compared_with": earlier} if earlier else {}))
    else:
        click.echo("\n".join(serverlog.lines(reports)))
    ctx.exit(reports[-1].exit_code)


@main.command()
@click.option("--host", metavar="URL", help="wss://HOST[:PORT]  [default: a reference server of its own]")
@click.option("--dialect", metavar="NAME", help="What the server speaks: emergence (default) or echo.")
@click.option("--path", metavar="PATH", help="Of the WebSocket endpoint.  [default: the dialect's]")
@click.option("--health-path", metavar="PATH", help="Of the health endpoint.  [default: the dialect's]")
@click.option(
    "--token",
    envvar="LOCUST_WS_TOKEN",
    show_envvar=True,
    help="To log in with. Better given in the environment.",
)
@click.option("--header", "headers", multiple=True, metavar="NAME:VALUE", help="Of each upgrade; repeatable.")
@click.option("--sessions", default=14, show_default=True, help="Each is dropped once, the kinds in turn.")
@click.option(
    "--tls-ca", type=click.Path(path_type=Path), metavar="FILE", help="Certificates to trust (PEM)."
)
@click.option("--tls-cert", type=click.Path(path_type=Path), metavar="FILE", help="Client certificate (PEM).")
@click.option("--tls-key", type=click.Path(path_type=Path), metavar="FILE", help="Its private key (PEM).")
@click.option("--tls-insecure", is_flag=True, help="Accept any server certificate.")
@click.option("--server-log", "server_logs", multiple=True, metavar="FILE", help="Judge it, too; repeatable.")
@click.option("--server-log-cmd", metavar="COMMAND", help="Prints the server's log: 'docker logs -f NAME'.")
@click.option("--revision", metavar="NAME", help="Of the server.  [default: git describe]")
@click.option(
    "--results",
    default="results/probes",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder of all probes, apart from the runs, with which they are not to be compared.",
)
@_json_option
@click.pass_context
def probe(
    ctx: click.Context, /, host: str | None, health_path: str | None, as_json: bool, **given: Any
) -> None:
    """Do in under a minute what a person does after a deploy, and judge it.

    Asks the health endpoint, connects some sessions, lets them talk, drops each once (every default kind of
    drop), and sees them come back as they were. It is a short run: its directory holds the same reports.

    Exit code: 0 passed, 1 failed or not healthy, 2 usage error, 4 inconclusive, 5 the tool itself failed.

    \b
    Examples:
      loadtest probe --host wss://staging.example.org
      loadtest probe --host ws://127.0.0.1:8765 --server-log server.log
      LOCUST_WS_TOKEN=… loadtest probe --host wss://chat.example.org --json | jq -r .verdict.verdict
    """
    from loadtest.locust_user.probe import probe as run_probe
    from loadtest.report import print_verdict

    click.echo(f"probing {host or 'a reference server of its own'}, within a minute", err=True)
    given["headers"] = [_header(text) for text in given["headers"]]
    probed = run_probe(
        host, {name: value for name, value in given.items() if value is not None}, health_path=health_path
    )
    if as_json:
        _print_json(probed.to_json())
    else:
        if probed.health is not None:
            click.echo(f"health: {probed.health}\n")
        if probed.published is not None:
            print_verdict(probed.published)
    ctx.exit(probed.exit_code)


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise click.BadParameter("is no NAME:VALUE", param_hint="--header")
    return name.strip(), value.strip()


@main.command("options")
def options_command() -> None:
    """Show the --ws-... options of `locust -f locustfiles/ws.py`, which Locust's own --help leaves out.

    Each can be given on Locust's command line, in the environment (LOCUST_WS_RATE=2), in Locust's web form, or
    as an attribute of a WebSocketUser class in a locustfile, which the others override.
    """
    from loadtest.locust_user.options import OPTIONS

    for option in OPTIONS:
        repeatable = " (repeatable)" if option.repeatable else ""
        click.echo(f"--ws-{option.name} {option.metavar}{repeatable}")
        click.echo(f"    {option.help}")
        click.echo(f"    environment {option.variable}, attribute {option.attribute}")
    click.echo("--ws-tls-insecure")
    click.echo("    Accept any server certificate")
    click.echo("    environment LOCUST_WS_TLS_INSECURE, attribute tls_insecure")
