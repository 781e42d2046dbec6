"""What a run counted in each of its seconds, bounded for runs of any length.

A row is one second; in runs of over two hours it is `row_s` seconds, a power of two: there are at most
`ROWS_LIMIT` rows. A row is the sum over all processes and user classes. Rows are folded in pairs as the run
turns out to be longer, so memory does not depend on what a file says.
"""

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from loadtest.session.recorder import FAILED_MESSAGES
from loadtest.session.schedule import NS_PER_S

ROWS_LIMIT = 7200
"""Maximum number of rows: two hours of one-second rows."""

KINDS_LIMIT = 40
"""Maximum number of kinds of drops, or of causes of losses. A run has a dozen; a server may send any
number of close codes. Further ones are added up as `OTHER`."""

OTHER = "other"

_SHORTEST_S = 1e-3  # of an interval: 0 would say that there was none
_MAX = 2**61  # folding two rows must not overflow

SERIES: Mapping[str, Sequence[str]] = MappingProxyType(
    {
        "sent": ("messaging.sent",),
        "answered": ("messaging.answered",),
        "failed": tuple(f"messaging.{name}" for name in FAILED_MESSAGES if name != "lost"),
        "lost_messages": ("messaging.lost",),
        "lost_in_outage": ("messaging.lost_in_outage",),
        "attempts": ("connect.attempts", "reconnect.attempts"),
        "failed_attempts": ("connect.failed", "reconnect.failed"),
    }
)
"""The series and the counts (`loadtest.session.recorder.COUNTS`) that each adds up."""

MEANINGS: Mapping[str, str] = MappingProxyType(
    {
        "sent": "messages sent",
        "answered": "messages answered by their own intact reply",
        "failed": "messages that failed, for example with a late, altered or error reply; wrong pushes",
        "lost_messages": "messages without a reply on a connection that stayed up",
        "lost_in_outage": "messages whose connection ended before the reply",
        "drops": "connections that the run dropped",
        "losses": "connections that the server or the network ended",
        "attempts": "connection attempts",
        "failed_attempts": "failed connection attempts",
    }
)
"""The series of `PerSecond.counts` with their meanings, in the order of reports."""

_SERIES_OF = {name: (series, "") for series, names in SERIES.items() for name in names}
_FAMILIES = ("drops", "losses")
_FAMILY_PREFIXES = tuple(f"{family}." for family in _FAMILIES)

Rows = Sequence[int]
"""A number for each row of a run, in order."""


@dataclass(frozen=True, slots=True, eq=False)
class PerSecond:
    """Counts of a run by row; each series has a number for each row.

    A message that was given up and answered after all is counted again with its last outcome, and subtracted
    from the first one: a row may be negative.

    Args:
        counts: by series: those of `SERIES`, and the totals `drops` and `losses`.
        drops: drops made, by kind.
        losses: connections lost, by cause.
        spans_s: seconds of the longest interval that began in the row; 0 where none began, so that nothing
            was recorded. Empty if that is not known.
    """

    counts: Mapping[str, Rows] = field(default_factory=dict)
    drops: Mapping[str, Rows] = field(default_factory=dict)
    losses: Mapping[str, Rows] = field(default_factory=dict)
    spans_s: Sequence[float] = ()

    def recorded(self, row: int) -> bool:
        """Whether anything was recorded in a row: a stalled process writes no interval."""
        return not self.spans_s or (row < len(self.spans_s) and self.spans_s[row] > 0)


def row_s_of(length_ns: int) -> int:
    """Return the seconds per row for a run of this length: the smallest sufficient power of two."""
    row_s = 1
    while length_ns > ROWS_LIMIT * row_s * NS_PER_S:
        row_s *= 2
    return row_s


class PerSecondGathering:
    """Adds up the counts of all processes by row. Add intervals in any order, then call `per_second`."""

    def __init__(self) -> None:
        self._row_s = 1
        self._rows: dict[tuple[str, str], array[int]] = {}  # by series, or by family and kind
        self._spans_s = array("d")

    def interval(self, second: int, counts: Mapping[str, int], *, span_s: float = 1.0) -> None:
        """Add what one process counted in an interval.

        Args:
            second: the second of the run that the interval belongs to, from 0.
            counts: by name.
            span_s: length of the interval in seconds.
        """
        while second >= ROWS_LIMIT * self._row_s:
            self._fold()
        row = second // self._row_s
        if row >= len(self._spans_s):
            self._spans_s.extend([0.0] * (row + 1 - len(self._spans_s)))
        self._spans_s[row] = max(self._spans_s[row], span_s, _SHORTEST_S)
        for name, count in counts.items():
            key = _SERIES_OF.get(name)
            if key is not None:
                self._add(key, row, count)
            elif name.startswith(_FAMILY_PREFIXES):
                family, _, kind = name.partition(".")
                self._add(self._known(family, kind), row, count)

    def _known(self, family: str, kind: str) -> tuple[str, str]:
        key = (family, kind)
        if key in self._rows or sum(name == family for name, _ in self._rows) < KINDS_LIMIT:
            return key
        return family, OTHER

    def _add(self, key: tuple[str, str], row: int, count: int) -> None:
        rows = self._rows.setdefault(key, array("q"))
        if row >= len(rows):
            rows.extend([0] * (row + 1 - len(rows)))
        rows[row] = _bounded(rows[row] + count)

    def _fold(self) -> None:
        self._row_s *= 2
        if len(self._spans_s) % 2:
            self._spans_s.append(0.0)
        self._spans_s = array("d", map(max, self._spans_s[::2], self._spans_s[1::2]))
        for key, rows in self._rows.items():
            if len(rows) % 2:
                rows.append(0)
            pairs = zip(rows[::2], rows[1::2], strict=True)
            self._rows[key] = array("q", (_bounded(one + other) for one, other in pairs))

    def per_second(self, length_ns: int) -> PerSecond:
        """Return everything added so far in rows of `row_s_of(length_ns)` seconds."""
        row_s = row_s_of(length_ns)
        while self._row_s < row_s:
            self._fold()
        rows = -(-length_ns // (row_s * NS_PER_S))
        found = {key: _of_length(series, rows) for key, series in self._rows.items()}
        families = {
            family: {kind: found[family, kind] for name, kind in sorted(found) if name == family}
            for family in _FAMILIES
        }
        counts = {series: found.get((series, ""), array("q", bytes(8 * rows))) for series in SERIES}
        totals = {family: _total(list(kinds.values()), rows) for family, kinds in families.items()}
        spans_s = self._spans_s[:rows]
        spans_s.extend([0.0] * (rows - len(spans_s)))
        return PerSecond({**counts, **totals}, families["drops"], families["losses"], spans_s)


def _bounded(count: int) -> int:
    return min(max(count, -_MAX), _MAX)


def _of_length(series: "array[int]", rows: int) -> "array[int]":
    """Return a series with this many rows; an interval that began at the very end belongs to the last one."""
    if not rows:
        return array("q")
    found = array("q", series[:rows])
    found.extend([0] * (rows - len(found)))
    found[-1] = _bounded(found[-1] + sum(series[rows:]))
    return found


def _total(series: Sequence["array[int]"], rows: int) -> "array[int]":
    if not series:
        return array("q", bytes(8 * rows))
    return array("q", (_bounded(sum(row)) for row in zip(*series, strict=True)))
