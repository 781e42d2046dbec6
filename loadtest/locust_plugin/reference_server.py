"""The reference server of a run without a host: started before the run and stopped after it."""

import logging
import os
from pathlib import Path

from locust.env import Environment

from loadtest.report.judged_run import REFERENCE_SERVER_LOG
from loadtest.server.server_process import ServerProcess

logger = logging.getLogger("loadtest")


class ReferenceServer:
    """Serves as the environment's host during a run without one; can be started again for the next run.

    Args:
        environment: Locust's environment, whose `host` is set while the server runs.
    """

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._process: ServerProcess | None = None
        self._log = Path()

    def start(self, results: Path) -> str:
        """Start the server and return its URL.

        Args:
            results: folder of all runs; holds the server's log until the run has a directory.
        """
        self._log = results / f".server-{os.getpid()}.log"
        self._process = ServerProcess(log_path=self._log)
        url = self._environment.host = self._process.url
        logger.info("no --host given: started the reference server at %s", url)
        return url

    def move_log(self, run: Path) -> Path | None:
        """Move the log into the run directory and return its path; None if the server is not running."""
        return None if self._process is None else self._log.rename(run / REFERENCE_SERVER_LOG)

    def stop(self) -> None:
        """Stop the server if it runs, and delete a log that was not moved into a run directory."""
        process, self._process = self._process, None
        if process is not None:
            process.stop()
            self._log.unlink(missing_ok=True)
            self._environment.host = None
