"""The reference server as a child process, for tests and for runs without a host.

The child prints where it listens to its standard output, a file that this process reads until the line is
there. The child watches its parent's process id, so it does not outlive a parent that was killed. The login
token travels in the environment, where a list of processes does not show it.
"""

import os
import sys
import time
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any
from urllib.parse import urlsplit

from loadtest.errors import ServerNotStarted
from loadtest.processes import Process, tail
from loadtest.server.server_settings import ServerSettings

TOKEN_VARIABLE = "LOADTEST_SERVE_TOKEN"  # noqa: S105 - its name, not its value

GRACE_S = 15.0
"""Between SIGTERM and SIGKILL: more than the server gives its connections to close."""

_ANNOUNCEMENT = "listening on "
_LINE_BYTES = 200
_LOOK_EVERY_S = 0.02
_TAIL_BYTES = 2000


class ServerProcess(Process):
    """A running reference server; a context manager that stops it.

    Args:
        arguments: further arguments for `loadtest serve`.
        log_path: file to which its log is appended; None for one that is gone with the server.
        start_timeout_s: how long it may take to listen.
        settings: fields of `ServerSettings`; the default port is 0, a free one.

    Attributes:
        url: where it listens.

    Raises:
        InvalidSetting: a setting is impossible.
        ServerNotStarted: it ended, or did not listen in time; with the end of its log.
    """

    def __init__(
        self, *arguments: str, log_path: Path | None = None, start_timeout_s: float = 30.0, **settings: Any
    ) -> None:
        wanted = ServerSettings(**{"port": 0, "parent_pid": os.getpid()} | settings)
        with (
            TemporaryFile() as output,
            TemporaryFile() if log_path is None else log_path.open("ab+") as log,
        ):
            super().__init__(
                [sys.executable, "-m", "loadtest", "serve", *_options(wanted), *arguments],
                output=output,
                errors=log,
                environment=_environment(wanted),
                grace_s=GRACE_S,
            )
            try:
                self.url = self._listening_at(output, log, start_timeout_s)
            except BaseException:
                self.kill()
                raise

    @property
    def port(self) -> int:
        """The port it listens on."""
        port = urlsplit(self.url).port
        assert port is not None
        return port

    def _listening_at(self, output: IO[bytes], log: IO[bytes], timeout_s: float) -> str:
        """Wait until it listens; return its URL."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            # pread: the child shares the file's position, which must not move under its writes.
            line, line_end, _ = os.pread(output.fileno(), _LINE_BYTES, 0).decode().partition("\n")
            if line_end:
                return line.removeprefix(_ANNOUNCEMENT)
            if (status := self.exit_status) is not None:
                raise ServerNotStarted(f"it ended with exit status {status}. {_end_of(log)}")
            if time.monotonic() > deadline_s:
                raise ServerNotStarted(f"it was not listening after {timeout_s:g} s. {_end_of(log)}")
            time.sleep(_LOOK_EVERY_S)


def _end_of(log: IO[bytes]) -> str:
    return f"Its log ends with: {tail(log, _TAIL_BYTES).strip() or '(nothing)'}"


def _environment(settings: ServerSettings) -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if name != TOKEN_VARIABLE}
    if settings.token is not None:
        environment[TOKEN_VARIABLE] = settings.token
    return environment


def _options(settings: ServerSettings) -> list[str]:
    options = {
        "--host": settings.host,
        "--port": settings.port,
        "--database": settings.database,
        "--handling": settings.handling,
        "--push-every": settings.push_every_s,
        "--inactivity-timeout": settings.inactivity_timeout_s,
        "--ping-interval": settings.ping_interval_s,
        "--ping-timeout": settings.ping_timeout_s,
        "--ws-implementation": settings.ws_implementation,
        "--log-format": settings.log_format,
        "--parent-pid": settings.parent_pid,
    }
    given = [f"{name}={value}" for name, value in options.items() if value is not None]
    return given + [f"--fault={fault}" for fault in settings.faults]
