"""Calls from a native thread into gevent's.

gevent's primitives must not be used from other threads, and a `queue.Queue` that a native thread fills never
wakes a greenlet. libev's async watcher does, the one part of a hub that other threads may touch (libev,
ev_async_send): the caller appends to a deque, which is atomic under the GIL, and sends; a greenlet of the
hub's thread then makes the calls, in order.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

import gevent
from gevent.event import Event
from gevent.monkey import get_original

start_native_thread: Callable[..., Any] = get_original("_thread", "start_new_thread")
"""Starts a real thread, although Locust has patched `threading`."""


class GeventCalls:
    """Calls to be made in gevent's thread, in which this object must be created.

    Args:
        failed: takes the exception of a call; the calls after it are made nevertheless.
    """

    def __init__(self, failed: Callable[[BaseException], None]) -> None:
        self._failed = failed
        self._calls: deque[tuple[Callable[..., None], tuple[object, ...]]] = deque()
        self._arrived = Event()
        self._watcher: Any = gevent.get_hub().loop.async_()
        self._watcher.start(self._arrived.set)
        self._greenlet = gevent.spawn(self._make_calls)

    def call(self, function: Callable[..., None], *arguments: object) -> None:
        """Have this called in gevent's thread; from any thread."""
        self._calls.append((function, arguments))
        self._watcher.send()

    def _make_calls(self) -> None:
        while True:
            self._arrived.wait()
            self._arrived.clear()
            while self._calls:
                function, arguments = self._calls.popleft()
                try:
                    function(*arguments)
                except Exception as error:
                    self._failed(error)

    def close(self) -> None:
        """Make no further calls."""
        self._greenlet.kill()
        self._watcher.stop()
        self._watcher.close()
