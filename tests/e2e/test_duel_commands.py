"""Duels with made-up runs and real commands: restarts, servers that end by themselves, commands that fail."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from loadtest.duel.duel import rejudge, run_duel
from loadtest.duel.settings import DuelSettings, Order, Side
from loadtest.errors import UsageError
from loadtest.ruling import Ruling
from loadtest.transport.target import Target, Tls, check_reachable
from tests.support.duels import A, B, MadeUpRuns, duel

STARTS = """
import os, socket, sys
from pathlib import Path
count, most = Path(sys.argv[1]), int(sys.argv[2])
count.write_text(count.read_text() + "x" if count.exists() else "x")
if len(count.read_text()) > most:
    raise SystemExit(7)
server = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
print(len(count.read_text()), flush=True)
while True:
    server.accept()[0].close()
"""
"""A server that prints how many times it was started, and starts only so many times."""


def commands(folder: Path, *, a_starts: int = 99, b_starts: int = 99) -> dict[str, Side]:
    """Return two sides with such servers."""
    return {
        role: Side(
            role=role,
            revision=revision,
            command=(sys.executable, "-S", "-c", STARTS, str(folder / f"starts-{role}"), str(most)),
        )
        for role, revision, most in (("a", "v41", a_starts), ("b", "v42", b_starts))
    }


@pytest.fixture
def quick_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a server count as started as soon as it listens."""
    monkeypatch.setattr("loadtest.duel.servers._SETTLE_S", 0.05)
    monkeypatch.setattr("loadtest.duel.servers.LOOK_EVERY_S", 0.02)


class OfInstances(MadeUpRuns):
    """Made-up runs of the servers above: notes which instance each run measures, and how old it is.

    Every other instance of the candidate is slow.
    """

    def __init__(self) -> None:
        super().__init__()
        self.measured: list[tuple[str, int]] = []
        self.met: list[dict[str, int]] = []

    def __call__(
        self,
        settings: DuelSettings,
        roles: Sequence[str],
        /,
        *,
        urls: Mapping[str, str],
        logs: Mapping[str, Path],
        server_logs: Mapping[str, Path],
    ) -> dict[str, Path]:
        instances = {role: int(log.read_text()) for role, log in server_logs.items()}
        for url in urls.values():  # both are up, whichever is measured
            check_reachable(Target.parse(url, Tls()))
        self.met.append(instances)
        self.measured += [(role, instances[role]) for role in roles]
        self.slower_ratio = {"b": 2.5 if instances["b"] % 2 else 0.4}
        return super().__call__(settings, roles, urls=urls, logs=logs, server_logs=server_logs)


@pytest.mark.usefixtures("quick_starts")
@pytest.mark.parametrize("order", Order)
def test_each_run_meets_a_server_that_was_just_started(tmp_path: Path, order: Order) -> None:
    """No instance is measured twice, and none has idled while the other side's was measured first."""
    runs = OfInstances()
    result, _ = duel(runs, tmp_path, pairs=3, order=order, **commands(tmp_path))
    assert len(result.record.pairs) == 3
    assert len(set(runs.measured)) == 6
    for turn, (before, after) in enumerate(pairwise(runs.met), start=1):
        restarted = {role for role in "ab" if before[role] != after[role]}
        assert restarted == ({"a", "b"} if order is Order.PARALLEL else {runs.made[turn]})
    assert result.record.restarted == ["a", "b"]
    assert not any("these two instances" in note for note in result.record.notes)


@pytest.mark.usefixtures("quick_starts")
def test_pairs_between_two_restarts_meet_the_same_servers(tmp_path: Path) -> None:
    """Each starts right before its own first run of three pairs."""
    runs = OfInstances()
    result, told = duel(runs, tmp_path, pairs=6, restart_every=3, **commands(tmp_path))
    by_role = {role: [number for one, number in runs.measured if one == role] for role in "ab"}
    first = result.record.pairs[0].order[0]
    for role, numbers in by_role.items():
        start = 1 if role == first else 2  # the other was started with it, and again before its own first run
        assert numbers == [start] * 3 + [start + 1] * 3
    assert [pair.unit for pair in result.record.pairs] == [1, 1, 1, 2, 2, 2]
    assert result.record.looks == [2]
    assert told[-1].startswith("check after 6 pairs in 2 units: ")
    restarts = (
        "both servers restart every 3 pairs, which count as one unit: 2 units; 4 are needed to measure "
    )
    assert any(line.startswith(restarts) for line in told)


@pytest.mark.usefixtures("quick_starts")
def test_instances_that_differ_do_not_fail_the_program(tmp_path: Path) -> None:
    """Half of the candidate's instances are slow: one that is started once fails for it, and says so."""
    result, _ = duel(OfInstances(), tmp_path / "each", pairs=8, **commands(tmp_path))
    assert result.record.item("latency").verdict is Ruling.INCONCLUSIVE
    (tmp_path / "starts-b").unlink()
    once, _ = duel(OfInstances(), tmp_path / "once", pairs=8, restart_every=0, **commands(tmp_path))
    assert once.record.item("latency").verdict is Ruling.FAIL
    (note,) = once.record.notes
    assert note.startswith(
        "the servers were started once: the measured change is that of these two instances"
    )


