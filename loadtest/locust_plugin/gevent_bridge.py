"""Calls from a native thread into gevent's thread.

gevent's primitives must not be used from other threads, and a `queue.Queue` filled by a native thread never
wakes a greenlet. libev's async watcher does; it is the only part of a hub that other threads may touch
(libev, ev_async_send). The caller appends to a deque, which is atomic under the GIL, and signals the watcher;
a greenlet in the hub's thread then makes the calls in order.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

import gevent
from gevent.event import Event
from gevent.monkey import get_original

_start_new_thread: Callable[..., int] = get_original("_thread", "start_new_thread")


def start_native_thread(function: Callable[..., object], arguments: tuple[object, ...]) -> int:
    """Start a real thread even though Locust has patched `threading`.

    What blocks in it, such as a dialect's login over HTTP, uses patched sockets and so gets a hub of its own:
    open files, and threads for DNS. Nobody but the thread itself can destroy it.
    """

    def run() -> None:
        try:
            function(*arguments)
        finally:
            gevent.get_hub().destroy()

    return _start_new_thread(run, ())


class GeventCalls:
    """Runs calls in gevent's thread. Create it in that thread.

    Args:
        failed: called with the exception of a call that raised; later calls are still made.

    Attributes:
        failed: likewise, for what a call has begun.
    """

    def __init__(self, failed: Callable[[BaseException], None]) -> None:
        self.failed = failed
        self._calls: deque[tuple[Callable[..., None], tuple[object, ...]]] = deque()
        self._arrived = Event()
        self._watcher: Any = gevent.get_hub().loop.async_()
        self._watcher.start(self._arrived.set)
        self._greenlet = gevent.spawn(self._make_calls)

    def call(self, function: Callable[..., None], *arguments: object) -> None:
        """Schedule a call in gevent's thread. Thread-safe."""
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
                    self.failed(error)

    def close(self) -> None:
        """Stop making calls; pending ones are dropped."""
        self._greenlet.kill()
        self._watcher.stop()
        self._watcher.close()
