"""docs/scale.md is true: its commands run, scaled down, and its sums and quotations are those of the tool."""

from __future__ import annotations

import math
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from loadtest.engine.monitor import OTHER_FILES, PORT_RANGE
from loadtest.server.server_process import ServerProcess
from loadtest.session.recorder import OWN_LIMITS
from loadtest.verdict.generator import GAUGES, MAX_FILES_RATIO
from loadtest.verdict.remedies import _RUNS
from tests.support.locusts import LocustProcess
from tests.support.places import ROOT
from tests.support.ports import free_port

TEXT = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")

COMMANDS = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
    for line in block.replace("\\\n", " ").splitlines()
]

FILES = 20_000
"""Open files of a process, in the page's table."""


def command(beginning: str, *containing: str) -> list[str]:
    """Return the words of the page's only command like this."""
    (line,) = [
        one for one in COMMANDS if one.startswith(beginning) and all(word in one for word in containing)
    ]
    return shlex.split(line)


def scaled(words: list[str], **values: str) -> list[str]:
    """Return a run's options for a few sessions, with these values in place of the page's."""
    given = {"--ws-sessions": "5", "--ws-drop-every": "2", "--ws-rate": "5", "--ws-warmup": "1"}
    given |= {f"--{name.replace('_', '-')}": value for name, value in values.items()}
    options = words[words.index("locustfiles/ws.py") + 1 :]
    changed = [given.get(before, word) for before, word in zip(["", *options], options, strict=False)]
    return [re.sub(r"^10m$", "25s", word) for word in changed]


# The commands.


def test_the_run_in_several_workers(tmp_path: Path) -> None:
    """Four workers hold what is asked for, from several addresses."""
    with ServerProcess() as server:
        words = scaled(
            command("locust", "--headless", "--ws-source-ip"),
            host=server.url,
            ws_source_ip="127.0.0.2-127.0.0.9",
        )
        with LocustProcess(tmp_path, *words, seconds=None, headless=False) as locust:
            finished = locust.wait()
    assert len(finished.manifest["workers"]) == 4, finished.output
    assert finished.counts["connect.established"] + finished.counts["connect.unproven"] == 20
    assert finished.counts["messaging.lost"] == 0


def test_the_master_and_its_workers(tmp_path: Path) -> None:
    """The master waits for the workers of the other machines, which take its options."""
    port = str(free_port())
    with ServerProcess() as server:
        words = scaled(
            command("locust", "--master "), host=server.url, expect_workers="4", master_bind_host="127.0.0.1"
        )
        options = ["--master-bind-port", port, *words]
        with LocustProcess(tmp_path, *options, seconds=None, headless=False) as master:
            workers = scaled(command("locust", "--worker"), master_host="127.0.0.1")
            with LocustProcess(
                tmp_path, *workers, "--master-port", port, seconds=None, headless=False
            ) as others:
                finished = master.wait()
                others.wait(30)
    assert len(finished.manifest["workers"]) == 4, finished.output
    assert finished.counts["connect.established"] + finished.counts["connect.unproven"] == 40


def test_the_benchmark() -> None:
    """It holds its sessions without loss and prints what they cost."""
    words = command("python -m tests.benchmarks.scale")
    sizes = words[words.index("--sessions") + 1 : words.index("--rounds")]
    fewer = [*words[1:3], "--sessions", "40", "--rounds", "1", "--seconds", "2", "--workers", "2"]
    printed = subprocess.run(
        [sys.executable, *fewer], cwd=ROOT, capture_output=True, text=True, timeout=100, check=True
    ).stdout
    assert sizes == ["100", "1000", "10000", "60000"]
    assert re.search(r"40 sessions: messages lost +loadtest on Locust +0 ", printed), printed
    assert re.search(r"40 sessions: CPU of the workers, µs a session and second ", printed)


@pytest.mark.skipif(not PORT_RANGE.exists(), reason="the limits are Linux's")
def test_the_limits_exist() -> None:
    """Under the names that sysctl takes; that of conntrack comes with its module."""
    names = [
        word.partition("=")[0] for line in COMMANDS if "sysctl" in line for word in shlex.split(line)[2:]
    ]
    assert len(names) == 4
    for name in names:
        path = Path("/proc/sys", *name.split("."))
        assert path.exists() or "conntrack" in name


def test_nothing_else_is_to_be_typed() -> None:
    """Every command is one of those above; what root types is not run here."""
    known = ("locust ", "python -m tests.benchmarks.scale ", "sudo sysctl ", "sudo prlimit ", "ulimit ")
    assert [line for line in COMMANDS if not line.startswith(known)] == []


# What it says.


def rows(*heading: str) -> list[list[str]]:
    """Return the cells of a table, by the first cells of its head."""
    table = TEXT[TEXT.index(f"| {' | '.join(heading)} |") :].split("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def number(text: str) -> float:
    """Return the first number of a text."""
    found = re.search(r"[\d,]+(?:\.\d+)?", text)
    assert found is not None, text
    return float(found[0].replace(",", ""))


def test_the_tables_sums_are_those_of_the_formula() -> None:
    """CPU and workers of each load follow from the costs that the page names."""
    formula = dict(row[:2] for row in rows("limit"))
    message_us, idle_us, connect_us = (number(part) for part in formula["CPU"].split("\u00d7")[1:])
    assert number(formula["CPU"].split("÷")[1]) == 600_000
    for sessions, rate, cores, workers, _ in rows("sessions", "messages a second each"):
        held = number(sessions)
        used_us = held * number(rate) * message_us + held * idle_us + held / 600 * connect_us
        by_cpu = used_us / 600_000
        by_files = held / (MAX_FILES_RATIO * (FILES - OTHER_FILES))
        assert number(cores) == pytest.approx(used_us / 1e6, abs=0.051)
        assert number(workers) == math.ceil(max(by_cpu, by_files))


def test_warnings_are_quoted_as_they_are() -> None:
    """Those of the verdict with their remedies, and the causes of failed attempts."""
    for name, remedy in (("files_ratio", "files"), ("ports_ratio", "ports")):
        (gauge,) = [one for one in GAUGES if one.name == name]
        assert gauge.what in TEXT
        assert _RUNS[remedy].replace("`", "") in TEXT.replace("`", "")
    for cause in OWN_LIMITS:
        assert cause in TEXT
    source = (ROOT / "loadtest" / "locust_plugin" / "load.py").read_text(encoding="utf-8")
    assert "`ulimit -n` allows %d connections; each user holds %d sessions" in source
    assert "`ulimit -n` allows 924 connections; each user holds 15000 sessions" in TEXT


def test_the_page_is_short() -> None:
    """As every page of docs/."""
    assert len(TEXT.split()) <= 1500
