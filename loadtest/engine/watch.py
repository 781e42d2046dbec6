"""Watches whether the server closes the TCP connections of clients that are gone.

A watch begins with its drop and has one outcome, counted under the item `cleanup`:

    closed       TCP has ended, closed by the server, a proxy or the server's kernel
    late         it ended, or was still open at the end of the run, more than `LATE_S` after the time allowed
    not_closed   it was still open at the drop's last step
    cut_short    the run or the session ended first
    unresolved   the same for a `close` drop, after the server had been silent for `HANGING_NS`

In addition, `full_time` counts the watches whose time was up before the end of the run, whatever their
outcome: a server that closes some connections at once and others never must not be judged by the former
alone. A watch has no timer and no socket: the drop's last step ends the connection.
"""

from collections.abc import Callable
from typing import Final

from loadtest.session.recorder import HANGING_NS, Recorder
from loadtest.session.schedule import NS_PER_S
from loadtest.transport.connection import Connection

LATE_S: Final = 1.0
"""Beyond the time allowed: for the network, for a server's own timers, and for this process to look."""


_ERRORS: Final = {
    "late": "the server did not close TCP in time",
    "not_closed": "the server never closed TCP",
}
"""Outcomes that are errors, where they are judged."""


class Watch:
    """Watches one dropped connection until it has an outcome.

    Args:
        kind: kind of the drop.
        connection: the dropped connection.
        within_s: seconds allowed from now on; None to wait for the drop's last step.
        judged: whether a connection not closed in time is an error.
        session: id of the session, for errors.
        clock: returns nanoseconds since the run's start.
        recorder: records the outcome and the time that the server took.
    """

    __slots__ = (
        "_began_ns",
        "_clock",
        "_connection",
        "_is_over",
        "_judged",
        "_kind",
        "_late_ns",
        "_recorder",
        "_session",
    )

    def __init__(
        self,
        kind: str,
        connection: Connection,
        within_s: float | None,
        *,
        judged: bool,
        session: str,
        clock: Callable[[], int],
        recorder: Recorder,
    ) -> None:
        self._kind = kind
        self._connection: Connection | None = connection
        self._clock = clock
        self._is_over = False
        self._judged = judged
        self._recorder = recorder
        self._session = session
        self._began_ns = clock()
        self._late_ns = None if within_s is None else int((within_s + LATE_S) * NS_PER_S)
        self._count("watched")
        connection.tcp_ended = self._tcp_ended

    def _count(self, what: str) -> None:
        self._recorder.counts[f"cleanup.{self._kind}_{what}"] += 1

    def _tcp_ended(self) -> None:
        took_ns = self._clock() - self._began_ns
        self._recorder.samples(f"cleanup_{self._kind}").append(took_ns)
        self._end("closed" if self._late_ns is None or took_ns <= self._late_ns else "late")

    def over(self) -> None:
        """End the watch: the drop's last step comes next and ends TCP itself."""
        self._time_up()
        self._end("not_closed")

    def cut_short(self) -> None:
        """End the watch before its time."""
        open_ns = self._clock() - self._began_ns
        if self._late_ns is not None:
            self._end("late" if open_ns > self._late_ns else "cut_short")
        else:
            self._end("unresolved" if self._judged and open_ns >= HANGING_NS else "cut_short")
        self._time_up()

    def _time_up(self) -> None:
        """Count, once, whether the whole time allowed has passed."""
        if not self._is_over:
            self._is_over = True
            if self._late_ns is not None and self._clock() - self._began_ns > self._late_ns:
                self._count("full_time")

    def _end(self, outcome: str) -> None:
        """Count the outcome, once."""
        if self._connection is not None:
            self._connection.tcp_ended = None
            self._connection = None
            self._count(outcome)
            if outcome in _ERRORS and self._judged:
                name = f"{_ERRORS[outcome]} ({self._kind})"
                self._recorder.error("cleanup", name, session=self._session, at_ns=self._clock())
