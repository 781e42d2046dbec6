"""Problems found during a run, as lines for the terminal. Pure: time comes as an argument.

Each topic (losses, failed attempts, lost messages, errors in the server's log …) has its own lines: the first
at once, then at growing intervals, ten at most in a run. A line shows what is new since the one before, by
cause. A server that fails all the time must not flood the log: the progress line goes on counting, and the
live view has the totals.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from loadtest import text
from loadtest.results.drill_windows import Windows
from loadtest.results.interval import PackedInterval
from loadtest.results.loss_groups import OTHER_LOSSES
from loadtest.serverlog.extract import KeptRecord
from loadtest.serverlog.records import is_error
from loadtest.serverlog.rules import DISCONNECTS, LogClass
from loadtest.serverlog.shapes import shape_of
from loadtest.session.recorder import ErrorTally, Lifecycle
from loadtest.verdict.generator import GAUGES, Gauge
from loadtest.verdict.stability import cause_text

MAX_LINES = 10
"""Maximum number of lines per topic in a run."""

PAUSE_S = 1.0
"""Pause between the first two lines of a topic; each further pause is twice as long."""

_CAUSES_SHOWN = 5
_CAUSE_LENGTH = 80
_CAUSES_KEPT = 100
_OTHERS = "others"


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic of problems.

    Args:
        noun: one problem, as a line counts it.
        plural: several problems; empty for a state, which is not counted.
    """

    noun: str
    plural: str = ""

    def line(self, found: Counter[str]) -> str:
        """Return the number of problems and their causes."""
        if not self.plural:
            return f"{self.noun}: {', '.join(found)}"
        return f"{text.counted(found.total(), self.noun, self.plural)}: {causes_text(found)}"


LOSSES: Final = Topic("connection lost", "connections lost")
LOG_ERRORS: Final = Topic("error in the server's log", "errors in the server's log")
LOGGED_DISCONNECTS: Final = Topic("disconnect logged as ERROR", "disconnects logged as ERROR")
OVERLOAD: Final = Topic("load generator overloaded so far")
RECOVERY: Final = Topic("load generator no longer overloaded")

_OF_ERRORS: Final[Mapping[str, Topic]] = {
    "connect": Topic("first attempt failed", "first attempts failed"),
    "reconnect": Topic("reconnect failed", "reconnects failed"),
    "messaging": Topic("problem with messages", "problems with messages"),
    "persistence": Topic("problem with restored sessions", "problems with restored sessions"),
    "cleanup": Topic("connection left open", "connections left open"),
    "generator": Topic("delay in the user class's code", "delays in the user class's code"),
}
"""Topics of the errors in intervals, by the item they count against."""


class _Reported:
    """One topic's problems, and the time of its next line. Outcomes taken back count as negative."""

    def __init__(self, topic: Topic) -> None:
        self.total: Counter[str] = Counter()
        self._topic = topic
        self._waiting: Counter[str] = Counter()
        self._lines = 0
        self._next_s = 0.0
        self._pause_s = PAUSE_S

    def add(self, found: Mapping[str, int]) -> None:
        """Add problems by cause; beyond a limit, new causes are counted together."""
        for cause, count in found.items():
            full = cause not in self.total and len(self.total) >= _CAUSES_KEPT
            self.total[_OTHERS if full else cause] += count
            self._waiting[_OTHERS if full else cause] += count

    def line(self, now_s: float) -> str:
        """Return the line to write now; empty if none is due."""
        if not +self._waiting or self._lines >= MAX_LINES or now_s < self._next_s:
            return ""
        self._lines += 1
        self._next_s, self._pause_s = now_s + self._pause_s, 2 * self._pause_s
        found, self._waiting = +self._waiting, Counter()
        more = "; further lines about this are omitted" if self._lines == MAX_LINES else ""
        return f"{self._topic.line(found)}{more}"

    def summary(self) -> str:
        """Return a line with all problems of the topic; empty if there are none."""
        found = +self.total
        return self._topic.line(found) if found else ""


