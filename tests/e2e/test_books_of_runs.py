"""Whole runs: the books in the run directory equal the servers' own, for one process and for two workers."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from loadtest.server.server_process import ServerProcess
from tests.support.examples import stranger
from tests.support.locusts import LOCUSTFILE, Finished, LocustProcess, two_workers
from tests.support.serverclient import counters, get

UNNAMED = """
from loadtest import Dialect, Reply, WebSocketUser


class Unnamed(Dialect):
    name = "unnamed"

    def request(self, session, sequence):
        return session.text(sequence)

    def read(self, session, data):
        return Reply(None)


class User(WebSocketUser):
    dialect = Unnamed
"""

PLAN = (
    *("--ws-sessions", "20", "--ws-rate", "10", "--ws-drop-every", "3", "--ws-warmup", "1"),
    *("--ws-backoff", "constant(0.2)", "--ws-baseline", "none"),
)


def run(url: str, folder: Path, *settings: str, locustfile: Path = LOCUSTFILE) -> Finished:
    """Make a run against a server."""
    given = ("--host", url.replace("http://", "ws://"), *PLAN, *settings)
    with LocustProcess(folder / "results", *given, seconds=12, locustfile=locustfile) as locust:
        return locust.wait()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_server_with_its_own_books(workers: int, tmp_path: Path) -> None:
    """Upgrades, messages and close codes are the same on both sides, and the reports show what drops sent."""
    kinds = "close=1,tab_close=1,fin=1,reset=1,mid_message=1,mid_reply=1,protocol_error=1,bad_message=1"
    with stranger("counting") as url:
        settings = (
            "--ws-dialect",
            "echo",
            "--ws-drops",
            kinds,
            "--ws-storm",
            "50%@5:reset",
            *(two_workers() if workers == 2 else ()),
        )
        finished = run(url, tmp_path, *settings)
        books = Counter(get(url, "/counters")[1])
    assert finished.exit_code == 0, finished.output
    counts = finished.counts
    assert counts["connect.upgrades"] == books["upgrades"]
    assert counts["connect.opened"] == books["opened"] > 50
    assert counts["messaging.wire_sent"] == books["received"] > 500
    assert counts["messaging.wire_sent"] == counts["messaging.sent"] + counts["messaging.drop_sent"]
    closes = {name[6:]: count for name, count in books.items() if name.startswith("close ")}
    assert finished.evidence("reconnect")["closes"] == closes
    unread = books["sent"] - counts["messaging.wire_received"]
    assert 0 <= unread <= counts["messaging.lost_in_outage"] + counts["messaging.drop_sent"]
    messaging = finished.evidence("messaging")["counts"]
    assert messaging["drop_sent"] == 4 * counts["drops.mid_reply"] + counts["drops.bad_message"] > 0
    assert f"drops sent {messaging['drop_sent']:,} more messages" in (
        (finished.run / "summary.md").read_text()
    )


@pytest.mark.parametrize("workers", [1, 2])
def test_the_reference_server(workers: int, tmp_path: Path) -> None:
    """Its application's counters equal the books; of messages, it is not told those that came before a close.

    A client that closes while it is answered makes a send fail, after which starlette may tell neither what
    else has come nor the close code. So each close is told, or a send has failed, or both. What is left
    unread is at most what went down with the connections.
    """
    with ServerProcess() as server:
        drops = ("--ws-drops", "close=2,bad_message=1", "--ws-storm", "50%@5:close")
        finished = run(server.url, tmp_path, *drops, *(two_workers() if workers == 2 else ()))
        books = counters(server.url)
    assert finished.exit_code == 0, finished.output
    counts, ends = finished.counts, books["disconnects"]
    assert counts["connect.upgrades"] == counts["connect.opened"] == books["connections_accepted"] > 30
    assert counts["messaging.answered"] == books["replies_sent"] > 500
    assert counts["messaging.pushes"] == books["pushes_sent"]
    assert counts["messaging.drop_sent"] == books["errors"] == counts["drops.bad_message"] > 0
    assert counts["closes.1011"] == ends["1011"] == counts["drops.bad_message"]
    assert ends["1000"] <= counts["closes.1000"] <= ends["1000"] + books["sends_failed"]
    unread = counts["messaging.wire_sent"] - books["messages_received"]
    assert 0 <= unread <= counts["messaging.lost_in_outage"]


@pytest.mark.parametrize("workers", [1, 2])
def test_the_reference_server_without_drops(workers: int, tmp_path: Path) -> None:
    """Where connections end when nothing is under way, every message is in both books."""
    with ServerProcess() as server:
        quiet = ("--ws-drop-every", "0", "--ws-storm", "50%@5:slow_reader")
        finished = run(server.url, tmp_path, *quiet, *(two_workers() if workers == 2 else ()))
        books = counters(server.url)
    counts = finished.counts
    assert counts["messaging.wire_sent"] == counts["messaging.sent"] == books["messages_received"] > 500
    assert counts["closes.1000"] == books["disconnects"]["1000"] == counts["connect.opened"] == 40


def test_lost_replies_without_names(tmp_path: Path) -> None:
    """A server that never answers the third of each ten requests does not pass, whatever drops explain."""
    locustfile = tmp_path / "locustfile.py"
    locustfile.write_text(UNNAMED)
    drops = ("--ws-drops", "close=1,fin=1", "--ws-reply-timeout", "4")
    with stranger("counting") as url:
        finished = run(url, tmp_path / "sound", *drops, locustfile=locustfile)
    assert finished.exit_code == 0, finished.output
    summary = next(item["summary"] for item in finished.verdict["items"] if item["item"] == "messaging")
    assert "replies name no request: they were only counted" in summary
    with stranger("counting", "loses") as url:
        finished = run(url, tmp_path / "loses", *drops, locustfile=locustfile)
    assert finished.exit_code == 4, finished.output
    judged = {
        item: ruling for item, ruling in finished.rulings.items() if ruling not in ("PASS", "NOT_JUDGED")
    }
    assert judged == {"messaging": "INCONCLUSIVE"}
