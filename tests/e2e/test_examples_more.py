"""The examples of docs/ for tickets, binary messages, histories, STOMP, Phoenix and OCPP.

Each passes against a sound server of its protocol, and finds the one defect of the same server: in its own
item, in words that the server's owner understands.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.examples import failed, passed, run_example, stranger
from tests.support.locusts import Finished

NODE = ("node", "npm")


def _run(heading: str, name: str, fault: str | None, folder: Path, *settings: str) -> Finished:
    """Run an example against a server of its protocol, in Python or on Node."""
    command = ("node", f"tests/support/strangers/{name}") if name.endswith(".mjs") else ()
    with stranger(name, fault, command=command) as url:
        return run_example(heading, url, folder, *settings, seconds=5)


class TestSingleUseTickets:
    """A ticket over HTTP for each connection."""

    def test_sound(self, tmp_path: Path) -> None:
        """Each attempt has a ticket of its own, and sessions come back as the same user."""
        finished = _run("Single-use tickets", "tickets", None, tmp_path)
        passed(finished, "persistence")
        assert finished.counts["persistence.checked"] >= 10

    def test_cached_tickets(self, tmp_path: Path) -> None:
        """Sessions that get a used ticket again cannot come back, and the server's words are shown."""
        summary, errors = failed(_run("Single-use tickets", "tickets", "cached", tmp_path), "reconnect")
        assert "attempts failed" in summary
        assert errors["upgrade: http_403"] == "HTTP 403 this ticket is unknown or used"


class TestMessagePack:
    """Binary messages that msgspec writes and reads."""

    def test_sound(self, tmp_path: Path) -> None:
        """Texts are checked as in JSON; a protocol without sessions has no persistence to judge."""
        summaries = passed(_run("MessagePack", "message_pack", None, tmp_path))
        assert "intact, once and in order" in summaries["messaging"]
        assert summaries["persistence"] == "sessions of the dialect messagepack have no identity"

    def test_a_variable_that_clients_share(self, tmp_path: Path) -> None:
        """A reply with the text of another session shows both texts."""
        finished = _run("MessagePack", "message_pack", "shared_text", tmp_path)
        summary, errors = failed(finished, "messaging")
        assert "answered with another session's text" in summary
        sent, _, got = errors["reply holds another session's text"].partition(", got ")
        run_id = finished.manifest["run_id"]
        assert f'sent "[{run_id}.' in sent
        assert f'"[{run_id}.' in got
        assert sent.split(".")[1:3] != got.split(".")[1:3]


class TestUnsignedBinaryIds:
    """Frames whose ids cannot be negative."""

    def test_sound(self, tmp_path: Path) -> None:
        """Drops in the middle of a reply need no ids outside the protocol either."""
        settings = ("--ws-drops", "mid_reply=1,close=1")
        finished = _run("Unsigned binary ids", "unsigned_ids", None, tmp_path, *settings)
        summaries = passed(finished)
        assert finished.counts["drops.mid_reply"] >= 5
        assert summaries["persistence"] == "sessions of the dialect binary-frames have no identity"

    def test_a_length_in_characters(self, tmp_path: Path) -> None:
        """The report shows how the text ended, and where it was cut."""
        finished = _run("Unsigned binary ids", "unsigned_ids", "length_in_characters", tmp_path)
        summary, errors = failed(finished, "messaging")
        assert "answered with an altered text" in summary
        sent, _, got = errors["reply altered"].partition(", got ")
        assert sent.endswith('xxx]"')
        assert got.endswith('xxx" (character 57 of 60)')


class TestHistoryOneMessageAFrame:
    """A replay that ends with a marker."""

    HEADING = "History, one message a frame"

    def test_sound(self, tmp_path: Path) -> None:
        """The pieces are compared as one history."""
        finished = _run(self.HEADING, "replayed_history", None, tmp_path)
        summary = passed(finished, "persistence")["persistence"]
        assert finished.counts["persistence.histories"] >= 10
        assert f"held all {finished.counts['persistence.acknowledged']} acknowledged requests" in summary

    @pytest.mark.parametrize(
        ("fault", "meaning", "error"),
        [
            (
                "written_in_batches",
                "acknowledged but missing from the restored history",
                "acknowledged requests are not restored",
            ),
            (
                "newest_first",
                "out of order in the restored history",
                "requests restored out of order",
            ),
        ],
    )
    def test_another_history(self, fault: str, meaning: str, error: str, tmp_path: Path) -> None:
        """The first request that is not where it belongs is named, with its text."""
        finished = _run(self.HEADING, "replayed_history", fault, tmp_path)
        summary, errors = failed(finished, "persistence")
        assert meaning in summary
        first = r' of \d+, first (\d+: |request \d+ after request \d+: ")'
        assert re.search(rf"{first}\[{finished.manifest['run_id']}\.", errors[error])


