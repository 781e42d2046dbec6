"""Identity and history in real runs: one token for all, one for each; more than the server restores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from loadtest.server.server_process import ServerProcess
from tests.support.locusts import BRISK, Finished, LocustProcess, two_workers
from tests.support.serverclient import signed

SESSIONS = 12

LONG_TALK = (
    *("--ws-sessions", str(SESSIONS // 2), "--ws-rate", "20", "--ws-drop-every", "0"),
    *("--ws-storm", "100%@8:fin"),
)
"""Up to the storm a session says 160 messages, and the server keeps 320: more than the 200 it restores."""

ONE_TOKEN = ("--ws-token", signed({"sid": "shared"}, "any key"))


@contextmanager
def running(folder: Path, *arguments: str, fault: str = "", seconds: int) -> Iterator[LocustProcess]:
    """Run Locust against a reference server."""
    with (
        ServerProcess(faults=(fault,) if fault else ()) as server,
        LocustProcess(folder, "--host", server.url, *BRISK, *arguments, seconds=seconds) as locust,
    ):
        yield locust


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Finished]:
    """All runs, made together."""
    folder = tmp_path_factory.mktemp("identities")
    tokens = folder / "tokens.csv"
    rows = [signed({"sid": f"user-{number}"}, "any key") for number in range(SESSIONS)]
    tokens.write_text("\n".join(["token", *rows, ""]))
    talk = (*LONG_TALK, "--ws-data", str(tokens))
    with ExitStack() as stack:
        processes = {
            name: stack.enter_context(running(folder / name, *arguments, fault=fault, seconds=seconds))
            for name, arguments, fault, seconds in (
                ("one token", ONE_TOKEN, "", 60),
                ("with workers", (*ONE_TOKEN, *two_workers()), "", 60),
                ("tokens", talk, "", 13),
                ("forgetful", talk, "forget_message=0.5", 13),
            )
        }
        return {name: process.wait(150) for name, process in processes.items()}


@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", ["one token", "with workers"])
def test_one_token_for_all_sessions_tells_nothing(runs: dict[str, Finished], name: str) -> None:
    """The server says that it takes them for one: no item passes or fails, and the run ends early."""
    run = runs[name]
    assert run.exit_code == 4, run.output
    assert set(run.rulings.values()) == {"INCONCLUSIVE", "NOT_JUDGED"}
    assert run.rulings["connect"] == "INCONCLUSIVE"
    assert run.manifest["ended_early"].startswith("one token gave ")
    output = " ".join(run.output.split())
    assert "sessions the same identity (the server's ids: shared for " in output
    assert "give each session its own credentials with --ws-data" in output
    assert {event["reassigned"] for event in run.events if event.get("known_as") == "shared"} == {True}


@pytest.mark.timeout(240)
def test_a_token_for_each_session_passes(runs: dict[str, Finished]) -> None:
    """Though none has the id that it asked for; and though the server restores a part of its history."""
    run = runs["tokens"]
    assert run.exit_code == 0, run.output
    assert run.rulings["persistence"] == "PASS"
    assert run.manifest["ended_early"] is None
    assert run.counts["persistence.histories"] == SESSIONS
    assert run.counts["messaging.sent"] / SESSIONS > 100, "a user's message and its answer are kept"
    ids = {event["known_as"] for event in run.events if "known_as" in event}
    assert ids == {f"user-{number}" for number in range(SESSIONS)}


@pytest.mark.timeout(240)
def test_a_server_that_forgets_half_of_what_users_say(runs: dict[str, Finished]) -> None:
    """The assistant's answers, which it keeps, do not make up for that; the window explains none of it."""
    run = runs["forgetful"]
    assert [item for item, ruling in run.rulings.items() if ruling == "FAIL"] == ["persistence"], run.output
    assert run.exit_code == 1
    assert run.counts["persistence.missing"] > 0
