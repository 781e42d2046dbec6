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
