"""Small servers of another make, each with one defect of real ones: it fails its item and no other.

Their sound twins, the same programs without the fault, pass. Servers and runs are started together.
"""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from tests.support.examples import failed, passed, stranger
from tests.support.locusts import Finished, LocustProcess

LOCUSTFILE = """
from loadtest import WebSocketUser
from tests.support.small_chat import Chat


class User(WebSocketUser):
    dialect = Chat
"""

PLAN = (
    *("--ws-sessions", "10", "--ws-rate", "5", "--ws-drop-every", "3", "--ws-warmup", "1"),
    *("--ws-drops", "close=1,fin=1,reset=1,mid_message=1", "--ws-backoff", "constant(0.3)"),
    *("--ws-reply-timeout", "3", "--ws-baseline", "none"),
)
NO_DROPS = ("--ws-drop-every", "0")
"""Where nothing works: a drop in the instant between two failures would begin an outage."""

ECHO = ("--ws-dialect", "echo", "--ws-drop-every", "8", "--ws-message-bytes", "100=9,20000=1")

DEFECTS = {
    ("unstable", "4408"): "stability",
    ("unstable", "fin"): "stability",
    ("unstable", "too_big"): "stability",
    ("mixed_up", "cached"): "messaging",
    ("mixed_up", "wrong_charset"): "persistence",
    ("mixed_up", "wrong_owner"): "persistence",
    ("mixed_up", "oldest_lost"): "persistence",
    ("mixed_up", "empty"): "persistence",
    ("mixed_up", "revolving"): "reconnect",
    ("mixed_up", "deaf"): "reconnect",
    ("mixed_up", "revolving_for_all"): "connect",
}
SOUND = (("unstable", ""), ("mixed_up", ""))
BATCHES = 2

TIMED = pytest.mark.timeout(240)
"""Of tests whose fixture makes all runs."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Finished]:
    """A run against each server, half of them at the same time."""
    servers = [*DEFECTS, *SOUND]
    return {
        server: run
        for number in range(BATCHES)
        for server, run in _runs(tmp_path_factory, servers[number::BATCHES]).items()
    }


def _runs(folders: pytest.TempPathFactory, servers: list[tuple[str, str]]) -> dict[tuple[str, str], Finished]:
    with ExitStack() as stack:
        processes = {}
        for name, fault in servers:
            url = stack.enter_context(stranger(name, fault)).replace("http://", "ws://")
            folder = folders.mktemp("defect")
            locustfile = folder / "locustfile.py"
            locustfile.write_text(LOCUSTFILE)
            more = ECHO if name == "unstable" else NO_DROPS if fault == "revolving_for_all" else ()
            given = (*PLAN, *more, "--host", url)
            locust = LocustProcess(folder / "results", *given, seconds=10, locustfile=locustfile)
            processes[name, fault] = stack.enter_context(locust)
        return {server: process.wait(150) for server, process in processes.items()}


@TIMED
@pytest.mark.parametrize(
    ("server", "item"),
    DEFECTS.items(),
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else value,
)
def test_defect_fails_its_own_item_only(
    runs: dict[tuple[str, str], Finished], server: tuple[str, str], item: str
) -> None:
    """FAIL in the item of the defect, in no other, and exit code 1."""
    failed(runs[server], item)


@TIMED
@pytest.mark.parametrize("server", SOUND, ids=lambda server: server[0])
def test_sound_twin_passes(runs: dict[tuple[str, str], Finished], server: tuple[str, str]) -> None:
    """The same program without the fault."""
    passed(runs[server], *(["persistence"] if server[0] == "mixed_up" else []))


def test_other_sessions_texts_are_shown_beside_the_own(runs: dict[tuple[str, str], Finished]) -> None:
    """Whoever reads the report sees what was sent and what came."""
    _, examples = failed(runs["mixed_up", "cached"], "messaging")
    ((error, example),) = examples.items()
    assert "another session" in error or "foreign" in error
    assert example.count("[") == 2
