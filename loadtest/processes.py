"""Processes that a duel starts: in a group of their own, with a log, and gone when it ends.

A Ctrl-C in the terminal reaches the duel alone, which then ends its processes; whatever they have started
themselves is in their group and ends with them. No shell reads a command.
"""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from loadtest.results.directory import writing

LOOK_EVERY_S = 0.1
"""How often to look at processes that are waited for: unnoticed beside a run that measures."""

_TAIL_BYTES = 4000


class Process:
    """A running process; a context manager that ends it.

    Args:
        command: its words.
        log: file that gets all its output.
        environment: added to this process's own.
        grace_s: seconds between SIGTERM and SIGKILL at its end, 0 for SIGKILL at once.

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
        self._grace_s = grace_s
        with writing(log):
            output = log.open("wb")
        with output:
            self._process = subprocess.Popen(  # noqa: S603 - words that the user gave, no shell
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )

    @property
    def exit_status(self) -> int | None:
        """Its exit status, None while it runs."""
        return self._process.poll()

    def wait(self, timeout_s: float) -> int | None:
        """Wait until it ends and return its exit status, None if it has not ended by then."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def last_words(self) -> str:
        """Return the last line of its output that speaks of an error, else the last that says anything."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, self.log.stat().st_size - _TAIL_BYTES))
                lines = file.read(_TAIL_BYTES).decode(errors="replace").splitlines()
        except OSError:
            return "(its output cannot be read)"
        said = [line.strip() for line in reversed(lines) if line.strip()]
        errors = [line for line in said if "error" in line.lower()]
        return next(iter([*errors, *said]), "(nothing)")

    def end(self) -> None:
        """End it and all that it started."""
        try:
            if self._grace_s and self.exit_status is None:
                self._signal(signal.SIGTERM)
                self.wait(self._grace_s)
        finally:
            # Also where it has ended by itself: what it started may still be there.
            self._signal(signal.SIGKILL)
            self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()
