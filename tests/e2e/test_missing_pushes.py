"""Pushes without numbers: a server that stops, loses or misdirects them fails, and its sound twin passes."""

from pathlib import Path

import pytest

from tests.support.examples import failed, passed, stranger
from tests.support.locusts import Finished, LocustProcess, two_workers

LOCUSTFILE = """
import json

from loadtest import Dialect, Push, Reply, WebSocketUser


class Ticker(Dialect):
    name = "ticker"
    pushes = True
    pushes_per_s = 10

    def request(self, session, sequence):
        return json.dumps({"id": sequence, "text": session.text(sequence)})

    def read(self, session, data):
        message = json.loads(data)
        return Push(text=message["push"]) if "push" in message else Reply(message["id"], message["text"])


class User(WebSocketUser):
    dialect = Ticker
"""

PLAN = (
    *("--ws-sessions", "10", "--ws-rate", "4", "--ws-drop-every", "10", "--ws-warmup", "1"),
    *("--ws-drops", "close=1,reset=1,slow_reader=1,mid_reply=1", "--ws-backoff", "constant(0.2)"),
    *("--ws-baseline", "none"),
)


def run(fault: str | None, folder: Path, *settings: str) -> Finished:
    """Run the sessions against a server with this fault."""
    locustfile = folder / "locustfile.py"
    locustfile.write_text(LOCUSTFILE)
    with stranger("ticker", fault) as url:
        given = ("--host", url.replace("http://", "ws://"), *PLAN, *settings)
        with LocustProcess(folder / "results", *given, seconds=16, locustfile=locustfile) as locust:
            return locust.wait()


@pytest.mark.parametrize("workers", [1, 2])
def test_sound(workers: int, tmp_path: Path) -> None:
    """Neither drops nor resumes nor a storm make a sound stream fail: the books hold its rate."""
    finished = run(None, tmp_path, "--ws-storm", "0.8@8", *(two_workers() if workers == 2 else ()))
    assert "(10 expected, " in passed(finished)["messaging"]
    expected, arrived = (finished.counts[f"messaging.pushes_{name}"] for name in ("expected", "arrived"))
    assert expected > 500
    assert abs(arrived / expected - 1) < 0.005
    assert finished.evidence("messaging")["percentiles"]["push_gap"]["max_ms"] < 1000
    assert finished.manifest["pushes_per_s"] == 10
    assert {"p50_ms", "p99_ms", "max_ms"} <= finished.evidence("messaging")["percentiles"]["push_gap"].keys()


@pytest.mark.parametrize(
    ("fault", "summary"),
    [
        ("stops", "of 20 periods or more"),
        ("stalls", "(10 expected, "),
        ("loses", "pushes came at 9."),
        ("none", "no push was received (10 per second per session expected)"),
        ("wrong_session", "pushes with another session's text"),
    ],
)
def test_defects(fault: str, summary: str, tmp_path: Path) -> None:
    """Each defect of the pushes fails messaging, and no other item."""
    found, errors = failed(run(fault, tmp_path), "messaging")
    assert summary in found
    if fault == "wrong_session":
        assert 'sent "[' in errors["foreign text in a push"]
        assert ', got "[' in errors["foreign text in a push"]


def test_a_limit_on_gaps(tmp_path: Path) -> None:
    """A stream that is held up and loses nothing shows only in its longest gap, which has a limit."""
    finished = run("hiccups", tmp_path, "--ws-limit", "push_gap=1s")
    assert finished.counts["messaging.push_silences"] == 0
    assert finished.rulings["messaging"] in ("FAIL", "INCONCLUSIVE"), "not judged by an overloaded generator"
    (limit,) = finished.evidence("messaging")["time_limits"]
    assert 1900 < limit["value_ms"] < 5000
    others = {verdict for item, verdict in finished.rulings.items() if item != "messaging"}
    assert others == {"PASS", "NOT_JUDGED"}


def test_the_option_overrides_the_dialect(tmp_path: Path) -> None:
    """A run that expects no pushes passes on the server that stops them."""
    finished = run("stops", tmp_path, "--ws-pushes-per-s", "0")
    assert "pushes came" not in passed(finished)["messaging"]
