"""The tool's books against those of a server that counts for itself: every message, connection and close.

What the two cannot agree on is bounded: a client that resets a connection, or closes it while replies are
under way, does not read them, and the server does not know.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from loadtest.dialects.dialect_session import DialectSession
from loadtest.dialects.echo import Echo
from loadtest.drops.kinds import MidReply
from loadtest.drops.plan import DropPlan, Storm
from loadtest.events import Data, Drop, Send
from loadtest.session.schedule import Pace
from tests.support.books import assert_same_books, final_books
from tests.support.engine_run import EngineRun, running, settings
from tests.support.examples import stranger
from tests.support.serverclient import wait_for
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


DROPS = 5
"""Drops of each session: when they are over, all sessions are up, and the end of the run cuts nothing off."""

SESSIONS = 20


@dataclass(frozen=True, slots=True)
class Few(DropPlan):
    """The plan of a run in which each session is dropped so many times and no more."""

    def drop(self, session: int, ordinal: int) -> Drop | None:
        """Return a session's own drop, None if it has had enough."""
        return DropPlan.drop(self, session, ordinal) if ordinal < DROPS else None


def await_drops(run: EngineRun, sessions: int) -> None:
    """Wait until all drops of the plan `Few` are over, and all sessions up."""

    def dropped() -> int:
        return sum(count for name, count in run.counts.items() if name.startswith("drops."))

    wait_for(lambda: dropped() == sessions * DROPS, what="all drops")
    run.await_up(sessions)


def talked(url: str, kinds: set[str], storm: Storm) -> Counter[str]:
    """Let sessions talk and be dropped in these ways; return the tool's books."""
    plan = Few(0.4, dict.fromkeys(sorted(kinds), 1.0), seed=3, storms=(storm,))
    port = int(url.rpartition(":")[2])
    with running(settings(port, dialect=Talkative(), pace=Pace(40.0, "poisson"), drops=plan)) as run:
        numbers = run.add(SESSIONS)
        await_drops(run, SESSIONS)
        run.stop(numbers)
        return run.counts


def check_outgoing(counts: Counter[str], books: Counter[str]) -> None:
    """Check what the client did: the server must have seen exactly that."""
    assert counts["reconnect.cut_short"] == 0
    assert_same_books(counts, books)
    assert counts["connect.upgrades"] == counts["connect.attempts"] + counts["reconnect.attempts"]
    said = ("sent", "other_sent", "drop_sent")
    assert counts["messaging.wire_sent"] == sum(counts[f"messaging.{name}"] for name in said)
    probes = MidReply.requests * counts["drops.mid_reply"]
    assert counts["messaging.drop_sent"] == probes + counts["drops.bad_message"]


def test_every_message_in_both_directions(url: str) -> None:
    """Where the client reads to the end, both sides have sent and received the same number of messages."""
    counts = talked(url, READ_TO_THE_END, Storm(at_s=1.0, share_ratio=0.5, kind="close"))
    books = final_books(url)
    check_outgoing(counts, books)
    assert books["sent"] == counts["messaging.wire_received"] > 1000
    assert counts["drops.bad_message"] > 0
    violations = sum(count for name, count in books.items() if name.startswith("violations "))
    assert violations == counts["drops.protocol_error"] > 0


def test_all_kinds_of_drops(url: str) -> None:
    """With every kind, both know all that the client sent; what it left unread has a bound."""
    counts = talked(url, set(KINDS), Storm(at_s=1.0, share_ratio=0.5, kind="reset"))
    assert all(counts[f"drops.{kind}"] for kind in KINDS)
    books = final_books(url)
    check_outgoing(counts, books)
    assert books["incomplete"] == counts["drops.mid_message"]
