"""The examples of docs/ for protocols of JSON messages and no framework.

Each passes against a sound server of its protocol, and finds the one defect of the same server: in its own
item, in words that the server's owner understands.
"""

from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

from loadtest.cli import main
from tests.support.examples import FEW_IN_A_ROOM, failed, passed, run_example, stranger
from tests.support.locusts import Finished


def _run(heading: str, name: str, fault: str | None, folder: Path, *settings: str) -> Finished:
    """Run an example against a server of its protocol."""
    with stranger(name, fault) as url:
        return run_example(heading, url, folder, *settings)


class TestOwnHeader:
    """The token in a header of one's own."""

    @pytest.mark.parametrize("given", ["s3cret", ""])
    def test_the_header_alone(self, given: str, tmp_path: Path) -> None:
        """The server lets in who sends the token there, and does not get it as Authorization, too."""

        def check(connection: ServerConnection, request: Request) -> Response | None:
            sound = request.headers.get("X-Chat-Token") == "s3cret" and "Authorization" not in request.headers
            return None if sound else connection.respond(401, "no token")

        def echo(connection: ServerConnection) -> None:
            for said in connection:
                connection.send(said)

        with serve(echo, "127.0.0.1", 0, process_request=check) as server:
            threading.Thread(target=server.serve_forever).start()
            url = f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
            token = ("--ws-token", given) if given else ()
            finished = run_example("One token for all sessions", url, tmp_path, *token, seconds=4)
            server.shutdown()
        assert finished.rulings["connect"] == ("PASS" if given else "FAIL"), finished.output


class TestHeartbeat:
    """Clients that say nothing for 2 s are logged out; sessions here have a message only every 4 s."""

    @staticmethod
    def _run(fault: str | None, folder: Path) -> Finished:
        settings = ("--ws-sessions", "50", "--ws-rate", "0.25", "--ws-drop-every", "8")
        return _run("A heartbeat", "heartbeat", fault, folder, *settings)

    def test_sound(self, tmp_path: Path) -> None:
        """The heartbeat keeps silent sessions connected."""
        finished = self._run(None, tmp_path)
        summaries = passed(finished)
        assert summaries["persistence"] == "sessions of the dialect chat have no identity"
        assert finished.counts["messaging.other_sent"] > finished.counts["messaging.sent"]

    def test_pings_that_are_no_sign_of_life(self, tmp_path: Path) -> None:
        """Clients that were logged out all the same must not come back, and the server's reason is shown."""
        finished = self._run("pings_ignored", tmp_path)
        summary, _ = failed(finished, "stability")
        assert " x 4408 'logged out: silent for 2 s'; first at 00:0" in summary
        assert " sessions barred from reconnecting" in summary


class TestAChatRoom:
    """A room that keeps its newest 50 messages: each session finds a few of its own there."""

    def test_sound(self, tmp_path: Path) -> None:
        """What others wrote while a session was away has pushed its older messages out: none is missed."""
        finished = _run("A chat room", "chat_room", None, tmp_path, *FEW_IN_A_ROOM)
        passed(finished, "persistence")
        assert finished.counts["persistence.histories"] >= 10
        assert finished.counts["persistence.acknowledged"] > 0
        assert finished.counts["messaging.pushes"] > finished.counts["messaging.answered"]

    def test_one_message_in_twenty_is_not_stored(self, tmp_path: Path) -> None:
        """The holes show, and what came instead."""
        finished = _run("A chat room", "chat_room", "loses_stored", tmp_path, *FEW_IN_A_ROOM)
        summary, errors = failed(finished, "persistence")
        assert "missing from the restored history" in summary
        example = errors["acknowledged requests are not restored"]
        assert re.search(
            r"; restored \d+ messages, (own requests \d+–\d+|no own requests), window 50$", example
        )


class TestStreamedAnswers:
    """Answers in pieces, several at a time."""

    @staticmethod
    def _run(fault: str | None, folder: Path) -> Finished:
        return _run("Streamed answers", "streamed", fault, folder, "--ws-reply-timeout", "1")

    def test_sound(self, tmp_path: Path) -> None:
        """The pieces make the whole text, and the time to the first one is measured."""
        finished = self._run(None, tmp_path)
        summaries = passed(finished)
        assert "messages answered, intact and once;" in summaries["messaging"]
        assert summaries["persistence"] == "sessions of the dialect assistant have no identity"
        assert {"first_part", "part_gap"} <= set(finished.evidence("messaging")["percentiles"])

    def test_a_stream_that_breaks_off(self, tmp_path: Path) -> None:
        """An answer without an end fails, although it began; the error shows what was asked."""
        finished = self._run("breaks_off", tmp_path)
        summary, errors = failed(finished, "messaging")
        assert "answered with a stream that broke off" in summary
        shown = errors["streamed reply broke off"]
        assert re.match(rf"request \d+: \[{finished.manifest['run_id']}\.", shown)


class TestMarketData:
    """A feed of numbered ticks, to which clients only listen."""

    def test_sound(self, tmp_path: Path) -> None:
        """Ticks without a gap pass, also in a report that is made without the locustfile."""
        finished = _run("Market data", "market_data", None, tmp_path)
        summaries = passed(finished)
        assert "pushes received, none known to be missing" in summaries["messaging"]
        assert summaries["persistence"] == "sessions of the dialect ticks have no identity"
        assert not finished.counts["messaging.sent"]
        again = CliRunner().invoke(main, ["report", str(finished.run)], prog_name="loadtest")
        assert again.exit_code == 0, again.output
        assert passed(Finished(again.exit_code, again.output, finished.results)) == summaries

    def test_a_gap(self, tmp_path: Path) -> None:
        """A tick that was not sent fails, and the error names the numbers around the gap."""
        summary, errors = failed(_run("Market data", "market_data", "skips_ticks", tmp_path), "messaging")
        assert "pushes received: " in summary
        assert "pushes missing" in summary
        found = re.fullmatch(r"push (\d+) came after push (\d+)", errors["push missing"])
        assert found is not None
        assert (int(found[1]) - 1) % 20 == 0
        assert int(found[2]) == int(found[1]) - 2


class TestChallengeAndResponse:
    """A login over the WebSocket, in which the secret is not sent."""

    @staticmethod
    def _run(fault: str | None, folder: Path, *settings: str) -> Finished:
        users = folder / "users.csv"
        rows = [f"user{number},secret of user{number}\n" for number in range(200)]
        users.write_text("user,secret\n" + "".join(rows))
        heading = "Challenge and response"
        return _run(heading, "challenge", fault, folder, "--ws-data", str(users), *settings)

    def test_sound(self, tmp_path: Path) -> None:
        """Each connection is challenged anew, and sessions come back as the same user."""
        finished = self._run(None, tmp_path)
        summaries = passed(finished, "persistence")
        assert "resumes with the same identity; no history to compare" in summaries["persistence"]
        assert finished.counts["persistence.checked"] >= 10
        connections = finished.counts["connect.established"] + finished.counts["reconnect.resumed"]
        assert finished.counts["messaging.other_sent"] >= connections

    def test_digests_without_leading_zeros(self, tmp_path: Path) -> None:
        """One right answer in 16 is denied: the logins fail, with the server's words."""
        settings = ("--ws-sessions", "100", "--ws-rate", "1", "--ws-drop-every", "0")
        summary, errors = failed(self._run("drops_zeros", tmp_path, *settings), "connect")
        assert "of 200 attempts failed" in summary
        # The server names the user; all values of --ws-data are secrets.
        assert errors["established: auth_required"] == "wrong answer to the challenge: ***"
