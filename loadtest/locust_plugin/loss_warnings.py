"""Warnings about lost connections while a run goes on, for who watches it. Pure: time comes as an argument.

Losses are counted once a second. A server that ends connections all the time must not fill the log: at most
one line a second, and ten in a run; the progress line counts the rest (`lost_connections=N`).
"""

from collections import Counter
from collections.abc import Iterable

from loadtest import text
from loadtest.results.interval import PackedInterval
from loadtest.results.loss_groups import OTHER_LOSSES
from loadtest.session.recorder import Lifecycle
from loadtest.verdict.stability import cause_text

MAX_LINES = 10
PAUSE_S = 1.0

_CAUSES_SHOWN = 5


class LossWarnings:
    """Decides when to warn, and writes the line."""

    def __init__(self) -> None:
        self._waiting: Counter[str] = Counter()
        self._lines = 0
        self._latest_s = -PAUSE_S

    def line(self, packed: PackedInterval, now_s: float) -> str:
        """Add an interval; return the line to log now, empty for none.

        Args:
            packed: an interval of any process.
            now_s: seconds since the run's start.
        """
        self._waiting.update(losses_by_cause(packed.lifecycle))
        if not self._waiting or self._lines >= MAX_LINES or now_s - self._latest_s < PAUSE_S:
            return ""
        self._lines += 1
        self._latest_s = now_s
        lost, self._waiting = self._waiting, Counter()
        more = (
            "; further warnings suppressed; see lost_connections= in the progress line"
            if self._lines == MAX_LINES
            else ""
        )
        return f"{text.clock(now_s)}  {_lost_text(lost)}{more}"


def losses_by_cause(records: Iterable[Lifecycle]) -> Counter[str]:
    """Return how many connections were lost, by cause as people read it."""
    return Counter(cause_text(record.cause or OTHER_LOSSES) for record in records if record.event == "lost")


def _lost_text(lost: Counter[str]) -> str:
    return f"{text.counted(lost.total(), 'connection')} lost: {causes_text(lost)}"


def causes_text(lost: Counter[str]) -> str:
    """Return the most frequent causes, each with its number."""
    shown = lost.most_common(_CAUSES_SHOWN)
    causes = [f"{cause} ({text.count(count)})" for cause, count in shown]
    if rest := lost.total() - sum(count for _, count in shown):
        causes.append(f"others ({text.count(rest)})")
    return ", ".join(causes)