class Problems:
    """The problems of a run so far, and the lines on them.

    Args:
        warmup_s: seconds from the run's start in which the load generator is not judged.
    """

    def __init__(self, warmup_s: float) -> None:
        self._reported: dict[Topic, _Reported] = {}
        self._overload = _Overload(warmup_s)

    def interval(self, packed: PackedInterval, windows: Windows) -> None:
        """Add an interval of any process, without the losses of drills.

        Args:
            packed: the interval.
            windows: windows of drills, in which attempts may fail.
        """
        self._add(LOSSES, losses_by_cause(packed.lifecycle))
        for item, topic in _OF_ERRORS.items():
            self._add(topic, _errors_by_cause(packed.errors, item, windows))
        begun, over = self._overload.signs(packed)
        self._add(OVERLOAD, Counter({**dict.fromkeys(begun, 1), **dict.fromkeys(over, -1)}))
        self._add(RECOVERY, Counter(over))

    def logged(self, records: Iterable[KeptRecord]) -> None:
        """Add records of the server's log. Their texts contain no secrets."""
        found: dict[Topic, Counter[str]] = {LOG_ERRORS: Counter(), LOGGED_DISCONNECTS: Counter()}
        for record in records:
            if is_error(record.level) and record.log_class is LogClass.REAL_ERROR:
                found[LOG_ERRORS][_cause(shape_of(record.text, record.ids))] += record.count
            elif is_error(record.level) and record.log_class in DISCONNECTS:
                found[LOGGED_DISCONNECTS][_cause(shape_of(record.text, record.ids))] += record.count
        for topic, causes in found.items():
            self._add(topic, causes)

    def _add(self, topic: Topic, found: Counter[str]) -> None:
        if found:
            self._reported.setdefault(topic, _Reported(topic)).add(found)

    def lines(self, now_s: float) -> Sequence[str]:
        """Return the lines to write now.

        Args:
            now_s: seconds since the run's start.
        """
        return [line for told in self._reported.values() if (line := told.line(now_s))]

    def summary(self) -> Sequence[str]:
        """Return a line for each topic, with all its problems so far."""
        lines = (told.summary() for topic, told in self._reported.items() if topic is not RECOVERY)
        return [line for line in lines if line]

    @property
    def log_errors(self) -> int:
        """Errors in the server's log so far, disconnects logged as errors among them."""
        return self._total(LOG_ERRORS) + self._total(LOGGED_DISCONNECTS)

    def _total(self, topic: Topic) -> int:
        told = self._reported.get(topic)
        return 0 if told is None else told.total.total()


class _Overload:
    """Detects, per process and limit, when the load generator becomes unfit to measure, or fit again."""

    def __init__(self, warmup_s: float) -> None:
        self._warmup_ns = warmup_s * 1e9
        self._seconds: Counter[tuple[object, ...]] = Counter()
        self._bad: Counter[tuple[object, ...]] = Counter()
        self._seen: set[tuple[object, ...]] = set()

    def signs(self, packed: PackedInterval) -> tuple[list[str], list[str]]:
        """Return the limits that are exceeded too often as of this interval, and those that no longer are.

        The verdict judges the share of seconds in the whole run: among the first few, one may be too many.
        """
        begun: list[str] = []
        over: list[str] = []
        for gauge in GAUGES if packed.start_ns >= self._warmup_ns else ():
            value = packed.gauges.get(gauge.name)
            if value is None:
                continue
            key = (packed.worker, packed.user, gauge.name)
            before, now = key in self._seen, self._is_exceeded(gauge, key, value)
            if now != before:
                where = "" if packed.worker is None else f" (worker {packed.worker})"
                (begun if now else over).append(f"{gauge.what}{where}")
                self._seen ^= {key}
        return begun, over

    def _is_exceeded(self, gauge: Gauge, key: tuple[object, ...], value: float) -> bool:
        self._seconds[key] += 1
        self._bad[key] += value > gauge.limit
        bad = self._bad[key]
        return bad >= gauge.least_bad and bad > gauge.tolerated_ratio * self._seconds[key]


def losses_by_cause(records: Iterable[Lifecycle]) -> Counter[str]:
    """Return how many connections were lost, by cause in readable form."""
    return Counter(cause_text(record.cause or OTHER_LOSSES) for record in records if record.event == "lost")


def _errors_by_cause(errors: Iterable[ErrorTally], item: str, windows: Windows) -> Counter[str]:
    """Return the errors of an item by cause, without failed attempts during a drill, which are expected."""
    found: Counter[str] = Counter()
    for tally in errors:
        in_drill = item in ("connect", "reconnect") and windows.at(tally.at_ns) is not None
        if tally.item == item and not in_drill:
            found[_cause(tally.error)] += tally.count
    return found


def _cause(said: str) -> str:
    return text.one_line(said, _CAUSE_LENGTH)


def causes_text(found: Counter[str]) -> str:
    """Return the most frequent causes, each with its count."""
    shown = found.most_common(_CAUSES_SHOWN)
    causes = [f"{cause} ({text.count(count)})" for cause, count in shown]
    if rest := found.total() - sum(count for _, count in shown):
        causes.append(f"others ({text.count(rest)})")
    return ", ".join(causes)
