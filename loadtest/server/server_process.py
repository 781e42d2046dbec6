"""The reference server as a child process, for tests and for runs without a host.

The child prints its URL to its standard output, a file that this process polls until the line appears. The
child watches its parent's process id, so it does not outlive a parent that was killed. The login token is
passed in the environment, where process listings do not show it.
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
"""Between SIGTERM and SIGKILL: longer than the server gives its connections to close."""

_ANNOUNCEMENT = "listening on "
_LINE_BYTES = 200
_LOOK_EVERY_S = 0.02
_TAIL_BYTES = 2000


class ServerProcess(Process):
    """A running reference server; a context manager that stops it.

    Args:
        arguments: further arguments for `loadtest serve`.
        log_path: file to which the log is appended; None discards it when the server ends.
        start_timeout_s: seconds in which the server has to start listening.
        settings: fields of `ServerSettings`; the default port is 0, which selects a free one.

    Attributes:
        url: the URL it listens on.

    Raises:
        InvalidSetting: a setting is out of range or malformed.
        ServerNotStarted: it ended or did not listen in time; the error quotes the end of its log.
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
        """Wait until the server listens; return its URL."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            # pread does not move the file position, which is shared with the child that writes.
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
        "--mode": settings.mode,
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
    given += ["--reuse-port"] * settings.reuse_port
    return given + [f"--fault={fault}" for fault in settings.faults]