@pytest.mark.external(*NODE)
class TestResumeToken:
    """A server on `ws`, the library of most servers on Node."""

    def test_sound(self, tmp_path: Path) -> None:
        """The newest token resumes the session and its history, many times over."""
        finished = _run("A resume token", "resume_token.mjs", None, tmp_path)
        passed(finished, "persistence")
        assert finished.counts["persistence.checked"] >= 10
        assert finished.counts["persistence.histories"] >= 10

    def test_forgotten_tokens(self, tmp_path: Path) -> None:
        """Sessions whose token is forgotten come back as new ones; both ids are shown."""
        finished = _run("A resume token", "resume_token.mjs", "rotation_forgotten", tmp_path)
        summary, errors = failed(finished, "persistence")
        assert "as another session" in summary
        got, _, before = errors["resumed into another session"].partition(" instead of ")
        assert got != before
        assert len(got) > 30 < len(before)


@pytest.mark.external(*NODE)
class TestStomp:
    """The broker `stomp-broker-js`, with and without receipts."""

    WITHOUT = ("--ws-dialect", "stomp-without-receipts")

    def test_with_receipts(self, tmp_path: Path) -> None:
        """Receipts are the replies, and what the topic brings are pushes."""
        finished = _run("STOMP", "stomp.mjs", None, tmp_path)
        summaries = passed(finished)
        assert summaries["persistence"] == "sessions of the dialect stomp have no identity"
        assert finished.counts["messaging.answered"] >= 100
        assert finished.counts["messaging.pushes"] >= 100

    def test_receipts_that_never_come(self, tmp_path: Path) -> None:
        """The broker as published forgets them: a defect that this test found."""
        settings = ("--ws-reply-timeout", "1")
        finished = _run("STOMP", "stomp.mjs", "as_published", tmp_path, *settings)
        summary, errors = failed(finished, "messaging")
        assert "messages was answered" in summary
        assert errors["no reply in time"].startswith("request ")

    def test_without_receipts(self, tmp_path: Path) -> None:
        """Nothing replies, and the pushes are judged."""
        finished = _run("STOMP", "stomp.mjs", None, tmp_path, *self.WITHOUT)
        summaries = passed(finished)
        assert "pushes received" in summaries["messaging"]
        assert finished.counts["messaging.unanswerable"] == finished.counts["messaging.sent"]
        assert finished.counts["messaging.pushes"] >= 100

    def test_the_wrong_topic(self, tmp_path: Path) -> None:
        """What another session sent shows with that session's number."""
        finished = _run("STOMP", "stomp.mjs", "wrong_topic", tmp_path, *self.WITHOUT)
        summary, errors = failed(finished, "messaging")
        assert "pushes with another session's text" in summary
        example = errors["foreign text in a push"]
        assert example.startswith(f'of another session: sent "[{finished.manifest["run_id"]}.')


@pytest.mark.external(*NODE)
class TestPhoenix:
    """A channel, by the protocol of Phoenix."""

    def test_sound(self, tmp_path: Path) -> None:
        """Sessions join with their token; what comes without a reference is a push."""
        finished = _run("Phoenix channels", "phoenix.mjs", None, tmp_path, "--ws-token", "secret")
        passed(finished)
        assert finished.counts["messaging.pushes"] >= 20

    def test_a_handler_that_crashes(self, tmp_path: Path) -> None:
        """It fails the message that crashed it, and those that the channel would have had afterwards."""
        finished = _run("Phoenix channels", "phoenix.mjs", "crash", tmp_path, "--ws-token", "secret")
        summary, errors = failed(finished, "messaging")
        assert "answered with an error" in summary
        assert errors["the server answered with an error"].endswith(": the channel crashed")


class TestOcpp:
    """A central system that charge points call, and which calls them."""

    def test_sound(self, tmp_path: Path) -> None:
        """Charge points boot, answer calls, and transfer data."""
        finished = _run("OCPP", "central_system", None, tmp_path)
        passed(finished)
        assert finished.counts["messaging.pushes"] >= 20

    def test_an_internal_error(self, tmp_path: Path) -> None:
        """Code and description of the error are shown."""
        summary, errors = failed(_run("OCPP", "central_system", "tariff_missing", tmp_path), "messaging")
        assert "answered with an error" in summary
        assert errors["the server answered with an error"].endswith("InternalError: no tariff for loadtest")
