"""The times of a run that belong to its drills.

A drill's window begins with its command and ends `--ws-at-window` after the command's end. Connections that
the server ends in it belong to the drill. A drill that was not started has no window.
"""

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from loadtest.results.loss_groups import LATEST_NS
from loadtest.results.manifest import DrillRun, Manifest
from loadtest.session.schedule import NS_PER_S


class Windows(Struct, frozen=True):
    """The windows of a run's drills.

    Args:
        spans: start and end in nanoseconds since the run's start, by the drill's number from 0.
    """

    spans: dict[int, tuple[int, int]]

    @classmethod
    def of(cls, manifest: Manifest) -> "Windows":
        """Return the windows of a run."""
        return cls.around(manifest.drills, manifest.drill_window_s)

    @classmethod
    def around(cls, drills: Iterable[DrillRun], window_s: float) -> "Windows":
        """Return the windows of these drills, ordered by planned start."""
        return cls(
            {
                number: (int(drill.started_s * NS_PER_S), _until_ns(drill, window_s))
                for number, drill in enumerate(drills)
                if drill.started_s is not None
            }
        )

    def at(self, at_ns: int) -> int | None:
        """Return the number of the drill that a moment belongs to, the latest of several; None if none."""
        if not self.spans:
            return None
        found = (number for number, (first, last) in self.spans.items() if first <= at_ns <= last)
        return max(found, key=lambda number: self.spans[number], default=None)


NO_WINDOWS: Final = Windows({})


def _until_ns(drill: DrillRun, window_s: float) -> int:
    return LATEST_NS if drill.ended_s is None else int((drill.ended_s + window_s) * NS_PER_S)
