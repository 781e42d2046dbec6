"""What a drill did to the sessions: a command that the run executed while they were connected (`--ws-at`).

A drill stands for a deploy. Losses from its start until its window after the command's end is over are a
storm of the server's making: they belong to the drill, not to `stability`. What the files say about it are
the losses by close code, how long until the lost sessions worked again, how many attempts to connect came at
once, how many of them failed, and what happened to messages and histories meanwhile.
"""

import math
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from loadtest import histograms
from loadtest.drops.kinds import disconnects
from loadtest.results.drill_windows import Windows
from loadtest.results.loss_groups import LATEST_NS, LossGroup, LossGroups, within_limits
from loadtest.results.manifest import DrillRun, Manifest
from loadtest.session.recorder import NOT_THE_SERVERS, Lifecycle
from loadtest.session.schedule import NS_PER_S

SHARES = (0.5, 0.95, 1.0)
"""Shares of the sessions for which the time until they were back is reported, of drills and of storms."""

NOBODY = {("tcp", "refused"), ("proxy", "server_unreachable")}
"""Phases and causes of attempts that find nothing listening."""

COUNTS_ACROSS = (
    "messaging.lost_in_outage",
    "messaging.recovered",
    "messaging.released",
    "messaging.missed",
    "messaging.lost",
    "persistence.checked",
    "persistence.identity_changed",
    "persistence.histories",
    "persistence.history_missing",
    "persistence.missing",
)
"""Counts that are reported separately for a drill's time."""


def back_after(back_s: Sequence[float], of: int) -> dict[float, float | None]:
    """Return the seconds until each share (`SHARES`) of sessions was back; None for one that never was.

    Args:
        back_s: seconds until each session was back, in ascending order.
        of: number of sessions, those among them that were never back.
    """
    return {share: _at(back_s, math.ceil(share * of)) for share in SHARES}


def _at(back_s: Sequence[float], rank: int) -> float | None:
    return back_s[rank - 1] if 0 < rank <= len(back_s) else None


def _seconds(at_ns: int | None) -> float | None:
    return None if at_ns is None else at_ns / NS_PER_S


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillRecovery:
    """How one drill went.

    Args:
        drill: the command and when it ran.
        met: whether any session was up before the command was started.
        lost: number of connections lost.
        losses: these, grouped, the largest group first.
        sessions: number of sessions that they belonged to.
        barred: how many of these must not reconnect, as the close code says.
        back: how many of these had worked again by the run's end.
        back_after_s: seconds from the drill's start until this share of the sessions had been established
            again, by share (`SHARES`); None if that share never was.
        outage_us: lengths of the outages that the losses began, at the median, the 95th percentile and the
            maximum; empty if none ended.
        attempts: attempts to reconnect in its window.
        peak_per_s: connection attempts in the busiest second from the drill's start until all were back, or
            its window was over.
        refused: failed attempts to reconnect in its window: nobody answered, or the server refused, or it
            closed the connection before the session had worked.
        nobody: how many of these found nothing listening.
        nobody_from_s, nobody_until_s: seconds of the run at which the first and the last of these failed;
            None if none did.
        counts: `COUNTS_ACROSS` in its window, without zeros.
    """

    drill: DrillRun
    met: bool = False
    lost: int = 0
    losses: Sequence[LossGroup] = ()
    sessions: int = 0
    barred: int = 0
    back: int = 0
    back_after_s: Mapping[float, float | None] = field(default_factory=lambda: back_after((), 0))
    outage_us: Mapping[float, int] = field(default_factory=dict)
    attempts: int = 0
    peak_per_s: int = 0
    refused: int = 0
    nobody: int = 0
    nobody_from_s: float | None = None
    nobody_until_s: float | None = None
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Gathered:
    losses: LossGroups = field(default_factory=LossGroups)
    back_ns: dict[str, int | None] = field(default_factory=dict)  # by session, None if it is away
    outages_ns: "array[int]" = field(default_factory=lambda: array("q"))
    barred: int = 0
    attempts: int = 0
    refused: int = 0
    nobody_ns: "array[int]" = field(default_factory=lambda: array("q"))
    counts: Counter[str] = field(default_factory=Counter)


