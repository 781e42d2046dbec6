"""A run whose standard streams are closed, as by some supervisors: it goes on, and has its verdict."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from tests.support.locusts import BRISK, LOCUSTFILE
from tests.support.places import ROOT

RUN = ("--headless", "-u", "1", "-r", "1", "-t", "3s", "--ws-revision", "v1", *BRISK)


@pytest.mark.parametrize("closed", ["<&- >&- 2>&-", "2>&-"])
def test_a_run_without_standard_streams_has_its_verdict(tmp_path: Path, closed: str) -> None:
    """Else a socket got the number of one of them, and libuv aborts the process that closes it."""
    command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--ws-results", str(tmp_path), *RUN]
    ended = subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", *command], cwd=ROOT, timeout=90, check=False
    )
    (verdict,) = tmp_path.glob("v1/*/verdict.json")
    of = msgspec.json.decode(verdict.read_bytes())
    assert ended.returncode == {"PASS": 0, "FAIL": 1, "INCONCLUSIVE": 4}[of["verdict"]]
    assert of["revision"] == "v1"
    assert (verdict.parent / "report.html").exists()


def test_a_command_without_standard_output_ends_as_ever(tmp_path: Path) -> None:
    """There is nobody to read it."""
    command = f"exec {sys.executable} -m loadtest list --results {tmp_path} <&- >&- 2>&-"
    assert subprocess.run(["sh", "-c", command], cwd=ROOT, check=False, env={**os.environ}).returncode == 0
