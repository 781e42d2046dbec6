"""The failures of a run in progress, by the rules of its verdict.

The rules of `loadtest.verdict` judge the data recorded so far, so there is only one set of rules. They are
made for a finished run; before its end only FAIL means something, and it is shown in one of two ways:

    FAIL              later data cannot change it: a message was lost, or more connections than are allowed
    failing so far    the run would fail if it ended now, but later data may outweigh it: a share of attempts,
                      a rate of losses, a limit on a time
    no failure so far everything else. Nothing passes before the end

Some items are judged only at the end: `latency` excludes the warm-up and compares with a baseline, the
server's log is then read in full, and a drill's losses are known only when its window is over.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from loadtest.histograms import Histogram
from loadtest.results.data import RunData
from loadtest.results.gathering import RunGathering
from loadtest.results.interval import IntervalLine, PackedInterval
from loadtest.results.manifest import Manifest
from loadtest.ruling import Ruling
from loadtest.verdict import messaging, persistence, stability
from loadtest.verdict.items import ITEMS, AnyItem
from loadtest.verdict.run import judge
from loadtest.verdict.shared_identity import FOLLOWING

_AT_END = {
    "latency": "the warm-up is excluded, and a baseline is compared with the whole run",
    "server_log": "the server's log, if there is one, is read to its end first",
}
_OF_DRILLS = ("connect", "stability", "reconnect")
_IN_DRILLS = "some losses may belong to a drill"

_HISTOGRAMS = ("connect", "outage", "resume", "first_part", "unanswered")
"""Tags that the rules use and that have no warm-up, or whose number or maximum alone matters."""

_ENOUGH = {
    "messaging": frozenset(messaging.FAILINGS) - FOLLOWING["messaging"],
    "persistence": frozenset(persistence.FAILINGS) - FOLLOWING["persistence"] - {"history_missing"},
    "reconnect": frozenset({"forbidden"}),
    "cleanup": frozenset({"close_not_closed", "half_open_not_closed"}),
}
"""Counts for which a single event is a FAIL, whatever comes later. Leaked identities may explain some others,
and if no resume restores a history, the server keeps none."""

_EVERY_S = 5.0
_SHARE = 100
"""Judging takes 1/100 of the time at most, however much there is to judge: in a local run it happens in the
process that sends the load, and holds it up."""


class Standing(StrEnum):
    """The standing of an item during the run."""

    FAIL = "FAIL"
    FAILING = "failing so far"
    NO_FAILURE = "no failure so far"
    AT_END = "judged at the end"


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemSoFar:
    """The standing of one item.

    Args:
        item: name of the item.
        standing: its standing.
        summary: the reason, if there is more to say.
    """

    item: str
    standing: Standing
    summary: str = ""


class VerdictSoFar:
    """Judges a run in progress periodically.

    Args:
        manifest: the run's manifest.
        clock: returns seconds.
    """

    def __init__(self, manifest: Manifest, clock: Callable[[], float] = time.monotonic) -> None:
        self._gathering = RunGathering(manifest)
        self._clock = clock
        self._found: Sequence[ItemSoFar] = ()
        self._next_s = 0.0
        self._unreadable = ""

    def append(self, packed: PackedInterval) -> None:
        """Add an interval of any process; intervals of one process must arrive in order."""
        line = IntervalLine(
            start_ns=packed.start_ns,
            stop_ns=packed.stop_ns,
            worker=packed.worker,
            user=packed.user,
            counts=packed.counts,
            errors=packed.errors,
            gauges=packed.gauges,
        )
        try:
            self._gathering.interval(line)
        except ValueError as error:  # impossible times, which the verdict at the end reports
            self._unreadable = str(error)
        for record in packed.lifecycle:
            self._gathering.event(record)

    def items(self, distributions: Mapping[str, Histogram]) -> Sequence[ItemSoFar]:
        """Return the standing of each item, which may be a few seconds old.

        Args:
            distributions: of the whole run so far, by tag.
        """
        began_s = self._clock()
        if began_s >= self._next_s:
            self._found = self._judged(distributions)
            took_s = self._clock() - began_s
            self._next_s = began_s + max(_EVERY_S, _SHARE * took_s)
        return self._found

    def _judged(self, distributions: Mapping[str, Histogram]) -> Sequence[ItemSoFar]:
        if self._unreadable:
            return [
                ItemSoFar(item=item, standing=Standing.AT_END, summary=self._unreadable) for item in ITEMS
            ]
        known = {tag: distributions[tag] for tag in _HISTOGRAMS if tag in distributions}
        return standings(replace(self._gathering.data(), histograms=known))


def standings(run: RunData) -> Sequence[ItemSoFar]:
    """Return the standing of each item of a run in progress.

    Args:
        run: the data so far; some of its histograms may be missing.
    """
    items = {item.item: item for item in judge(run).items}
    return [_standing(run, items[name]) for name in ITEMS]


def _standing(run: RunData, item: AnyItem) -> ItemSoFar:
    name = item.item
    if name in _AT_END:
        return ItemSoFar(item=name, standing=Standing.AT_END, summary=_AT_END[name])
    if run.manifest.drills and name in _OF_DRILLS:
        return ItemSoFar(item=name, standing=Standing.AT_END, summary=_IN_DRILLS)
    if item.verdict is not Ruling.FAIL:
        return ItemSoFar(item=name, standing=Standing.NO_FAILURE)
    standing = Standing.FAIL if _is_definite(run, name) else Standing.FAILING
    return ItemSoFar(item=name, standing=standing, summary=item.summary)


def _is_definite(run: RunData, item: str) -> bool:
    """Return whether a failing item stays failed, whatever the later data."""
    if item == "stability":
        return stability.breaks_fixed_rule(run)
    return any(run.count(f"{item}.{name}") for name in _ENOUGH.get(item, ()))
