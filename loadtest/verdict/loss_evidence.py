"""Evidence of lost connections in verdict.json: the item `stability`, and drills (in `reconnect`).

How losses are grouped is decided in `loadtest.results.loss_groups`, how the items are judged in
`loadtest.verdict.stability` and `loadtest.verdict.reconnect`.
"""

from typing import Any, Self

from msgspec import Struct

from loadtest.results.loss_groups import LossGroup
from loadtest.results.uptime import Away


class LossesSeen(Struct, frozen=True, kw_only=True):
    """Lost connections with the same cause, close code and reason.

    Args:
        cause: the close code as text, or `reset`, `eof`, `tls`, `ping_timeout`, `not_reading`,
            `protocol_error`, `message_too_big`, `invalid_utf8`, `flooded`; `other` for those in no group of
            their own.
        code: close code; 1006 if there was no close frame, null for `other`.
        reason: the server's reason, or what was wrong with its data.
        count: number of losses.
        allowed: how many losses the rule for this code allows: `0`, `5`, `2/h`, `any`; null for `other`, and
            for losses in a drill.
        first_at_s, last_at_s: times of the first and the last, in seconds since the run's start.
        sessions: sessions of the first three.
        per_session_hour: losses per session-hour, null if no session was up for long enough to tell, and for
            losses in a drill.
    """

    cause: str = ""
    code: int | None = None
    reason: str = ""
    count: int = 0
    allowed: str | None = None
    first_at_s: float = 0.0
    last_at_s: float = 0.0
    sessions: list[str] = []
    per_session_hour: float | None = None

    @classmethod
    def of(cls, group: LossGroup, **judged: Any) -> Self:
        """Return the evidence of a group; `judged` holds `allowed` and `per_session_hour`, if they apply."""
        return cls(
            cause=group.cause,
            code=group.code,
            reason=group.reason,
            count=group.count,
            first_at_s=group.first_at_s,
            last_at_s=group.last_at_s,
            sessions=list(group.sessions),
            **judged,
        )


class StabilityEvidence(Struct, frozen=True, kw_only=True):
    """Evidence of `stability`.

    Args:
        lost: number of connections that had worked and that the server or the network ended.
        unaccounted: number of losses without a record of what they were.
        session_hours: exposure: hours that sessions were up, summed over all sessions.
        per_session_hour: losses per session-hour, null without exposure.
        allowed: the rules in force, as given; losses that no rule covers are not allowed.
        losses: grouped, the largest group first.
        away: the first times that the server was away.
        more_away: number of further times.
        barred: number of sessions whose loss had a close code that forbids reconnecting.
        in_drills: number of further losses that belong to drills, and are not judged here.
    """

    lost: int = 0
    unaccounted: int = 0
    session_hours: float = 0.0
    per_session_hour: float | None = None
    allowed: list[str] = []
    losses: list[LossesSeen] = []
    away: list[Away] = []
    more_away: int = 0
    barred: int = 0
    in_drills: int = 0


class DrillEvidence(Struct, frozen=True, kw_only=True):
    """How a drill went: a command that the run executed while sessions were connected.

    Args:
        at_s: planned start, in seconds since the run's start.
        command: the command, without secrets.
        started_s, ended_s: when it was started and when it had ended, null if it was or had not.
        exit_status: its exit status, null if it had not ended.
        window_s: seconds after its end in which losses belong to it.
        lost: number of connections lost, in its window as all that follows.
        losses: these, grouped, the largest group first.
        sessions: number of sessions that they belonged to.
        barred: how many of these must not reconnect, as the close code says.
        back: how many of these had worked again by the run's end.
        back_p50_s, back_p95_s, back_p100_s: seconds from its start until so many percent of the sessions had
            been established again, null if they never were.
        outage_p50_ms, outage_p95_ms, outage_max_ms: lengths of the outages that the losses began, null if
            none ended.
        attempts: attempts to reconnect.
        attempts_peak_per_s: connection attempts in the busiest second until all were back.
        refused: failed attempts to reconnect: nobody answered, or the server refused, or it closed the
            connection before the session had worked.
        nobody: how many of these found nothing listening.
        nobody_from_s, nobody_until_s: when the first and the last of these failed, in seconds since the run's
            start, null if none did.
        counts: counts of messages and histories, by name.
    """

    at_s: float = 0.0
    command: str = ""
    started_s: float | None = None
    ended_s: float | None = None
    exit_status: int | None = None
    window_s: float = 0.0
    lost: int = 0
    losses: list[LossesSeen] = []
    sessions: int = 0
    barred: int = 0
    back: int = 0
    back_p50_s: float | None = None
    back_p95_s: float | None = None
    back_p100_s: float | None = None
    outage_p50_ms: float | None = None
    outage_p95_ms: float | None = None
    outage_max_ms: float | None = None
    attempts: int = 0
    attempts_peak_per_s: int = 0
    refused: int = 0
    nobody: int = 0
    nobody_from_s: float | None = None
    nobody_until_s: float | None = None
    counts: dict[str, int] = {}
