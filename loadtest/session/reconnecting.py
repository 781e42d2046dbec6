"""A session's connection attempts and outages: a reconnect is a transaction. Pure.

An outage begins when the connection is dropped or lost. All attempts until it ends belong to it, failed ones
too. It ends in exactly one way: resumed, gave up, forbidden, or cut off by the end of the run. Its length and
the time of each phase go to the recorder. Attempts outside an outage are those of a first connection and
count for `connect`: each ends as established, failed, or cut off by the end of the run.
"""

from typing import Any

from msgspec import Struct

from loadtest.events import Identity, Phases
from loadtest.session.recorder import HANGING_NS, OWN_LIMITS, Lifecycle, Recorder
from loadtest.session.schedule import NS_PER_S, Backoff

OVERDUE_ATTEMPTS = 3
"""An outage with at least this many failed attempts at the end of the run counts as overdue."""


class Outage(Struct):
    """An outage in progress. Times in nanoseconds of the run's clock."""

    began_ns: int
    detected_ns: int
    attempts: int = 0
    wait_ns: int = 0


class Attempts:
    """One session's connection attempts."""

    __slots__ = (
        "_backoff",
        "_began_ns",
        "_identity",
        "_made",
        "_opened_ns",
        "_outages",
        "_phases",
        "_recorder",
        "outage",
    )

    def __init__(self, identity: Identity, backoff: Backoff, recorder: Recorder) -> None:
        self.outage: Outage | None = None
        self._identity = identity
        self._backoff = backoff
        self._recorder = recorder
        self._outages = 0
        self._made = 0  # since the session was last established
        self._began_ns = 0
        self._opened_ns = 0
        self._phases = Phases()

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
        self._count("attempts")
        if self.outage is not None:
            self.outage.attempts += 1
        self.log("attempt", now_ns, attempt=self._made)

    def opened(self, phases: Phases, now_ns: int) -> None:
        """Record an open WebSocket.

        The attempt is dated from its first phase: time spent queued in the load generator is not part of it.
        """
        self._phases = phases
        self._opened_ns = now_ns
        self._began_ns = now_ns - phases.dns_ns - phases.tcp_ns - phases.tls_ns - phases.upgrade_ns

    def failed(
        self, cause: str, phase: str, detail: str, now_ns: int, *, forbidden: bool = False
    ) -> float | None:
        """Record a failed attempt; return the seconds to wait before the next, or None to give up."""
        self._count("failed")
        if cause in OWN_LIMITS:
            self._count(cause)
        self.error(f"{phase}: {cause}", now_ns, detail)
        retry = self._made + (self.outage is not None)  # an outage also waits before its first attempt
        delay_s = None if forbidden else self._delay_s(retry)
        self.log(
            "failed",
            now_ns,
            cause=cause,
            phase=phase,
            detail=detail or None,
            attempt=self._made,
            final=delay_s is None,
        )
        if delay_s is None:
            self._give_up(forbidden=forbidden)
        return delay_s

    def unreachable(self) -> None:
        """Count an unanswered attempt in an outage: a server that is down explains it."""
        if self.outage is not None:
            self._count("unreachable")

    def established(self, now_ns: int) -> bool:
        """Record that the session is established; return whether that ended an outage."""
        outage = self.outage
        if outage is None:
            self._count("established")
            self._recorder.samples("connect").append(now_ns - self._began_ns)
            self.log("connected", now_ns, attempt=self._made, **self._phase_fields(now_ns))
        else:
            self._resumed(outage, now_ns)
        self._made = 0
        return outage is not None

    def _resumed(self, outage: Outage, now_ns: int) -> None:
        self._count("resumed")
        self._recorder.samples("outage").append(now_ns - outage.began_ns)
        self._recorder.samples("resume").append(now_ns - self._opened_ns)
        self.log(
            "resumed",
            now_ns,
            attempt=outage.attempts,
            outage_ns=now_ns - outage.began_ns,
            detect_ns=outage.detected_ns - outage.began_ns,
            wait_ns=outage.wait_ns,
            **self._phase_fields(now_ns),
        )
        self._end_outage()

    def _phase_fields(self, now_ns: int) -> dict[str, int]:
        phases = self._phases
        return {
            "dns_ns": phases.dns_ns,
            "tcp_ns": phases.tcp_ns,
            "tls_ns": phases.tls_ns,
            "upgrade_ns": phases.upgrade_ns,
            "resume_ns": now_ns - self._opened_ns,
        }

    def interrupted(self, now_ns: int) -> None:
        """Begin an outage: the connection was dropped or lost."""
        self.outage = Outage(began_ns=now_ns, detected_ns=now_ns)
        self._outages += 1
        self._recorder.outages_open += 1
        self._count("outages")

    def detected(self, now_ns: int) -> float | None:
        """Record that the client noticed the loss.

        Returns:
            Seconds to wait before the first attempt, or None to give up.
        """
        assert self.outage is not None  # `interrupted` has begun one
        self.outage.detected_ns = now_ns
        delay_s = self._delay_s(1)
        if delay_s is None:
            self.log("failed", now_ns, cause="no_reconnect", final=True)
            self._give_up(forbidden=False)
        return delay_s

    def forbidden(self, code: int, reason: str, now_ns: int) -> None:
        """End the outage: the close code forbids reconnecting."""
        self.error(f"close code {code} forbids reconnecting", now_ns, reason)
        self.log("failed", now_ns, cause="forbidden", code=code, final=True)
        self._give_up(forbidden=True)

    def _delay_s(self, attempt: int) -> float | None:
        delay_s = self._backoff.delay_s(attempt, session=self._identity.number, outage=self._outages)
        if delay_s is not None and self.outage is not None:
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
        hangs = trying and now_ns - self._began_ns > HANGING_NS
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
