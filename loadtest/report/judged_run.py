"""A run with its data and verdict: the input of every report."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from loadtest.report.advice import shown_items
from loadtest.results.data import RunData
from loadtest.verdict.items import AnyItem, Verdict

REFERENCE_SERVER_LOG = "server.log"
"""Log in the run directory if Locust started a reference server for the run."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JudgedRun:
    """A run, its data and its verdict.

    Args:
        path: the run directory.
        results: the folder of all runs.
        run: the run's data.
        verdict: the verdict on the run.
    """

    path: Path
    results: Path
    run: RunData
    verdict: Verdict

    @property
    def items(self) -> list[AnyItem]:
        """The items as shown to people: those that depend on a failed `connect` say so."""
        return shown_items(self.verdict.items)

    @property
    def again(self) -> str:
        """The command that makes the reports again, quoted for a shell."""
        command = f"loadtest report {shlex.quote(str(self.path))}"
        if self.results == Path("results"):  # default of the command
            return command
        return f"{command} --results {shlex.quote(str(self.results))}"

    @property
    def started_reference_server(self) -> bool:
        """Whether the run started its own reference server."""
        return (self.path / REFERENCE_SERVER_LOG).is_file()
