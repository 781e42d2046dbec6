"""Functions that block, called as a dialect's are, in a process that Locust would have patched.

Run as a program with a folder for modules: prints as JSON, by what the functions share, how many of their
calls and of the greenlets beside them came to an end, and what the process holds before and after.
"""

# ruff: noqa: E402 - patched first, as Locust does
from gevent import monkey

monkey.patch_all()

import asyncio
import importlib
import json
import logging
import os
import queue
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import gevent
import requests
from gevent.event import Event
from gevent.monkey import get_original
from gevent.threadpool import ThreadPool

from loadtest.engine.blocking import MAX_CALLS, BlockingCalls
from loadtest.locust_plugin.gevent_bridge import GeventCalls, start_native_thread

CALLS = 50
GREENLETS = 10
LONGEST_S = 10.0

Function = Callable[[int], object]


class Loop:
    """An event loop on a native thread, as the engine's, with the calls of a run."""

    def __init__(self) -> None:
        self._gevent = GeventCalls(self._failed)
        self._ready = Event()
        start_native_thread(self._run, ())
        self._ready.wait()

    def _failed(self, error: BaseException) -> None:
        raise error

    def _run(self) -> None:
        asyncio.run(self._main())

    async def _main(self) -> None:
        self._loop, self._closing = asyncio.get_running_loop(), asyncio.Event()
        self._calls = BlockingCalls(self._gevent.start)
        self._gevent.call(self._ready.set)
        await self._closing.wait()

    def call(
        self, function: Function, number: int, done: Callable[[object], None], within_s: float | None = None
    ) -> None:
        """Call a function; its result, or the exception it raised, is handed over in gevent's thread."""

        async def call() -> None:
            try:
                async with asyncio.timeout(within_s):
                    result: object = await self._calls.call(function, number)
            except Exception as error:
                result = error
            self._gevent.call(done, result)

        self._loop.call_soon_threadsafe(lambda: tasks.append(self._loop.create_task(call())))

    def close(self) -> None:
        """End the loop, then what it has started."""
        self._loop.call_soon_threadsafe(self._closing.set)
        gevent.sleep(0.2)
        self._gevent.close()
        gevent.sleep(0)


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something holds, or for the longest time."""
    over_s = time.monotonic() + LONGEST_S
    while not condition() and time.monotonic() < over_s:
        gevent.sleep(0.01)


tasks: list[Any] = []  # a loop refers to its tasks weakly


def ended_of(loop: Loop, function: Function) -> int:
    """Call a function many times at once, and in greenlets; return how many ended within the time."""
    results: list[object] = []
    for number in range(CALLS):
        loop.call(function, number, results.append)
    greenlets = [gevent.spawn(function, number) for number in range(CALLS, CALLS + GREENLETS)]
    wait_for(lambda: len(results) == CALLS and all(greenlet.successful() for greenlet in greenlets))
    good = [result for result in results if not isinstance(result, BaseException)]
    return len(good) + sum(greenlet.successful() for greenlet in greenlets)


def cases(folder: str) -> Iterator[tuple[str, Function]]:
    """Yield what functions share, and one that uses it."""
    yield from locks()
    yield from queues()
    yield "logging", logs()
    yield "import", imports(folder)
    yield "requests", fetches()
    pool, sleep_natively = ThreadPool(CALLS), get_original("time", "sleep")
    yield "ThreadPool", lambda _: pool.apply(sleep_natively, (0.2,))


def locks() -> Iterator[tuple[str, Function]]:
    """Yield functions that wait for each other."""
    for name, lock in (
        ("Lock", threading.Lock()),
        ("RLock", threading.RLock()),
        ("Semaphore", threading.Semaphore(2)),
    ):

        def hold(_: int, lock: Any = lock) -> None:
            with lock:
                time.sleep(0.005)

        yield name, hold

    arrived, everybody, event = set(), threading.Condition(), threading.Event()

    def meet(number: int) -> None:
        with everybody:
            arrived.add(number)
            everybody.notify_all()
            everybody.wait_for(lambda: len(arrived) == CALLS + GREENLETS)

    yield "Condition", meet

    def wait(number: int) -> None:
        if number == CALLS // 2:
            time.sleep(0.05)
            event.set()
        assert event.wait(LONGEST_S)

    yield "Event", wait


def queues() -> Iterator[tuple[str, Function]]:
    """Yield functions that hand something over: every second one gets what another has put."""
    for name in ("Queue", "SimpleQueue", "LifoQueue"):
        shared = getattr(queue, name)()

        def pass_on(number: int, shared: Any = shared) -> None:
            if number % 2:
                time.sleep(0.01)
                shared.put(number)
            else:
                shared.get(timeout=LONGEST_S)

        yield name, pass_on


class Slow(logging.Handler):
    """Writes slowly, under the handler's lock."""

    def emit(self, record: logging.LogRecord) -> None:
        """Take a while."""
        time.sleep(0.002)


def logs() -> Function:
    """Return a function that logs."""
    logger = logging.Logger("shared")
    logger.addHandler(Slow())

    def log(number: int) -> None:
        for nth in range(3):
            logger.warning("%d, %d", number, nth)

    return log


def imports(folder: str) -> Function:
    """Return a function that imports what others import at the same time."""
    sys.path.insert(0, folder)
    return lambda number: importlib.import_module(f"lazy_{number % 5}")


class Answer(BaseHTTPRequestHandler):
    """Answers a login."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer after a while."""
        time.sleep(0.01)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Write nothing."""


def fetches() -> Function:
    """Return a function that logs in over a shared session of few connections, that others wait for."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    session = requests.Session()
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=5, pool_block=True))
    return lambda _: session.get(f"http://localhost:{server.server_port}", timeout=LONGEST_S).json()


def held() -> list[int]:
    """Return the numbers of open files and of threads of this process."""
    return [len(os.listdir(f"/proc/self/{kind}")) for kind in ("fd", "task")]


def stuck(_: int) -> None:
    """Wait for ever."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stuck_at.append(listener)
        listener.accept()


stuck_at: list[socket.socket] = []


def all_gone(before: list[int]) -> list[int]:
    """Return what is held once it is as much as before, or after a while."""
    wait_for(lambda: held() == before)
    return held()


def leavings() -> dict[str, list[int]]:
    """Return what is held before and after a run in which some calls wait for ever and a caller gives up."""
    socket.getaddrinfo("localhost", 80)  # gevent's threads for it stay
    before = held()
    loop = Loop()
    for number in range(2 * MAX_CALLS):  # callers that give up make room for others
        loop.call(stuck, number, lambda _: None, within_s=0.3)
    wait_for(lambda: len(stuck_at) >= MAX_CALLS)
    after_giving_up = ended_of(loop, lambda _: time.sleep(0))
    for number in range(MAX_CALLS):
        loop.call(stuck, number, lambda _: None)
    wait_for(lambda: len(stuck_at) >= 2 * MAX_CALLS)
    loop.close()
    return {"before": before, "after": all_gone(before), "after giving up": [after_giving_up]}


def main(folder: str) -> None:
    """Print what came to an end."""
    found: dict[str, object] = {"all": CALLS + GREENLETS, **leavings()}
    loop = Loop()
    for shared, function in cases(folder):
        found[shared] = ended_of(loop, function)
    print(json.dumps(found), flush=True)
    os._exit(0)  # what hangs would keep the process


if __name__ == "__main__":
    main(sys.argv[1])