@pytest.mark.usefixtures("quick_starts")
@pytest.mark.parametrize(
    ("starts", "connect", "exit_code"),
    [({"b": 3}, Ruling.FAIL, 1), ({"a": 3}, Ruling.PASS, 4), ({"a": 3, "b": 3}, Ruling.INCONCLUSIVE, 4)],
    ids=["candidate", "baseline", "both"],
)
@pytest.mark.parametrize("order", Order)
def test_a_server_that_does_not_start_again_ends_it(
    tmp_path: Path, starts: Mapping[str, int], connect: Ruling, exit_code: int, order: Order
) -> None:
    """With the pairs so far. The candidate fails, the baseline is a note, whichever was restarted first."""
    sides = commands(tmp_path, **{f"{role}_starts": most for role, most in starts.items()})
    result, told = duel(MadeUpRuns(), tmp_path, order=order, **sides)
    assert result.failure is None
    assert (result.record.end, result.record.exit_code) == ("a server did not start again", exit_code)
    assert 1 <= len(result.record.pairs) <= 3
    assert result.record.ended_servers.keys() == starts.keys()
    item = result.record.item("connect")
    assert item.verdict is connect
    says = "the server did not start again: it ended with exit status 7 instead of listening on port "
    for role in starts:
        assert any(line.startswith(f"{role}: {says}") for line in told)
    assert item.summary.startswith(says) or connect is Ruling.PASS
    assert any(says in note for note in result.record.notes) is ("a" in starts)
    assert rejudge(result.folder).record == result.record


@pytest.mark.usefixtures("quick_starts")
def test_a_candidate_that_never_starts_again_fails_without_a_pair(tmp_path: Path) -> None:
    """It listened once, so its command is no mistake of the user's."""
    result, _ = duel(MadeUpRuns(), tmp_path, **commands(tmp_path, b_starts=1))
    assert (result.record.exit_code, result.record.pairs) == (1, [])
    assert result.record.item("connect").verdict is Ruling.FAIL


TWO_ARE_ENOUGH = """
import os, socket
server = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
print(os.getpid(), flush=True)
for _ in range(2):
    server.accept()[0].close()
raise SystemExit(3)
"""
"""A server that takes the duel's own connection and one more, and ends."""


@pytest.mark.parametrize(("role", "exit_code"), [("a", 4), ("b", 1)])
@pytest.mark.parametrize("noticed", [True, False])
def test_a_server_that_ends_by_itself_ends_it(
    tmp_path: Path, role: str, exit_code: int, *, noticed: bool
) -> None:
    """Whether Locust fails for it or its run still ends: the candidate fails, beside the baseline nothing."""

    def run(
        settings: DuelSettings,
        roles: Sequence[str],
        /,
        *,
        urls: Mapping[str, str],
        logs: Mapping[str, Path],
        server_logs: Mapping[str, Path],
    ) -> dict[str, Path]:
        assert server_logs == {}  # a duel follows logs only if it starts both servers
        check_reachable(Target.parse(urls[role], Tls()))
        server = psutil.Process(int(log_of(role).read_text()))
        while server.status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.02)
        if noticed:
            raise UsageError("cannot be reached")
        return made(settings, roles, urls=urls, logs=logs, server_logs=server_logs)

    def log_of(role: str) -> Path:
        (log,) = tmp_path.glob(f"duels/*/server-{role}-01.log")
        return log

    made = MadeUpRuns()
    ending = Side(role=role, revision="v43", command=(sys.executable, "-c", TWO_ARE_ENOUGH))
    a, b = (ending, B) if role == "a" else (A, ending)
    told: list[str] = []
    result = run_duel(
        DuelSettings(a=a, b=b, results=tmp_path, order=Order.PARALLEL), told.append, make_runs=run
    )
    assert (result.record.exit_code, result.record.end) == (exit_code, "a server ended")
    assert result.failure is None
    assert len(result.record.pairs) == (not noticed)
    notes = [result.record.item("connect").summary, *result.record.notes]
    assert any("the server ended with exit status 3; its output is in " in note for note in notes)


def test_a_command_that_fails_is_not_written_down(tmp_path: Path) -> None:
    """It may hold a password; the error that names it is for the terminal."""
    b = Side(role="b", revision="v42", command=("false", "--password=hunter2"))
    with pytest.raises(UsageError, match="hunter2"):
        duel(MadeUpRuns(), tmp_path, b=b)
    (folder,) = (tmp_path / "duels").iterdir()
    assert "it could not continue" in (folder / "summary.md").read_text()
    for file in folder.rglob("*"):
        assert b"hunter2" not in file.read_bytes()
