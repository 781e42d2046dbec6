"""The messages between a master and its workers, and how each side handles them.

A worker sends its intervals, then a message that it has finished. Locust gives workers half a second for
their last report, but closing sessions may take longer. So a master that stops sends its workers a finish
message and waits for them. When a drill begins or ends, the master sends its workers the times that belong to
it. A worker that was still starting then receives them when it reports that its part has begun.

A worker that took part but has not finished, has failed, or sent something unreadable counts as missing: its
part of the run is incomplete, and the verdict says so. Messages from workers are untrusted input; a malformed
one never raises here.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from importlib import metadata
from typing import Annotated, Any

import msgspec
from gevent.event import Event
from locust.runners import STATE_MISSING

from loadtest.engine.shared_token import TOKENS_KEPT
from loadtest.errors import MalformedInterval, UsageError
from loadtest.locust_plugin.token_command import MOST_BYTES
from loadtest.results.drill_windows import NO_WINDOWS, Windows
from loadtest.results.environment import DISTRIBUTION
from loadtest.results.interval import PackedInterval, decode, encode

logger = logging.getLogger("loadtest")

INTERVALS_MESSAGE = "loadtest_intervals"
FINISH_MESSAGE = "loadtest_finish"
DRILLS_MESSAGE = "loadtest_drills"

GRACE_S = 10.0
"""How long a master waits for its workers to finish, beyond --stop-timeout."""

_LOOK_EVERY_S = 0.5
"""How often a waiting master checks for workers that died; Locust notices these after some seconds."""

VERSION = metadata.version(DISTRIBUTION)


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Message from a worker to its master, with at most one of its parts set.

    With none, it reports that the worker's part of the run has begun.

    Args:
        version: the worker's version of loadtest.
        run_id: the run it belongs to; empty if the worker has had none.
        interval: an encoded interval.
        failed: why the worker has failed; intervals it has not sent are lost.
        by_user: whether it failed because of a mistake in the user's dialect, which ends the run.
        finished: whether all intervals have been sent.
        token: a token printed by the worker's token command: the master must keep it secret.
    """

    version: str
    run_id: str = ""
    interval: bytes | None = None
    failed: str | None = None
    by_user: bool = False
    finished: bool = False
    token: Annotated[str, msgspec.Meta(max_length=MOST_BYTES)] | None = None


class DrillsMessage(msgspec.Struct, frozen=True, kw_only=True):
    """Message from a master to its workers when a drill has begun or ended."""

    run_id: str
    windows: Windows


