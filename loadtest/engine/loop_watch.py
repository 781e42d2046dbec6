"""Watches the event loop of a script from another thread, to find the line of the script that blocks it.

All sessions share the loop. A task that blocks it makes every reply look slow. A task that never returns
hangs the run, and the loop itself cannot report that. So a native thread checks the loop's heartbeat, and
inspects the frames of the loop's thread when the heartbeat stops.

The watch counts its own naps instead of reading a clock: when the process gets no CPU, both threads are late.
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
"""Naps without a heartbeat, which the loop gives every two naps: it has been blocked for 100 ms."""

STUCK_S: Final = 5.0
"""Seconds without a heartbeat after which the loop counts as blocked for good."""

_STUCK_NAPS: Final = int(STUCK_S * 1e6 / NAP_US)

_nap: Callable[[int], object] = ctypes.CDLL(None).usleep
"""Sleeps. It releases the GIL, and gevent does not replace it, unlike `time.sleep`."""


@dataclass(frozen=True, slots=True)
class Held:
    """What blocks the loop.

    Args:
        task: class and method of the script's task; empty for a function that a task has left behind.
        session: id of the session.
        where: file and line.
    """

    task: str
    session: str
    where: str


class LoopWatch:
    """Watches a loop from another thread.

    Args:
        thread: the thread of the loop.
        task_of: returns the task that a frame of that thread belongs to, and the session's id.
        beats: returns a number that changes while the loop is alive.
        blocked: called in the watch's thread with what has blocked the loop, once for each block.
        stuck: called in the same way with what blocks the loop for good; the watch then ends.
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
        """Return the innermost function of the script that the loop is running; None if there is none."""
        for frame in self._thread.frames():
            if frames := own_frames(traceback.extract_stack(frame)):
                task, session = self._task_of(frame)
                return Held(task or frames[-1].name, session, place(frames[-1]))
        return None


class ThisThread:
    """The current thread and its frames.

    gevent replaces the thread's ident, and its `time.sleep` switches to the stack of another greenlet.
    """

    __slots__ = ("_greenlet", "_ident")

    def __init__(self) -> None:
        here = sys._getframe()
        self._ident = next(ident for ident, frame in sys._current_frames().items() if frame is here)
        greenlets = sys.modules.get("greenlet")
        self._greenlet = None if greenlets is None else greenlets.getcurrent()

    def frames(self) -> Iterator[FrameType]:
        """Yield the innermost frame, and that of the creating greenlet if it is suspended."""
        frame = sys._current_frames().get(self._ident)
        if frame is not None:
            yield frame
        suspended = getattr(self._greenlet, "gr_frame", None)
        if suspended is not None:
            yield suspended
