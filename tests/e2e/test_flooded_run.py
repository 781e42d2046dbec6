"""A whole run with a flood among sound sessions: it ends with a verdict that names the cause."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.hostile import hostile
from tests.support.locusts import Finished, LocustProcess

LOCUSTFILE = """
from loadtest import WebSocketUser
from tests.support.flood_runs import Chat


class Flooded(Chat):
    def __init__(self, *, path=None):
        super().__init__("later/pings")


class User(WebSocketUser):
    dialect = Flooded
"""

CAUSE = "frames in 1 s, limit 200,000 (--ws-max-frames-per-s)"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A run of ten sessions, one of which the server floods each time it has worked."""
    folder = tmp_path_factory.mktemp("flooded")
    locustfile = folder / "locustfile.py"
    locustfile.write_text(LOCUSTFILE)
    plan = (
        *("--ws-sessions", "10", "--ws-rate", "10", "--ws-drop-every", "0", "--ws-warmup", "1"),
        *("--ws-backoff", "constant(0.5)", "--ws-baseline", "none"),
    )
    with (
        hostile() as port,
        LocustProcess(
            folder / "results",
            *("--host", f"ws://127.0.0.1:{port}", *plan),
            seconds=7,
            users=1,
            locustfile=locustfile,
            environment={"PYTHONPATH": str(Path(__file__).parents[2])},
        ) as locust,
    ):
        return locust.wait()


def test_it_fails_stability_and_nothing_else(finished: Finished) -> None:
    """The run lives to its end, and the others' messages are judged."""
    assert finished.exit_code == 1, finished.output
    assert {item for item, ruling in finished.rulings.items() if ruling == "FAIL"} == {"stability"}
    assert finished.rulings["messaging"] == finished.rulings["connect"] == "PASS"
    assert finished.counts["messaging.answered"] > 300
    assert finished.counts["messaging.lost"] == 0
    assert "Traceback" not in finished.output


def test_the_cause_is_named_everywhere(finished: Finished) -> None:
    """In the events, in the item's summary, in summary.md and on the terminal."""
    (loss, *_) = finished.evidence("stability")["losses"]
    assert (loss["cause"], loss["code"]) == ("flooded", 1008)
    lost = [event for event in finished.events if event["event"] == "lost"]
    assert lost
    assert all(event["cause"] == "flooded" and event["detail"].endswith(CAUSE) for event in lost)
    for text in (finished.output, (finished.run / "summary.md").read_text()):
        assert f"{CAUSE}" in text
        assert "the limit in the reason" in " ".join(text.split())
