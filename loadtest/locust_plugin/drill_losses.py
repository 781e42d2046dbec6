"""Separates losses that belong to a drill from other losses during a run.

A deploy ends every connection once. Warnings and failures in Locust's table would suggest that the server is
broken, so each drill gets one log line instead. Pure.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from loadtest.locust_plugin.problems import causes_text, losses_by_cause
from loadtest.results.drill_windows import Windows
from loadtest.results.interval import PackedInterval
from loadtest.session.recorder import Lifecycle


def split_losses(
    packed: PackedInterval, windows: Windows
) -> tuple[Mapping[int, Sequence[Lifecycle]], PackedInterval]:
    """Return the losses that belong to drills, by drill number, and the interval without them."""
    by_drill: dict[int, list[Lifecycle]] = {}
    for record in packed.lifecycle if windows.spans else ():
        if record.event == "lost" and (number := windows.at(record.at_ns)) is not None:
            by_drill.setdefault(number, []).append(record)
    if not by_drill:
        return by_drill, packed
    of_drills = [record for records in by_drill.values() for record in records]
    fewer = Counter(f"losses.{record.cause}" for record in of_drills)
    left_out = set(map(id, of_drills))
    others = msgspec.structs.replace(
        packed,
        counts={name: count - fewer[name] for name, count in packed.counts.items()},
        lifecycle=[record for record in packed.lifecycle if id(record) not in left_out],
    )
    return by_drill, others


class DrillLosses:
    """Makes one line per drill, when its first connections are lost."""

    def __init__(self) -> None:
        self._told: set[int] = set()

    def lines(self, by_drill: Mapping[int, Sequence[Lifecycle]]) -> list[str]:
        """Add losses of drills; return the lines to write now.

        Args:
            by_drill: losses of an interval of any process, by drill number.
        """
        new = sorted(by_drill.keys() - self._told)
        self._told.update(new)
        return [
            f"drill {number + 1} ended connections: {causes_text(losses_by_cause(by_drill[number]))}"
            for number in new
        ]
