"""Duels against an echo server on the `websockets` library, by default sound.

The library is not ours; the small program around it, which echoes and has the faults, is
(`tests.support.strangers.delayed_echo`).

The margins are the defaults, and servers restart for every pair. Each candidate is the same server, or
differs in one thing that is known to the millisecond; what else happens on the machine is in both.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.places import ROOT

pytestmark = [pytest.mark.alone, pytest.mark.timeout(600)]

SERVE = f"{shlex.quote(sys.executable)} -m tests.support.strangers.delayed_echo {{port}}"
PLAN = (
    *("--ws-dialect", "echo", "--ws-sessions", "10", "--ws-rate", "2.5"),
    *("--ws-drop-every", "0", "--ws-warmup", "1"),
)
"""Of a run: with two users, fifty round trips a second, one at a time on each connection."""


PAIRS = {"": 4, "slower": 4, "tail": 6}
"""By fault of the candidate: pairs that show it."""


class Ended(NamedTuple):
    """A duel that has ended: its exit code, the decision on each gate, and what it told."""

    exit_code: int
    decisions: dict[str, str]
    told: str


def duel(results: Path, fault: str) -> Ended:
    """Run a duel of the sound server with one that has this fault."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "loadtest", "duel", "--results", str(results), "--json"),
            *("--a-cmd", SERVE, "--b-cmd", f"{SERVE} {fault}".strip(), "--users", "2"),
            *("--pairs", str(PAIRS[fault]), "--duration", "12s", "--order", "parallel", "--", *PLAN),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=230,
        check=False,
    )
    assert done.stdout, done.stderr
    return Ended(done.returncode, decisions(json.loads(done.stdout)), done.stderr)


def decisions(document: dict[str, Any]) -> dict[str, str]:
    """Return the decision on each gate of a duel's document."""
    (latency,) = [item for item in document["items"] if item["item"] == "latency"]
    return {gate["gate"]: gate["decision"] for gate in latency["evidence"].get("gates", [])}


@pytest.fixture(scope="module")
def duels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ended]:
    """All duels at once: they mostly wait. One that was too busy to measure is run again by itself."""

    def run(fault: str) -> Ended:
        return duel(tmp_path_factory.mktemp("results"), fault)

    with ThreadPoolExecutor() as pool:
        ended = dict(zip(PAIRS, pool.map(run, PAIRS), strict=True))
    return {fault: run(fault) if "does not count" in one.told else one for fault, one in ended.items()}


def test_the_same_server_does_not_fail(duels: dict[str, Ended]) -> None:
    """PASS, or INCONCLUSIVE where the machine is too noisy for the margins."""
    exit_code, found, told = duels[""]
    assert exit_code in (0, 4), told
    assert "service p50" in found
    assert "FAIL" not in found.values()


def test_three_milliseconds_more_on_twenty_fail(duels: dict[str, Ended]) -> None:
    """At the median, whose margin is 5%."""
    exit_code, found, told = duels["slower"]
    assert exit_code == 1, told
    assert found["service p50"] == "FAIL"


def test_three_percent_of_slow_replies_fail(duels: dict[str, Ended]) -> None:
    """At p99, and neither at the median nor at p90, which they do not touch."""
    exit_code, found, told = duels["tail"]
    assert exit_code == 1, told
    assert found["service p99"] == "FAIL"
    assert "FAIL" not in (found["service p50"], found["service p90"])
