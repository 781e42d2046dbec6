"""What a run will have to judge, computed from its plan: round trips on undisturbed connections, and outages.

The drops are drawn from the run's seed, so the plan of each session is walked as the run will walk it: up
until its next drop, away until the client has noticed and the first attempt of the backoff has come.
Connecting and the replies under way at a drop take milliseconds and are left out. What counts as a round
trip, and what only as the first after a resume, is decided in `loadtest.session.traffic`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from loadtest.drops.kinds import disconnects
from loadtest.drops.plan import DropPlan
from loadtest.events import Drop
from loadtest.session.schedule import Backoff

MOST_WALKED = 500
"""Sessions that are walked; where there are more, these stand for all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedLoad:
    """The part of a run's plan that decides how much it measures.

    Args:
        sessions: number of sessions, at least 1.
        rate: messages per second and session.
        duration_s: duration of the run in seconds.
        warmup_s: seconds at its start that latency leaves out.
        drops: the drops.
        backoff: when sessions reconnect.
    """

    sessions: int
    rate: float
    duration_s: float
    warmup_s: float
    drops: DropPlan
    backoff: Backoff


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a run will have after its warm-up.

    Args:
        round_trips: those on undisturbed connections.
        outages: those that end before the run does.
    """

    round_trips: int
    outages: int


def expected(load: PlannedLoad) -> Expected:
    """Return what a run of this plan will have after its warm-up, if the server answers everything."""
    walked = min(load.sessions, MOST_WALKED)
    stretches = [one for session in range(walked) for one in _stretches(load, session)]
    round_trips = sum(one.round_trips(load) for one in stretches)
    outages = sum(one.away_s > 0 and one.up_s >= load.warmup_s for one in stretches)
    share = load.sessions / walked
    return Expected(round_trips=round(round_trips * share), outages=round(outages * share))


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A time in which a session is up and undisturbed.

    Args:
        up_s, until_s: its bounds, in seconds since the run's start.
        away_s: duration of the outage before it, 0 for none.
    """

    up_s: float
    until_s: float
    away_s: float

    def round_trips(self, load: PlannedLoad) -> float:
        """Return the messages sent in it after the warm-up that count as round trips.

        The first reply after a resume does not. If a message fell due in the outage, it is that one's.
        """
        sent = load.rate * max(0.0, self.until_s - max(self.up_s, load.warmup_s))
        first = 1 - min(1.0, load.rate * self.away_s) if self.away_s and self.up_s >= load.warmup_s else 0.0
        return max(0.0, sent - first)


def _stretches(load: PlannedLoad, session: int) -> Iterator[_Stretch]:
    """Yield the times in which a session is up, to the run's end or until it stays away."""
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
    """Return how long a drop takes a session's connection away, or stalls it; None if it stays away.

    Args:
        load: the load.
        session: number of the session.
        drop: the drop.
        outages: of the session so far, with that of the drop.
    """
    if not disconnects(drop.kind):
        return drop.hold_s
    starts = outages if load.backoff.reset == "worked" else 2 * outages  # and with each connection
    delay_s = load.backoff.delay_s(1, session=session, outage=starts)
    return None if delay_s is None else drop.detect_s + delay_s
