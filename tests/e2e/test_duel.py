"""Duels as a person or a CI job runs them: real servers, real Locust, on loopback."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
from click.testing import CliRunner

from loadtest.cli import main
from tests.support.places import ROOT
from tests.support.serverclient import wait_for

SERVE = f"{shlex.quote(sys.executable)} -m loadtest serve --port {{port}}"
DENSE = ("--ws-sessions", "10", "--ws-rate", "5", "--ws-drop-every", "0", "--ws-warmup", "0")
"""A hundred messages a second, so that twelve seconds are enough for a p99."""


def command(results: Path, *options: str, b_fault: str = "", arguments: Sequence[str] = DENSE) -> list[str]:
    """Return the command of a duel of the reference server with itself, or with one that has a fault."""
    return [
        *(sys.executable, "-m", "loadtest", "duel", "--results", str(results)),
        *("--a-cmd", SERVE, "--b-cmd", f"{SERVE} --fault {b_fault}" if b_fault else SERVE),
        *("--users", "2", "--order", "parallel", *options, "--", *arguments),
    ]


def duel(results: Path, pairs: int, *options: str, b_fault: str = "") -> tuple[int, dict[str, Any], str]:
    """Run a duel to its end and return its exit code, its document and what it told."""
    options = ("--pairs", str(pairs), "--duration", "12s", "--json", *options)
    done = subprocess.run(
        command(results, *options, b_fault=b_fault),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout), done.stderr


FAULTS = {
    "latency=20": ({"service p50", "service p90"}, set()),
    "latency_tail=0.03:200": ({"service p99"}, {"service p50", "service p90"}),
}
"""By fault: the quantiles that are slower than twice the assumed noise explains, and those that are not.

