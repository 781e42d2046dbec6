"""How far from its time a planned message may be sent, so that one wake of the process serves several.

Waking a process costs as much as sending a message. Up to 2,000 messages a second, each has a wake of its own
and the slack is zero. Above that it grows with the rate, up to 0.15 ms from 8,000 on. Messages within it are
sent together, early as well as late, in the order of their times.

This does not flatter the server. Nothing is hidden: send slip is the distance from the plan in either
direction, early messages are counted, and response time begins with the plan or the send, whichever was
earlier. From a queue that serves in order, no reply leaves more than the slack earlier or later than if every
message had been on time, so a service time is off by at most twice the slack.

The rate is that of the plan, measured between planned times. So the slack depends on the plan alone, not on
the server's speed or this machine's, and both sides of a comparison have the same. No clock and no socket.
"""

from typing import Final

from loadtest.session.schedule import NS_PER_S

MOST_NS: Final = 150_000
"""The longest slack: at 10,000 messages a second one wake serves two, and slip stays far below its limit."""

_NONE_UP_TO_PER_S = 2_000
_MOST_FROM_PER_S = 8_000
"""Rates at which the slack begins to grow, and from which it is longest. At the first, a message's two wakes,
its own and that of its reply, take a twentieth of a core."""

_WINDOW_NS = NS_PER_S // 20
"""Planned time over which the rate is measured; 100 messages where the slack begins."""


def slack_ns(per_s: float) -> int:
    """Return the slack at this rate of messages per second of one process."""
    share = (per_s - _NONE_UP_TO_PER_S) / (_MOST_FROM_PER_S - _NONE_UP_TO_PER_S)
    return int(MOST_NS * min(1.0, max(0.0, share)))


class SendSlack:
    """The slack at the rate of the latest planned messages.

    Attributes:
        ns: the slack.
        window_ends_ns: planned time from which on `next_window` is to be called.
    """

    __slots__ = ("_window_began_ns", "ns", "window_ends_ns")

    def __init__(self) -> None:
        self.ns = 0
        self._window_began_ns = self.window_ends_ns = -(2**63)

    def next_window(self, due_ns: int, messages: int) -> None:
        """End a window and begin the next.

        Args:
            due_ns: planned time of the first message that is not in the window that ends.
            messages: how many were in it.
        """
        self.ns = slack_ns(messages * NS_PER_S / (due_ns - self._window_began_ns))
        self._window_began_ns, self.window_ends_ns = due_ns, due_ns + _WINDOW_NS
