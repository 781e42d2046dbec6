"""The reference server that a run without a host starts, talks to, and stops at its end."""

import logging
import os
from pathlib import Path

from loadtest.report.judged_run import OWN_SERVER_LOG
from loadtest.server.server_process import ServerProcess

logger = logging.getLogger("loadtest")


class OwnServer:
    """Started and stopped as often as there are runs."""

    def __init__(self) -> None:
        self._process: ServerProcess | None = None
        self._log = Path()

    def start(self, results: Path) -> str:
        """Start it and return its URL; until its run has a directory it logs beside all runs."""
        self._log = results / f".server-{os.getpid()}.log"
        self._process = ServerProcess(log_path=self._log)
        logger.info("no --host was given: started the reference server at %s", self._process.url)
        return self._process.url

    def move_log(self, run: Path) -> Path | None:
        """Move its log into the run's directory and return where it is; None if no server runs."""
        return None if self._process is None else self._log.rename(run / OWN_SERVER_LOG)

    def stop(self) -> bool:
        """Stop it; return whether one ran. A log without a run's directory goes, too."""
        process, self._process = self._process, None
        if process is None:
            return False
        process.stop()
        self._log.unlink(missing_ok=True)
        return True
