"""`loadtest serve`: the reference server."""

from pathlib import Path
from typing import Any

import click


@click.command()
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
    from loadtest.server.server_settings import ServerSettings
    from loadtest.server.service import serve as run_server

    run_server(ServerSettings(**settings))
