"""The bundled dialect `socketio` against Socket.IO's own server, and against python-socketio."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.bundled import bundled_server, check_bundled, run_bundled
from tests.support.examples import failed, passed
from tests.support.locusts import Finished

TOKEN = ("--ws-token", "secret")
RECOVERY = ("namespace=/chat", "recovery=on", "text=text")
POLLING = ("namespace=/chat", "transport=polling")


@pytest.mark.external("node", "npm")
class TestNode:
    """Socket.IO's own server: a namespace, connection state recovery, binary data, pings."""

    @staticmethod
    def _run(fault: str, folder: Path, options: tuple[str, ...], seconds: int = 5) -> Finished:
        with bundled_server("socketio.mjs", fault) as url:
            return run_bundled("socketio", url, folder, *TOKEN, options=options, seconds=seconds)

    def test_sound(self, tmp_path: Path) -> None:
        """Sessions come back as the same; acknowledgements are replies, greetings with a picture pushes."""
        with bundled_server("socketio.mjs") as url:
            checked = check_bundled("socketio", url, *RECOVERY, token="secret")
            finished = run_bundled("socketio", url, tmp_path, *TOKEN, options=RECOVERY)
        assert (checked["exit_code"], {one["level"] for one in checked["findings"]}) == (0, {"note"})
        passed(finished, "persistence")
        assert finished.evidence("persistence")["counts"]["checked"] >= 10
        assert finished.counts["messaging.pushes"] >= 20
        assert finished.manifest["plan"]["dialect_options"]["recovery"] == "on"

    def test_drops_that_the_server_has_not_noticed(self, tmp_path: Path) -> None:
        """Nothing is recovered after them: their resumes are counted apart, and are not held against it."""
        drops = ("--ws-drops", "half_open=1,close=2,fin=2,reset=2", "--ws-sessions", "20")
        with bundled_server("socketio.mjs") as url:
            finished = run_bundled("socketio", url, tmp_path, *TOKEN, *drops, options=RECOVERY, seconds=8)
        assert finished.rulings["persistence"] == "PASS", finished.output
        assert finished.evidence("persistence")["counts"]["unjudged"] >= 1

    def test_forgotten_sessions(self, tmp_path: Path) -> None:
        """A session that is not recovered comes back as another one."""
        summary, errors = failed(self._run("state_forgotten", tmp_path, RECOVERY), "persistence")
        assert "as another session" in summary
        assert "instead of" in errors["resumed into another session"]

    def test_polling_with_a_sticky_cookie(self, tmp_path: Path) -> None:
        """Sessions that begin with HTTP requests stay at their instance, by the load balancer's cookie."""
        finished = self._run("sticky", tmp_path, POLLING)
        passed(finished)
        assert finished.counts["messaging.pushes"] >= 20

    def test_polling_without_sticky_sessions(self, tmp_path: Path) -> None:
        """The reason is said, and what to do."""
        finished = self._run("two_instances", tmp_path, POLLING, seconds=3)
        assert finished.rulings["connect"] == "FAIL", finished.output
        errors = {error["error"]: error["example"] for error in finished.evidence("connect")["errors"]}
        assert "use sticky sessions in the load balancer" in errors["login: login_failed"]


class TestPython:
    """python-socketio: other defects, of the default namespace."""

    def test_a_refused_token(self, tmp_path: Path) -> None:
        """Nobody connects, for the reason that the server gives."""
        with bundled_server("socket_io") as url:
            finished = run_bundled("socketio", url, tmp_path, "--ws-token", "stale", seconds=3)
        _, errors = failed(finished, "connect")
        assert errors["established: auth_required"] == "not authorized"

    def test_a_database_of_three_byte_characters(self, tmp_path: Path) -> None:
        """The report shows what was sent, what came back, and where they differ."""
        with bundled_server("socket_io", "three_byte_text") as url:
            finished = run_bundled("socketio", url, tmp_path, *TOKEN)
        summary, errors = failed(finished, "messaging")
        assert "altered text" in summary
        sent, _, got = errors["reply altered"].partition(", got ")
        assert r"\xe9\U0001f642x" in sent
        assert r"\xe9?x" in got
