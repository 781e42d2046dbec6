"""Pushes without numbers: a server that stops, loses or misdirects them fails, and its sound twin passes."""

from contextlib import ExitStack

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


RUNS: dict[str, tuple[str | None, tuple[str, ...]]] = {
    "sound": (None, ("--ws-storm", "0.8@8")),
    "sound, two workers": (None, ("--ws-storm", "0.8@8")),
    "stops": ("stops", ()),
    "stalls": ("stalls", ()),
    "loses": ("loses", ()),
    "none": ("none", ()),
    "wrong_session": ("wrong_session", ()),
    "hiccups": ("hiccups", ("--ws-limit", "push_gap=1s")),
    "not expected": ("stops", ("--ws-pushes-per-s", "0")),
}
"""By name: the server's fault, and the run's options."""

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Finished]:
    """All runs, made at the same time, since they mostly wait."""
    with ExitStack() as stack:
        processes = {}
        for name, (fault, settings) in RUNS.items():
            folder = tmp_path_factory.mktemp("pushes")
            locustfile = folder / "locustfile.py"
            locustfile.write_text(LOCUSTFILE)
            host = ("--host", stack.enter_context(stranger("ticker", fault)).replace("http://", "ws://"))
            workers = two_workers() if "workers" in name else ()
            locust = LocustProcess(
                folder / "results", *host, *PLAN, *settings, *workers, seconds=16, locustfile=locustfile
            )
            processes[name] = stack.enter_context(locust)
        return {name: process.wait(150) for name, process in processes.items()}


@pytest.mark.parametrize("name", ["sound", "sound, two workers"])
def test_sound(runs: dict[str, Finished], name: str) -> None:
    """Neither drops nor resumes nor a storm make a sound stream fail: the books hold its rate."""
    finished = runs[name]
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
        ("none", "no pushes were received (10 per second per session expected)"),
        ("wrong_session", "pushes with another session's text"),
    ],
)
def test_defects(runs: dict[str, Finished], fault: str, summary: str) -> None:
    """Each defect of the pushes fails messaging, and no other item."""
    found, errors = failed(runs[fault], "messaging")
    assert summary in found
    if fault == "wrong_session":
        assert 'sent "[' in errors["foreign text in a push"]
        assert ', got "[' in errors["foreign text in a push"]


def test_a_limit_on_gaps(runs: dict[str, Finished]) -> None:
    """A stream that is held up and loses nothing shows only in its longest gap, which has a limit."""
    finished = runs["hiccups"]
    failed(finished, "messaging")
    assert finished.counts["messaging.push_silences"] == 0
    (limit,) = finished.evidence("messaging")["time_limits"]
    assert 1900 < limit["value_ms"] < 5000
    others = {verdict for item, verdict in finished.rulings.items() if item != "messaging"}
    assert others == {"PASS", "NOT_JUDGED"}


def test_the_option_overrides_the_dialect(runs: dict[str, Finished]) -> None:
    """A run that expects no pushes passes on the server that stops them."""
    assert "pushes came" not in passed(runs["not expected"])["messaging"]
