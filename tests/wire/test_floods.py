"""Servers that send too much: the flood ends, or takes little; all else goes on, and the cause is named."""

from __future__ import annotations

import subprocess
import sys
import time

import msgspec
import pytest

from tests.conftest import Certificates
from tests.support.engine_run import running, settings
from tests.support.flood_runs import DROPS, MANY, REPLIES, UNLIMITED, FloodRun, busy_of
from tests.support.hostile import ANSWERS, FLOODS, SCRIPTS, hostile
from tests.support.places import ROOT
from tests.support.serverclient import wait_for

BUSY_MS = 500.0
"""CPU time that may pass before timers fire, ten times the usual; without turns one read took seconds."""

STOP_CPU_S = 4.0
"""CPU time that stopping may take: it waits two seconds for servers to close, and may be busy meanwhile."""

LIMITS = {
    "empty_texts": "messages in 1 s, limit 100,000 (--ws-max-messages-per-s)",
    "pings": "frames in 1 s, limit 200,000 (--ws-max-frames-per-s)",
    "pongs": "frames in 1 s, limit 200,000 (--ws-max-frames-per-s)",
    "empty_continuations": "frames in 1 s, limit 200,000 (--ws-max-frames-per-s)",
    "many_lines": "one message holds 1,000,000 records, limit 5,000",
    "largest_messages": "bytes in 1 s, limit 10,000,000 (--ws-max-bytes-per-s)",
}
"""How the end of a flood is explained; all others are too many messages."""

_SCRIPTS = ["in_parts", "ping_bursts", "after_close"]
_LATER = [f"later/{name}" for name in ("empty_texts", "errors", "pushes")]
NAMES = [*FLOODS, *ANSWERS, "slow_head", *_SCRIPTS, *_LATER, *MANY, *DROPS]


OVER_TLS = ["pings", "tiny_replies", "largest_messages", *MANY, "after_our_fin", "half_open", "tiny_records"]
"""Floods over TLS: small and large frames, several at once, on dropped connections, and of records."""


def _against(server: str, names: list[str]) -> dict[str, FloodRun]:
    """Run an engine against each flood, one after the other, in one process with limited memory."""
    command = [sys.executable, "-m", "tests.support.flood_runs", server, *names]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    found = [msgspec.json.decode(line, type=FloodRun) for line in done.stdout.splitlines()]
    return {run.flood: run for run in found}


@pytest.fixture(scope="module")
def runs() -> dict[str, FloodRun]:
    """Run an engine against each flood."""
    assert set(SCRIPTS) == {"echo", "after_leaving", "tiny_records", *_SCRIPTS}
    with hostile() as port:
        return _against(str(port), NAMES)


@pytest.fixture(scope="module")
def tls_runs(certificates: Certificates) -> dict[str, FloodRun]:
    """Run an engine against some of them over TLS."""
    with hostile(certificates.server) as port:
        return _against(f"{port}:{certificates.authority}", OVER_TLS)


@pytest.mark.parametrize("name", NAMES)
def test_everything_else_goes_on(runs: dict[str, FloodRun], name: str) -> None:
    """Sound sessions have their replies, timers fire, and the run ends in its time."""
    run = runs[name]
    assert run.counts["messaging.answered"] >= REPLIES
    assert run.counts["connect.established"] >= 3
    assert run.busy_ms < BUSY_MS
    assert run.stop_cpu_s < STOP_CPU_S


def test_a_busy_engine_would_be_seen() -> None:
    """It computes for longer than allowed, and its timers do not fire meanwhile."""

    def compute() -> None:
        until_ns = time.thread_time_ns() + int(1.2e6 * BUSY_MS)
        while time.thread_time_ns() < until_ns:
            pass

    with running(settings(1)) as run:
        busy_ns = busy_of(run)
        wait_for(lambda: len(busy_ns) > 1, what="the loop to wake")
        run.engine.call(compute)
        wait_for(lambda: max(busy_ns) > 1e6 * BUSY_MS, what="a late wake")


@pytest.mark.parametrize("name", [*FLOODS, *_LATER])
def test_a_flood_is_ended_and_named(runs: dict[str, FloodRun], name: str) -> None:
    """The cause says what was too much, and which option limits it."""
    run = runs[name]
    cause, detail = run.ends[0]
    assert cause in ("flooded", "closed_flooded")
    assert detail.endswith(LIMITS.get(name, LIMITS["empty_texts"]))
    assert run.counts["closes.1008"] >= 1


@pytest.mark.parametrize("name", MANY)
def test_many_floods_at_once_are_ended_and_named(runs: dict[str, FloodRun], name: str) -> None:
    """Together they send all that can be read, so that none would reach a limit: they are read in turn."""
    assert {cause for cause, _ in runs[name].ends} <= {"flooded", "closed_flooded"}
    for _, detail in runs[name].ends:
        assert detail.endswith(LIMITS["pings"])


@pytest.mark.parametrize("name", ["later/errors", "later/pushes"])
def test_a_flood_after_the_session_has_worked_is_a_loss(runs: dict[str, FloodRun], name: str) -> None:
    """It counts for stability; before, it is a failed attempt."""
    assert "flooded" in runs[name].lost
    assert runs[name].counts["losses.flooded"] >= 1
    assert "flooded" not in runs["empty_texts"].lost


@pytest.mark.parametrize("name", ["in_parts", "ping_bursts"])
def test_what_is_within_the_limits_is_no_flood(runs: dict[str, FloodRun], name: str) -> None:
    """A hundred messages of a thousand fragments each, and 20,000 pings, in a second: all legal."""
    assert name in UNLIMITED
    assert not [end for end in runs[name].ends if "flooded" in end[0]]


def test_data_after_the_servers_close_changes_nothing(runs: dict[str, FloodRun]) -> None:
    """The close code is the cause."""
    assert {cause for cause, _ in runs["after_close"].ends} == {"closed_1000"}


@pytest.mark.parametrize("name", [*ANSWERS, "slow_head"])
def test_an_endless_answer_fails_the_attempt(runs: dict[str, FloodRun], name: str) -> None:
    """It is bounded in size, or in time."""
    cause, _ = runs[name].ends[0]
    assert cause == ("timeout" if name == "slow_head" else "bad_handshake")


@pytest.mark.parametrize("name", DROPS)
def test_a_flood_on_a_dropped_connection_is_nobodys_loss(runs: dict[str, FloodRun], name: str) -> None:
    """The drop ended the connection; and a server that floods instead of ending it is not called sound."""
    counts = runs[name].counts
    kind = DROPS[name][1].kind
    assert counts[f"drops.{kind}"] == 1
    assert counts.get("losses.flooded", 0) == 0
    assert counts.get(f"cleanup.{kind}_watched", 0) == (kind != "tab_close")
    assert counts.get(f"cleanup.{kind}_closed", 0) == 0


@pytest.mark.parametrize("name", OVER_TLS)
def test_a_flood_over_tls_is_bounded_too(tls_runs: dict[str, FloodRun], name: str) -> None:
    """Decrypting it holds up nothing, it is ended by the same limit, and what is dropped is nobody's loss."""
    run = tls_runs[name]
    assert run.counts["messaging.answered"] >= REPLIES
    assert run.counts["connect.established"] >= 3
    assert run.busy_ms < BUSY_MS
    assert run.stop_cpu_s < STOP_CPU_S
    if name not in UNLIMITED:
        cause, detail = run.ends[0]
        assert cause in ("flooded", "closed_flooded")
        assert detail.endswith(LIMITS.get(name.removeprefix("many/"), LIMITS["empty_texts"]))
