"""A drop in progress: runs the steps of its kind, and watches what the server does with the connection.

A dropping may outlive its session's connection: the session reconnects while its half-open socket stays open,
or while the server still has to end TCP after a closing handshake.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from loadtest.drops.kinds import BEYOND_S, DETECTED, CloseDrop, DropKind, HalfOpen, Steps
from loadtest.engine.timers import PAUSE_NS, Timers
from loadtest.engine.watch import Watch
from loadtest.events import Drop
from loadtest.session.recorder import Recorder
from loadtest.session.schedule import NS_PER_S
from loadtest.transport.connection import Connection


class Dropping:
    """Runs a drop's steps to the end, even after the session has moved on.

    Args:
        drop: the drop, as planned.
        connection: the connection to drop.
        session: id of the session.
        detected: called once when the session's client has noticed the loss.
        recovered: called instead at the end of a kind that keeps the connection.
        cleanup_s: seconds after which the server closes half-open connections, None if that is not known.
        clock: returns nanoseconds since the run's start.
        timers: wakes the dropping after a wait.
        recorder: records what the server does with the connection.
        droppings: drops in progress; this one adds and removes itself.

    Attributes:
        noticed: whether the session already knows of the loss.
    """

    __slots__ = (
        "_clock",
        "_connection",
        "_detected",
        "_droppings",
        "_paused",
        "_steps",
        "_timers",
        "_watch",
        "noticed",
    )

    def __init__(
        self,
        drop: Drop,
        connection: Connection,
        *,
        session: str,
        detected: Callable[[], None],
        recovered: Callable[[], None],
        cleanup_s: float | None,
        clock: Callable[[], int],
        timers: Timers,
        recorder: Recorder,
        droppings: set[Dropping],
    ) -> None:
        kind = DropKind.kinds[drop.kind]()
        self.noticed = False
        self._connection = connection
        self._detected = detected if kind.disconnects else recovered
        self._clock = clock
        self._timers = timers
        self._droppings = droppings
        self._paused = False  # whether the last step was put off because of a pause
        self._watch: Watch | None = None
        if isinstance(kind, CloseDrop | HalfOpen):  # all other kinds end TCP themselves
            within_s = cleanup_s if isinstance(kind, HalfOpen) else None  # its last step comes in time
            judged = within_s is not None or isinstance(kind, CloseDrop)
            self._watch = Watch(
                kind.name,
                connection,
                within_s,
                judged=judged,
                session=session,
                clock=clock,
                recorder=recorder,
            )
            if within_s is not None:
                drop = replace(drop, hold_s=within_s + BEYOND_S - drop.detect_s)
        self._steps: Steps = kind.steps(connection, drop)
        droppings.add(self)

    def go_on(self) -> None:
        """Run the steps up to the next wait."""
        for step in self._steps:
            if step != DETECTED:
                self._wait(float(step))
                return
            self._notice()
        if self._watch is not None:
            self._watch.over()
        self._droppings.discard(self)
        self._notice()

    def _wait(self, seconds: float) -> None:
        self._timers.schedule(self._clock() + int(seconds * NS_PER_S), self, None)

    def _notice(self) -> None:
        if not self.noticed:
            self.noticed = True
            self._detected()

    def fire(self, _what: object, due_ns: int) -> None:
        """Continue after a wait. After a pause of the whole process, first read what arrived meanwhile."""
        paused = self._clock() - due_ns > PAUSE_NS
        self._paused = paused and not self._paused and self._watch is not None
        if self._paused:
            self._wait(PAUSE_NS / NS_PER_S)
        else:
            self.go_on()

    def cut_short(self) -> None:
        """Stop judging whether the server closes the connection; the steps continue."""
        if self._watch is not None:
            self._watch.cut_short()

    def cancel(self) -> None:
        """Run no further steps."""
        self.noticed = True
        self._steps = iter(())
        self._droppings.discard(self)
        self.cut_short()

    def abandon(self) -> None:
        """Run no further steps and reset the socket."""
        self.cancel()
        self._connection.reset()
