"""`loadtest serve`: run the reference server."""

from pathlib import Path
from typing import Any

import click


@click.command()
@click.option(
    "--host", default="127.0.0.1", show_default=True, metavar="HOST", help="Loopback address to listen on."
)
@click.option(
    "--port", default=8765, show_default=True, metavar="PORT", help="Port to listen on; 0 for any free port."
)
@click.option(
    "--database",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="SQLite file that keeps sessions and messages across restarts.  [default: a temporary file]",
)
@click.option(
    "--mode",
    type=click.Choice(["chat", "ack"]),
    default="chat",
    show_default=True,
    help="chat: answer messages with a stream and keep the history of both sides. ack: acknowledge any "
    "message with its echo and keep no history.",
)
@click.option(
    "--handling",
    type=click.Choice(["before", "after"]),
    default="after",
    show_default=True,
    help="Handle and log disconnects like the modelled application before or after its hotfix.",
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="NAME[=VALUE]",
    help="Fault to inject (see above); repeatable.",
)
@click.option(
    "--token",
    envvar="LOADTEST_SERVE_TOKEN",
    show_envvar=True,
    metavar="TOKEN",
    help="Require this token, or a JWT signed with it (HS256), in the subprotocols `jwt, TOKEN`. "
    "Preferably set it in the environment.",
)
@click.option(
    "--push-every",
    "push_every_s",
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="Time between pushes; 0 for none.",
)
@click.option(
    "--inactivity-timeout",
    "inactivity_timeout_s",
    default=300.0,
    show_default=True,
    metavar="SECONDS",
    help="Close clients that send no message for this long with code 4408; 0 for no limit.",
)
@click.option(
    "--ping-interval",
    "ping_interval_s",
    default=20.0,
    show_default=True,
    metavar="SECONDS",
    help="Time between keepalive pings; 0 for none.",
)
@click.option(
    "--ping-timeout",
    "ping_timeout_s",
    default=20.0,
    show_default=True,
    metavar="SECONDS",
    help="Time after which a ping without a pong ends the connection.",
)
@click.option(
    "--ws-implementation",
    type=click.Choice(["websockets", "websockets-sansio", "wsproto"]),
    default="websockets",
    show_default=True,
    help="WebSocket implementation of uvicorn.",
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Log as text, or as JSON lines for Cloud Run.",
)
@click.option(
    "--reuse-port",
    is_flag=True,
    help="Share the port with other servers that have this option, as in a rolling restart. Give all of "
    "them the same --database.",
)
@click.option("--parent-pid", type=int, hidden=True)
def serve(**settings: Any) -> None:
    """Run the reference server: a sound WebSocket backend, or one with faults.

    The server prints `listening on ws://HOST:PORT` when it is ready, and logs to standard error. Stop it with
    Ctrl-C or SIGTERM. Sessions are at /ws/SESSION_ID?thread_id=ID, echo at /echo and /, health at
    /api/health, and the server's own counts, for comparison with a client's, at /api/counters. If a client's
    token is a JWT with the claim `sid`, this claim is its session id, and the one in the path is ignored.

    \b
    Faults (RATIO is 0 to 1), the item that each one fails in a run, and the option it needs:
      refuse_connect=RATIO    connect      refuse new sessions with HTTP 503
      refuse_reconnect=RATIO  reconnect    refuse known sessions with HTTP 503
      close_connect=RATIO     connect      establish new sessions and close at once with 1011
      close_reconnect=RATIO   reconnect    resume known sessions and close at once with 1011
      share_identity=RATIO    connect      tell new sessions the id of another session
      late_connect=MS         connect      establish new sessions late
                                           (needs --ws-limit connect.p50=…)
      late_reconnect=MS       reconnect    resume known sessions late
                                           (needs --ws-limit resume.p50=…)
      mute_reconnect=RATIO    reconnect    resume known sessions and say nothing more
      no_subprotocol          connect      select none of the offered subprotocols
                                           (needs --ws-token)
      close=RATIO:CODE        stability    close with CODE in place of a reply (not the first)
      abort=RATIO             stability    RST in place of a reply (not the first)
      bad_frame=RATIO         stability    a masked frame in place of a reply (not the first)
      lose_reply=RATIO        messaging    store a message and never answer it
      corrupt_reply=RATIO     messaging    answer with another text
      foreign_reply=RATIO     messaging    answer with the text of another session
      decompose=RATIO         messaging    answer with the text in the Unicode form NFD
      cut_reply=BYTES         messaging    answer with the first BYTES of longer texts
                                           (needs --ws-message-bytes above BYTES)
      duplicate_reply=RATIO   messaging    send a reply twice
      reorder_reply=RATIO     messaging    send a reply after the next one, or 3 s late
      lose_push=RATIO         messaging    number a push and do not send it
      foreign_push=RATIO      messaging    push what another session said
      late_push=RATIO:MS      messaging    send some pushes late, and none meanwhile
                                           (needs --ws-limit push_gap=…)
      stop_pushes=SECONDS     messaging    end a connection's pushes after SECONDS
                                           (needs --ws-pushes-per-s)
      forget_session          persistence  treat a returning session as a new one
      forget_message=RATIO    persistence  answer a message and do not store it
      corrupt_history=RATIO   persistence  restore a history with other texts
      cut_history             persistence  restore a history without its newer half
      empty_history           persistence  restore an empty history
      reverse_history         persistence  restore a history with its newest message first
      foreign_history=RATIO   persistence  restore a history with a message of another session
      keep_sockets            cleanup      keep the sockets of closed connections open
                                           (needs a run of 15 s or more)
      latency=MS              latency      send every reply late
                                           (needs --ws-limit p50=…, or a baseline)
      latency_tail=RATIO:MS   latency      send some replies late
                                           (needs --ws-limit p99=…, or a baseline)
      database_down=SECONDS   connect      after the start, refuse all sessions with HTTP 503, and
                                           log an ERROR for each

    Example: a server that loses every tenth reply, and a run that finds it:

    \b
      loadtest serve --fault lose_reply=0.1
      locust -f locustfiles/ws.py --host ws://127.0.0.1:8765
    """
    from loadtest.server.server_settings import ServerSettings
    from loadtest.server.service import serve as run_server

    run_server(ServerSettings(**settings))
