"""The reference server of a run without a host: started before the run, stopped after it."""

import logging
import os
from pathlib import Path

from locust.env import Environment

from loadtest.report.judged_run import OWN_SERVER_LOG
from loadtest.server.server_process import ServerProcess

logger = logging.getLogger("loadtest")


class ReferenceServer:
    """The environment's host while a run without a host goes; may be started again for the next run.

    Args:
        environment: Locust's.
    """

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._process: ServerProcess | None = None
        self._log = Path()

    def start(self, results: Path) -> str:
        """Start it and return its URL.

        Args:
            results: folder of all runs, for its log until the run has a directory.
        """
        self._log = results / f".server-{os.getpid()}.log"
        self._process = ServerProcess(log_path=self._log)
        url = self._environment.host = self._process.url
        logger.info("no --host given: started the reference server at %s", url)
        return url

    def move_log(self, run: Path) -> Path | None:
        """Move its log into the run directory and return its path; None if the server is not running."""
        return None if self._process is None else self._log.rename(run / OWN_SERVER_LOG)

    def stop(self) -> None:
        """Stop it, if it runs; a log that was not moved into a run directory is deleted."""
        process, self._process = self._process, None
        if process is not None:
            process.stop()
            self._log.unlink(missing_ok=True)
            self._environment.host = None
