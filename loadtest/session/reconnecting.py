"""A session's connection attempts and outages: a reconnect is a transaction. Pure.

An outage begins when the connection is dropped or lost. All attempts until its end belong to it, including
failed ones. Its length is the time until the session is established again, but it ends only once the session
has worked on the new connection. A connection lost before that is another failed attempt, and the backoff
continues where it was. So an outage ends in exactly one way:

    resumed     the session was established again and has worked
    unproven    the next drop or the end of the run came before the session had worked
    silent      the session was established again, but its requests got no reply in time
    gave_up     the backoff policy allows no further attempt
    forbidden   the close code of an attempt forbids reconnecting
    overdue     at the end of the run, three attempts or more had failed
    unresolved  at the end of the run, an attempt had failed or had been unanswered for over 2 s
    cut_short   the run ended before any of this

Attempts outside an outage belong to a first connection and count for `connect`. Each ends as established (it
has worked), unproven, failed, or cut off by the end of the run. The recorder gets the lengths and the time of
each phase.
"""

from typing import Any

from msgspec import Struct
from msgspec.structs import astuple

from loadtest.dialects.base import Established
from loadtest.dialects.dialect_session import DialectSession
from loadtest.drops.kinds import disconnects
from loadtest.events import Drop, Lost, Phases, Refused
from loadtest.session.recorder import HANGING_NS, OWN_LIMITS, Lifecycle, Recorder
from loadtest.session.schedule import NS_PER_S, Reset
from loadtest.session.session_config import LOGIN_REFUSED, SessionConfig

WORKING = "working"
"""The phase of an attempt that failed because its connection ended before the session had worked."""

NAMED = "named"
"""The event of a session that was up already when the server said an id of it for the first time."""

REFUSED_S = 1.0
"""How long a server that has refused the login may take to close, with its code, or to let the session in."""

_TOKEN_REJECTED = frozenset({"auth_required", "http_401"})
"""Causes of failed attempts that another token mends."""

_DOUBTFUL = frozenset({"http_403", "login_failed"})
"""Causes that another token may mend, or not: it may be a firewall, a quota or a wrong password."""

MAX_ID_LENGTH = 1000
"""Characters kept of an id that the server gives; ids of servers have tens."""

MOST_DOUBTS = 2
"""After so many such failures in a row another token has changed nothing, and is not asked for."""

OVERDUE_ATTEMPTS = 3
"""An outage with at least this many failed attempts at the end of the run counts as overdue."""


class Outage(Struct):
    """An outage in progress. Times in nanoseconds of the run's clock."""

    began_ns: int
    detected_ns: int
    attempts: int = 0
    wait_ns: int = 0