One pair of runs cannot show +20 ms at p99, where machines differ by 20% from run to run.
"""

WIDE = tuple(f"--margin={quantile}=50%/5ms" for quantile in ("p50", "p90", "p99"))
"""Margins that what else happens on a machine does not pass, and each fault does by far."""


def fit_pair(results: Path, b_fault: str) -> tuple[int, dict[str, Any], str]:
    """Run a duel of one pair, again where a busy machine made the load generator unfit to measure."""
    for attempt in range(3):
        exit_code, document, told = duel(results / str(attempt), 1, *WIDE, b_fault=b_fault)
        if "does not count" not in told:
            break
    return exit_code, document, told


def decisions(document: dict[str, Any]) -> dict[str, str]:
    """Return the decision on each gated quantile."""
    (latency,) = [item for item in document["items"] if item["item"] == "latency"]
    return {gate["gate"]: gate["decision"] for gate in latency["evidence"].get("gates", [])}


def test_the_same_server_does_not_fail(tmp_path: Path) -> None:
    """PASS or INCONCLUSIVE, never FAIL; the runs are ordinary ones, and everything is written down."""
    exit_code, document, told = duel(tmp_path, 2)
    assert exit_code in (0, 4), told
    assert "FAIL" not in json.dumps(document)
    pairs, targets = len(document["pairs"]), []
    assert pairs == 2 or "invalid pairs" in document["end"]
    for pair in document["pairs"]:
        for role in ("a", "b"):
            run = json.loads((tmp_path / pair[role] / "run.json").read_bytes())
            assert (run["revision"], run["complete"]) == (role, True)
            targets.append(run["target"])
    assert len(set(targets)) == len(targets)  # each run met a server of its own
    (folder,) = (tmp_path / "duels").iterdir()
    assert {path.name for path in folder.iterdir()} == {
        *("duel.json", "summary.md", "junit.xml", "report.html"),
        *(f"0{number}-{role}.log" for number in range(1, pairs + 1) for role in "ab"),
        *(f"server-{role}-0{number}.log" for number in range(1, pairs + 1) for role in "ab"),
    }
    again = CliRunner().invoke(main, ["report", str(folder), "--json"])
    assert (again.exit_code, json.loads(again.stdout)) == (exit_code, document)
    several = CliRunner().invoke(main, ["compare", "a", "b", "--all", "--results", str(tmp_path), "--json"])
    assert several.exit_code in (0, 4)
    assert len(json.loads(several.stdout)["pairs"]) == pairs


@pytest.fixture(scope="module")
def slower(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, dict[str, Any], str]]:
    """A duel with each fault, at the same time."""
    with ThreadPoolExecutor() as threads:
        folders = [tmp_path_factory.mktemp("slower") for _ in FAULTS]
        return dict(zip(FAULTS, threads.map(fit_pair, folders, FAULTS), strict=True))


@pytest.mark.alone
@pytest.mark.parametrize("fault", FAULTS)
def test_a_slower_server_fails_where_it_is_slower(
    slower: dict[str, tuple[int, dict[str, Any], str]], fault: str
) -> None:
    """A delay of every reply is seen at every quantile, one of some replies in the tail only."""
    exit_code, document, told = slower[fault]
    failed = {gate for gate, decision in decisions(document).items() if decision == "FAIL"}
    if "does not count" in told:
        assert (exit_code, failed) == (4, set()), told
        pytest.skip("this machine was too busy to measure, thrice, and the duel said so")
    assert exit_code == 1, told
    much_slower, unchanged = FAULTS[fault]
    assert failed >= much_slower
    assert not failed & unchanged


def test_a_candidate_that_does_not_start_again_fails(tmp_path: Path) -> None:
    """Its first pair is kept and judged; that it listened only once is its own fault."""
    once = f"sh -c 'test -e {tmp_path}/started && exit 7; touch {tmp_path}/started; exec {SERVE}'"
    options = ("--b-cmd", once, "--pairs", "2", "--duration", "12s", "--json")
    done = subprocess.run(
        command(tmp_path, *options), cwd=ROOT, capture_output=True, text=True, timeout=110, check=False
    )
    document = json.loads(done.stdout)
    assert (done.returncode, document["end"]) == (1, "a server did not start again"), done.stderr
    assert len(document["pairs"]) == 1
    (connect,) = [item for item in document["items"] if item["item"] == "connect"]
    assert connect["verdict"] == "FAIL"
    assert connect["summary"].startswith(
        "the server did not start again: it ended with exit status 7 instead"
    )
    assert "exec" not in done.stdout  # a command may hold a password


def test_ctrl_c_leaves_no_process(tmp_path: Path) -> None:
    """Neither servers nor Locust; the run under way is not complete, and there is a verdict."""
    process = subprocess.Popen(
        command(tmp_path, "--duration", "60s"),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            _wait_for_messages(tmp_path)
            children = psutil.Process(process.pid).children(recursive=True)
            process.send_signal(signal.SIGINT)
            shown, told = process.communicate(timeout=30)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 4, told
    assert len(children) >= 4
    assert not psutil.wait_procs(children, timeout=10)[1]
    assert "it was interrupted" in shown
    assert "Traceback" not in told
    manifests = [json.loads(path.read_bytes()) for path in tmp_path.glob("[ab]/*/run.json")]
    assert [manifest["complete"] for manifest in manifests] == [False, False]


def _wait_for_messages(results: Path) -> None:
    """Wait until both runs have recorded some seconds."""

    def recorded() -> bool:
        files = list(results.glob("[ab]/*/intervals.jsonl"))
        return len(files) == 2 and all(file.read_bytes().count(b"\n") > 1 for file in files)

    wait_for(recorded, what="seconds of both runs")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            ("--a", "ws://127.0.0.1:9", "--b-cmd", "/no/such/program"),
            "--b-cmd cannot be started: No such file",
        ),
        (("--a", "ws://127.0.0.1:9", "--b-cmd", "false"), "ended with exit status 1 instead of listening on"),
        (("--a", "ws://127.0.0.1:9", "--b-cmd", "sleep 99", "--start-timeout", "1"), "did not listen on"),
        (("--a", "ws://127.0.0.1:9", "--b", "ws://127.0.0.1:9"), "cannot be reached"),
        (
            ("--a", "ws://127.0.0.1:9", "--b", "ws://127.0.0.1:9", "--", "--ws-typo"),
            "Error: unrecognized arguments",
        ),
        (
            ("--a", "ws://127.0.0.1:9", "--b", "ws://127.0.0.1:9", "--", "--ws-warmup=25"),
            "--duration must be at least 35s: 10 s after a warm-up of 25 s (got '30s')",
        ),
        (
            ("--a", "ws://127.0.0.1:9", "--margin", "p50=150%"),
            "--margin must be 0–100%, 0–60 s, 0–100 pt and 0–3600/h (got 'p50=150%')",
        ),
        (("--a", "ws://127.0.0.1:9"), "--b or --b-cmd must be given"),
        (
            ("--a", "ws://127.0.0.1:9", "--b", "ws://127.0.0.1:9", "--duration", "soon"),
            "--duration must be a duration such as 30s",
        ),
        (
            ("--a", "ws://127.0.0.1:9", "--b", "ws://127.0.0.1:9", "--json", "--markdown"),
            "cannot be used together",
        ),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_2(
    tmp_path: Path, options: tuple[str, ...], says: str
) -> None:
    """The option or the argument that is wrong, and what to change."""
    result = CliRunner().invoke(main, ["duel", "--results", str(tmp_path), *options])
    assert (result.exit_code, result.stdout) == (2, "")
    (line,) = [line for line in result.stderr.splitlines() if "Error: " in line]
    assert says in line
    assert "Traceback" not in result.stderr
