"""The reference server for a run without a host: started before the run and stopped after it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from loadtest import regular_files
from loadtest.report.judged_run import REFERENCE_SERVER_LOG
from loadtest.results import directory
from loadtest.server.server_process import ServerProcess

if TYPE_CHECKING:
    from locust.env import Environment

logger = logging.getLogger("loadtest")


class ReferenceServer:
    """Acts as the environment's host during a run without one; can be started again for the next run.

    Args:
        environment: Locust's environment, whose `host` is set while the server runs.
    """

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._process: ServerProcess | None = None
        self._log = Path()
        self._urls: set[str] = set()  # of all that it has started

    def start(self, results: Path) -> str:
        """Start the server and return its URL.

        Args:
            results: folder of all runs; holds the server's log until the run has a directory.
        """
        with directory.writing(results):
            self._log = regular_files.create_unnamed(results, REFERENCE_SERVER_LOG)
        self._process = ServerProcess(log_path=self._log)
        url = self._environment.host = self._process.url
        self._urls.add(url)
        logger.info("no --host given: started the reference server at %s", url)
        return url

    def has_been(self, url: str) -> bool:
        """Return whether a URL is from an earlier start: the web form keeps the host of the previous run."""
        return url.rstrip("/") in self._urls

    def move_log(self, run: Path) -> Path | None:
        """Move the log into the run directory and return its path; None if the server is not running."""
        return None if self._process is None else self._log.rename(run / REFERENCE_SERVER_LOG)

    def stop(self) -> None:
        """Stop the server if it is running, and delete a log that was not moved into a run directory."""
        process, self._process = self._process, None
        if process is not None:
            process.stop()
            self._log.unlink(missing_ok=True)
            self._environment.host = None
