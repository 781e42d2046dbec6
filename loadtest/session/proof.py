"""Whether a session works on its new connection: only that ends an outage. Pure.

A session proves itself by its first reply on a connection. Where it has asked nothing, a push or a second
without a loss will do. Until then the session is in doubt: a connection lost now is a failed attempt, and
requests that get no reply in time may be the fault of the reconnect. They are `lost` if other replies come
after all, else `lost_in_outage`, and the outage is `silent`. On a first connection they are `lost` in any
case: a server that never answers fails `messaging`.
"""

from collections.abc import Sequence

from loadtest.events import Send
from loadtest.session.reconnecting import Attempts
from loadtest.session.recorder import HANGING_NS
from loadtest.session.schedule import NS_PER_S
from loadtest.session.traffic import Traffic

QUIET_NS = NS_PER_S
"""How long a connection on which nothing was asked must last to have worked."""

NO_REPLY = "no reply in time on the new connection"


class Proof:
    """The doubt about one session's newest connection.

    Attributes:
        pending: whether the session is established and has not worked yet.
    """

    __slots__ = ("_attempts", "_mute", "_silenced", "_since_ns", "_traffic", "pending")

    def __init__(self, attempts: Attempts, traffic: Traffic) -> None:
        self.pending = False
        self._attempts = attempts
        self._traffic = traffic
        self._since_ns = 0
        self._mute = False  # whether a request was given up since the session was established
        self._silenced: list[int] = []  # such requests whose outcome is not yet decided

    def begin(self, now_ns: int) -> None:
        """Begin to doubt: the session is established."""
        self.pending, self._since_ns, self._mute = True, now_ns, False

    @property
    def asked(self) -> bool:
        """Whether any request was sent that should be answered."""
        return self._mute or self._traffic.outstanding > 0

    def signs(self) -> tuple[int, int]:
        """Return what to compare before and after a message: the replies, and the pushes if these count."""
        replies, pushes = self._traffic.signs()
        return replies, 0 if self.asked else pushes

    def settle(self, now_ns: int, before: tuple[int, int] | None = None) -> bool:
        """Return whether the session has worked by now; if so, the doubt is over.

        Args:
            now_ns: the time.
            before: the signs before the message that was just handled; None if time alone has passed.
        """
        replied = before is not None and any(
            now > then for now, then in zip(self.signs(), before, strict=True)
        )
        if not replied and (self.asked or now_ns - self._since_ns < QUIET_NS):
            return False
        self.pending = False
        self._attempts.worked()
        self._traffic.give_up(self._silenced, now_ns)
        self._silenced = []
        return True

    def _more_than(self, before: tuple[int, int]) -> bool:
        return any(now > then for now, then in zip(self.signs(), before, strict=True))

    def swept(self, now_ns: int, *, steady: bool) -> Sequence[Send]:
        """Give up requests without a reply for the reply timeout; return what can be sent now, if steady."""
        before = self._traffic.outstanding
        if self._attempts.outage is None:
            sends = self._traffic.swept(now_ns, steady=steady)
            self._mute = self._mute or self._traffic.outstanding < before
            return sends
        silenced = self._traffic.overdue(now_ns)
        for sequence in silenced:
            self._attempts.error(NO_REPLY, now_ns, self._traffic.named(sequence))
        self._silenced += silenced
        self._mute = self._mute or bool(silenced)
        return self._traffic.in_turn(now_ns) if silenced and steady else ()

    def lost(self) -> None:
        """End the doubt: the connection was lost, which makes it a failed attempt."""
        self.pending = False
        self._attempts.lost_early()
        self._excuse()

    def dropped(self) -> None:
        """End the doubt: a drop comes."""
        self._undecided(self._silenced)

    def stopped(self, now_ns: int) -> None:
        """End the doubt: the session ends with the run. Long silence is a sign, but no proof, of a fault."""
        self._undecided([*self._silenced, *self._traffic.unheard(now_ns - HANGING_NS)])

    def _undecided(self, unanswered: Sequence[int]) -> None:
        self.pending = False
        if unanswered and self._attempts.outage is not None:
            self._attempts.unanswered(timed_out=bool(self._silenced))
        else:
            self._attempts.unproven()
        self._excuse()

    def _excuse(self) -> None:
        self._traffic.excuse(self._silenced)
        self._silenced = []
