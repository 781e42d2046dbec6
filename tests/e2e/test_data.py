"""--ws-data in real runs: each process reads the file, and no value or path of it is in what a run leaves."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from loadtest.server.server_process import ServerProcess
from tests.support.locusts import LocustProcess, two_workers
from tests.support.serverclient import wait_for


def test_no_value_of_the_data_is_in_a_run_of_two_workers(tmp_path: Path) -> None:
    """The server's log quotes an account: the master, which makes no load, hides it as the workers would."""
    data, log = tmp_path / "accounts.jsonl", tmp_path / "server.log"
    data.write_text("".join(f'{{"user": "anna-{n}", "password": "s3cret-{n}"}}\n' for n in range(4)))
    log.touch()
    results = tmp_path / "results"
    arguments = ("--ws-data", str(data), "--ws-sessions", "2", "--ws-server-log", str(log), *two_workers())
    with (
        ServerProcess() as server,
        LocustProcess(results, *arguments, "--host", server.url, seconds=4, users=2) as locust,
    ):
        _log_once_followed(results, log)
        finished = locust.wait()
    assert finished.counts["connect.established"] == 4, finished.output
    assert "cannot log *** in with ***" in (finished.run / "server_log.jsonl").read_text()
    written = "".join(path.read_text() for path in results.rglob("*") if path.is_file())
    for text in ("s3cret", "anna-", "accounts.jsonl"):
        assert text not in written + finished.output


def _log_once_followed(results: Path, log: Path) -> None:
    """Write an error to the server's log once the run follows it."""
    wait_for(lambda: list(results.glob("*/*/server_log.jsonl")), what="the run to follow the log")
    with log.open("a") as file:
        file.write(
            f"{time.strftime('%Y-%m-%d %H:%M:%S')},000 ERROR [app] cannot log anna-3 in with s3cret-3\n"
        )


def test_a_file_with_too_few_rows_is_one_clear_line(tmp_path: Path) -> None:
    """Before anything is connected or written."""
    data = tmp_path / "accounts.csv"
    data.write_text("user\nanna\n")
    arguments = ("--ws-data", str(data), "--ws-sessions", "3")
    with LocustProcess(tmp_path / "results", *arguments, seconds=5) as locust:
        finished = locust.wait(30)
    assert finished.exit_code == 2, finished.output
    errors = [line for line in finished.output.splitlines() if line.startswith("Error: ")]
    assert errors == ["Error: --ws-data has 1 row for 6 sessions: add a row for each session"]
    assert not list((tmp_path / "results").glob("*/*/run.json"))


def test_a_probe_names_its_own_option(tmp_path: Path) -> None:
    """It gives its sessions rows as a run does."""
    data = tmp_path / "accounts.csv"
    data.write_text("user\nanna\n")
    command = [sys.executable, "-m", "loadtest", "probe", "--data", str(data), "--sessions", "10"]
    told = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert told.returncode == 2
    assert told.stderr.splitlines()[-1] == (
        "Error: --data has 1 row for 10 sessions: add a row for each session"
    )
