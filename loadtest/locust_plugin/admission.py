"""Which workers a master admits, and which master a worker accepts.

With `--processes`, a master and the workers it forks share a mark, which is part of the workers' ids and of
the master's acknowledgement. If the marks differ, the master refuses the worker, and the worker refuses the
master. A master that expects only its own workers also refuses those without a mark. While a master is
closed, it refuses all new workers. Both sides log the reason, and the worker exits.

Locust has no event for this: a worker is already counted when its events fire. So these classes replace
Locust's two runner classes.
"""

import logging
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import locust.env
from locust.exception import RPCError, RPCReceiveError
from locust.rpc.protocol import Message
from locust.runners import MasterRunner, WorkerRunner

from loadtest.errors import UsageError
from loadtest.locust_plugin.master_address import OWN, OwnWorkers

logger = logging.getLogger("loadtest")

REFUSED = "loadtest_refused"
"""Message from a master to a worker that it refuses; its data is the reason."""

_MARK = "_run-"

_NOT_FORKED = (
    "it accepts only the workers that it started (--processes). "
    "To let others join, start the master with --master-bind-port"
)
_FORKED_BY_ANOTHER = "another master started the worker (--processes)"


def marked(worker_id: str, mark: str) -> str:
    """Return a worker's id with this mark."""
    return f"{worker_id}{_MARK}{mark}" if mark else worker_id


def mark_of(worker_id: str) -> str:
    """Return a worker's mark; empty if it has none."""
    return worker_id.rpartition(_MARK)[2] if _MARK in worker_id else ""


def why_refused(worker_id: str, own: OwnWorkers) -> str:
    """Return why a master refuses a new worker; empty if it admits the worker."""
    mark = mark_of(worker_id)
    if mark and mark != own.mark:
        return _FORKED_BY_ANOTHER
    return _NOT_FORKED if own.closed and not mark else ""


def _reading(receive: Callable[[], Any]) -> Callable[[], Any]:
    """Return `receive`, raising Locust's own error for a message that Locust did not send."""

    def received() -> Any:
        try:
            return receive()
        except RPCError:
            raise
        except Exception as error:  # untrusted input: otherwise Locust would stop receiving
            raise RPCReceiveError("unreadable message") from error

    return received


class AdmittingMaster(MasterRunner):
    """A master that refuses workers of other masters.

    Attributes:
        closed_because: why no new worker may join now; empty if workers may join.
    """

    closed_because = ""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self._told: set[str] = set()
        super().__init__(*arguments, **named)
        OWN.forked_all()

    def client_listener(self) -> NoReturn:
        """Receive the workers' messages; skip unreadable ones."""
        vars(self.server)["recv_from_client"] = _reading(self.server.recv_from_client)
        super().client_listener()

    def handle_message(self, client_id: str, msg: Message) -> None:
        """Handle a worker's message; a new worker is admitted or refused."""
        if msg.type == "client_ready" and client_id not in self.worker_indexes:
            why = why_refused(client_id, OWN) or self.closed_because
            if why:
                self._refuse(client_id, why)
                return
        super().handle_message(client_id, msg)

    def _refuse(self, client_id: str, why: str) -> None:
        if client_id not in self._told:
            self._told.add(client_id)
            logger.warning("refused worker %s: %s", client_id, why)
        self.server.send_to_client(Message(REFUSED, why, client_id))

    def send_message(self, msg_type: str, data: Any = None, client_id: str | None = None) -> None:
        """Send a message; add the mark to a worker's acknowledgement."""
        if msg_type == "ack":
            data = {**(data or {}), "run": OWN.mark}
        super().send_message(msg_type, data, client_id)


class AdmittedWorker(WorkerRunner):
    """A worker that sends its mark, and exits if its master refuses it or has another mark."""

    _id = ""
    _refused = ""

    @property
    def client_id(self) -> str:
        """The worker's id, with its mark."""
        return self._id

    @client_id.setter
    def client_id(self, worker_id: str) -> None:
        self._id = marked(worker_id, OWN.mark)

    def handle_message(self, msg: Message) -> None:
        """Handle a message from the master."""
        if msg.type == REFUSED:
            self._leave(f"refused this worker: {msg.data}")
        elif msg.type == "ack" and OWN.mark and (msg.data or {}).get("run") != OWN.mark:
            self._leave("did not start this worker (--processes)")
        else:
            super().handle_message(msg)

    def _leave(self, why: str) -> None:
        self._refused = f"the master at {self.master_host}:{self.master_port} {why}"
        self.connection_event.set()  # the main greenlet waits for it, and exits

    def connect_to_master(self) -> None:
        """Connect, or exit.

        Raises:
            SystemExit: the master has refused this worker, or did not start it.
        """
        super().connect_to_master()  # type: ignore[no-untyped-call]  # Locust's
        if self._refused:
            print(f"Error: {self._refused}", file=sys.stderr)
            sys.exit(UsageError.exit_code)


def install() -> None:
    """Make Locust's environments create these runners."""
    vars(locust.env).update(MasterRunner=AdmittingMaster, WorkerRunner=AdmittedWorker)
