"""Losses that belong to a drill, while a run goes on: one log line a drill, and no failures for Locust.

A deploy ends every connection once. A warning for each second of it, and a row of failures in Locust's table,
would say that the server is broken. Pure: time comes as an argument.
"""

from collections import Counter

import msgspec

from loadtest import text
from loadtest.locust_plugin.loss_warnings import causes_text, losses_by_cause
from loadtest.results.drill_windows import Windows
from loadtest.results.interval import PackedInterval
from loadtest.session.recorder import Lifecycle


def without_drill_losses(packed: PackedInterval, windows: Windows) -> PackedInterval:
    """Return an interval without the losses that belong to drills."""
    of_drills = _lost_in(packed, windows)
    if not of_drills:
        return packed
    fewer = Counter(f"losses.{record.cause}" for record, _ in of_drills)
    left_out = {id(record) for record, _ in of_drills}
    return msgspec.structs.replace(
        packed,
        counts={name: count - fewer[name] for name, count in packed.counts.items()},
        lifecycle=[record for record in packed.lifecycle if id(record) not in left_out],
    )


def _lost_in(packed: PackedInterval, windows: Windows) -> list[tuple[Lifecycle, int]]:
    """Return the losses of an interval that belong to drills, each with its drill's number."""
    if not windows.spans:
        return []
    found = ((record, windows.at(record.at_ns)) for record in packed.lifecycle if record.event == "lost")
    return [(record, number) for record, number in found if number is not None]


class DrillLosses:
    """Writes one line a drill, when its first connections are lost."""

    def __init__(self) -> None:
        self._told: set[int] = set()

    def lines(self, packed: PackedInterval, now_s: float, windows: Windows) -> list[str]:
        """Add an interval; return the lines to log now.

        Args:
            packed: an interval of any process.
            now_s: seconds since the run's start.
            windows: of the run's drills.
        """
        by_drill: dict[int, list[Lifecycle]] = {}
        for record, number in _lost_in(packed, windows):
            by_drill.setdefault(number, []).append(record)
        new = sorted(by_drill.keys() - self._told)
        self._told.update(new)
        return [
            f"{text.clock(now_s)}  drill {number + 1} ends connections: "
            f"{causes_text(losses_by_cause(by_drill[number]))}; see lost_connections= in the progress line"
            for number in new
        ]
