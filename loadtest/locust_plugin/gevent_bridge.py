"""Calls from a native thread into gevent's thread.

gevent's primitives must not be used from other threads, and a `queue.Queue` filled by a native thread never
wakes a greenlet. libev's async watcher does; it is the only part of a hub that other threads may touch
(libev, ev_async_send). The caller appends to a deque, which is atomic under the GIL, and signals the watcher;
a greenlet in the hub's thread then makes the calls in order.

A user's function that blocks runs here too, in a greenlet, and not on a native thread: Locust has patched
locks, events and queues, and so every module that uses them, to work among greenlets of one thread. A native
thread that waits for such a lock, of a log handler for example, may never be woken: gevent wakes it from the
hub that first met the lock, which has ended with its thread or does not run.
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
    """Start a real thread even though Locust has patched `threading`, for the engine's loop.

    What blocks in it, such as a dialect that opens a socket on the loop, gives it a hub, with open files.
    Nobody but the thread itself can destroy it.
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
        failed: likewise, for what a call has begun.
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
            ended: called in gevent's thread when the function has ended, or was ended before it began.

        Returns:
            What ends the function wherever it waits. Thread-safe.
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
        """Stop making calls and end the functions that run; pending calls are dropped."""
        for name in _LOGGERS:
            logging.getLogger(name).removeFilter(self._detour)
        self._greenlet.kill()
        self._functions.kill(block=False)
        self._watcher.stop()
        self._watcher.close()


_LOGGERS = ("websockets.client", "asyncio")
"""Loggers that the engine's thread uses: at the level DEBUG, the library logs each frame."""


class _Detour(logging.Filter):
    """Has records of other threads handled in gevent's thread.

    A greenlet that waits for the lock of a handler which a native thread holds may never be woken.
    """

    def __init__(self, calls: GeventCalls) -> None:
        super().__init__()
        self._calls = calls
        self._thread = _get_ident()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to handle a record here and now."""
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
