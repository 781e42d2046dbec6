"""The generator's gauges, each with its cause: late wakes, standstill, CPU, steal, garbage, files, ports."""

from __future__ import annotations

import gc
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from loadtest.engine import monitor
from loadtest.engine.monitor import Health, local_ports, most_connections, raise_files_limit

MS = 1_000_000


UNLIMITED = resource.RLIM_INFINITY


Limits = dict[str, int]


@pytest.fixture
def watching() -> Iterator[Health]:
    """A health that is closed again."""
    watching = Health()
    yield watching
    watching.close()


def sample(watching: Health, *, connections: int = 0, address_pairs: int = 1) -> dict[str, float]:
    """End a second."""
    return watching.sample(1000 * MS, connections=connections, address_pairs=address_pairs)


# Wakes.


def test_the_latest_wake_is_the_seconds_lag(watching: Health) -> None:
    """A second tells its latest wake, and the next one begins anew."""
    for lag_ms in (0.1, 7.5, 0.2):
        watching.woke(int(lag_ms * MS))
    assert sample(watching)["loop_lag_max_ms"] == 7.5
    assert sample(watching)["loop_lag_max_ms"] == 0.0


def test_who_computes_does_not_stand_still(watching: Health, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a late wake, what the engine itself computed meanwhile is lag, and the rest a standstill."""
    began_ns = time.thread_time_ns()
    monkeypatch.setattr(time, "thread_time_ns", lambda: began_ns)
    watching.woke(0)
    monkeypatch.setattr(time, "thread_time_ns", lambda: began_ns + 1500 * MS)
    watching.woke(1600 * MS)
    gauges = sample(watching)
    assert gauges["loop_lag_max_ms"] == 1600
    assert 0 < gauges["stall_max_ms"] <= 100
    watching.woke(2000 * MS)
    assert sample(watching)["stall_max_ms"] == 2000
    assert sample(watching)["stall_max_ms"] < 1000


def test_a_machines_sleep_is_a_standstill(watching: Health, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run's clock stops while the machine sleeps, so no wake is late; another clock tells."""
    slept_ns = 30_000 * MS + monitor._asleep_ns()
    monkeypatch.setattr(monitor, "_asleep_ns", lambda: slept_ns)
    watching.woke(0)
    gauges = sample(watching)
    assert gauges["loop_lag_max_ms"] == 0
    assert gauges["stall_max_ms"] == pytest.approx(30_000, abs=1000)
    assert sample(watching)["stall_max_ms"] == 0


def test_no_machine_that_is_awake_sleeps() -> None:
    """Both clocks go alike."""
    assert abs(monitor._asleep_ns() - monitor._asleep_ns()) < 1000 * MS


# CPU and garbage.


def test_the_process_uses_what_its_threads_use(watching: Health) -> None:
    """CPU of the thread is part of that of the process."""
    while time.thread_time_ns() - watching._thread_ns < 20 * MS:
        pass
    gauges = sample(watching)
    assert 0.02 <= gauges["cpu_ratio"] <= gauges["process_cpu_ratio"] + 0.001


def test_garbage_collection_is_timed_until_closed() -> None:
    """The longest collection of a second is told, whoever began it; closing ends it."""
    watchers = len(gc.callbacks)
    watching = Health()
    gc.collect()
    assert sample(watching)["gc_pause_max_ms"] > 0
    watching.close()
    assert len(gc.callbacks) == watchers


class Linux(NamedTuple):
    """A reading of psutil there."""

    user: float
    system: float
    idle: float
    steal: float


class MacOS(NamedTuple):
    """A reading of psutil there."""

    user: float
    system: float
    idle: float


@pytest.mark.parametrize(
    ("before", "after", "ratio"),
    [
        (Linux(10, 5, 100, 1), Linux(12, 6, 105, 3), 0.2),
        (Linux(10, 5, 100, 1), Linux(12, 6, 107, 1), 0.0),
        (Linux(10, 5, 100, 1), Linux(10, 5, 100, 5), 1.0),
        (Linux(10, 5, 100, 1), Linux(10, 5, 100, 1), 0.0),  # within a tick of the kernel's clock
        (MacOS(10, 5, 100), MacOS(12, 6, 105), 0.0),
    ],
)
def test_steal_is_a_share_of_all_cores_time(before: object, after: object, ratio: float) -> None:
    """What the hypervisor took, of all time that passed on all cores; 0 on systems that do not tell."""
    assert monitor._steal_ratio(before, after) == pytest.approx(ratio)


def test_this_systems_readings_serve() -> None:
    """Whatever psutil gives here is read."""
    reading = psutil.cpu_times()
    assert monitor._steal_ratio(reading, reading) == 0


# Ports and files.


@pytest.mark.parametrize(
    ("text", "ports"),
    [("32768\t60999\n", 28232), ("40000 40003", 4), ("", 16384), ("none", 16384), (None, 16384)],
)
def test_local_ports_are_the_systems(
    text: str | None, ports: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Linux says which ports it gives; where it does not, the range that IANA set apart serves."""
    monkeypatch.setattr(monitor, "PORT_RANGE", tmp_path / "ip_local_port_range")
    if text is not None:
        monitor.PORT_RANGE.write_text(text)
    assert local_ports() == ports


def test_connections_take_ports_and_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ports grow with the pairs of addresses; the process's files are for all."""
    monkeypatch.setattr(monitor, "local_ports", lambda: 100)
    monkeypatch.setattr(monitor, "most_connections", lambda: 400)
    watching = Health()
    watching.close()
    one, two = (sample(watching, connections=90, address_pairs=pairs) for pairs in (1, 2))
    assert (one["ports_ratio"], two["ports_ratio"]) == (0.9, 0.45)
    assert one["files_ratio"] == two["files_ratio"] == 90 / 400


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> Limits:
    """A system's limits on files: soft, hard, and the most that it accepts, which may be less than hard."""
    limits = {"soft": 256, "hard": UNLIMITED, "accepted": UNLIMITED}

    def setrlimit(_: int, wanted: tuple[int, int]) -> None:
        soft, hard = wanted
        assert hard == limits["hard"], "the hard limit is never lowered"
        if limits["accepted"] != UNLIMITED and (soft == UNLIMITED or soft > limits["accepted"]):
            raise ValueError("current limit exceeds maximum limit")
        limits["soft"] = soft

    monkeypatch.setattr(resource, "getrlimit", lambda _: (limits["soft"], limits["hard"]))
    monkeypatch.setattr(resource, "setrlimit", setrlimit)
    return limits


@pytest.mark.parametrize(
    ("soft", "hard", "accepted", "raised"),
    [
        (256, 4096, UNLIMITED, 4096),
        (256, UNLIMITED, UNLIMITED, UNLIMITED),
        (256, UNLIMITED, 10_240, 10_240),  # macOS
        (256, UNLIMITED, 0, 256),  # not even that, or nothing (a sandbox)
        (20_000, UNLIMITED, 10_240, 20_000),  # raised before by who may: never lowered
        (4096, 4096, 0, 4096),
        (UNLIMITED, UNLIMITED, 0, UNLIMITED),
        (50, 50, 0, 50),
    ],
)
def test_a_limit_that_cannot_be_raised_is_told(
    soft: int, hard: int, accepted: int, raised: int, limits: Limits
) -> None:
    """Whatever the system refuses, the process goes on with what it has, and says how much that is."""
    limits.update(soft=soft, hard=hard, accepted=accepted)
    told = raise_files_limit()
    assert limits["soft"] == raised
    most = sys.maxsize if raised == UNLIMITED else raised
    assert told == most_connections() == max(1, most - monitor.OTHER_FILES)


def test_a_system_error_is_a_refusal_too(limits: Limits, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever way a system says no."""

    def refuse(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert raise_files_limit() == 156
