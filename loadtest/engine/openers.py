"""Opens links with a limited number of tasks. Each task takes one waiting link after the other.

A waiting link has no task: in a mass reconnect, tasks would take as much memory as the sessions.
"""

from collections import deque
from collections.abc import Callable
from contextvars import copy_context

from anyio.abc import TaskGroup

from loadtest.engine.link import Link


class Openers:
    """The waiting links and the tasks that open them. Create it on the loop's thread.

    Args:
        tasks: task group in which to start tasks.
        most: maximum number of links being opened at the same time.
        fail: called with a defect in the tool or a user's dialect.
    """

    def __init__(self, tasks: TaskGroup, most: int, fail: Callable[[Exception], None]) -> None:
        self._tasks = tasks
        self._most = most
        self._fail = fail
        self._in_task = copy_context()  # with sniffio installed, anyio starts no task from a callback's own
        self._waiting: deque[tuple[Link, int]] = deque()  # with their epochs
        self._running = 0

    def open(self, link: Link, epoch: int) -> None:
        """Open the link as soon as fewer than `most` attempts are in progress."""
        self._waiting.append((link, epoch))
        if self._running < self._most:
            self._running += 1
            self._in_task.run(self._tasks.start_soon, self._open_waiting)

    async def _open_waiting(self) -> None:
        try:
            while self._waiting:
                link, epoch = self._waiting.popleft()
                await link.open(epoch)
        except Exception as error:  # reported as raised
            self._fail(error)
        self._running -= 1