class Attempts:
    """One session's connection attempts.

    Attributes:
        outage: the outage in progress; None if there is none.
        token_rejected: whether the last attempt, or the resulting connection, ended because the server
            rejected the token.
    """

    __slots__ = (
        "_about",
        "_awaits_token",
        "_backoff",
        "_began_ns",
        "_doubts",
        "_established_ns",
        "_forbidding",
        "_identity",
        "_known_as",
        "_made",
        "_opened_ns",
        "_phases",
        "_recorder",
        "_renews_token",
        "_retries",
        "_said",
        "_starts",
        "_waits",
        "outage",
        "token_rejected",
    )

    def __init__(self, about: DialectSession, config: SessionConfig, recorder: Recorder) -> None:
        self.outage: Outage | None = None
        self.token_rejected = False
        self._about = about
        self._identity = about.identity
        self._backoff = config.backoff
        self._forbidding = config.forbidding_codes
        self._renews_token = config.renews_token
        self._awaits_token = False  # whether the attempt in progress waits for the shared token
        self._doubts = 0  # failures since the WebSocket was last open that another token may mend
        self._recorder = recorder
        self._starts = 0  # how often the policy has started: for each outage, and by `Backoff.reset`
        self._made = 0  # attempts of this outage, or of the first connection
        self._retries = 0  # those that the policy counts: after a wait, since its reset
        self._waits = 0  # delays of the backoff since its reset, over all outages
        self._began_ns = 0
        self._opened_ns = self._established_ns = 0
        self._phases = Phases()
        self._said = Established()  # what the server said of the session last
        self._known_as = about.session_id  # the id that was recorded last

    @property
    def item(self) -> str:
        """The item that the current attempts count for."""
        return "connect" if self.outage is None else "reconnect"

    def log(self, event: str, now_ns: int, **fields: Any) -> None:
        """Record a lifecycle event of this session."""
        session = self._identity.session_id
        self._recorder.lifecycle(Lifecycle(at_ns=now_ns, event=event, session=session, **fields))

    def error(self, error: str, now_ns: int, example: str = "") -> None:
        """Count an error for the current item."""
        session = self._identity.session_id
        self._recorder.error(self.item, error, session=session, at_ns=now_ns, example=example)

    def _count(self, name: str) -> None:
        self._recorder.counts[f"{self.item}.{name}"] += 1

    def begin(self, now_ns: int) -> None:
        """Begin an attempt."""
        self._made += 1
        self._began_ns = now_ns
        self.token_rejected = False
        self._awaits_token = self._renews_token
        self._count("attempts")
        if self.outage is not None:
            self.outage.attempts += 1
        self.log("attempt", now_ns, attempt=self._made)

    def token_awaited(self, waited_ns: int) -> None:
        """Record the wait for the shared token. Like the backoff, it is not the server's time."""
        self._awaits_token = False
        self._began_ns += waited_ns
        if self.outage is not None:
            self.outage.wait_ns += waited_ns

    def opened(self, phases: Phases, now_ns: int) -> None:
        """Record an open WebSocket.

        The attempt starts with its first phase: time spent queued in the load generator is not part of it.
        """
        self._phases = phases
        self._opened_ns = now_ns
        self._awaits_token, self._doubts = False, 0
        self._began_ns = now_ns - sum(astuple(phases))
        self._reset_if("connected")

    def _reset_if(self, reached: Reset) -> None:
        """Restart the backoff if `Backoff.reset` names this state of the session."""
        if self._backoff.reset == reached:
            self._starts += 1
            self._retries = self._waits = 0

    def refused(self, refused: Refused, now_ns: int) -> float | None:
        """Record an attempt that failed before the WebSocket was open; return the result of `failed`."""
        if refused.unreachable and self.outage is not None:  # a server that is down explains it
            self._count("unreachable")
        return self.failed(
            refused.cause, refused.phase, refused.detail, now_ns, retry_after_s=refused.retry_after_s
        )

    def failed(
        self,
        cause: str,
        phase: str,
        detail: str,
        now_ns: int,
        *,
        code: int | None = None,
        retry_after_s: float = 0.0,
    ) -> float | None:
        """Record a failed attempt.

        Args:
            cause, phase, detail: what failed (`loadtest.events.Refused`).
            now_ns: time on the run's clock.
            code: the server's close code, which may forbid reconnecting.
            retry_after_s: seconds that the server asks clients to wait; 0 if it does not ask.

        Returns:
            Seconds to wait before the next attempt, or None to give up.
        """
        self.token_rejected = self._rejects_token(cause) or code == LOGIN_REFUSED
        forbidden = code in self._forbidding
        self._count("failed")
        if cause in OWN_LIMITS:
            self._count(cause)
        self.error(f"{phase}: {cause}", now_ns, detail)
        delay_s = None if forbidden else self._delay_s(retry_after_s)
        self.log(
            "failed",
            now_ns,
            cause=cause,
            phase=phase,
            code=code,
            detail=detail or None,
            attempt=self._made,
            final=delay_s is None,
            **(self._identity_fields() if phase == WORKING else {}),
        )
        if delay_s is None:
            self._give_up(forbidden=forbidden)
        return delay_s

    def _rejects_token(self, cause: str) -> bool:
        if cause not in _DOUBTFUL:
            return cause in _TOKEN_REJECTED
        self._doubts += 1
        return self._doubts <= MOST_DOUBTS

    def dropped(self, drop: Drop, now_ns: int) -> None:
        """Record a drop, which begins an outage if it disconnects."""
        self.log("dropped", now_ns, kind=drop.kind, ordinal=drop.ordinal, storm=drop.storm)
        self._recorder.counts[f"drops.{drop.kind}"] += 1
        if disconnects(drop.kind):
            self.interrupted(now_ns, drop.kind)

    def lost(self, lost: Lost, now_ns: int, *, explained: bool, refusal: str = "") -> bool:
        """Record that an established connection has ended without the client ending it.

        Args:
            lost: how it ended.
            now_ns: time on the run's clock.
            explained: whether a drop or its silence explains the end; otherwise it is a loss.
            refusal: the server's message, if it rejected the token before.

        Returns:
            Whether the close code forbids reconnecting, which ends the session without an outage.
        """
        barred = lost.code in self._forbidding
        self.token_rejected = bool(refusal) or lost.code == LOGIN_REFUSED
        event, detail = "ended" if explained else "lost", refusal or lost.reason or None
        self.log(event, now_ns, cause=lost.cause, code=lost.code, detail=detail, final=barred)
        counts = self._recorder.counts
        if not explained:
            counts[f"losses.{lost.cause}"] += 1
            counts["stability.barred"] += barred
        if not barred:
            self.interrupted(now_ns)
        return barred

    # Established, but not yet known to work (`loadtest.session.proof`).

    def established(self, now_ns: int, said: Established) -> bool:
        """Record that the session is established; return whether that may end an outage."""
        self._established_ns = now_ns
        if said.session_id is not None:
            self._said = said
        self._reset_if("established")
        if self.outage is not None:
            self._recorder.outages_open -= 1
        return self.outage is not None

    def said_again(self, said: Established, now_ns: int) -> None:
        """Record the identity that the server sends later for an established session.

        A first id is recorded with the event that the session has worked, or at once if that event came
        before. A changed id is a matter of `persistence`; it is recorded if a resume confirms it.
        """
        if said.session_id is None or self._said.session_id is not None:
            return
        self._said = said
        is_up = not self._made and self.outage is None
        if is_up and (fields := self._identity_fields()):
            self.log(NAMED, now_ns, **fields)

    def worked(self) -> None:
        """Record that the established session has worked: its outage is over and the backoff restarts."""
        at_ns, outage = self._established_ns, self.outage
        if outage is None:
            self._count("established")
            self._recorder.samples("connect").append(at_ns - self._began_ns)
            fields = self._phase_fields(at_ns) | self._identity_fields()
            self.log("connected", at_ns, attempt=self._made, **fields)
        else:
            self._resumed(outage, at_ns)
        self.outage = None
        self._made = self._retries = self._waits = 0

    def lost_early(self) -> None:
        """Handle a connection lost before the session had worked; `failed` records it."""
        self._about.dropped_by = ""
        if self.outage is not None:
            self._recorder.outages_open += 1

    def unproven(self) -> None:
        """End the attempts: a drop or the end of the run came before the session had worked."""
        self._count("unproven")
        self.outage = None
        self._made = self._retries = 0

    def silent(self) -> None:
        """End the outage: the session was established again, but requests timed out without any reply."""
        self._count("silent")
        self.outage = None
        self._made = self._retries = 0

    def _resumed(self, outage: Outage, at_ns: int) -> None:
        self._count("resumed")
        self._recorder.samples("outage").append(at_ns - outage.began_ns)
        self._recorder.samples("resume").append(at_ns - self._began_ns)
        self.log(
            "resumed",
            at_ns,
            attempt=outage.attempts,
            outage_ns=at_ns - outage.began_ns,
            detect_ns=outage.detected_ns - outage.began_ns,
            wait_ns=outage.wait_ns,
            **self._phase_fields(at_ns),
            **self._identity_fields(),
        )

    def _identity_fields(self) -> dict[str, Any]:
        """Return the id that the server gave, if it differs from the recorded one."""
        said = self._said
        if said.session_id is None or said.session_id == self._known_as:
            return {}
        self._known_as = said.session_id
        reassigned = said.asked_id not in (None, said.session_id)
        # A dialect may return a number, and a server a text of megabytes.
        return {"known_as": str(said.session_id)[:MAX_ID_LENGTH], "reassigned": reassigned}

    def _phase_fields(self, at_ns: int) -> dict[str, int | None]:
        phases = self._phases
        return {
            "dns_ns": phases.dns_ns,
            "tcp_ns": phases.tcp_ns,
            "proxy_ns": phases.proxy_ns or None,
            "tls_ns": phases.tls_ns,
            "upgrade_ns": phases.upgrade_ns,
            "resume_ns": at_ns - self._opened_ns,
        }

    # Outages.

    def interrupted(self, now_ns: int, dropped_by: str = "") -> None:
        """Begin an outage: the connection was dropped, by a drop of this kind, or lost."""
        self._about.dropped_by = dropped_by
        self.outage = Outage(began_ns=now_ns, detected_ns=now_ns)
        self._starts += 1
        self._recorder.outages_open += 1
        self._count("outages")

    def detected(self, now_ns: int) -> float | None:
        """Record that the client noticed the loss.

        Returns:
            Seconds to wait before the first attempt, or None to give up.
        """
        assert self.outage is not None  # `interrupted` has begun one
        self.outage.detected_ns = now_ns
        delay_s = self._delay_s()
        if delay_s is None:
            self.log("failed", now_ns, cause="no_reconnect", final=True)
            self._give_up(forbidden=False)
        return delay_s

    def _delay_s(self, least_s: float = 0.0) -> float | None:
        """Return the policy's next delay, or `least_s` if that is longer and obeyed; None to give up.

        Unless `Backoff.reset` says otherwise, the delays continue from those before a connection that never
        worked. An outage still has all its attempts: a drop that came too early for the session to work is
        not the server's fault.
        """
        most = self._backoff.max_attempts
        if self._retries >= most:
            return None
        self._retries += 1
        self._waits += 1
        number = min(self._waits, most)
        delay_s = self._backoff.delay_s(number, session=self._identity.number, outage=self._starts)
        if delay_s is None:
            return None
        if least_s and self._backoff.retry_after == "obey":
            self._count("retry_after")
            delay_s = max(delay_s, least_s)
        if self.outage is not None:
            self.outage.wait_ns += int(delay_s * NS_PER_S)
        return delay_s

    def _give_up(self, *, forbidden: bool) -> None:
        self._count("forbidden" if forbidden and self.outage is not None else "gave_up")
        self._end_outage()

    def _end_outage(self) -> None:
        if self.outage is not None:
            self.outage = None
            self._recorder.outages_open -= 1

    def cut_off(self, now_ns: int, *, trying: bool) -> None:
        """End the attempts with the run; record whether the session should have been up by then.

        Args:
            trying: whether an attempt is in progress.
        """
        failed = max(0, self._made - trying)
        hangs = trying and not self._awaits_token and now_ns - self._began_ns > HANGING_NS
        if self.outage is not None:
            overdue = failed >= OVERDUE_ATTEMPTS
            self._count("overdue" if overdue else "unresolved" if failed or hangs else "cut_short")
            if failed or hangs:
                example = f"{failed} failed attempts in {(now_ns - self.outage.began_ns) / NS_PER_S:.1f} s"
                self.error("not back by the end of the run", now_ns, example)
        elif trying:
            self._count("unresolved" if hangs else "cut_short")
            if hangs:
                example = f"after {(now_ns - self._began_ns) / NS_PER_S:.1f} s"
                self.error("no answer by the end of the run", now_ns, example)
        self._end_outage()
