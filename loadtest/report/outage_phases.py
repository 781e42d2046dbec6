"""Mean time that outages spent in each phase, in one run or several."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from loadtest.results.data import RunData

CLIENT_PHASES = ("detect", "wait", "prepare", "dns")
"""Phases of an outage that the client and its resolver take; the rest is the server's and the network's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutagePhases:
    """How the outages of one kind were spent, on average.

    Args:
        trigger: `drop` or `loss`.
        kind: the kind of drop, or the cause of the loss.
        outages: number of outages that ended.
        phases_ms: mean milliseconds by phase (`OUTAGE_PHASES`); they add up to the mean outage.
    """

    trigger: str
    kind: str
    outages: int
    phases_ms: Mapping[str, float]

    def took_ms(self, phases: Sequence[str]) -> float:
        """Return how long these phases took together."""
        return sum(self.phases_ms.get(phase, 0.0) for phase in phases)

    def plus(self, other: "OutagePhases") -> "OutagePhases":
        """Return the outages of both, which are of one kind."""
        share = other.outages / (self.outages + other.outages)
        names = dict.fromkeys([*self.phases_ms, *other.phases_ms])
        return replace(
            self,
            outages=self.outages + other.outages,
            phases_ms={
                name: (1 - share) * self.took_ms([name]) + share * other.took_ms([name]) for name in names
            },
        )


def outage_phases(run: RunData) -> list[OutagePhases]:
    """Return how each kind of outage was spent, for those that ended: drops first, then losses."""
    return [
        OutagePhases(
            trigger=group.trigger,
            kind=group.name,
            outages=group.resumed,
            phases_ms={phase: us / 1000 for phase, us in group.phases_us.items()},
        )
        for group in run.outages
        if group.resumed
    ]
