"""The address on which a master listens, and the workers that belong to it.

    locust --processes N              a free port of 127.0.0.1, for its own workers only
    locust --master                   127.0.0.1:5557
    … --master-bind-host, -port       as given; other workers may then join a master with --processes, too

Locust itself would listen on port 5557 of all interfaces. Its options are changed before they are parsed, and
completed afterwards; soon after that, Locust forks its workers. The free port stays reserved until the master
listens on it, so no other master can use it when the workers connect.

A worker exits as soon as the master that forked it ends, however that happened.
"""

import argparse
import os
import uuid
from collections.abc import Callable
from typing import Any

from loadtest.processes import end_with_parent
from loadtest.transport.target import LOOPBACK, reserved_port

PORT = 5557
"""Locust's usual port."""

_ALL_INTERFACES = ("*", "0.0.0.0", "::")  # noqa: S104 - as the user may give it


class OwnWorkers:
    """The workers that this process forks as a master with `--processes`, or to which it belongs.

    Attributes:
        mark: identifies the run of this master and its workers; empty without `--processes`.
        closed: whether the master accepts no other workers.
    """

    def __init__(self) -> None:
        self.mark = ""
        self.closed = False
        self._port = 0
        self._reserved: Any = None
        self._forking = False
        self._master = 0

    def complete(self, options: argparse.Namespace) -> argparse.Namespace:
        """Complete Locust's parsed options: the master's address, and where its workers connect."""
        forks = bool(options.processes) and not (options.worker or options.master)
        given = options.master_bind_port is not None or options.master_bind_host is not None
        host = options.master_bind_host or LOOPBACK
        if forks:
            self._expect(closed=not given)
        options.master_bind_port = options.master_bind_port or (self._free_port() if self.closed else PORT)
        options.master_bind_host = host
        if forks:
            options.master_host = LOOPBACK if host in _ALL_INTERFACES else host
            options.master_port = options.master_bind_port
        return options

    def _expect(self, *, closed: bool) -> None:
        if not self.mark:  # Locust parses its options more than once
            self.mark, self.closed = uuid.uuid4().hex[:12], closed
            self._forking, self._master = True, os.getpid()
            os.register_at_fork(after_in_child=self._forked)

    def _free_port(self) -> int:
        if not self._port:
            self._reserved = reserved_port()
            self._port = self._reserved.getsockname()[1]
        return self._port

    def _forked(self) -> None:
        """Handle, in the child, a fork by Locust; the user's own forks come later."""
        if self._forking:
            self.forked_all()
            end_with_parent(self._master)

    def forked_all(self) -> None:
        """Release the reserved port: all workers are forked, and the master listens."""
        self._forking = False
        if self._reserved is not None:
            self._reserved.close()
            self._reserved = None


OWN = OwnWorkers()
"""The workers of this process: Locust forks at most once."""


def prepare(parser: argparse.ArgumentParser, own: OwnWorkers = OWN) -> None:
    """Change the master's options of Locust's parser."""
    parser.set_defaults(master_bind_host=None, master_bind_port=None)
    for action in parser._actions:
        if action.dest == "master_bind_host":
            action.help = (
                "Address for the master to listen on (default: 127.0.0.1). If workers run on other machines, "
                "use * (all interfaces) or an address of this machine."
            )
        elif action.dest == "master_bind_port":
            action.help = (
                f"Port for the master to listen on (default: {PORT}; with --processes: a free port)."
            )
    parse: Callable[..., Any] = parser.parse_args

    def parse_args(*arguments: Any, **named: Any) -> Any:
        return own.complete(parse(*arguments, **named))

    parser.parse_args = parse_args  # type: ignore[method-assign]  # Locust has no event after parsing
