"""Calls from a native thread into gevent's thread.

Other threads must not use gevent's primitives, and a `queue.Queue` filled by a native thread never wakes a
greenlet. libev's async watcher does; it is the only part of a hub that other threads may touch (libev,
ev_async_send). The caller appends to a deque, which is atomic under the GIL, and signals the watcher. A
greenlet in the hub's thread then makes the calls in order.

A user's blocking function also runs here, in a greenlet and not in a native thread. Locust has patched locks,
events and queues, and so every module that uses them, to work among greenlets of one thread. A native thread
that waits for such a lock, for example of a log handler, may never wake up: gevent wakes it from the hub that
first used the lock, and that hub may have ended or may not be running.
"""

import functools
import logging
from collections import deque
from collections.abc import Callable
from typing import Any

import gevent
from gevent._hub_local import get_hub_if_exists
from gevent.event import Event
from gevent.monkey import get_original
from gevent.pool import Group

from loadtest.locust_plugin.held_thread import HeldThread

logger = logging.getLogger("loadtest")

_get_ident: Callable[[], int] = get_original("_thread", "get_ident")
_start_new_thread: Callable[..., int] = get_original("_thread", "start_new_thread")


def start_native_thread(function: Callable[..., object], arguments: tuple[object, ...]) -> int:
    """Start a real thread, for the engine's loop, although Locust has patched `threading`.

    A blocking call in it, such as a dialect that opens a socket on the loop, gives it a hub with open files.
    Only the thread itself can destroy that hub.
    """

    def run() -> None:
        try:
            function(*arguments)
        finally:
            hub = get_hub_if_exists()
            if hub is not None:
                hub.destroy()

    return _start_new_thread(run, ())


class GeventCalls:
    """Runs calls in gevent's thread. Create it in that thread.

    Args:
        failed: called with the exception of a call that raised; later calls are still made.

    Attributes:
        failed: the same, for work that a call has started.
    """

    def __init__(self, failed: Callable[[BaseException], None]) -> None:
        self.failed = failed
        self._calls: deque[tuple[Callable[..., None], tuple[object, ...]]] = deque()
        self._arrived = Event()
        self._watcher: Any = gevent.get_hub().loop.async_()
        self._watcher.start(self._arrived.set)
        self._greenlet = gevent.spawn(self._make_calls)
        self._functions = Group()
        self._watch = HeldThread(functools.partial(self.call, _warn))
        self._detour = _Detour(self)
        for name in _LOGGERS:
            logging.getLogger(name).addFilter(self._detour)

    def call(self, function: Callable[..., None], *arguments: object) -> None:
        """Schedule a call in gevent's thread. Thread-safe."""
        self._calls.append((function, arguments))
        self._watcher.send()

    def start(self, function: Callable[[], None], ended: Callable[[], None]) -> Callable[[], None]:
        """Start a function in a greenlet. Thread-safe.

        Args:
            function: may block as a greenlet may.
            ended: called in gevent's thread when the function has ended, or was cancelled before it began.

        Returns:
            A callable that ends the function wherever it waits. Thread-safe.
        """
        started: list[gevent.Greenlet[..., None]] = []

        def begin() -> None:
            greenlet = self._functions.spawn(function)
            greenlet.rawlink(lambda _: ended())
            self._watch.watch(greenlet, getattr(function, "__qualname__", repr(function)))
            started.append(greenlet)

        def end() -> None:
            for greenlet in started:
                greenlet.kill(block=False)

        self.call(begin)
        return functools.partial(self.call, end)

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
        """Stop making calls and end running functions; pending calls are dropped."""
        for name in _LOGGERS:
            logging.getLogger(name).removeFilter(self._detour)
        self._greenlet.kill()
        self._functions.kill(block=False)
        self._watcher.stop()
        self._watcher.close()


_LOGGERS = ("websockets.client", "asyncio")
"""Loggers that the engine's thread uses: at the level DEBUG, the library logs each frame."""


class _Detour(logging.Filter):
    """Passes log records of other threads to gevent's thread.

    A greenlet that waits for a handler's lock held by a native thread may never wake up.
    """

    def __init__(self, calls: GeventCalls) -> None:
        super().__init__()
        self._calls = calls
        self._thread = _get_ident()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to handle a record in this thread."""
        if _get_ident() == self._thread:
            return True
        self._calls.call(logging.getLogger(record.name).handle, record)
        return False


def _warn(name: str, seconds: float) -> None:
    logger.warning(
        "%s, called through session.blocking, has blocked Locust for %.1f s so far: it waits in C code or "
        "computes. Run it in gevent's thread pool: see 'Call a function that blocks' in docs/logins.md",
        name,
        seconds,
    )
