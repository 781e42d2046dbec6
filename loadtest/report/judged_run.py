"""A run that was read and judged: what every report is drawn from."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from loadtest.report.advice import told_items
from loadtest.results.data import RunData
from loadtest.verdict.items import AnyItem, Verdict

OWN_SERVER_LOG = "server.log"
"""The file that a run directory has where Locust started a reference server for the run."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JudgedRun:
    """A run, its data and its verdict.

    Args:
        path: the run directory.
        results: the folder of all runs.
    """

    path: Path
    results: Path
    run: RunData
    verdict: Verdict

    @property
    def items(self) -> list[AnyItem]:
        """The items for people: those that depend on `connect` say so."""
        return told_items(self.verdict.items)

    @property
    def again(self) -> str:
        """The command that makes the reports again."""
        command = f"loadtest report {shlex.quote(str(self.path))}"
        if self.results == Path("results"):  # the command's default
            return command
        return f"{command} --results {shlex.quote(str(self.results))}"

    @property
    def own_server(self) -> bool:
        """Whether the run started its own reference server."""
        return (self.path / OWN_SERVER_LOG).is_file()
