"""A child process of a duel, with its output in a log file next to duel.json."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from loadtest.processes import Process, tail
from loadtest.regular_files import create
from loadtest.results.directory import writing

LOOK_EVERY_S = 0.1
"""Interval of polling a process: rare enough not to disturb a measurement."""

_TAIL_BYTES = 4000


class LoggedProcess(Process):
    """A child process that writes to a log.

    Args:
        command: program and arguments.
        log: file for standard output and standard error.
        environment: variables added to the environment of this process.
        grace_s: seconds between SIGTERM and SIGKILL when it is stopped; 0 for SIGKILL at once.

    Raises:
        OSError: the command cannot be started.
        ResultsUnwritable: the log cannot be written.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        grace_s: float = 0.0,
    ) -> None:
        self.log = log
        with writing(log):
            log.unlink(missing_ok=True)
            output = create(log)
        with output:
            whole = {**os.environ, **(environment or {})}
            super().__init__(command, output=output, environment=whole, grace_s=grace_s)

    def last_words(self) -> str:
        """Return the last output line that mentions an error, else the last line that is not blank."""
        try:
            with self.log.open("rb") as file:
                lines = tail(file, _TAIL_BYTES).splitlines()
        except OSError:
            return "(its output cannot be read)"
        said = [line.strip() for line in reversed(lines) if line.strip()]
        errors = [line for line in said if "error" in line.lower()]
        return next(iter([*errors, *said]), "(nothing)")
