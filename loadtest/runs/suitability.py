"""How suitable a run is as a baseline: it may be barred, poor, or sound.

Barred is a run whose own latency was FAIL or INCONCLUSIVE against a baseline. If such a run became the
baseline, a chain of releases, each a little slower, would never be seen: each would be compared with the one
before. So a run is good if its latency was PASS, or there was no other run to compare it with.

A run that was compared, but was not fit for it, is barred as well: nobody knows whether it was slower.

Poor is a run that was not fit to measure latency, that has too few samples for a gate, that failed to connect
or lost messages, or whose latency was not compared: nobody asked for it, or there were only runs of other
machines. Such a run may be any step of a chain: after a new machine, or a new version of a library, nobody
knows. It serves if there is none better, and its comparison's notes say what it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from loadtest.results.data import RunData
from loadtest.ruling import Ruling, worst
from loadtest.statistics.margins import GATES
from loadtest.statistics.sufficiency import lack_of_runs
from loadtest.verdict import connect, messaging
from loadtest.verdict.differences import Difference
from loadtest.verdict.evidence import LatencyEvidence
from loadtest.verdict.items import AnyItem, Item, Verdict
from loadtest.verdict.timing import Timing, spoiling, timing

NONE_ASKED = "no comparison was asked for"

NONE_GOOD = (
    "no earlier run of this plan is good enough to compare with: its latency was FAIL or INCONCLUSIVE, see "
    "'loadtest baseline show'. To accept one, run 'loadtest baseline set RUN'"
)
"""Why a run has no baseline although there are earlier runs. Accepting one is for a person to do."""

_LENGTH = "length"
"""The difference that belongs to the runs, not to their machines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suitability:
    """How suitable a run is as a baseline.

    Args:
        bar: why nothing may be compared with it; empty if it may.
        unfit: why it was not fit to measure latency; empty if it was.
        unjudged: number of gates that cannot be judged against it.
        lack: why they cannot be judged (the reason of the last one), empty if all can.
        failings: one sentence for each item that the run itself failed.
        uncompared: why its own latency was not compared, so that it may be any step of a chain; empty if it
            was, or there was no run to compare it with.
    """

    bar: str = ""
    unfit: str = ""
    unjudged: int = 0
    lack: str = ""
    failings: Sequence[str] = ()
    uncompared: str = ""

    @property
    def rank(self) -> tuple[bool, int, bool, bool]:
        """Sort key of runs that are not barred: smaller is better.

        Lost messages do not hide that a server has become slower; a run that was not compared does.
        """
        return bool(self.unfit), self.unjudged, bool(self.uncompared), bool(self.failings)

    @property
    def sound(self) -> bool:
        """Whether the run has no problems as a baseline."""
        return not self.bar and not any(self.rank)

    @property
    def problems(self) -> list[str]:
        """What makes the run a poor baseline, one sentence each."""
        return list(filter(None, [self.bar, self.unfit, self.lack, *self.failings, self.uncompared]))


def suitability(run: RunData, given: Verdict | None = None) -> Suitability:
    """Return how suitable a run is as a baseline.

    Args:
        run: the run's data; the items connect and messaging are judged from it.
        given: the verdict in its verdict.json. Only its item `latency` is used: the run's data alone cannot
            give it.
    """
    measured = timing(run)
    unjudged, why = _lack(measured)
    items: list[AnyItem] = [connect.judge(run), messaging.judge(run)]
    failings = [f"it FAILed {item.item}: {item.summary}" for item in items if item.verdict is Ruling.FAIL]
    return Suitability(
        bar=barred(given),
        unfit=spoiling(measured),
        unjudged=unjudged,
        lack=why,
        failings=failings,
        uncompared=_uncompared(given),
    )


def barred(given: Verdict | None) -> str:
    """Return why the verdict of a run forbids to compare others with it; empty if it does not."""
    if given is None:
        return ""
    if given.latency.verdict is Ruling.FAIL:
        return f"it FAILed latency: {given.latency.summary}"
    if given.latency.evidence.rule == NONE_GOOD:
        return "it had no good baseline itself"
    if any(_compared(item) is Ruling.INCONCLUSIVE for item in latencies(given)):
        return f"its own latency was INCONCLUSIVE: {given.latency.summary}"
    if given.latency.evidence.baseline is not None and not given.generator.valid:
        return f"it was compared, but not fit for it: {given.latency.summary}"
    return ""


def is_good(given: Verdict | None) -> bool:
    """Whether the verdict of a run alone says that it is good: nothing bars it, and it is not a poor one.

    A run without a verdict may be anything.
    """
    return given is not None and given.generator.valid and not barred(given) and not _uncompared(given)


def latencies(given: Verdict) -> list[Item[LatencyEvidence]]:
    """Return the item latency, of each user class if there are several."""
    of_classes = [item for one in given.classes.values() for item in one.items if item.item == "latency"]
    return of_classes or [given.latency]


def _compared(latency: Item[LatencyEvidence]) -> Ruling:
    """Return the result of the comparison alone; NOT_JUDGED if there was none.

    Limits that could not be judged say nothing about the comparison.
    """
    evidence = latency.evidence
    if evidence.baseline is None or not evidence.gates:
        return Ruling.NOT_JUDGED
    if evidence.unlike:
        return Ruling.NOT_JUDGED if _of_machines(evidence.unlike) else Ruling.INCONCLUSIVE
    return worst(gate.decision for gate in evidence.gates)


def _of_machines(unlike: Sequence[Difference]) -> bool:
    """Whether runs that are not alike differ only in their machines."""
    return all(difference.what != _LENGTH for difference in unlike)


def _uncompared(given: Verdict | None) -> str:
    """Return that a run was not compared although there was a baseline, or could have been, and why."""
    if given is None:
        return ""
    if given.latency.evidence.rule == NONE_ASKED:
        return f"its own latency was not compared: {NONE_ASKED}"
    for item in latencies(given):
        evidence = item.evidence
        if evidence.baseline is not None and not evidence.gates:
            return f"its own latency was not compared: {item.summary}"
        if evidence.unlike and _of_machines(evidence.unlike):
            differ = ", ".join(map(str, evidence.unlike))
            return f"its own latency was not compared, as its baseline was made on another machine: {differ}"
    return ""


def _lack(run: Timing) -> tuple[int, str]:
    """Return the number of required gates that cannot be judged, and why the last of them cannot."""
    if not run.manifest.plan.messages_planned:
        return 0, ""
    lacks = [
        f"{gate} cannot be judged against it: {missing}"
        for gate in GATES
        if gate.required and (missing := lack_of_runs(gate, [run.measured]))
    ]
    return len(lacks), lacks[-1] if lacks else ""  # the last gate needs the most samples
