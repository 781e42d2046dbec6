"""The slack: how early or late a planned message may be sent, so that one wakeup serves several messages.

Waking a process costs as much as sending a message. Up to 2,000 messages a second, each message has its own
wakeup and the slack is zero. Above that, the slack grows with the rate, up to 0.15 ms at 8,000 messages a
second. Messages within the slack are sent together, early or late, in the order of their planned times.

The slack does not favour the server. Send slip is the distance from the plan in either direction, early
messages are counted, and response time starts at the planned or the actual send, whichever is earlier. If the
server handles requests in order, no reply leaves more than the slack earlier or later than if every message
had been on time, so the error of a service time is at most twice the slack.

The rate is the planned rate, measured between planned times. So the slack depends only on the plan, not on
the speed of the server or of this machine, and is the same on both sides of a comparison. No clock and no
socket.
"""

from typing import Final

from loadtest.session.schedule import NS_PER_S

MOST_NS: Final = 150_000
"""The longest slack: at 10,000 messages a second one wakeup serves two; slip stays far below its limit."""

_NONE_UP_TO_PER_S = 2_000
_MOST_FROM_PER_S = 8_000
"""Rates at which the slack begins to grow, and at which it is longest. At the first rate, the two wakeups for
a message and its reply take a twentieth of a core."""

_WINDOW_NS = NS_PER_S // 20
"""Length of the window over which the rate is measured: 100 messages at the rate where slack begins."""


def slack_ns(per_s: float) -> int:
    """Return the slack for a process that sends this many messages per second."""
    share = (per_s - _NONE_UP_TO_PER_S) / (_MOST_FROM_PER_S - _NONE_UP_TO_PER_S)
    return int(MOST_NS * min(1.0, max(0.0, share)))


class SendSlack:
    """The current slack, from the rate of the latest planned messages.

    Attributes:
        ns: the slack.
        window_ends_ns: planned time from which to call `next_window`.
    """

    __slots__ = ("_window_began_ns", "ns", "window_ends_ns")

    def __init__(self) -> None:
        self.ns = 0
        self._window_began_ns = self.window_ends_ns = -(2**63)

    def next_window(self, due_ns: int, messages: int) -> None:
        """End a window and begin the next.

        Args:
            due_ns: planned time of the first message after the window.
            messages: number of messages in the window.
        """
        self.ns = slack_ns(messages * NS_PER_S / (due_ns - self._window_began_ns))
        self._window_began_ns, self.window_ends_ns = due_ns, due_ns + _WINDOW_NS
