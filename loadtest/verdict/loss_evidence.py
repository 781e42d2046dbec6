"""The evidence of the item `stability` in verdict.json; `loadtest.verdict.evidence` has that of the others.

How losses are grouped is decided in `loadtest.results.uptime`, how the item is judged in
`loadtest.verdict.stability`.
"""

from msgspec import Struct

from loadtest.results.uptime import Away


class LossesSeen(Struct, frozen=True, kw_only=True):
    """Lost connections with the same cause, close code and reason.

    Args:
        cause: the close code as text, or `reset`, `eof`, `tls`, `ping_timeout`, `not_reading`,
            `protocol_error`, `message_too_big`, `invalid_utf8`; `other` for those in no group of their own.
        code: close code; 1006 if there was no close frame, null for `other`.
        reason: the server's reason, or what was wrong with its data.
        count: number of losses.
        allowed: how many losses the rule for this code allows: `0`, `5`, `2/h`, `any`; null for `other`.
        first_at_s, last_at_s: times of the first and the last, in seconds since the run's start.
        sessions: sessions of the first three.
        per_session_hour: losses per session-hour, null if no session was up for long enough to tell.
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
