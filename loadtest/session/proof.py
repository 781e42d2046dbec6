"""Decides whether a session works on its new connection, which is what ends an outage. Pure.

A session has worked with its first reply on a connection. If it sent no request, a push or a second without a
loss is enough. Until then, a lost connection is a failed attempt, and the reconnect may be the reason for
requests without a reply. These are `lost` if other replies come after all; otherwise they are
`lost_in_outage` and the outage is `silent`. On a first connection they are always `lost`: a server that never
answers fails `messaging`.
"""

from collections.abc import Sequence

from loadtest.events import Send
from loadtest.session.ledger import Ledger
from loadtest.session.reconnecting import Attempts
from loadtest.session.schedule import NS_PER_S
from loadtest.session.traffic import Traffic
from loadtest.text import counted

QUIET_NS = NS_PER_S
"""How long a connection on which nothing was asked must last to have worked."""

NO_REPLY = "no reply in time on the new connection"


class Proof:
    """Decides whether one session works on its newest connection.

    Attributes:
        pending: whether the session is established and has not worked yet.
        mute: whether a request has timed out since the session was established.
    """

    __slots__ = ("_attempts", "_silenced", "_since_ns", "_timed_out", "_traffic", "mute", "pending")

    def __init__(self, attempts: Attempts, traffic: Traffic) -> None:
        self.pending = self.mute = False
        self._attempts = attempts
        self._traffic = traffic
        self._since_ns = 0
        self._timed_out = 0  # requests whose outcome depends on how the outage ends
        self._silenced: tuple[int, ...] = ()  # the latest of them; most sessions never have one

    def begin(self, now_ns: int) -> None:
        """Start waiting for a sign that the established session works."""
        self.pending, self.mute, self._since_ns = True, False, now_ns

    @property
    def asked(self) -> bool:
        """Whether any request was sent that expects a reply."""
        return self.mute or self._traffic.outstanding > 0

    @property
    def blamed(self) -> str:
        """The item that counts requests without a reply if the connection ends now."""
        return "reconnect" if self.pending and self._attempts.outage is not None else "messaging"

    def signs(self) -> tuple[int, int]:
        """Return the counts to compare before and after a message: replies, and pushes if they are a sign."""
        replies, pushes = self._traffic.signs()
        return replies, 0 if self.asked else pushes

    def settle(self, now_ns: int, before: tuple[int, int] | None = None) -> bool:
        """Return whether the session has worked by now; if so, record it.

        Args:
            now_ns: time on the run's clock.
            before: the signs before the message just handled; None if only time has passed.
        """
        replied = before is not None and any(
            now > then for now, then in zip(self.signs(), before, strict=True)
        )
        if not replied and (self.asked or now_ns - self._since_ns < QUIET_NS):
            return False
        self.pending = False
        self._attempts.worked()
        self._traffic.give_up(self._timed_out, self._silenced, now_ns)
        self._forget()
        return True

    def swept(self, now_ns: int, *, steady: bool) -> Sequence[Send]:
        """Give up requests whose reply timeout is over; return what can be sent now, if steady."""
        before = self._traffic.outstanding
        if self._attempts.outage is None:
            sends = self._traffic.swept(now_ns, steady=steady)
            self.mute = self.mute or self._traffic.outstanding < before
            return sends
        silenced = self._traffic.overdue(now_ns)
        self._timed_out += len(silenced)
        if silenced:
            self._silenced = (*self._silenced, *silenced)[-Ledger.OVERDUE_LIMIT :]
        self.mute = self.mute or bool(silenced)
        return self._traffic.in_turn(now_ns) if silenced and steady else ()

    def failed(self) -> None:
        """Stop waiting: the connection was lost, which makes it a failed attempt."""
        self.pending = False
        self._attempts.lost_early()
        self._excuse()

    def end(self, now_ns: int) -> None:
        """Stop waiting: a drop or the end of the run comes, or the server ended a mute connection."""
        self.pending = False
        if self._timed_out:
            requests = counted(self._timed_out, "request")
            self._attempts.error(NO_REPLY, now_ns, f"{requests}, {self._traffic.named(self._silenced[0])}")
            self._attempts.silent()
        else:
            self._attempts.unproven()
        self._excuse()

    def _excuse(self) -> None:
        self._traffic.excuse(self._timed_out, self._silenced)
        self._forget()

    def _forget(self) -> None:
        self._timed_out, self._silenced = 0, ()
