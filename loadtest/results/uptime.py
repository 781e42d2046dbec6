"""What a run's files say about connections that stay up: losses, exposure, and when the server was away.

A lost connection had worked, and the client did not end it. Losses that belong to a drill
(`loadtest.results.drill_recovery`) are not among them.
"""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from loadtest.drops.kinds import disconnects
from loadtest.results.loss_groups import LATEST_NS, LossGroup, LossGroups, within_limits
from loadtest.session.recorder import NOT_THE_SERVERS, Lifecycle
from loadtest.session.schedule import NS_PER_S

AWAY_LIMIT = 20
"""Maximum number of times away that are kept; further ones are only counted."""


class Away(Struct, frozen=True):
    """A time without any session, from the loss of the last one until one was back; attempts failed in it.

    Args:
        from_s: its start, in seconds since the run's start.
        until_s: its end, null if none was back by the run's end.
    """

    from_s: float = 0.0
    until_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Uptime:
    """How long connections were up, and how they were lost.

    Args:
        session_s: seconds that sessions were up, summed over all sessions.
        losses: grouped, the largest group first.
        lost_by_code: number of losses by close code.
        away: the first times that the server was away, in order.
        more_away: number of further times.
    """

    session_s: float = 0.0
    losses: Sequence[LossGroup] = ()
    lost_by_code: Mapping[int, int] = field(default_factory=dict)
    away: Sequence[Away] = ()
    more_away: int = 0

    @property
    def lost(self) -> int:
        """Number of losses."""
        return sum(self.lost_by_code.values())

    @property
    def session_hours(self) -> float:
        """Hours that sessions were up, summed over all sessions."""
        return self.session_s / 3600


class UptimeGathering:
    """Builds the `Uptime` of a run. The events of a session must come in order, those of others may not."""

    def __init__(self) -> None:
        self._session_s = 0.0
        self._losses = LossGroups()
        self._up: set[str] = set()
        self._began_ns, self._ended_ns = array("q"), array("q")  # connections
        self._lost_ns, self._failed_ns = array("q"), array("q")  # losses, failed attempts

    def up(self, session_s: float) -> None:
        """Add an interval of one process, with so many seconds of sessions that were up."""
        if session_s > 0:
            self._session_s += min(session_s, LATEST_NS)

    def event(self, record: Lifecycle, *, in_drill: bool = False) -> None:
        """Add a lifecycle event.

        Args:
            record: the event.
            in_drill: whether it is a loss that belongs to a drill: then it only ends a connection.
        """
        at_ns = within_limits(record.at_ns)
        match record.event:
            case "connected" | "resumed" if record.session not in self._up:
                self._up.add(record.session)
                self._began_ns.append(at_ns)
            case "lost" if not in_drill:
                self._losses.add(record)
                self._lost_ns.append(at_ns)
                self._end(record.session, at_ns)
            case "ended" | "lost":
                self._end(record.session, at_ns)
            case "dropped" if disconnects(record.kind):
                self._end(record.session, at_ns)
            case "failed" if record.code is None and record.cause not in NOT_THE_SERVERS:
                self._failed_ns.append(at_ns)

    def _end(self, session: str, at_ns: int) -> None:
        if session in self._up:
            self._up.remove(session)
            self._ended_ns.append(at_ns)

    def uptime(self) -> Uptime:
        """Return everything added so far."""
        away = list(self._away())
        return Uptime(
            session_s=self._session_s,
            losses=self._losses.groups(),
            lost_by_code=dict(sorted(self._losses.by_code.items())),
            away=away[:AWAY_LIMIT],
            more_away=max(0, len(away) - AWAY_LIMIT),
        )

    def _away(self) -> Iterator[Away]:
        """Yield the times without any session that a loss began and in which an attempt failed.

        The client may have dropped the last connection, but the drop of all sessions, as in a storm, does not
        mean that the server was away: a connection must have been lost since the last one began.
        """
        began_ns, ended_ns = np.array(self._began_ns, np.int64), np.array(self._ended_ns, np.int64)
        times_ns = np.concatenate((began_ns, ended_ns))
        steps = np.repeat((1, -1), (began_ns.size, ended_ns.size))
        order = np.argsort(times_ns, kind="stable")
        times_ns, steps = times_ns[order], steps[order]
        lost_ns, failed_ns = np.sort(self._lost_ns), np.sort(self._failed_ns)
        latest_began = np.maximum.accumulate(np.where(steps > 0, np.arange(steps.size), 0))
        (empty,) = np.nonzero(np.cumsum(steps) == 0)
        for at in empty:
            from_ns = int(times_ns[at])
            until_ns = int(times_ns[at + 1]) if at + 1 < times_ns.size else None
            if _any_within(lost_ns, int(times_ns[latest_began[at]]), from_ns) and _any_within(
                failed_ns, from_ns, until_ns
            ):
                yield Away(
                    from_s=from_ns / NS_PER_S, until_s=None if until_ns is None else until_ns / NS_PER_S
                )


def _any_within(sorted_ns: NDArray[np.int64], from_ns: int, to_ns: int | None) -> bool:
    """Return whether a time lies within these limits, which are included; None means no limit."""
    first = int(np.searchsorted(sorted_ns, from_ns))
    return first < sorted_ns.size and (to_ns is None or int(sorted_ns[first]) <= to_ns)
