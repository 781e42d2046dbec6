"""The item `cleanup`, through headless Locust, against a server that lets go of clients, or in one way not.

The servers and runs are started together, since they mostly wait.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.examples import failed, stranger
from tests.support.locusts import BRISK, Finished, LocustProcess, two_workers

TIMEOUT_3 = ("--ws-cleanup-timeout", "3")
DROPS = ("--ws-dialect", "echo", *BRISK, "--ws-drops", "close=1,half_open=1")

RUNS: dict[str, tuple[str, tuple[str, ...]]] = {
    "sound": ("", TIMEOUT_3),
    "sound, two workers": ("", TIMEOUT_3),
    "no_fin": ("no_fin", ()),
    "no_pings, judged": ("no_pings", TIMEOUT_3),
    "no_pings, reported": ("no_pings", ()),
    "gauge_leaks": ("gauge_leaks", ()),
    "gauge_stands": ("gauge_stands", ()),
}
"""By name: the server's fault, and the run's options."""

TIMED = pytest.mark.timeout(180)
"""All runs are made for the first test; each lasts 14 s, and 10 s more if the gauge does not come back."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Finished]:
    """All runs, made at the same time."""
    with ExitStack() as stack:
        processes = {}
        for name, (fault, options) in RUNS.items():
            url = stack.enter_context(stranger("keeper", fault or None))
            where = (
                "--host",
                url.replace("http", "ws"),
                "--ws-server-metrics",
                f"{url}/metrics#ws_connections",
            )
            workers = two_workers() if "workers" in name else ()
            folder = tmp_path_factory.mktemp("cleanup")
            locust = LocustProcess(folder, *where, *DROPS, *options, *workers, seconds=14)
            processes[name] = stack.enter_context(locust)
        return {name: process.wait(120) for name, process in processes.items()}


def told(run: Finished) -> str:
    """Return the summary of `cleanup`."""
    return next(str(item["summary"]) for item in run.verdict["items"] if item["item"] == "cleanup")


@TIMED
@pytest.mark.parametrize("name", ["sound", "sound, two workers"])
def test_a_server_that_lets_go_passes(runs: dict[str, Finished], name: str) -> None:
    """FIN after close drops, half-open connections closed by its pings, the gauge back: PASS of each."""
    run = runs[name]
    assert run.exit_code == 0, run.output
    assert run.rulings["cleanup"] == "PASS"
    assert "half-open connections closed within 3 s" in told(run)
    assert "gauge is back at 0 (peak " in told(run)
    assert run.counts["cleanup.close_closed"] > 0
    watched = run.counts["cleanup.half_open_watched"]
    assert watched == run.counts["drops.half_open"]
    assert watched == run.counts["cleanup.half_open_closed"] + run.counts["cleanup.half_open_cut_short"]
    assert "Cleanup by the server" in run.page


@TIMED
def test_tcp_left_open_after_a_close_fails(runs: dict[str, Finished]) -> None:
    """A server that never ends TCP after the closing handshake fails `cleanup` and nothing else."""
    summary, errors = failed(runs["no_fin"], "cleanup")
    assert "closed connections had no FIN 10 s after the close frame" in summary
    assert "the server never closed TCP (close)" in errors


@TIMED
def test_half_open_connections_left_open_fail(runs: dict[str, Finished]) -> None:
    """With a cleanup time, a server without pings fails `cleanup` and nothing else."""
    summary, errors = failed(runs["no_pings, judged"], "cleanup")
    assert "still open 8 s after the client went silent" in summary
    assert "3 s allowed (--ws-cleanup-timeout)" in summary
    assert "the server never closed TCP (half_open)" in errors


@TIMED
def test_without_a_cleanup_time_they_are_reported(runs: dict[str, Finished]) -> None:
    """Without a cleanup time the same server passes, and the summary says what was not judged."""
    run = runs["no_pings, reported"]
    assert run.exit_code == 0, run.output
    assert "half-open connections are not judged without --ws-cleanup-timeout: 0 of " in told(run)
    assert run.counts["cleanup.half_open_closed"] == 0


@TIMED
def test_a_gauge_that_leaks_fails(runs: dict[str, Finished]) -> None:
    """Connections that stay on the server's gauge fail `cleanup` and nothing else."""
    summary, _ = failed(runs["gauge_leaks"], "cleanup")
    assert "the server's gauge was 0 before the run, and still " in summary
    assert runs["gauge_leaks"].manifest["server_gauge"]["after"] > 0


@TIMED
def test_a_gauge_that_does_not_move_shows_nothing(runs: dict[str, Finished]) -> None:
    """A gauge that never rose is no proof: INCONCLUSIVE."""
    run = runs["gauge_stands"]
    assert (run.exit_code, run.rulings["cleanup"]) == (4, "INCONCLUSIVE"), run.output
    assert "does it count connections?" in told(run)


def test_a_gauge_that_is_absent_is_refused(tmp_path: Path) -> None:
    """A name that the server does not have ends the run before its first connection, with exit code 2."""
    with stranger("keeper") as url:
        where = ("--host", url.replace("http", "ws"), "--ws-server-metrics", f"{url}/metrics#no_such_name")
        with LocustProcess(tmp_path, *where, *DROPS, seconds=5) as locust:
            run = locust.wait()
    assert run.exit_code == 2, run.output
    assert "--ws-server-metrics cannot be read: " in run.output
    assert not list(tmp_path.glob("*/*/run.json"))
