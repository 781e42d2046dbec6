"""Engines against floods, in a process of their own whose memory is limited.

    python -m tests.support.flood_runs PORT[:AUTHORITY] FLOOD …         with TLS if there is a file (PEM)

For each flood of `tests.support.hostile` an engine runs a session on its path and three sound ones beside it,
until the sound ones have had enough replies and the flood its end, if one is expected. Each line printed is a
`FloodRun` in JSON.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from loadtest.dialects.base import Read
from loadtest.dialects.dialect_session import DialectSession
from loadtest.dialects.echo import Echo
from loadtest.dialects.emergence import Emergence
from loadtest.events import Data, Drop, Endpoint
from loadtest.session.schedule import Pace
from loadtest.transport.meter import Limits
from loadtest.transport.target import LOOPBACK, Target, Tls
from tests.support.engine_run import EngineRun, Planned, running, settings
from tests.support.serverclient import wait_for

MEMORY = 2 * 2**30
SOUND = 3
REPLIES = 60
"""Of the sound sessions together: half a second's worth."""

DROPS: Mapping[str, tuple[str, Drop]] = {
    "after_our_close": ("after_leaving", Drop(kind="close", ordinal=0, after_s=0.1)),
    "after_our_fin": ("after_leaving", Drop(kind="tab_close", ordinal=0, after_s=0.1)),
    "half_open": ("after_leaving", Drop(kind="half_open", ordinal=0, after_s=0.3, detect_s=0.1)),
}
"""Floods of a connection that the tool has dropped: their path, and the drop."""

MANY = {"many/pings": "later/pings"}
"""Floods on `FLOODED` connections at once, and their paths: none has enough of this process to reach a limit
unless it is given more than its share."""

FLOODED = 20

LIMITED: Mapping[str, Limits] = {
    "largest_messages": Limits(bytes_per_s=10**7),
    **dict.fromkeys(DROPS, Limits(messages_per_s=2000)),
}
"""Limits below those of an ordinary run: for what cannot be read as fast here, or must be reached soon."""

UNLIMITED = {"in_parts", "ping_bursts", "after_close", "tiny_records", *DROPS}
"""Floods that no limit ends: they are slow, or nobody listens."""


class FloodRun(msgspec.Struct, kw_only=True):
    """What came of one flood.

    Args:
        flood: its name.
        ends: how attempts and connections of its session ended: cause and detail.
        lost: which of them had worked.
        counts: of the whole run.
        busy_ms: CPU time that the engine used between two wakes of its loop, at most.
        stop_cpu_s: CPU time that stopping took.
    """

    flood: str
    ends: list[tuple[str, str]]
    lost: list[str]
    counts: dict[str, int]
    busy_ms: float
    stop_cpu_s: float


class Chat(Emergence):
    """The first sessions talk to the flood, the others to an echo; both are read as the application is."""

    establishes = identifies = keeps_history = False

    def __init__(self, path: str, flooded: int = 1) -> None:
        super().__init__()
        self._flood = path
        self._flooded = flooded
        self._echo = Echo()

    def endpoint(self, session: DialectSession) -> Endpoint:
        return Endpoint(path=f"/{self._flood}" if session.number < self._flooded else "/echo")

    def request(self, session: DialectSession, sequence: int) -> str:
        return session.text(sequence)

    def read(self, session: DialectSession, data: Data) -> Read:
        flooded = session.number < self._flooded
        return super().read(session, data) if flooded else self._echo.read(session, data)


def _ends(run: EngineRun, event: str, flooded: int) -> list[tuple[str, str]]:
    found = [end for end in run.lived(event) if int(end.session.removeprefix("session-")) < flooded]
    return [(end.cause or "", end.detail or "") for end in found]


def _await_end(run: EngineRun, flood: str, flooded: int) -> None:
    if flood in DROPS:
        run.await_count(f"drops.{DROPS[flood][1].kind}", 1)
    run.await_count("messaging.answered", run.count("messaging.answered") + REPLIES)
    if flood not in UNLIMITED:
        wait_for(
            lambda: len(_ends(run, "failed", flooded) + _ends(run, "lost", flooded)) > flooded // 2,
            what=f"the end of {flood}",
        )


def busy_of(run: EngineRun) -> list[int]:
    """Return a list of the CPU time that the engine's thread uses between two wakes; it grows with the run.

    Not how late the loop wakes: that depends on what else the machine does.
    """
    health = run.engine._health
    woke, found = health.woke, [0]
    last_ns: list[int] = []

    def measure(lag_ns: int) -> None:
        now_ns = time.thread_time_ns()
        found.extend(now_ns - before_ns for before_ns in last_ns)
        last_ns[:] = [now_ns]
        woke(lag_ns)

    health.woke = measure  # type: ignore[method-assign]  # the engine has no other place to look at its wakes
    return found


def flood_run(target: Target, flood: str) -> FloodRun:
    """Run an engine against one flood."""
    path, drop = DROPS.get(flood, (MANY.get(flood, flood), None))
    flooded = FLOODED if flood in MANY else 1
    options: dict[str, Any] = {"drops": Planned(every_s=1, drops=((drop,),))} if drop else {}
    made = settings(
        target.port,
        target=target,
        dialect=Chat(path, flooded),
        pace=Pace(50.0),
        open_timeout_s=2.0,
        max_message_bytes=16 * 2**20,
        flood=LIMITED.get(flood, Limits()),
        **options,
    )
    with running(made) as run:
        busy_ns = busy_of(run)
        numbers = run.add(flooded + SOUND)
        _await_end(run, flood, flooded)
        began_s = time.process_time()
        run.stop(numbers, 0.2)
        stop_cpu_s = time.process_time() - began_s
        run.ask(run.engine.flush)
        return FloodRun(
            flood=flood,
            ends=_ends(run, "failed", flooded) + _ends(run, "lost", flooded),
            lost=[cause for cause, _ in _ends(run, "lost", flooded)],
            counts=dict(run.counts),
            busy_ms=max(busy_ns) / 1e6,
            stop_cpu_s=stop_cpu_s,
        )


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    _port, _, _authority = sys.argv[1].partition(":")
    _target = Target(LOOPBACK, int(_port), Tls(ca=Path(_authority)).context() if _authority else None)
    for name in sys.argv[2:]:
        print(msgspec.json.encode(flood_run(_target, name)).decode(), flush=True)
