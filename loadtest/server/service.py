"""The process around the application: port, log, event loop, signals and shutdown.

SIGTERM and SIGINT stop it: uvicorn closes every connection with 1012 and waits for the handlers. A client
that does not read would keep it waiting for ever, so after a grace period the remaining handlers are
cancelled and their sockets aborted. Standard output gets one line, the URL, once the server listens.
"""

import asyncio
import contextlib
import gc
import logging
import os
import re
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import msgspec
import uvicorn
from starlette.applications import Starlette

from loadtest.errors import InvalidSetting
from loadtest.server.app import create_app
from loadtest.server.implementations import implementation
from loadtest.server.server_settings import LogFormat, ServerSettings
from loadtest.server.storage import check_database
from loadtest.text import HIDDEN, one_line

_MAX_MESSAGE = 2000


def configure_log(log_format: LogFormat) -> None:
    """Send all records of level INFO and above to standard error, in one format."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter() if log_format == "json" else _TextFormatter())
    handler.addFilter(_without_query)
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name in ("uvicorn.error", "uvicorn.access", "uvicorn.asgi"):  # uvicorn has set their levels
        logging.getLogger(name).setLevel(logging.NOTSET)


_PARAMETER = re.compile(r"([?&](?!thread_id=)(?:[^=&\s]*=)?)[^&\s]+")


def _without_query(record: logging.LogRecord) -> bool:
    """Hide the query of requests in uvicorn's log: it may contain a token, and a run keeps this log."""
    if record.name.startswith("uvicorn") and isinstance(record.args, tuple):
        record.args = tuple(_public(one) for one in record.args)
    return True


def _public(argument: object) -> object:
    if isinstance(argument, str) and argument.startswith("/"):
        return _PARAMETER.sub(rf"\1{HIDDEN}", argument)
    return argument


class _TextFormatter(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        record.message = one_line(record.message.rstrip("\n"), _MAX_MESSAGE)
        return super().formatMessage(record)


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "severity": record.levelname,
            "logger": record.name,
            "message": one_line(record.getMessage().rstrip("\n"), _MAX_MESSAGE),
        }
        if (session := getattr(record, "session", None)) is not None:
            line["session"] = session
        if record.exc_info:
            line["stack_trace"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


MAX_MESSAGE_BYTES = 2**20 + 2**16
"""A text of 1 MiB, the largest that a run sends, and the JSON around it."""
SHUTDOWN_GRACE_S = 3.0

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_WATCH_EVERY_S = 0.2


def serve(settings: ServerSettings) -> None:
    """Serve until SIGTERM or SIGINT, or until the parent process named in the settings has ended.

    Call it from the main thread; it takes over the process's log and standard output.

    Raises:
        UsageError: the port is taken, the database unusable, or the WebSocket implementation not installed.
    """
    if settings.database is not None:
        check_database(settings.database)
    app = create_app(settings)
    server = uvicorn.Server(_configure(app, settings))
    listener = _bind(settings)
    configure_log(settings.log_format)
    _allow_many_sockets()
    with _stopped_by_signals(server), asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(app, server, listener, settings.parent_pid))


async def _serve(
    app: Starlette, server: uvicorn.Server, listener: socket.socket, parent_pid: int | None
) -> None:
    host, port = listener.getsockname()[:2]
    url = f"ws://[{host}]:{port}" if ":" in host else f"ws://{host}:{port}"
    async with app.router.lifespan_context(app), asyncio.TaskGroup() as tasks:
        watch = tasks.create_task(_watch(server, url, parent_pid))
        await server.serve(sockets=[listener])
        watch.cancel()


async def _watch(server: uvicorn.Server, url: str, parent_pid: int | None) -> None:
    while not server.started:
        await asyncio.sleep(0.01)
    gc.collect()
    gc.freeze()  # objects made at start-up live for ever; the collector need not stop the loop to scan them
    print(f"listening on {url}", flush=True)
    while not server.should_exit:
        await asyncio.sleep(_WATCH_EVERY_S)
        if parent_pid is not None and os.getppid() != parent_pid:
            server.should_exit = True
    await asyncio.sleep(SHUTDOWN_GRACE_S)
    for handler in list(server.server_state.tasks):
        handler.cancel()
    for connection in list(server.server_state.connections):
        connection.transport.abort()


def _configure(app: Starlette, settings: ServerSettings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        ws=implementation(settings.ws_implementation),
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_ping_interval=settings.ping_interval_s or None,
        ws_ping_timeout=settings.ping_timeout_s,
        lifespan="off",  # _serve runs it, so that its failure is an exception and not a log line
        log_config=None,
        log_level="critical",  # until configure_log
        proxy_headers=False,
    )


def _bind(settings: ServerSettings) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if settings.reuse_port:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        hint = "Use another port, or 0 for a free one"
        raise InvalidSetting("--port", settings.port, f"must be free ({error})", hint) from None
    return listener


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _allow_many_sockets() -> None:
    """Raise the soft limit of open files, often 1024, to the hard limit: every socket counts as a file."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@contextlib.contextmanager
def _stopped_by_signals(server: uvicorn.Server) -> Iterator[None]:
    # uvicorn installs its own handlers while it serves, and afterwards raises the caught signals again. These
    # handlers absorb them; the default ones would end the process with the signal instead of exit code 0.
    def stop(*_: object) -> None:
        server.should_exit = True

    previous = {number: signal.signal(number, stop) for number in _STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
