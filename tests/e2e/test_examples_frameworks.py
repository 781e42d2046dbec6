"""The examples of docs/ for frameworks' protocols, against servers that frameworks made.

Each passes against a sound server, and finds the one defect of the same server: in its own item, in words
that the server's owner understands.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.examples import failed, passed, run_example, stranger
from tests.support.locusts import Finished


class TestCookiesAndOrigin:
    """FastAPI: a login, a cookie that each connection renews, an Origin."""

    @staticmethod
    def _run(fault: str | None, folder: Path) -> Finished:
        users = folder / "users.csv"
        rows = [f"user{number},{f'user{number}'[::-1]}\n" for number in range(20)]
        users.write_text("user,password\n" + "".join(rows))
        with stranger("cookies", fault) as url:
            return run_example("Cookies and Origin", url, folder, "--ws-data", str(users))

    def test_sound(self, tmp_path: Path) -> None:
        """Sessions log in once, and come back as the same user with the cookie of their last connection."""
        finished = self._run(None, tmp_path)
        passed(finished, "persistence")
        assert finished.evidence("persistence")["counts"]["checked"] >= 10

    def test_a_renewed_cookie_that_was_not_stored(self, tmp_path: Path) -> None:
        """Nobody comes back: each upgrade is refused with 403, by a server that is there."""
        summary, errors = failed(self._run("renewal_lost", tmp_path), "reconnect")
        assert "attempts failed" in summary
        assert errors["upgrade: http_403"] == "HTTP 403"


SLOWLY = ("--ws-rate", "2")
"""An answer takes the frameworks some milliseconds, and Channels drops messages that it has no time for."""


class TestRooms:
    """Django Channels: a room for all sessions, and a room for each."""

    def test_lobby(self, tmp_path: Path) -> None:
        """A session's own message is its reply, and other sessions' messages are pushes."""
        with stranger("rooms") as url:
            finished = run_example("Rooms", url, tmp_path, *SLOWLY)
        passed(finished)
        assert finished.counts["messaging.pushes"] > 10 * finished.counts["messaging.answered"]

    def test_lobby_that_sends_authors_a_second_copy(self, tmp_path: Path) -> None:
        """A message that comes twice fails, and is named."""
        with stranger("rooms", "echoes") as url:
            summary, errors = failed(run_example("Rooms", url, tmp_path, *SLOWLY), "messaging")
        assert "answered twice" in summary
        assert errors["reply duplicated"].startswith("request ")

    def test_private_rooms(self, tmp_path: Path) -> None:
        """Sessions alone in their rooms hear only themselves."""
        with stranger("rooms") as url:
            finished = run_example("Rooms", url, tmp_path, "--ws-dialect", "private-room")
        passed(finished)
        assert finished.counts["messaging.pushes"] == 0

    def test_private_rooms_that_leak(self, tmp_path: Path) -> None:
        """A message of another session's room fails, and is shown."""
        with stranger("rooms", "few_groups") as url:
            finished = run_example("Rooms", url, tmp_path, "--ws-dialect", "private-room")
        summary, errors = failed(finished, "messaging")
        assert "another session's" in summary
        sent, _, got = errors["foreign text in a push"].partition(", got ")
        run_id = finished.manifest["run_id"]
        assert sent.startswith(f'of another session: sent "[{run_id}.')
        assert got.startswith(f'"[{run_id}.')


@pytest.mark.external("mosquitto")
class TestMqtt:
    """Eclipse Mosquitto."""

    def test_sound(self, tmp_path: Path) -> None:
        """QoS 0 needs no reply, PUBACK is that of QoS 1, and the broker keeps the session."""
        with stranger("mqtt") as url:
            finished = run_example("MQTT", url, tmp_path)
        passed(finished, "persistence")
        counts = finished.counts
        assert counts["messaging.answered"] >= 100
        assert counts["messaging.unanswerable"] >= 100
        assert (
            counts["messaging.pushes"] > counts["messaging.answered"] + counts["messaging.unanswerable"] - 40
        )

    def test_lost_acknowledgements(self, tmp_path: Path) -> None:
        """A PUBACK that never comes fails, and its request is named with its QoS."""
        with stranger("mqtt", "acknowledgement_lost") as url:
            finished = run_example("MQTT", url, tmp_path, "--ws-reply-timeout", "1")
        summary, errors = failed(finished, "messaging")
        assert "without a reply although the connection stayed up" in summary
        assert re.match(r"request \d*[13579] \(QoS 1\)", errors["no reply in time"])

    def test_a_forgotten_session(self, tmp_path: Path) -> None:
        """A broker that did not keep the session has started another one."""
        with stranger("mqtt", "session_forgotten") as url:
            summary, errors = failed(run_example("MQTT", url, tmp_path), "persistence")
        assert "as another session" in summary
        assert errors["resumed into another session"].startswith("a new session instead of ")
