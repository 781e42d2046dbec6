"""How fit a run is to be compared with. Choosing one does not belong here.

A baseline stands for how the server was. Where its load generator could not keep up, or samples are too few
for a gated quantile, latency is INCONCLUSIVE whatever the candidate does. A run that itself failed `connect`
or `messaging` can be compared with, but is a poor measure: fewer sessions than planned make less load, and
replies that never came are in no percentile, though they would have been its slowest. And a run that failed
`latency` is the very regression: the next run of the same server would pass against it. So what can be judged
comes first, and of runs that can be judged alike, one without such failings.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from loadtest.evidence import Evidence
from loadtest.statistics import GATES
from loadtest.verdict import connect, messaging
from loadtest.verdict.items import Ruling, Verdict
from loadtest.verdict.timing import OPTIONAL_TAGS, Timing, lack, timing


@dataclass(frozen=True, slots=True, kw_only=True)
class Suitability:
    """What speaks against comparing with a run.

    Args:
        unjudged: how many gated quantiles cannot be judged against it.
        lack: why not, empty where all can.
        failings: what it failed itself, a sentence an item.
    """

    unjudged: int
    lack: str
    failings: Sequence[str]

    @property
    def rank(self) -> tuple[int, bool]:
        """The smaller, the better to compare with."""
        return self.unjudged, bool(self.failings)

    @property
    def sound(self) -> bool:
        """Whether nothing speaks against it."""
        return not any(self.rank)

    @property
    def problems(self) -> list[str]:
        """All that speaks against it."""
        return [*([self.lack] if self.lack else []), *self.failings]


def suitability(evidence: Evidence, given: Verdict | None = None) -> Suitability:
    """Return how fit a run is to be compared with.

    Args:
        given: the verdict that the run was given, for what its evidence alone cannot tell: its latency.
    """
    unjudged, why = _lack(timing(evidence))
    items = [connect.judge(evidence), messaging.judge(evidence)]
    if given is not None:
        items += [item for item in given.items if item.item == "latency"]
    failings = [f"it FAILed {item.item}: {item.summary}" for item in items if item.verdict is Ruling.FAIL]
    return Suitability(unjudged=unjudged, lack=why, failings=failings)


def _lack(run: Timing) -> tuple[int, str]:
    """Return how many gated quantiles cannot be judged, and why."""
    gates = [gate for gate in GATES if gate.tag not in OPTIONAL_TAGS]
    if not run.manifest.plan.messages_planned:
        return 0, ""
    if run.problems:
        return len(gates), f"its load generator was not fit to measure: {'; '.join(run.problems)}"
    lacks = [
        f"{gate} cannot be judged against it: {missing}" for gate in gates if (missing := lack(gate, [run]))
    ]
    return len(lacks), lacks[-1] if lacks else ""  # the last needs the most
