"""Compares the logs of two periods, such as before and after a deploy: new, gone, or more frequent records.

Counts are compared by rate, because the periods may differ in length. A rate needs the log's duration, from
its first record to its last. If one of the logs has no times or is shorter than a minute, rates are per 1,000
records.

Records are counted by class and level, and by shape of warning or error. Given the sum of two counts, the
second is binomial if the rates are equal (`statistics.exact_test`). Among many counts some differ by chance,
so the significance level is divided by their number (Bonferroni). The test assumes independent records, but
records of one fault come in bursts: "more frequent" is true of the records, not of the faults.
"""

from collections.abc import Hashable, Iterator, Mapping
from typing import Any

from msgspec import Struct

from loadtest.runs.check_log import Example, LogReport
from loadtest.serverlog.records import Level, level_name
from loadtest.serverlog.rules import LogClass
from loadtest.serverlog.shapes import Group
from loadtest.statistics.exact_test import SIGNIFICANT, more_events

PER_RECORDS = 1_000


class LogChange(Struct, frozen=True, kw_only=True):
    """How often records of a class and level, or of one shape of these, occurred before and after.

    Args:
        log_class, level: class and level of the records; no class for those of all classes.
        text: an example, empty for all records of the class and level.
        before, after: numbers of records.
        before_rate, after_rate: the same, per unit of the comparison.
        chance: probability, with equal rates, of counts at least this far apart in this direction.
        change: `new` and `gone` if one count is 0, otherwise `more frequent` or `less frequent`; empty if
            chance may explain the difference.
    """

    log_class: LogClass | None
    level: Level | None
    text: str = ""
    before: int
    after: int
    before_rate: float
    after_rate: float
    chance: float
    change: str

    def to_json(self) -> dict[str, Any]:
        """Return the change for programs."""
        return {
            "class": self.log_class or "all",
            "level": level_name(self.level),
            **({"text": self.text} if self.text else {}),
            "before": self.before,
            "after": self.after,
            "before_rate": round(self.before_rate, 4),
            "after_rate": round(self.after_rate, 4),
            "chance": self.chance,
            "change": self.change or None,
        }


class LogChanges(Struct, frozen=True, kw_only=True):
    """The comparison of two logs.

    Args:
        before, after: names of the logs.
        unit: what rates are per: `hour` or `1,000 records`.
        classes: changes by class and level.
        shapes: changes by shape of warnings, errors and records without a level.
        incomplete: whether a log has too many shapes to count them all.
    """

    before: str
    after: str
    unit: str
    classes: list[LogChange]
    shapes: list[LogChange]
    incomplete: bool

    def to_json(self) -> dict[str, Any]:
        """Return the comparison for programs."""
        return {
            "before": self.before,
            "after": self.after,
            "rates_per": self.unit,
            "classes": [change.to_json() for change in self.classes],
            "shapes": [change.to_json() for change in self.shapes],
            "incomplete": self.incomplete,
        }


_ORDER = ("new", "more frequent", "gone", "less frequent", "")


def compare_logs(before: LogReport, after: LogReport) -> LogChanges | None:
    """Compare two logs; return None if one of them has no records."""
    if not (before.records and after.records):
        return None
    hourly = before.hours is not None and after.hours is not None
    exposure = (
        (before.hours or 0.0, after.hours or 0.0)
        if hourly
        else (before.records / PER_RECORDS, after.records / PER_RECORDS)
    )
    pairs = list(_class_counts(before, after)), list(_shape_counts(before, after))
    tests = sum(map(len, pairs))
    classes, shapes = ([_change(*pair, exposure, tests) for pair in half] for half in pairs)
    return LogChanges(
        before=", ".join(before.files),
        after=", ".join(after.files),
        unit="hour" if hourly else f"{PER_RECORDS:,} records",
        classes=classes,
        shapes=sorted(shapes, key=_rank),
        incomplete=bool(before.shapes.forgotten or after.shapes.forgotten),
    )


def _rank(change: LogChange) -> tuple[int, int, bool, int]:
    real = change.log_class is LogClass.REAL_ERROR
    return _ORDER.index(change.change), -(change.level or 0), not real, -change.after - change.before


_Kind = tuple[LogClass | None, Level | None, str]


def _class_counts(before: LogReport, after: LogReport) -> Iterator[tuple[_Kind, int, int]]:
    for level in (Level.CRITICAL, Level.ERROR, Level.WARNING):
        counts = tuple(sum(report.found[one, level] for one in LogClass) for report in (before, after))
        if any(counts):
            yield (None, level, ""), counts[0], counts[1]
    for log_class in LogClass:
        for level in (*Level, None):
            counts = before.found[log_class, level], after.found[log_class, level]
            if any(counts):
                yield (log_class, level, ""), *counts


def _shape_counts(before: LogReport, after: LogReport) -> Iterator[tuple[_Kind, int, int]]:
    old, new = before.shapes.by_shape(), after.shapes.by_shape()
    for shape in {**new, **old}:
        first = (new.get(shape) or old[shape]).first
        yield (first.log_class, first.level, first.text), _count(old, shape), _count(new, shape)


def _count(groups: Mapping[Hashable, Group[Example]], shape: Hashable) -> int:
    return groups[shape].count if shape in groups else 0


def _change(kind: _Kind, before: int, after: int, exposure: tuple[float, float], tests: int) -> LogChange:
    log_class, level, text = kind
    rates = before / exposure[0], after / exposure[1]
    chance = _chance(before, after, exposure)
    return LogChange(
        log_class=log_class,
        level=level,
        text=text,
        before=before,
        after=after,
        before_rate=rates[0],
        after_rate=rates[1],
        chance=chance,
        change=_name(before, after, more=rates[1] > rates[0], sure=chance * tests <= SIGNIFICANT),
    )


def _chance(before: int, after: int, exposure: tuple[float, float]) -> float:
    if after / exposure[1] > before / exposure[0]:
        return more_events(before=before, runs_before=exposure[0], after=after, runs_after=exposure[1])
    if not before:
        return 1.0
    return more_events(before=after, runs_before=exposure[1], after=before, runs_after=exposure[0])


def _name(before: int, after: int, *, more: bool, sure: bool) -> str:
    if not before:
        return "new"  # worth showing even if it may be chance
    if not after:
        return "gone"
    if not sure:
        return ""
    return "more frequent" if more else "less frequent"
