"""The command line: each command parses its options, calls the package, prints, and leaves with an exit code.

Exit codes: 0 passed, 1 failed, 2 usage error, 4 inconclusive, 5 the tool itself failed. Errors of the package
carry theirs and print one line; anything else is a defect, prints its traceback and leaves with 5. Nothing is
computed here. A command imports what it needs when it runs, so that the others need not wait for it.
"""

import contextlib
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from loadtest.errors import LoadtestError


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


def _print_json(document: object) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(document), indent=2))


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
    "else the newest complete run of another revision with the same plan]",
)
@_results_option
@_json_option
@click.pass_context
def report(ctx: click.Context, run: str, baseline: str | None, results: Path, as_json: bool) -> None:
    """Judge RUN again from its files, rebuild its reports, and print the verdict.

    RUN is a run directory, complete or not, or a revision: its newest complete run. Its directory gets
    verdict.json, summary.md (for a pull request or $GITHUB_STEP_SUMMARY), junit.xml (a case per item;
    INCONCLUSIVE is an error, NOT_JUDGED is skipped) and report.html. --json prints what verdict.json holds.

    Exit code: 0 passed, 1 failed, 2 usage error, 4 inconclusive, 5 the tool itself failed.

    \b
    Examples:
      loadtest report v1.4.2
      loadtest report results/v1.4.2/20261123T142335Z-0a1b2c3d --baseline v1.4.1
      loadtest report v1.4.2 --json | jq -r .verdict
    """
    from loadtest.report import print_verdict, publish
    from loadtest.run import resolve

    published = publish(resolve(run, results), results=results, baseline=baseline)
    if as_json:
        _print_json(published.verdict)
    else:
        print_verdict(published)
    ctx.exit(published.verdict.exit_code)


@main.command()
@click.argument("baseline")
@click.argument("candidate")
@click.option(
    "--force", is_flag=True, help="Compare runs of unlike plans, too; the outcome is INCONCLUSIVE at best."
)
@click.option("--markdown", is_flag=True, help="Print Markdown, for a pull request.")
@_results_option
@_json_option
@click.pass_context
def compare(
    ctx: click.Context,
    baseline: str,
    candidate: str,
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

    Exit code: 0 passed, 1 failed, 2 usage error, 4 inconclusive, 5 the tool itself failed.

    \b
    Examples:
      loadtest compare v1.4.1 v1.4.2
      loadtest compare v1.4.1 v1.4.2 --markdown >> "$GITHUB_STEP_SUMMARY"
      loadtest compare v1.4.1 results/v1.4.2/20261123T142335Z-0a1b2c3d --json
    """
    from loadtest.report import comparing
    from loadtest.report import markdown as in_markdown
    from loadtest.report.terminal import print_comparison

    if markdown and as_json:
        raise click.UsageError("--markdown and --json exclude each other")
    compared = comparing.compare(baseline, candidate, results=results, force=force)
    if as_json:
        _print_json(compared)
    elif markdown:
        click.echo(in_markdown.comparison(compared))
    else:
        print_comparison(compared)
    ctx.exit(compared.exit_code)
