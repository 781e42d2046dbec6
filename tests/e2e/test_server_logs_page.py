"""The commands of docs/server-logs.md run, with stand-ins for gcloud, kubectl, docker and journalctl."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.places import ROOT

PAGE = (ROOT / "docs" / "server-logs.md").read_text()
BLOCKS: list[str] = re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
NEEDS_A_RUN = "loadtest report"

STAND_IN = """
import datetime, json, os, re, sys

program, words = os.path.basename(sys.argv[0]), sys.argv[1:]
with open(os.environ["CALLS"], "a") as calls:
    calls.write(json.dumps([program, *words]) + chr(10))
if program == "docker":
    sys.stdout = sys.stderr  # an application logs to standard error, and docker passes that on
asked = " ".join(words)
units = {"m": 60, "h": 3600}

def ago(option):
    found = re.search(rf"--{option}[= ]-?(\\d+)([mh])", asked)
    return int(found[1]) * units[found[2]] if found else None

now = datetime.datetime.now(datetime.UTC)
since_s = ago("since") or ago("freshness")
records = [
    (now - datetime.timedelta(seconds=age_s), level, text)
    for age_s, level, text in (
        (7000, "ERROR", "database is locked"),
        (5000, "INFO", "Client disconnected gracefully (session=s-0, code=1000)"),
        (2400, os.environ["LEVEL"], "Client disconnected abruptly (session=s-1): gone"),
        (1800, "INFO", "Client disconnected gracefully (session=s-2, code=1001)"),
        (300, os.environ["LEVEL"], "Client disconnected abruptly (session=s-3): gone"),
        (60, "INFO", "Client disconnected gracefully (session=s-4, code=1000)"),
    )
    # a platform's own limit may be coarser
    if (ago("until") or 0) <= age_s and (since_s is None or age_s <= since_s + 600)
]
for at, level, text in records:
    line = f"{at:%Y-%m-%d %H:%M:%S},{at.microsecond // 1000:03} {level} [chat] {text}"
    if program == "kubectl":
        print(f"[pod/chat-7d9f/chat] {at:%Y-%m-%dT%H:%M:%S.%f}789Z {line}")
    elif program == "docker":
        print(f"{at:%Y-%m-%dT%H:%M:%S.%f}789Z {line}")
    elif program == "journalctl":
        print(json.dumps({
            "__REALTIME_TIMESTAMP": str(int(at.timestamp() * 1e6)), "PRIORITY": "6", "_HOSTNAME": "web-1",
            "SYSLOG_IDENTIFIER": "python", "_SYSTEMD_UNIT": "chat.service", "_PID": "77", "MESSAGE": line,
        }))
if program == "gcloud":
    print(json.dumps([
        {"timestamp": at.isoformat().replace("+00:00", "Z"), "severity": "DEFAULT", "logName": "stderr",
         "resource": {"type": "cloud_run_revision", "labels": {"service_name": "chat"}},
         "textPayload": f"{at:%Y-%m-%d %H:%M:%S},{at.microsecond // 1000:03} {level} [chat] {text}"}
        for at, level, text in reversed(records)
    ]))
"""
"""Prints the same records as each of the programs does, from as far back as it is asked for."""

PLATFORMS = {
    "gcloud": ("logging", "--freshness=10m", "--freshness=1h", "--format=json"),
    "kubectl": ("logs", "--tail=-1", "--prefix", "--timestamps", "--since=10m", "--since=1h"),
    "docker": ("logs", "--timestamps", "--since 10m", "--since 1h"),
    "journalctl": ("--unit chat", "--output=json", "--since=-10m", "--since=-1h"),
}
Run = Callable[..., "Ran"]


@dataclass(frozen=True)
class Ran:
    """A script that has ended."""

    status: int
    output: str
    calls: list[list[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run a script where the programs stand."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in PLATFORMS:
        (programs / name).write_text(f"#!{sys.executable}\n{STAND_IN}")
        (programs / name).chmod(0o755)
    (programs / "loadtest").write_text(f'#!/bin/sh\nexec {sys.executable} -m loadtest "$@"\n')
    (programs / "loadtest").chmod(0o755)

    def script(text: str, *, level: str = "INFO") -> Ran:
        calls = tmp_path / "calls"
        calls.write_text("")
        done = subprocess.run(
            ["sh", "-c", text],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={
                **os.environ,
                "PATH": f"{programs}:{os.environ['PATH']}",
                "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}",
                "NO_COLOR": "1",
                "CALLS": str(calls),
                "LEVEL": level,
            },
        )
        return Ran(
            done.returncode, done.stdout + done.stderr, [*map(json.loads, calls.read_text().splitlines())]
        )

    return script


def block_of(program: str) -> list[str]:
    """Return the two commands for a platform."""
    (block,) = (block for block in BLOCKS if block.startswith(f"{program} ") and "before" not in block)
    return block.splitlines()


@pytest.mark.parametrize("program", PLATFORMS)
def test_ten_minutes_and_an_hour(program: str, run: Run) -> None:
    """Both commands find the records of their time, at their levels, and exit accordingly."""
    ten, hour = block_of(program)
    found = run(f"{ten} --json")
    assert found.status == 0, found.output
    assert json.loads(found.output)["summary"] == {"errors": 0, "warnings": 0, "logs_analyzed": 2}
    asked = [" ".join(call) for call in found.calls]
    loud = run(f"{hour} --json", level="ERROR")
    assert loud.status == 1, loud.output
    document = json.loads(loud.output)
    assert document["summary"] == {"errors": 2, "warnings": 0, "logs_analyzed": 4}
    assert (document["disconnect_errors"], document["real_errors"]) == (2, 0)
    asked += [" ".join(call) for call in loud.calls]
    assert all(any(option in one for one in asked) for option in PLATFORMS[program]), asked


def test_before_and_after(run: Run) -> None:
    """Two hours before the deploy against the hour after it."""
    (block,) = (block for block in BLOCKS if "before.json" in block)
    found = run(block)
    assert found.status == 0, found.output
    assert "before.json" in found.output
    assert re.search(r"ERROR .* gone +database is", found.output), found.output


def test_no_block_is_forgotten() -> None:
    """Each block of the page is run here, or needs a run and stands in other tests."""
    tested = ["\n".join(block_of(program)) + "\n" for program in PLATFORMS]
    left = [block for block in BLOCKS if block not in tested and "before.json" not in block]
    assert all(block.startswith(NEEDS_A_RUN) for block in left), left
    assert len(PAGE.split()) < 1500
