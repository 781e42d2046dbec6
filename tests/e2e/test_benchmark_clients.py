"""The clients of the benchmarks work: each is measured for a moment, and no figure decides anything."""

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.benchmarks import go_client, k6_client, ours
from tests.benchmarks.certificates import Certificates, certificates
from tests.benchmarks.locust_process import ROOT, echo_server
from tests.benchmarks.work import Seen, Work

STAND_IN = ROOT / "tests" / "support" / "strangers" / "k6.mjs"

SESSIONS = 5
PER_S = 100


@pytest.fixture(scope="module")
def made() -> Iterator[Certificates]:
    """Make the certificates."""
    with certificates() as made:
        yield made


def timed(seen: Seen, work: Work) -> bool:
    """Whether it took the times that this work has: a closed loop plans nothing, so nothing is late."""
    assert seen.service_us is not None
    p50_us, p99_us = seen.service_us
    return p50_us <= p99_us and (seen.slip_us is not None) == (work.per_s > 0)


@pytest.mark.external("go")
@pytest.mark.parametrize("secure", [False, True], ids=["ws", "wss"])
def test_the_go_client_echoes_in_both_loops(made: Certificates, *, secure: bool) -> None:
    """It checks each echo itself, and ends with an error where another text comes back."""
    works = [
        Work(sessions=SESSIONS, seconds=1, per_s=per_s, ca=made.ca if secure else None)
        for per_s in (0, PER_S)
    ]
    with echo_server(tls=made.server if secure else None) as port:
        for work in works:
            seen = go_client.measure(port, work, warmup_s=0.1)
            assert timed(seen, work)
            assert seen.cpu_us > 0
            assert seen.per_s > 0


@pytest.mark.external("go")
def test_the_go_client_trusts_only_the_benchmarks_certificate(made: Certificates) -> None:
    """Another authority's certificate ends it: what it measures is TLS with verification."""
    with (
        certificates() as other,
        echo_server(tls=other.server) as port,
        pytest.raises(subprocess.CalledProcessError),
    ):
        go_client.measure(port, Work(sessions=1, seconds=1, ca=made.ca))


def test_this_tool_is_measured_over_wss(made: Certificates) -> None:
    """A whole Locust process: CPU, rate and times are those of its run."""
    work = Work(sessions=SESSIONS, seconds=1, per_s=PER_S, ca=made.ca)
    with echo_server(tls=made.server) as port:
        seen = ours.measure(port, work)
    assert timed(seen, work)
    assert seen.cpu_us > 0
    assert seen.per_s > 0


@pytest.fixture
def k6(version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a stand-in for this version of k6 first on PATH, which knows the modules that this version has."""
    program = tmp_path / "k6"
    command = f"node {shlex.quote(str(STAND_IN))} {version}"
    program.write_text(f'#!/bin/sh\nexec {command} "$@"\n', encoding="utf-8")
    program.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setattr(k6_client, "BASE_S", 1)


@pytest.mark.external("node")
@pytest.mark.usefixtures("k6")
@pytest.mark.parametrize(("version", "per_s"), [("1.1.0", 0), ("2.3.1", PER_S)])
def test_k6_echoes_in_both_loops(made: Certificates, per_s: int) -> None:
    """Its script, run by a stand-in: it shows that script and wrapper fit together, not what k6 costs."""
    assert k6_client.missing() is None
    work = Work(sessions=SESSIONS, seconds=1, per_s=per_s, ca=made.ca if per_s else None)
    with echo_server(tls=made.server if per_s else None) as port:
        assert timed(k6_client.measure(port, work), work)


def test_the_table_is_printed_kept_and_compared(tmp_path: Path) -> None:
    """The shortest of the benchmarks, from the command line."""
    kept = str(tmp_path / "table.json")
    lines = benchmarks("--quick", "--json", kept, "compression").splitlines()
    assert lines[0] == "| figure | client | median | least to most | ratio |"
    again = benchmarks("--compare", kept, kept).splitlines()
    assert len(again) == len(lines) == 8
    assert all(line.endswith(" 1.00 |") for line in again[2:])


def benchmarks(*arguments: str) -> str:
    """Return what `python -m tests.benchmarks` prints."""
    command = [sys.executable, "-m", "tests.benchmarks", "--markdown", *arguments]
    return subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True).stdout
