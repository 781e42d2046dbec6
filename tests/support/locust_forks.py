"""Locust processes that fork from one that has imported everything.

A start of Locust with this package takes 1.7 s of CPU, nearly all of it imports. The suite starts hundreds,
and each waits for two cores. So a process of its own imports them once and forks whenever a run is asked for.
What the child runs is `python -m locust`, with its own arguments, environment, session and output. Locust's
`--processes` forks from its imports, too.

What the child does not show is the start itself: command line, interpreter, imports. Tests of these, and the
main job, start Locust afresh (`tests.support.locusts.FreshLocust`).
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.places import ROOT

_LONGEST = 2**20
"""Bytes of a request: arguments, environment and folder."""


class ForkedLocust:
    """A Locust process that was forked: the part of `subprocess.Popen` that tests use.

    Args:
        arguments: Locust's.
        environment: its whole environment.

    Attributes:
        args: as of a Popen.
        pid: of the process, which leads a session of its own.
        returncode: None while it runs.
        stdout: what it and its workers print.
    """

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        self.args = [sys.executable, "-m", "locust", *arguments]
        self.returncode: int | None = None
        output, its_output = os.pipe()
        ended, its_ended = os.pipe()
        request = json.dumps({"arguments": list(arguments), "environment": dict(environment)}).encode()
        socket.send_fds(_forker(), [request], [its_output, its_ended])
        for descriptor in (its_output, its_ended):
            os.close(descriptor)
        self.stdout = open(output, encoding="utf-8")  # noqa: SIM115 – closed by who reads it, as a Popen's
        self._ended = open(ended, encoding="utf-8")  # noqa: SIM115 – closed at the end
        self.pid = int(self._ended.readline())

    def poll(self) -> int | None:
        """Return the exit code if the process has ended."""
        if self.returncode is None and select.select([self._ended], [], [], 0)[0]:
            self._take_code()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait until the process has ended, and return its exit code; negative for a signal.

        Raises:
            TimeoutExpired: it runs on.
        """
        if self.returncode is None:
            if not select.select([self._ended], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            self._take_code()
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send the process a signal, if it runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def _take_code(self) -> None:
        self.returncode = int(self._ended.readline())
        self._ended.close()


_forkers: list[tuple[socket.socket, subprocess.Popen[bytes]]] = []
_starting = threading.Lock()


def _forker() -> socket.socket:
    """Return the socket on which the process that forks takes requests; it ends with this process."""
    with _starting:
        if not _forkers:
            ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.locust_forks", str(its.fileno())],
                cwd=ROOT,
                pass_fds=[its.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,  # a pipe as in the children, which take over Python's streams
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            its.close()
            _forkers.append((ours, process))
            atexit.register(_end)
        return _forkers[0][0]


def _end() -> None:
    for requests, process in _forkers:
        requests.close()
        process.communicate(timeout=10)


class _Forker:
    """The process that forks. What it uses is older than Locust's patches of the standard library."""

    def __init__(self, requests: socket.socket) -> None:
        self._requests = requests
        self._poll = select.poll()
        self._poll.register(requests, select.POLLIN)
        self._fork, self._close, self._recv_fds = os.fork, os.close, socket.recv_fds
        self._children: dict[int, tuple[int, int]] = {}  # by descriptor of the process: its id, whom to tell

    def serve(self) -> dict[str, Any] | None:
        """Fork for each request; return it in the child, and None here when nobody asks any more."""
        while True:
            for descriptor, _ in self._poll.poll():
                if descriptor != self._requests.fileno():
                    self._reap(descriptor)
                    continue
                data, descriptors, _, _ = self._recv_fds(self._requests, _LONGEST, 2)
                if not data:
                    return None
                output, ended = descriptors
                pid = self._fork()
                if pid == 0:
                    self._become(output, ended)
                    return dict(json.loads(data))
                self._close(output)
                os.write(ended, f"{pid}\n".encode())
                watched = os.pidfd_open(pid)
                self._children[watched] = (pid, ended)
                self._poll.register(watched, select.POLLIN)

    def _reap(self, watched: int) -> None:
        pid, ended = self._children.pop(watched)
        self._poll.unregister(watched)
        self._close(watched)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        with contextlib.suppress(BrokenPipeError):  # nobody waits for it
            os.write(ended, f"{code}\n".encode())
        self._close(ended)

    def _become(self, output: int, ended: int) -> None:
        """Have, in the child, the output that was given, and nothing of the parent's."""
        os.setsid()
        for standard in (1, 2):
            os.dup2(output, standard)
        self._requests.close()
        for descriptor in (output, ended, *self._children, *(told for _, told in self._children.values())):
            self._close(descriptor)


def main() -> None:
    """Import, fork, and be Locust in the children."""
    forker = _Forker(socket.socket(fileno=int(sys.argv[1])))
    import gevent
    import locust.main

    import loadtest.locust_plugin.user  # noqa: F401 – what each locustfile imports

    request = forker.serve()
    if request is None:
        return
    gevent.reinit()
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = [str(Path(locust.__file__).with_name("__main__.py")), *request["arguments"]]
    locust.main.main()


if __name__ == "__main__":
    main()
