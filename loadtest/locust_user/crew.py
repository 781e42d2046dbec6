"""The workers of a distributed run: what they send to their master, and what the master makes of it.

A worker sends its intervals, and once it has stopped, that there will be no more. Locust gives its workers
half a second for their last report, which closing sessions may exceed; so a stopping master asks them to
finish, in a message of its own, and waits until all have.

Nobody is trusted to be there to the end. Whoever took part and has not said that it is through, or sent what
cannot be read, is missing: what it did is not known in full, and the verdict says so.
"""

import logging
import time
from collections.abc import Callable
from importlib import metadata
from typing import Any

import msgspec
from gevent.event import Event
from locust.runners import STATE_MISSING

from loadtest.evidence import MalformedInterval, PackedInterval
from loadtest.evidence.interval import decode, encode
from loadtest.run.environment import DISTRIBUTION

logger = logging.getLogger("loadtest")

INTERVALS_MESSAGE = "loadtest_intervals"
FINISH_MESSAGE = "loadtest_finish"

GRACE_S = 10.0
"""How long a master waits for its workers' last intervals, beyond --stop-timeout."""

_LOOK_EVERY_S = 0.5
"""While waiting, for workers that have died: they send nothing more, and Locust notices after seconds."""

VERSION = metadata.version(DISTRIBUTION)


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a worker tells its master: one of the last three.

    Args:
        version: of loadtest.
        run_id: of the run it speaks of; empty if it never learnt of it.
        interval: what it recorded in one.
        failed: why there will be no more, though not all was sent.
        finished: there will be no more.
    """

    version: str
    run_id: str = ""
    interval: bytes | None = None
    failed: str | None = None
    finished: bool = False


class Crew:
    """The workers, as their master sees them.

    Args:
        runner: Locust's, of the master.
        take: takes every interval of every worker.
    """

    def __init__(self, runner: Any, take: Callable[[PackedInterval], None]) -> None:
        self._runner = runner
        self._take = take
        self._run_id = ""
        self._present: set[int] = set()  # that took part in the run
        self._finished: set[int] = set()
        self._unreadable: set[int] = set()
        self._heard = Event()
        runner.register_message(INTERVALS_MESSAGE, self._on_message)

    def begin(self, run_id: str) -> int:
        """A run begins with those that are there; return how many numbers are given out.

        Who joins later is known by what it sends.
        """
        self._run_id = run_id
        self._present = {self._runner.get_worker_index(client.id) for client in self._runner.clients.all}
        self._finished.clear()
        self._unreadable.clear()
        given_out: int = self._runner.worker_index_max
        return max(1, given_out)

    @property
    def missing(self) -> set[int]:
        """The numbers of those whose part is not known in full."""
        return self._present - (self._finished - self._unreadable)

    def _on_message(self, msg: Any, **_kwargs: Any) -> None:
        """Take what a worker says; what cannot be understood makes it missing."""
        worker = self._runner.get_worker_index(msg.node_id)
        try:
            self._heed(worker, msgspec.convert(msg.data, Message))
        except (msgspec.ValidationError, MalformedInterval) as problem:
            self._complain(worker, str(problem))
        self._heard.set()

    def _heed(self, worker: int, message: Message) -> None:
        if message.version != VERSION:
            self._complain(worker, f"it runs version {message.version} of loadtest, not {VERSION}")
            return
        if message.run_id not in ("", self._run_id):
            return  # of an earlier run, for which it is too late
        self._present.add(worker)
        if message.interval is not None:
            self._take(msgspec.structs.replace(decode(message.interval), worker=worker))
        if message.failed is not None:
            self._complain(worker, f"its load generator failed: {message.failed}")
        if message.finished:
            self._finished.add(worker)

    def _complain(self, worker: int, problem: str) -> None:
        if worker not in self._unreadable:
            logger.error("worker %s: %s", worker, problem)
        self._present.add(worker)
        self._unreadable.add(worker)

    def finish(self, grace_s: float) -> None:
        """Ask all to finish, and wait until those that are alive have, or the time is up."""
        self._runner.send_message(FINISH_MESSAGE, None)
        deadline_s = time.monotonic() + grace_s
        while not self._all_finished and time.monotonic() < deadline_s:
            self._heard.clear()
            self._heard.wait(_LOOK_EVERY_S)

    @property
    def _all_finished(self) -> bool:
        alive = [client for client in self._runner.clients.all if client.state != STATE_MISSING]
        numbers = {self._runner.get_worker_index(client.id) for client in alive}
        return numbers <= self._finished | self._unreadable


class Delivery:
    """A worker's way to its master.

    Args:
        runner: Locust's, of the worker.
        finish: called when the master asks to finish.

    Attributes:
        run_id: of the present run.
    """

    def __init__(self, runner: Any, finish: Callable[[], None]) -> None:
        self.run_id = ""
        self._runner = runner
        self._finish = finish
        runner.register_message(FINISH_MESSAGE, self._on_finish, concurrent=True)

    def _on_finish(self, **_kwargs: Any) -> None:
        self._finish()

    def interval(self, packed: PackedInterval) -> None:
        """Send an interval."""
        self._tell(interval=encode(packed))

    def finished(self) -> None:
        """Say that there will be no more."""
        self._tell(finished=True)

    def failed(self, why: str) -> None:
        """Say that this worker has failed, so that what it has not sent is lost."""
        self._tell(failed=why)

    def _tell(self, **what: Any) -> None:
        message = Message(version=VERSION, run_id=self.run_id, **what)
        told = msgspec.to_builtins(message, builtin_types=(bytes,))
        self._runner.send_message(INTERVALS_MESSAGE, told)
