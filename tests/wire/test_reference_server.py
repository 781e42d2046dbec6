"""The reference server's log: written into a results folder that someone else may have filled."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from loadtest.errors import ResultsUnwritable
from loadtest.locust_plugin.reference_server import ReferenceServer


def environment() -> Any:
    """Return what the server uses of Locust's environment."""
    return SimpleNamespace(host=None)


def test_the_log_is_written_through_no_planted_link(tmp_path: Path) -> None:
    """Its name cannot be guessed, so no link can stand there; the run gets a file of its own."""
    results, run, victim = tmp_path / "results", tmp_path / "run", tmp_path / "victim.txt"
    results.mkdir()
    run.mkdir()
    victim.write_text("mine")
    for name in ("server.log", f".server-{os.getpid()}.log"):
        (results / name).symlink_to(victim)
    server = ReferenceServer(environment())
    try:
        server.start(results)
        log = server.move_log(run)
    finally:
        server.stop()
    assert log is not None
    assert log.is_file()
    assert not log.is_symlink()
    assert victim.read_text() == "mine"
    assert sorted(path.name for path in results.iterdir()) == [f".server-{os.getpid()}.log", "server.log"]


def test_a_folder_that_cannot_hold_the_log(tmp_path: Path) -> None:
    """It is an error of the results folder, and nothing is started."""
    with pytest.raises(ResultsUnwritable):
        ReferenceServer(environment()).start(tmp_path / "missing")
