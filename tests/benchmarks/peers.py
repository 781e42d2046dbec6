"""The clients to compare with: round trips in a closed loop, messages in an open loop.

Client and server are pinned to separate cores if there are two. A process's CPU includes everything: for this
tool, Locust, recording, and writing the run. The other clients record nothing, except websocket-client on
Locust, which reports each message to Locust, and k6.
"""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from tests.benchmarks import go_client, k6_client, ours
from tests.benchmarks.locust_process import HERE, ROOT, pinned
from tests.benchmarks.work import Seen, Work

OURS = "loadtest on Locust"

WARMUP_S = 3


@dataclass(frozen=True, slots=True)
class Client:
    """A client to measure.

    Args:
        name: name in the table.
        measure: takes the server's port and the work.
        missing: returns why it cannot be measured on this machine, None if it can.
        open_loop: whether it can send at planned times.
        tls: whether it can speak wss.
    """

    name: str
    measure: Callable[[int, Work], Seen]
    missing: Callable[[], str | None]
    open_loop: bool = False
    tls: bool = True

    def can(self, work: Work) -> bool:
        """Whether it can do this work."""
        return (self.open_loop or not work.per_s) and (self.tls or work.ca is None)


def _library(name: str) -> Callable[[], str | None]:
    """Return a function that returns why a client of this library cannot be measured."""

    def missing() -> str | None:
        installed = importlib.util.find_spec(name) is not None
        return None if installed else f"{name} is not installed: pip install -e '.[bench]'"

    return missing


def _python(port: int, work: Work, *, name: str) -> Seen:
    """Measure a client of clients.py, or the sans-I/O protocol at planned times."""
    ca = () if work.ca is None else (str(work.ca),)
    if work.per_s:
        numbers = (port, work.sessions, work.per_s, WARMUP_S, work.seconds)
        return _told(["-m", "tests.benchmarks.timed_client", *map(str, numbers), *ca])
    return _told([str(HERE / "clients.py"), name, *map(str, (port, work.sessions, work.seconds)), *ca])


def _websocket_client(port: int, work: Work) -> Seen:
    """Measure websocket-client on Locust."""
    command = ["-m", "locust", "-f", str(HERE / "websocket_client_user.py"), "--headless", "--only-summary"]
    sessions = str(work.sessions)
    return _told(
        [*command, "-u", sessions, "-r", sessions, "--host", f"ws://127.0.0.1:{port}"],
        BENCHMARK_SECONDS=str(work.seconds),
    )


def _told(arguments: Sequence[str], **environment: str) -> Seen:
    """Run Python with these arguments, and return what it printed."""
    told = subprocess.run(
        [sys.executable, *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **environment},
        preexec_fn=pinned(1),
    )
    if told.returncode:
        raise SystemExit(f"python {' '.join(arguments)} failed:\n{told.stderr}")
    return Seen(**json.loads(told.stdout))


CLIENTS: Sequence[Client] = (
    Client(OURS, ours.measure, lambda: None, open_loop=True),
    Client("bare Go", go_client.measure, go_client.missing, open_loop=True),
    Client("k6", k6_client.measure, k6_client.missing, open_loop=True),
    Client("websocket-client on Locust", _websocket_client, _library("websocket"), tls=False),
    Client("websockets, sans-I/O", partial(_python, name="sans_io"), _library("websockets"), open_loop=True),
    Client("websockets, asyncio", partial(_python, name="websockets"), _library("websockets")),
    Client("aiohttp", partial(_python, name="aiohttp"), _library("aiohttp")),
    Client("picows", partial(_python, name="picows"), _library("picows")),
)
