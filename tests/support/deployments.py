"""A reference server that a drill's command restarts while a run goes on.

The command is a script that asks this process, which owns all servers: none outlives the test, whatever the
script or the run does.

    with Deployment(tmp_path) as deployment:
        locust --host deployment.url --ws-at "4:$(deployment.command('drained'))"
"""

from __future__ import annotations

import shlex
import socketserver
import sys
import threading
import time
from pathlib import Path
from typing import Any, Literal, Self

from loadtest.server.server_process import ServerProcess
from tests.support.places import ROOT
from tests.support.serverclient import counters, wait_for

How = Literal["drained", "killed"]

SCRIPT = ROOT / "tests" / "support" / "deploy.py"


class Deployment:
    """A running reference server, its database, and the means to replace it.

    Args:
        folder: for the database and the log of all servers, `server.log`.
        sessions: a restart waits until so many are connected and have had replies; 0 for no wait.
        pause_s: how long nobody listens after a kill.
        settings: of `ServerSettings`.

    Attributes:
        url: where the server listens, before a restart and after it.
        log: the log of all servers.
    """

    def __init__(self, folder: Path, *, sessions: int = 0, pause_s: float = 1.0, **settings: Any) -> None:
        self.log = folder / "server.log"
        self._sessions = sessions
        self._pause_s = pause_s
        self._settings = {"database": folder / "server.sqlite", "reuse_port": True, **settings}
        self._server = self._started()
        self.url = self._server.url
        self._settings["port"] = self._server.port
        self._door = socketserver.TCPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._door.serve_forever)
        self._thread.start()

    def command(self, how: How) -> str:
        """Return a command, quoted for a shell, that restarts the server and ends when that is done.

        Args:
            how: `drained`: the next server listens on the same port, then the old one gets SIGTERM and closes
                its connections with 1012. `killed`: the old one gets SIGKILL; after a pause the next starts.
        """
        return shlex.join([sys.executable, str(SCRIPT), str(self._door.server_address[1]), how])

    def _started(self) -> ServerProcess:
        return ServerProcess(log_path=self.log, **self._settings)

    def _wait_for_sessions(self) -> None:
        """Wait until all sessions are connected, and then for three replies each."""
        wait_for(lambda: counters(self.url)["connections_open"] >= self._sessions, what="all sessions")
        enough = counters(self.url)["replies_sent"] + 3 * self._sessions
        wait_for(lambda: counters(self.url)["replies_sent"] >= enough, what="replies")

    def _restart(self, how: str) -> None:
        self._wait_for_sessions()
        old = self._server
        if how == "drained":
            self._server = self._started()
            old.stop()
        else:
            old.kill()
            time.sleep(self._pause_s)
            self._server = self._started()

    def _handler(self) -> type[socketserver.BaseRequestHandler]:
        restart = self._restart

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                restart(self.rfile.readline().decode().strip())
                self.wfile.write(b"done\n")

        return Handler

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._door.shutdown()
        self._thread.join()
        self._door.server_close()
        self._server.stop()