class Workers:
    """A master's record of its workers.

    Args:
        runner: Locust's master runner.
        take: called with every interval, which has its worker's number.
        end: called with the mistake in the user's dialect that made a worker fail.
    """

    def __init__(
        self, runner: Any, take: Callable[[PackedInterval], None], end: Callable[[UsageError], None]
    ) -> None:
        self._runner = runner
        self._take = take
        self._end = end
        self._run_id = ""
        self._present: set[int] = set()  # workers that took part in the run
        self._finished: set[int] = set()
        self._unreadable: set[int] = set()
        self._heard: set[int] = set()  # workers that have sent any message
        self._windows = NO_WINDOWS
        self._tokens: dict[int, deque[str]] = {}  # the latest of each worker
        self._received = Event()
        runner.register_message(INTERVALS_MESSAGE, self._on_message)

    def begin(self, run_id: str) -> int:
        """Begin a run with the connected workers.

        A worker that joins later is added on its first message.

        Returns:
            How many worker numbers Locust has assigned so far, at least 1.
        """
        self._run_id = run_id
        self._present = {self._runner.get_worker_index(client.id) for client in self._runner.clients.all}
        self._finished.clear()
        self._heard.clear()
        self._windows = NO_WINDOWS
        self._unreadable.clear()
        numbers: int = self._runner.worker_index_max
        return max(1, numbers)

    @property
    def missing(self) -> set[int]:
        """Numbers of the workers whose part of the run is incomplete."""
        return self._present - (self._finished - self._unreadable)

    @property
    def tokens(self) -> Iterable[str]:
        """The workers' latest tokens; those of earlier runs are still secrets."""
        return tuple(token for tokens in self._tokens.values() for token in tokens)

    def _on_message(self, msg: Any, **_kwargs: Any) -> None:
        """Handle a worker's message; an unreadable one makes the worker missing."""
        worker = self._runner.get_worker_index(msg.node_id)
        try:
            self._take_message(worker, msgspec.convert(msg.data, Message))
        except (msgspec.ValidationError, MalformedInterval) as problem:
            self._complain(worker, str(problem))
        self._received.set()

    def _take_message(self, worker: int, message: Message) -> None:
        if message.version != VERSION:
            problem = f"it runs loadtest {message.version}, the master {VERSION}: install the same version"
            self._complain(worker, problem)
            return
        if message.run_id not in ("", self._run_id):
            return  # from an earlier run, arrived too late
        self._present.add(worker)
        if worker not in self._heard:
            self._heard.add(worker)
            self.tell_windows(self._windows)
        if message.token is not None:
            self._tokens.setdefault(worker, deque(maxlen=TOKENS_KEPT)).append(message.token)
        if message.interval is not None:
            self._take(msgspec.structs.replace(decode(message.interval), worker=worker))
        if message.failed is not None:
            if message.by_user:
                self._end(UsageError(message.failed))
            self._complain(worker, f"load generator failed: {message.failed}")
        if message.finished:
            self._finished.add(worker)

    def _complain(self, worker: int, problem: str) -> None:
        if worker not in self._unreadable:
            logger.error("worker %s: %s", worker, problem)
        self._present.add(worker)
        self._unreadable.add(worker)

    def tell_windows(self, windows: Windows) -> None:
        """Send all workers the windows of drills, if there are or were any."""
        before, self._windows = self._windows, windows
        if not (before.spans or windows.spans):
            return
        message = DrillsMessage(run_id=self._run_id, windows=windows)
        self._runner.send_message(DRILLS_MESSAGE, msgspec.json.encode(message).decode())

    def finish(self, grace_s: float) -> None:
        """Ask all workers to finish; wait at most `grace_s` seconds for those that are alive."""
        self._runner.send_message(FINISH_MESSAGE, None)
        deadline_s = time.monotonic() + grace_s
        while not self._all_finished and time.monotonic() < deadline_s:
            self._received.clear()
            self._received.wait(_LOOK_EVERY_S)

    @property
    def _all_finished(self) -> bool:
        alive = [client for client in self._runner.clients.all if client.state != STATE_MISSING]
        numbers = {self._runner.get_worker_index(client.id) for client in alive}
        return numbers <= self._finished | self._unreadable


class MasterConnection:
    """A worker's connection to its master.

    Args:
        runner: Locust's worker runner.
        finish: called when the master asks the worker to finish.
        take_windows: called with a run id and the windows of its drills.

    Attributes:
        run_id: the run that messages belong to; set it when a run begins.
    """

    def __init__(
        self, runner: Any, finish: Callable[[], None], take_windows: Callable[[str, Windows], None]
    ) -> None:
        self.run_id = ""
        self._runner = runner
        self._finish = finish
        self._take_windows = take_windows
        runner.register_message(FINISH_MESSAGE, self._on_finish, concurrent=True)
        runner.register_message(DRILLS_MESSAGE, self._on_drills)

    def _on_drills(self, msg: Any, **_kwargs: Any) -> None:
        message = msgspec.json.decode(msg.data, type=DrillsMessage)
        self._take_windows(message.run_id, message.windows)

    def _on_finish(self, **_kwargs: Any) -> None:
        self._finish()

    def send_begun(self) -> None:
        """Report that this worker's part of the run has begun."""
        self._send()

    def send_interval(self, packed: PackedInterval) -> None:
        """Send an interval."""
        self._send(interval=encode(packed))

    def send_token(self, token: str) -> None:
        """Send a token before it is used: a server log that the master reads may quote it."""
        self._send(token=token)

    def send_finished(self) -> None:
        """Report that all intervals have been sent."""
        self._send(finished=True)

    def send_failed(self, why: str, *, by_user: bool) -> None:
        """Report that this worker has failed, and whether because of a mistake in the user's dialect."""
        self._send(failed=why, by_user=by_user)

    def _send(self, **content: Any) -> None:
        message = Message(version=VERSION, run_id=self.run_id, **content)
        self._runner.send_message(INTERVALS_MESSAGE, msgspec.to_builtins(message, builtin_types=(bytes,)))
