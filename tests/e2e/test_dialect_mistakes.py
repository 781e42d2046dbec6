"""Mistakes in a user's dialect, as its author meets them: exit code 2, and a line that says where."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.locusts import BRISK, Finished, LocustProcess, two_workers

LOCUSTFILE = """
import json
from loadtest import Dialect, WebSocketUser
from loadtest.dialects.emergence import Emergence

class Chat(Emergence):
    {method}

class User(WebSocketUser):
    dialect = Chat
    token = "s3cret-t0ken"
"""

READ = """
    def read(self, session, data):
        return json.loads(data)["s3cret-t0ken"]
"""

REQUEST = """
    def request(self, session, sequence):
        if sequence == 3:
            raise LookupError(f"no room for {session.token}")
        return super().request(session, sequence)
"""

LOGIN = """
    async def login(self, session):
        session.token = session.data["s3cret-t0ken"]
"""

DICT = """
    def read(self, session, data):
        read = super().read(session, data)
        return {"type": "pong"} if type(read).__name__ == "StreamPart" else read

    def request(self, session, sequence):
        if sequence == 2:
            return {"text": session.text(sequence)}
        return super().request(session, sequence)
"""


def run(folder: Path, method: str, *arguments: str) -> Finished:
    """Run a locustfile whose dialect has this method."""
    locustfile = folder / "chat.py"
    locustfile.write_text(LOCUSTFILE.replace("{method}", method.strip()))
    with LocustProcess(folder / "results", *BRISK, *arguments, seconds=30, locustfile=locustfile) as locust:
        return locust.wait()


def assert_told(finished: Finished, told: str) -> None:
    """Assert that a run ended with exit code 2 and this mistake, in its output and its record."""
    assert finished.exit_code == 2, finished.output
    assert finished.manifest["usage_error"] is True
    assert f"The run ended early: {finished.manifest['failure']}"[:60] in finished.output
    assert not {"PASS", "FAIL"} & set(finished.rulings.values())
    assert finished.manifest["complete"] is False
    assert finished.manifest["failure"].startswith(told)
    assert told in finished.output
    assert "Traceback" not in finished.output
    assert "s3cret" not in finished.output
    for file in finished.run.iterdir():
        assert b"s3cret" not in file.read_bytes()


def test_a_dialect_that_reads_nothing_ends_the_run(tmp_path: Path) -> None:
    """If `read` raises at each of the first messages, the run says so with the message it was given."""
    finished = run(tmp_path, READ)
    assert_told(finished, "mistake in the dialect: Chat.read raised KeyError: '***' (given {")
    assert "ws:session_established" in finished.manifest["failure"]
    assert finished.counts["connect.established"] == 0


def test_a_login_with_a_mistake_ends_the_run(tmp_path: Path) -> None:
    """A mistake in a login is none of the server's: no attempt is counted as failed."""
    finished = run(tmp_path, LOGIN)
    told = "session.data has no column '***': no --ws-data was given"
    assert_told(finished, f'mistake in the dialect: Chat.login raised KeyError: "{told}" (given session ')
    assert finished.counts["connect.failed"] == 0


@pytest.mark.parametrize("processes", [1, 2])
def test_a_mistake_ends_the_run_of_all_processes(tmp_path: Path, processes: int) -> None:
    """With one process or with workers: what was measured is kept, and the exit code is the same."""
    finished = run(tmp_path, REQUEST, *(two_workers() if processes == 2 else ()))
    assert_told(
        finished,
        "mistake in the dialect: Chat.request raised LookupError: no room for *** (given sequence 3)",
    )
    assert finished.counts["messaging.answered"] > 0
    assert finished.rulings["messaging"] != "PASS"


def test_a_wrong_result_is_shown(tmp_path: Path) -> None:
    """What a method returned, and what it may return, stand in the line."""
    finished = run(tmp_path, DICT)
    told = finished.manifest["failure"]
    assert_told(finished, "mistake in the dialect: Chat.re")
    assert "returned {'t" in told
    assert "(dict); it must return " in told


MISSING = """
from loadtest import Dialect, WebSocketUser

class Chat(Dialect):
    name = "chat"
    default_path = "/ws/{session_id}"

class User(WebSocketUser):
    dialect = Chat
"""


def test_a_dialect_without_methods_says_what_is_missing(tmp_path: Path) -> None:
    """A class with a name and nothing else is refused in one line."""
    locustfile = tmp_path / "chat.py"
    locustfile.write_text(MISSING)
    with LocustProcess(tmp_path / "results", *BRISK, seconds=30, locustfile=locustfile) as locust:
        finished = locust.wait()
    assert finished.exit_code == 2, finished.output
    assert "mistake in the dialect: Chat.read is missing" in finished.output
    assert "Traceback" not in finished.output
