"""The tool's books against those of a server that counts for itself: every message, connection and close.

What the two cannot agree on is bounded: a client that resets a connection, or closes it while replies are
under way, does not read them, and the server does not know.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from loadtest.dialects.dialect_session import DialectSession
from loadtest.dialects.echo import Echo
from loadtest.drops.kinds import MidReply
from loadtest.drops.plan import DropPlan, Storm
from loadtest.events import Data, Send
from loadtest.session.schedule import Pace
from tests.support.engine_run import running, settings
from tests.support.examples import stranger
from tests.support.serverclient import get, wait_for
from tests.wire.test_engine import KINDS

READ_TO_THE_END = {"close", "slow_reader", "bad_message", "protocol_error"}
"""Kinds after which the client still reads what the server has sent."""


class Talkative(Echo):
    """Says more than its requests: a greeting, heartbeats, and an answer to each tenth reply."""

    heartbeat_s = 0.2

    def greeting(self, session: DialectSession) -> Any:
        return ["hello", b"\x00binary"]

    def heartbeat(self, session: DialectSession) -> Data:
        return "beat"

    def read(self, session: DialectSession, data: Data) -> Any:
        if data in ("hello", "beat", "thanks", b"\x00binary"):
            return None
        reply: Any = super().read(session, data)
        return [reply, Send("thanks")] if reply.sequence is not None and reply.sequence % 10 == 0 else reply


@pytest.fixture
def url() -> Iterator[str]:
    """A server with its own books."""
    with stranger("counting") as url:
        yield url


def books_of(url: str, opened: int) -> Counter[str]:
    """Return the server's books, once all connections have ended."""

    def ended() -> Counter[str] | None:
        books = Counter(get(url, "/counters")[1])
        return books if books["opened"] == books["ended"] == opened else None

    books: Counter[str] = wait_for(ended, what="the end of all connections")
    return books


def talked(url: str, kinds: set[str], *, storms: tuple[Storm, ...] = (), resumes: int) -> Counter[str]:
    """Let sessions talk and be dropped in these ways; return the tool's books."""
    plan = DropPlan(0.4, dict.fromkeys(sorted(kinds), 1.0), seed=3, storms=storms)
    port = int(url.rpartition(":")[2])
    with running(settings(port, dialect=Talkative(), pace=Pace(40.0, "poisson"), drops=plan)) as run:
        numbers = run.add(20)
        run.await_count("reconnect.resumed", resumes)
        run.stop(numbers)
        return run.counts


def check_outgoing(counts: Counter[str], books: Counter[str]) -> None:
    """Check what the client did: the server must have seen exactly that."""
    assert books["upgrades"] == counts["connect.upgrades"]
    attempts = counts["connect.attempts"] + counts["reconnect.attempts"]
    assert attempts - counts["reconnect.cut_short"] <= books["upgrades"] <= attempts
    assert books["opened"] == counts["connect.opened"]
    assert books["received"] == counts["messaging.wire_sent"]
    said = ("sent", "other_sent", "drop_sent")
    assert counts["messaging.wire_sent"] == sum(counts[f"messaging.{name}"] for name in said)
    closes = {name: count for name, count in counts.items() if name.startswith("closes.")}
    assert closes == {
        name.replace("close ", "closes."): count for name, count in books.items() if name.startswith("close ")
    }
    probes = MidReply.requests * counts["drops.mid_reply"]
    assert counts["messaging.drop_sent"] == probes + counts["drops.bad_message"]


def test_every_message_in_both_directions(url: str) -> None:
    """Where the client reads to the end, both sides have sent and received the same number of messages."""
    counts = talked(
        url, READ_TO_THE_END, storms=(Storm(at_s=1.0, share_ratio=0.5, kind="close"),), resumes=60
    )
    books = books_of(url, counts["connect.opened"])
    check_outgoing(counts, books)
    assert books["sent"] == counts["messaging.wire_received"] > 1000
    assert counts["drops.bad_message"] > 0
    violations = sum(count for name, count in books.items() if name.startswith("violations "))
    assert violations == counts["drops.protocol_error"] > 0


def test_all_kinds_of_drops(url: str) -> None:
    """With every kind, both know all that the client sent; what it left unread has a bound."""
    storm = Storm(at_s=1.0, share_ratio=0.5, kind="reset")
    counts = talked(url, set(KINDS), storms=(storm,), resumes=200)
    assert all(counts[f"drops.{kind}"] for kind in KINDS)
    books = books_of(url, counts["connect.opened"])
    check_outgoing(counts, books)
    unread = books["sent"] - counts["messaging.wire_received"]
    gone = counts["messaging.lost_in_outage"] + counts["messaging.drop_sent"] + counts["messaging.other_sent"]
    assert 0 <= unread <= gone
    assert books["incomplete"] == counts["drops.mid_message"]
