"""The reference server as a child process, for tests and for runs that name no host.

Built on `subprocess` and on looking into a file for the line that says where the server listens, and on
nothing else: it has to work in any thread, in a process that gevent has patched, and beside forked workers.
The child watches its parent's process id, so it does not outlive a parent that was killed; it has a session
of its own, so a Ctrl-C in the terminal reaches its parent only. The login token travels in the environment,
where a list of processes does not show it.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self
from urllib.parse import urlsplit

from loadtest.errors import ServerNotStarted
from loadtest.server.server_settings import ServerSettings

TOKEN_VARIABLE = "LOADTEST_SERVE_TOKEN"  # noqa: S105 - its name, not its value

_ANNOUNCEMENT = "listening on "
_LOOK_EVERY_S = 0.02
_TAIL_BYTES = 2000


class ServerProcess:
    """A running reference server; a context manager that stops it."""

    def __init__(
        self, *arguments: str, log_path: Path | None = None, start_timeout_s: float = 30.0, **settings: Any
    ) -> None:
        """Start it and wait until it listens.

        Arguments:
            arguments: more arguments for `loadtest serve`, as they are.
            log_path: where its log is appended; by default a file that is gone with the server.
            start_timeout_s: how long it may take to listen.
            settings: fields of `ServerSettings`; the port is 0, a free one, unless given.

        Raises:
            InvalidSetting: a setting is impossible.
            ServerNotStarted: it ended, or did not listen in time; with the end of its log.
        """
        wanted = ServerSettings(**{"port": 0, "parent_pid": os.getpid()} | settings)
        # SIM115: both live as long as the child; _reap closes them.
        self._log = tempfile.TemporaryFile() if log_path is None else log_path.open("ab+")  # noqa: SIM115
        self._output = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = _start(wanted, arguments, output=self._output, log=self._log)
        try:
            self.url = self._wait_until_listening(start_timeout_s)
        except BaseException:
            self.kill()
            raise

    @property
    def port(self) -> int:
        """The port it listens on."""
        port = urlsplit(self.url).port
        assert port is not None
        return port

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def stop(self, *, timeout_s: float = 15.0) -> int:
        """End it with SIGTERM, or with SIGKILL if that takes too long; return its exit status."""
        self._process.terminate()
        try:
            return self._reap(timeout_s)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self) -> int:
        """End it with SIGKILL, as a crash does; return its exit status."""
        self._process.kill()
        return self._reap()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _reap(self, timeout_s: float | None = None) -> int:
        status = self._process.wait(timeout_s)
        self._output.close()
        self._log.close()
        return status

    def _wait_until_listening(self, timeout_s: float) -> str:
        deadline_s = time.monotonic() + timeout_s
        while True:
            # pread, here and below: the child shares the file's offset, which must not move under its writes.
            line, line_end, _ = os.pread(self._output.fileno(), 200, 0).decode().partition("\n")
            if line_end:
                return line.removeprefix(_ANNOUNCEMENT)
            if (status := self._process.poll()) is not None:
                raise ServerNotStarted(f"it ended with exit status {status}. {self._log_tail()}")
            if time.monotonic() > deadline_s:
                raise ServerNotStarted(f"it was not listening after {timeout_s:g} s. {self._log_tail()}")
            time.sleep(_LOOK_EVERY_S)

    def _log_tail(self) -> str:
        length = os.fstat(self._log.fileno()).st_size
        tail = os.pread(self._log.fileno(), _TAIL_BYTES, max(0, length - _TAIL_BYTES))
        return f"Its log ends with: {tail.decode(errors='replace').strip() or '(nothing)'}"


def _start(
    settings: ServerSettings, arguments: tuple[str, ...], *, output: IO[bytes], log: IO[bytes]
) -> subprocess.Popen[bytes]:
    environment = {name: value for name, value in os.environ.items() if name != TOKEN_VARIABLE}
    if settings.token is not None:
        environment[TOKEN_VARIABLE] = settings.token
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module, no shell
        [sys.executable, "-m", "loadtest", "serve", *_options(settings), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=log,
        env=environment,
        start_new_session=True,
    )


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
