"""Expected samples of a run, computed from its plan: round trips on undisturbed connections, and outages.

The drops are drawn from the run's seed, so this module follows the plan of each session as the run will: up
until its next drop, then away until the client has noticed and the first attempt of the backoff is due. The
time for connecting and for the replies in flight at a drop is milliseconds and ignored. Which replies count
as round trips is decided in `loadtest.session.traffic`.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from loadtest.drops.kinds import disconnects
from loadtest.drops.plan import DropPlan
from loadtest.events import Drop
from loadtest.session.schedule import Backoff

MOST_WALKED = 500
"""Sessions that are walked; where there are more, these stand for all."""

_LONGER = (1.25, 1.5, 2, 2.5, 3, 4, 5, 8, 10)
"""Factors on a run's duration, or divisors of the time between drops, that are tried for more outages."""

_RESERVE_RATIO = 1.2
"""Outages that advice aims at, relative to those needed: some end later than planned, or not at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedLoad:
    """The part of a run's plan that determines its number of samples.

    Args:
        sessions: number of sessions, at least 1.
        rate: messages per second and session.
        duration_s: duration of the run in seconds.
        warmup_s: seconds at its start that latency leaves out.
        drops: the drops.
        backoff: the reconnect policy.
    """

    sessions: int
    rate: float
    duration_s: float
    warmup_s: float
    drops: DropPlan
    backoff: Backoff

    @property
    def drops_disconnect(self) -> bool:
        """Whether drops outside storms disconnect sessions."""
        kinds = (kind for kind, weight in self.drops.weights.items() if weight > 0)
        return self.drops.every_s > 0 and any(map(disconnects, kinds))

    @property
    def outages_planned(self) -> bool:
        """Whether drops disconnect sessions, and these reconnect."""
        storms = any(disconnects(storm.kind) for storm in self.drops.storms)
        return (self.drops_disconnect or storms) and self.backoff.delay_s(1, session=0, outage=0) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """The samples that a run will have after its warm-up.

    Args:
        round_trips: those on undisturbed connections.
        outages: those that end before the run does.
    """

    round_trips: int
    outages: int


def expected(load: PlannedLoad) -> Expected:
    """Return the samples of a run of this plan after its warm-up, if the server answers everything."""
    walked = min(load.sessions, MOST_WALKED)
    stretches = [one for session in range(walked) for one in _stretches(load, session)]
    round_trips = sum(one.round_trips(load) for one in stretches)
    outages = sum(one.away_s > 0 and one.up_s >= load.warmup_s for one in stretches)
    share = load.sessions / walked
    return Expected(round_trips=round(round_trips * share), outages=round(outages * share))


def resumes(load: PlannedLoad) -> int:
    """Return the outages that end before the run does, including those of the warm-up."""
    walked = min(load.sessions, MOST_WALKED)
    found = sum(one.away_s > 0 for session in range(walked) for one in _stretches(load, session))
    return round(found * load.sessions / walked)


def more_resumes(load: PlannedLoad, *, least: int) -> tuple[int | None, float | None]:
    """Return a duration and a mean time between drops that give `least` resumes; None where none does.

    Only drops outside storms repeat in a longer run.
    """
    if not load.drops_disconnect:
        return None, None
    wanted = math.ceil(_RESERVE_RATIO * least)
    durations_s = (math.ceil(factor * load.duration_s / 5) * 5 for factor in _LONGER)
    times_s = (float(f"{load.drops.every_s / factor:.2g}") for factor in _LONGER)
    return (
        next((one for one in durations_s if resumes(replace(load, duration_s=one)) >= wanted), None),
        next(
            (
                one
                for one in times_s
                if resumes(replace(load, drops=replace(load.drops, every_s=one))) >= wanted
            ),
            None,
        ),
    )


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A period in which a session is up and undisturbed.

    Args:
        up_s, until_s: its bounds, in seconds since the run's start.
        away_s: duration of the outage before it, 0 for none.
    """

    up_s: float
    until_s: float
    away_s: float

    def round_trips(self, load: PlannedLoad) -> float:
        """Return the messages sent in it after the warm-up that count as round trips.

        The first reply after a resume does not count. If a message fell due in the outage, it is its reply.
        """
        sent = load.rate * max(0.0, self.until_s - max(self.up_s, load.warmup_s))
        first = 1 - min(1.0, load.rate * self.away_s) if self.away_s and self.up_s >= load.warmup_s else 0.0
        return max(0.0, sent - first)


def _stretches(load: PlannedLoad, session: int) -> Iterator[_Stretch]:
    """Yield the periods in which a session is up, to the run's end or until it gives up."""
    up_s, away_s, ordinal, outages = 0.0, 0.0, 0, 0
    while up_s < load.duration_s:
        drop = load.drops.next_drop(session, ordinal, up_s)
        until_s = load.duration_s if drop is None else min(load.duration_s, up_s + drop.after_s)
        yield _Stretch(up_s, until_s, away_s)
        if drop is None:
            return
        outages += disconnects(drop.kind)
        disturbed_s = _disturbed_s(load, session, drop, outages)
        if disturbed_s is None:
            return
        up_s, away_s = until_s + disturbed_s, disturbed_s if disconnects(drop.kind) else 0.0
        ordinal += 1


def _disturbed_s(load: PlannedLoad, session: int, drop: Drop, outages: int) -> float | None:
    """Return how long a drop interrupts or stalls a session's connection; None if the session gives up.

    Args:
        load: the load.
        session: number of the session.
        drop: the drop.
        outages: number of the session's outages so far, including that of the drop.
    """
    if not disconnects(drop.kind):
        return drop.hold_s
    starts = outages if load.backoff.reset == "worked" else 2 * outages  # and with each connection
    delay_s = load.backoff.delay_s(1, session=session, outage=starts)
    return None if delay_s is None else drop.detect_s + delay_s
