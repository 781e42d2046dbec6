"""The bundled dialect `template`: the file of its page, and others, against servers of three protocols."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.bundled import bundled_server, check_bundled, run_bundled
from tests.support.examples import FEW_IN_A_ROOM, failed, passed
from tests.support.locusts import Finished
from tests.support.places import ROOT

PAGE = (ROOT / "docs" / "template.md").read_text()

FILES = {
    "message_pack": """
        format = "msgpack"
        [request]
        message = '{"id": $sequence, "text": "$text"}'
        [reply]
        id = "id"
        text = "text"
        """,
    "streamed": """
        ordered = false
        [request]
        message = '{"type": "prompt", "id": $sequence, "prompt": "$text"}'
        [stream]
        when = { type = ["start", "delta"] }
        id = "id"
        text = "text"
        [reply]
        when = { type = "done" }
        id = "id"
        """,
}


@pytest.mark.external("node", "npm")
class TestThePage:
    """The example of docs/template.md: a resume token that changes, and a history."""

    @staticmethod
    def _run(fault: str | None, folder: Path) -> Finished:
        example = re.search(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
        assert example is not None
        file = folder / "chat.toml"
        file.write_text(example[1])
        with bundled_server("resume_token.mjs", fault) as url:
            return run_bundled("template", url, folder, options=(f"file={file}",))

    def test_sound(self, tmp_path: Path) -> None:
        """Sessions come back as the same, with all that they had said."""
        finished = self._run(None, tmp_path)
        passed(finished, "persistence")
        assert finished.evidence("persistence")["judged_by"] == "identity and history"

    def test_tokens_that_are_not_stored(self, tmp_path: Path) -> None:
        """Sessions that come back a second time are others."""
        summary, errors = failed(self._run("rotation_forgotten", tmp_path), "persistence")
        assert "as another session" in summary
        assert "instead of" in errors["resumed into another session"]


ROOM = """
[login]
message = '{"type": "join", "session": null}'
[resume]
message = '{"type": "join", "session": "$resume"}'
[established]
when = { type = "joined" }
session = "session"
resume = "session"
[history]
when = { type = "joined" }
items = "history"
window = 50
shared = true
[request]
message = '{"type": "message", "client_id": "$uuid", "text": "$text"}'
[reply]
when = { type = "ack" }
id = "client_id"
[push]
when = { type = "message" }
[ignore]
when = { type = "presence" }
"""


class TestARoom:
    """A room that keeps its newest 50 messages for all its members."""

    @staticmethod
    def _run(toml: str, fault: str | None, folder: Path) -> Finished:
        file = folder / "chat.toml"
        file.write_text(toml)
        with bundled_server("chat_room", fault) as url:
            return run_bundled("template", url, folder, *FEW_IN_A_ROOM, options=(f"file={file}",), seconds=8)

    def test_sound(self, tmp_path: Path) -> None:
        """The session's own texts are told by their marks, and the others are counted."""
        finished = self._run(ROOM, None, tmp_path)
        passed(finished, "persistence")
        assert finished.counts["persistence.acknowledged"] > 0

    def test_one_message_in_twenty_is_not_stored(self, tmp_path: Path) -> None:
        """The holes between a session's own messages show."""
        summary, _ = failed(self._run(ROOM, "loses_stored", tmp_path), "persistence")
        assert "missing from the restored history" in summary

    def test_not_said_to_be_shared(self, tmp_path: Path) -> None:
        """Then the others' texts are a leak, and the next step says how to tell that they are not."""
        finished = self._run(ROOM.replace("shared = true", ""), None, tmp_path)
        summary, _ = failed(finished, "persistence")
        assert "of another session" in summary
        assert "shared = true in [history]" in " ".join(finished.output.split())


@pytest.mark.parametrize("server", FILES)
def test_other_forms(server: str, tmp_path: Path) -> None:
    """Binary messages, and streamed answers: a check finds nothing wrong."""
    file = tmp_path / "chat.toml"
    file.write_text(FILES[server])
    with bundled_server(server) as url:
        checked = check_bundled("template", url, f"file={file}")
    assert (checked["exit_code"], checked["findings"]) == (0, [])
