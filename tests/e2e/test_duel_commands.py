"""Duels with made-up runs and real commands: a server that ends by itself, a command that fails."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil
import pytest

from loadtest.duel.duel import run_duel
from loadtest.duel.settings import DuelSettings, Order, Side
from loadtest.errors import UsageError
from loadtest.transport.target import Target, Tls, check_reachable
from tests.support.duels import A, B, MadeUpRuns, duel

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
        (log,) = tmp_path.glob(f"duels/*/server-{role}.log")
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
    assert "it could not go on" in (folder / "summary.md").read_text()
    for file in folder.rglob("*"):
        assert b"hunter2" not in file.read_bytes()
