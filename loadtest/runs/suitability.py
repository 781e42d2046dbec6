"""How suitable a run is as a baseline: it may be barred, poor, or sound.

A run is barred if its own latency was FAIL or INCONCLUSIVE against a baseline. If such a run became the
baseline, a series of releases, each a little slower, would go unnoticed, because each would be compared with
the previous one. So a run is good if its latency was PASS, or if there was no other run to compare it with.

A run that was compared but not fit for the comparison is also barred: it may have been slower.

A run is poor if it was not fit to measure latency, has too few samples for a gate, failed to connect or lost
messages, or if its latency was not compared: no comparison was requested, or there were only runs of other
machines. Such a run may already be slower than its predecessors. It is used if there is no better one, and
the notes of the comparison say why it is poor.
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

NONE_ASKED = "no comparison was requested"

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
        uncompared: why its own latency was not compared, so that it may be slower than earlier runs; empty if
            it was compared, or there was no run to compare it with.
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

        A run that was not compared may hide that a server became slower; lost messages do not.
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
    """Return why the verdict of a run bars it as a baseline; empty if it does not."""
    if given is None:
        return ""
    if given.latency.verdict is Ruling.FAIL:
        return f"it FAILed latency: {given.latency.summary}"
    if given.latency.evidence.rule == NONE_GOOD:
        return "it had no good baseline"
    if any(_compared(item) is Ruling.INCONCLUSIVE for item in latencies(given)):
        return f"its own latency was INCONCLUSIVE: {given.latency.summary}"
    if given.latency.evidence.baseline is not None and not given.generator.valid:
        return f"it was compared, but not fit for the comparison: {given.latency.summary}"
    return ""


def is_good(given: Verdict | None) -> bool:
    """Whether a run is good by its verdict alone: neither barred nor poor.

    A run without a verdict is not.
    """
    return given is not None and given.generator.valid and not barred(given) and not _uncompared(given)


def latencies(given: Verdict) -> list[Item[LatencyEvidence]]:
    """Return the item latency, of each user class if there are several."""
    of_classes = [item for one in given.classes.values() for item in one.items if item.item == "latency"]
    return of_classes or [given.latency]


def _compared(latency: Item[LatencyEvidence]) -> Ruling:
    """Return the result of the comparison alone; NOT_JUDGED if there was none.

    Limits that could not be judged do not affect the comparison.
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
    """Return why a run was not compared, if a comparison was possible; empty otherwise."""
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
