"""Watches the event loop of a script from another thread: which line of the script holds it up.

All sessions share the loop. A task that blocks it makes every reply look slow, and one that never lets go of
it hangs the run, which the loop cannot tell. So a native thread looks at the loop's signs of life, and at the
frames of its thread when there are none.

It counts its own naps and does not look at a clock: a process that was not given the CPU is late in both.
"""

import ctypes
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Final

from loadtest.engine.script_places import own_frames, place

NAP_US: Final = 25_000

BLOCKED_NAPS: Final = 6
"""Naps without a sign of life, of which the loop gives one in two naps: it has been blocked for 100 ms."""

STUCK_S: Final = 5.0
"""A loop without a sign of life for so long is held for good."""

_STUCK_NAPS: Final = int(STUCK_S * 1e6 / NAP_US)

_nap: Callable[[int], object] = ctypes.CDLL(None).usleep
"""Lets go of the GIL, and is none of what gevent replaces in `time`."""


@dataclass(frozen=True, slots=True)
class Held:
    """What holds the loop.

    Args:
        task: the script's, by class and method; empty if it is a function that a task has left behind.
        session: id of the session.
        where: file and line.
    """

    task: str
    session: str
    where: str


class LoopWatch:
    """Watches a loop from a thread of its own.

    Args:
        thread: the loop's.
        task_of: returns the task in which a frame of that thread is, and the session's id.
        beats: returns a number that changes while the loop is alive.
        blocked: called in this watch's thread with what has blocked the loop; once each time.
        stuck: called likewise with what holds it for good; the watch then ends.
    """

    def __init__(
        self,
        thread: "ThisThread",
        task_of: Callable[[FrameType], tuple[str, str]],
        beats: Callable[[], int],
        *,
        blocked: Callable[[Held], None],
        stuck: Callable[[Held], None],
    ) -> None:
        self.over = False
        self._thread = thread
        self._task_of = task_of
        self._beats = beats
        self._blocked = blocked
        self._stuck = stuck

    def run(self) -> None:
        """Watch until `over` is set."""
        beats, silent = self._beats(), 0
        seen: Held | None = None
        while not self.over:
            _nap(NAP_US)
            if beats != (beats := self._beats()):
                silent, seen = 0, None
                continue
            silent += 1
            if silent == BLOCKED_NAPS - 1:
                seen = self._holder()
            elif silent == BLOCKED_NAPS and seen is not None and self._is_still(seen):
                self._blocked(seen)
            elif silent == _STUCK_NAPS and (held := self._holder()) is not None:
                self._stuck(held)
                return

    def _is_still(self, seen: Held) -> bool:
        held = self._holder()
        return held is not None and (held.task, held.session) == (seen.task, seen.session)

    def _holder(self) -> Held | None:
        """Return the innermost method of the script that the loop is in; None if it is in none."""
        for frame in self._thread.frames():
            if frames := own_frames(traceback.extract_stack(frame)):
                task, session = self._task_of(frame)
                return Held(task or frames[-1].name, session, place(frames[-1]))
        return None


class ThisThread:
    """The thread that this is made in, with what is under way there.

    gevent replaces the thread's ident, and its `time.sleep` leaves the stack for another greenlet's.
    """

    __slots__ = ("_greenlet", "_ident")

    def __init__(self) -> None:
        here = sys._getframe()
        self._ident = next(ident for ident, frame in sys._current_frames().items() if frame is here)
        greenlets = sys.modules.get("greenlet")
        self._greenlet = None if greenlets is None else greenlets.getcurrent()

    def frames(self) -> Iterator[FrameType]:
        """Yield the innermost frame, and that of the greenlet that this was made in, if it is suspended."""
        frame = sys._current_frames().get(self._ident)
        if frame is not None:
            yield frame
        suspended = getattr(self._greenlet, "gr_frame", None)
        if suspended is not None:
            yield suspended
