"""What a new manifest tells of the machine."""

from __future__ import annotations

import platform
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from loadtest.results import environment
from loadtest.results.environment import RunStart, beginning, boot_id
from loadtest.results.manifest import Manifest
from tests.support.runs import plan

X86 = "Intel(R) Xeon(R) CPU @ 2.20GHz"


def test_a_new_manifest_tells_host_and_versions() -> None:
    """What a reader needs to repeat the run."""
    made = Manifest(**beginning(1_795_443_815_000_000_000), revision="v1", target="ws://h", plan=plan())
    assert made.started_at == "2026-11-23T14:23:35Z"
    assert {"python", "loadtest", "websockets", "hdrhistogram"} <= made.versions.keys()
    assert made.host.cpus >= 1
    assert made.host.memory_mb > 0
    assert made.host.model == environment.cpu_model()
    assert not made.complete
    assert made.run_id != beginning()["run_id"]


@pytest.mark.parametrize(
    ("told", "model"),
    [
        ("processor\t: 0\nmodel\t\t: 85\nmodel name\t: Intel(R) Xeon(R) CPU  @ 2.20GHz\n", X86),
        ("processor\t: 0\nBogoMIPS\t: 108.00\nModel\t\t: Raspberry Pi 4\n", "Raspberry Pi 4"),
        ("processor\t: 0\ncpu\t\t: POWER9, altivec supported\n", "POWER9, altivec supported"),
        ("processor\t: 0\nBogoMIPS\t: 48.00\n", "of platform"),
        ("", "of platform"),
        (None, "of platform"),
        ("model name\t: a\x1b[2Jb\n", "a\\x1b[2Jb"),
        (f"model name\t: {'x' * 5000}\n", f"{'x' * 97}..."),
    ],
    ids=["x86", "a board", "POWER", "no name", "empty", "no such file", "hostile", "long"],
)
def test_the_cpus_model(
    told: str | None, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the kernel names it, else as Python knows it, in one short line of plain characters."""
    if told is not None:
        (tmp_path / "cpuinfo").write_text(told)
    monkeypatch.setattr(environment, "_CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(platform, "processor", lambda: "of platform")
    assert environment.cpu_model() == model


def test_a_runs_start_is_one_moment_on_both_clocks() -> None:
    """What lies between the two readings is an error of all comparisons with a server's log."""
    before_ns = time.time_ns() - time.monotonic_ns()
    start = RunStart.now()
    assert abs(start.unix_ns - start.monotonic_ns - before_ns) < 10**9
    assert beginning(start.unix_ns)["started_unix_ns"] == start.unix_ns


@pytest.mark.parametrize(
    ("apart_ms", "read_ns"),
    [
        ([0.5], 250_000),
        ([80, 0.5], 1_000_250_000),
        ([80, 30, *[90] * 50], 1_015_000_000),
    ],
    ids=["at once", "interrupted", "always interrupted"],
)
def test_an_interrupted_reading_is_repeated(
    apart_ms: list[float], read_ns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wall clock belongs to the middle of the shortest reading; the number of readings is limited."""
    monotonic = [ns for at, ms in enumerate(apart_ms) for ns in (at * 10**9, at * 10**9 + int(ms * 10**6))]
    walls = iter(range(100))
    clock = SimpleNamespace(monotonic_ns=iter(monotonic).__next__, time_ns=walls.__next__)
    monkeypatch.setattr(environment, "time", clock)
    start = RunStart.now()
    assert (start.unix_ns, start.monotonic_ns) == (read_ns // 10**9, read_ns)
    assert next(walls) <= 20


def test_a_boot_has_an_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for all processes; none where the system has none."""
    monkeypatch.setattr(environment, "_BOOT_ID", tmp_path / "boot_id")
    assert boot_id() == ""
    (tmp_path / "boot_id").write_text("f00d\n")
    assert boot_id() == "f00d"
