"""Whole runs: the books in the run directory equal the servers' own, for one process and for two workers."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from loadtest import histograms
from loadtest.drops.kinds import MidReply
from loadtest.results import hlog
from loadtest.server.server_process import ServerProcess
from loadtest.session.recorder import ROUND_TRIPS
from tests.support.books import (
    assert_all_received,
    assert_same_books,
    assert_same_upgrades,
    closes_of,
    cut_short,
    final_books,
    final_counters,
)
from tests.support.examples import stranger
from tests.support.locusts import LOCUSTFILE, Finished, LocustProcess, two_workers

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

SESSIONS = 40
"""Sessions of a run: two users with twenty each."""

PLAN = (
    *("--ws-sessions", "20", "--ws-rate", "5", "--ws-drop-every", "3", "--ws-warmup", "1"),
    *("--ws-backoff", "constant(0.2)", "--ws-baseline", "none"),
)

STORMS = (
    *("--ws-drop-every", "0", "--ws-storm", "100%@7:close", "--ws-storm", "100%@8:bad_message"),
    *("--ws-storm", "100%@9:close", "--ws-storm", "100%@10:close", "--ws-storm", "100%@11:bad_message"),
    *("--ws-storm", "100%@12:close"),
)
"""Each session's connection ends six times: first when even workers that started slowly are up, last seconds
before the run's end."""


def run(url: str, folder: Path, *settings: str, locustfile: Path = LOCUSTFILE, seconds: int = 15) -> Finished:
    """Make a run against a server."""
    given = ("--host", url.replace("http://", "ws://"), *PLAN, *settings)
    with LocustProcess(folder / "results", *given, seconds=seconds, locustfile=locustfile) as locust:
        return locust.wait()


def round_trips(finished: Finished) -> Counter[str]:
    """Return how many samples the histograms of a run have by tag, those of the warm-up too."""
    found: Counter[str] = Counter()
    for line in (finished.run / "latency.hlog").read_text().splitlines():
        entry = hlog.parsed(line)
        if entry is not None:
            found[entry.tag] += histograms.decode(entry.encoded).get_total_count()
    return found


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
        books = final_books(url)
    assert finished.exit_code == 0, finished.output
    counts = finished.counts
    assert_same_books(counts, books)
    assert books["opened"] > 50
    assert counts["messaging.wire_sent"] == counts["messaging.sent"] + counts["messaging.drop_sent"] > 500
    assert finished.evidence("reconnect")["closes"] == closes_of(books)
    samples = round_trips(finished)
    assert samples["waited"] > 0 < samples["after_resume"]
    assert sum(samples[tag] for tag in ROUND_TRIPS) == counts["messaging.answered"]
    messaging = finished.evidence("messaging")["counts"]
    probes = MidReply.requests * counts["drops.mid_reply"]
    assert messaging["drop_sent"] == probes + counts["drops.bad_message"] > 0


@pytest.mark.parametrize("workers", [1, 2])
def test_the_reference_server(workers: int, tmp_path: Path) -> None:
    """Its application's counters equal the books; of messages, it is not told those that came before a close.

    A client that closes while it is answered makes a send fail, after which starlette may tell neither what
    else has come nor the close code. So each close is told, or a send has failed, or both. What is left
    unread is at most what went down with the connections.

    A push may cross the close frame at a session's end, when nobody listens: it is received on the wire only.
    Pushes that come much more slowly than a connection closes do so once a session. No number is skipped.
    """
    with ServerProcess(push_every_s=0.5) as server:
        finished = run(server.url, tmp_path, *STORMS, *(two_workers() if workers == 2 else ()))
        books = final_counters(server.url)
    assert finished.exit_code == 0, finished.output
    assert_same_counts(finished.counts, books)


def assert_same_counts(counts: Counter[str], books: dict[str, Any]) -> None:
    """Compare a run's counts with the reference server's counters.

    The connections of sessions that the run's end finds in outage are reset, with what the server has sent
    and the client has not read: on a connection that has just opened, its 101 and the introduction; on
    one that is closing, replies to requests that are unfinished, a push, or the close frame to be answered.
    Every other message that was sent has been received.
    """
    ends = books["disconnects"]
    reset = cut_short(counts)
    accepted = books["connections_accepted"]
    assert_same_upgrades(counts, upgrades=accepted, opened=accepted)
    assert accepted > 30
    unheard = books["replies_sent"] - counts["messaging.answered"]
    assert 0 <= unheard <= counts["messaging.unfinished"] < 500 < books["replies_sent"]
    assert books["pushes_sent"] > 200
    assert 0 <= books["pushes_sent"] - counts["messaging.pushes"] <= SESSIONS
    frames_sent = books["pushes_sent"] + 2 * books["replies_sent"] + accepted
    assert 0 <= frames_sent - counts["messaging.wire_received"] <= 2 * reset + 2 * unheard
    assert not counts.get("messaging.pushes_missing")
    assert counts["messaging.drop_sent"] == books["errors"] == counts["drops.bad_message"] == ends["1011"] > 0
    assert 0 <= counts["drops.bad_message"] - counts["closes.1011"] <= reset
    assert ends["1000"] <= counts["closes.1000"] <= ends["1000"] + books["sends_failed"]
    unread = counts["messaging.wire_sent"] - books["messages_received"]
    assert 0 <= unread <= counts["messaging.lost_in_outage"] + counts["messaging.unfinished"]


@pytest.mark.parametrize("workers", [1, 2])
def test_the_reference_server_without_drops(workers: int, tmp_path: Path) -> None:
    """Where connections end when nothing is under way, every message is in both books."""
    with ServerProcess() as server:
        quiet = ("--ws-drop-every", "0", "--ws-storm", "50%@5:slow_reader")
        finished = run(server.url, tmp_path, *quiet, *(two_workers() if workers == 2 else ()), seconds=8)
        books = final_counters(server.url)
    counts = finished.counts
    assert_all_received(counts, books)
    assert counts["messaging.wire_sent"] == counts["messaging.sent"] > 500
    assert counts["closes.1000"] == counts["connect.opened"] == 40
    assert 40 - books["sends_failed"] <= books["disconnects"]["1000"] <= 40
    samples = round_trips(finished)
    assert sum(samples[tag] for tag in ROUND_TRIPS) == counts["messaging.answered"]


def test_lost_replies_without_names(tmp_path: Path) -> None:
    """A server that never answers the third of each ten requests does not pass, whatever drops explain."""
    locustfile = tmp_path / "locustfile.py"
    locustfile.write_text(UNNAMED)
    drops = ("--ws-drops", "close=1,fin=1", "--ws-reply-timeout", "4")

    def against(*fault: str) -> Finished:
        with stranger("counting", *fault) as url:
            return run(url, tmp_path / ("loses" if fault else "sound"), *drops, locustfile=locustfile)

    with ThreadPoolExecutor() as threads:
        of_sound, of_losing = threads.submit(against), threads.submit(against, "loses")
        finished = of_sound.result()
        assert finished.exit_code == 0, finished.output
        summary = next(item["summary"] for item in finished.verdict["items"] if item["item"] == "messaging")
        assert "replies do not name their request, so they were only counted" in summary
        finished = of_losing.result()
    assert finished.exit_code == 4, finished.output
    judged = {
        item: ruling for item, ruling in finished.rulings.items() if ruling not in ("PASS", "NOT_JUDGED")
    }
    assert judged == {"messaging": "INCONCLUSIVE"}