class DrillGathering:
    """Builds the `DrillRecovery` of each drill. Add all intervals and events; those of a session in order."""

    def __init__(self, manifest: Manifest) -> None:
        self._drills = manifest.drills
        self._windows = Windows.of(manifest)
        self._gathered = [_Gathered() for _ in self._drills]
        self._first_up_ns = LATEST_NS
        self._away: dict[str, int] = {}  # by session that a drill's loss disconnected, the drill's number

    def interval(self, start_ns: int, stop_ns: int, counts: Mapping[str, int]) -> None:
        """Add what one process counted in an interval; it belongs to a drill that it overlaps."""
        number = self._windows.at(stop_ns)
        if number is None:
            number = self._windows.at(start_ns)
        if number is not None:
            self._gathered[number].counts.update(
                {name: counts[name] for name in COUNTS_ACROSS if name in counts}
            )

    def attempt(self, record: Lifecycle, *, in_outage: bool) -> None:
        """Add an attempt to connect."""
        number = self._windows.at(within_limits(record.at_ns))
        if number is not None and in_outage:
            self._gathered[number].attempts += 1

    def event(self, record: Lifecycle, *, in_outage: bool) -> int | None:
        """Add a lifecycle event.

        Args:
            record: the event.
            in_outage: whether its session was established before.

        Returns:
            The number of the drill in whose window it lies, if any.
        """
        number = self._windows.at(within_limits(record.at_ns))
        if record.event == "connected":
            self._first_up_ns = min(self._first_up_ns, within_limits(record.at_ns))
        elif record.event == "resumed":
            self._resumed(record)
        elif record.event == "dropped" and disconnects(record.kind):
            self._dropped(record)
        elif number is not None and record.event == "lost":
            self._lost(record, number)
        elif number is not None and record.event == "failed" and in_outage and record.code is None:
            self._refused(record, self._gathered[number])
        return number

    def _refused(self, record: Lifecycle, gathered: _Gathered) -> None:
        gathered.refused += record.cause not in NOT_THE_SERVERS
        if (record.phase, record.cause) in NOBODY:
            gathered.nobody_ns.append(within_limits(record.at_ns))

    def _lost(self, record: Lifecycle, number: int) -> None:
        gathered = self._gathered[number]
        gathered.losses.add(record)
        gathered.barred += record.final
        gathered.back_ns[record.session] = None
        self._away[record.session] = number

    def _dropped(self, record: Lifecycle) -> None:
        """Forget a session that was dropped before it was known to be back: its drop hides whether it is."""
        number = self._away.pop(record.session, None)
        if number is not None:
            del self._gathered[number].back_ns[record.session]

    def _resumed(self, record: Lifecycle) -> None:
        number = self._away.pop(record.session, None)
        if number is not None:
            gathered = self._gathered[number]
            gathered.back_ns[record.session] = within_limits(record.at_ns)
            gathered.outages_ns.append(within_limits(record.outage_ns or 0))

    def recoveries(
        self, attempts_per_s: Mapping[int, int], turned_away: Mapping[int, int]
    ) -> list[DrillRecovery]:
        """Return how each drill went, ordered by planned start.

        Args:
            attempts_per_s: connection attempts by second of the run.
            turned_away: by drill, attempts that ended on an open connection, and that losses do not explain.
        """
        return [
            self._one(number, drill, attempts_per_s, turned_away.get(number, 0))
            for number, drill in enumerate(self._drills)
        ]

    def _one(
        self, number: int, drill: DrillRun, attempts_per_s: Mapping[int, int], turned_away: int
    ) -> DrillRecovery:
        gathered = self._gathered[number]
        from_ns, until_ns = self._windows.spans.get(number, (0, 0))
        back_ns = sorted(at_ns for at_ns in gathered.back_ns.values() if at_ns is not None)
        sessions = len(gathered.back_ns)
        all_back_ns = back_ns[-1] if 0 < sessions == len(back_ns) else until_ns
        seconds = range(from_ns // NS_PER_S, min(all_back_ns, until_ns) // NS_PER_S + 1)
        return DrillRecovery(
            drill=drill,
            met=self._first_up_ns < from_ns,
            lost=gathered.losses.by_code.total(),
            losses=gathered.losses.groups(),
            sessions=sessions,
            barred=gathered.barred,
            back=len(back_ns),
            back_after_s=back_after([(at_ns - from_ns) / NS_PER_S for at_ns in back_ns], sessions),
            outage_us=histograms.percentiles_us(histograms.fold(gathered.outages_ns)[0], (50, 95, 100)),
            peak_per_s=max((n for second, n in attempts_per_s.items() if second in seconds), default=0)
            if sessions
            else 0,
            attempts=gathered.attempts,
            refused=gathered.refused + turned_away,
            nobody=len(gathered.nobody_ns),
            nobody_from_s=_seconds(min(gathered.nobody_ns, default=None)),
            nobody_until_s=_seconds(max(gathered.nobody_ns, default=None)),
            counts=dict(+gathered.counts),
        )


def in_drills(drills: Iterable[DrillRecovery]) -> int:
    """Return how many losses belong to drills."""
    return sum(one.lost for one in drills)
