"""How long a session waits between attempts: as its policy says, or longer if the server asks for it."""

from __future__ import annotations

from typing import Any

import pytest

from loadtest.dialects.base import Established
from loadtest.events import Started, TokenAwaited
from loadtest.session.reconnecting import MAX_ID_LENGTH, Attempts
from loadtest.session.recorder import Recorder
from loadtest.session.schedule import NS_PER_S, Backoff
from tests.support.fake_link import Link, dialect_session, lost, session_config


def test_retry_after_is_obeyed_and_counted() -> None:
    """The longer of policy and Retry-After counts; the policy's own delays grow as ever."""
    link = Link(session_config(backoff=Backoff(max_attempts=5)))
    link.tell(Started())
    for asked_s in (30.0, 1.5, 0.0):
        link.refuse(retry_after_s=asked_s).retry()
    assert link.delays_s == [30.0, 2.0, 4.0]
    assert link.counted("connect") == {"attempts": 4, "failed": 3, "retry_after": 2}


def test_retry_after_is_part_of_the_wait_of_an_outage() -> None:
    """The time that a server asks for is waited, and told as such."""
    link = Link().start().drop().detect().retry()
    link.refuse(retry_after_s=20.0).retry().open().hear().last()
    (record,) = link.lived("resumed")
    assert record.wait_ns == 21 * NS_PER_S
    assert link.counted("reconnect")["retry_after"] == 1


def test_the_wait_for_a_token_is_part_of_the_wait_of_an_outage() -> None:
    """Of each of its attempts, those that failed too; it is no part of the connect."""
    link = Link(session_config(renews_token=True))
    link.tell(Started())
    link.tell(TokenAwaited(5 * NS_PER_S))
    link.open().hear().last().drop().detect().retry()
    link.tell(TokenAwaited(2 * NS_PER_S))
    link.refuse().retry()
    link.tell(TokenAwaited(4 * NS_PER_S))
    link.open().hear().last()
    (record,) = link.lived("resumed")
    assert record.wait_ns == (1 + 2 + 2 + 4) * NS_PER_S


def calling(link: Link, name: str) -> Link:
    """Let the server give the link's session this id from now on."""
    link.server.known_as[link.identity.session_id] = name
    return link


def test_an_id_that_the_server_gave_is_recorded_once() -> None:
    """With the first establishment, and again only if it changes; a session's own id is not."""
    link = calling(Link(), "x").start().drop().detect().retry().open().hear().last()
    calling(link, "y").drop().detect().retry().open().hear().last()
    records = [*link.lived("connected"), *link.lived("resumed")]
    assert [(record.known_as, record.reassigned) for record in records] == [
        ("x", False),
        (None, False),
        ("y", False),
    ]
    (own,) = Link().start().lived("connected")
    assert own.known_as is None


def test_an_id_of_megabytes_is_not_kept() -> None:
    """Its beginning is, with the connection and with each record of it."""
    link = calling(Link(), "x" * 10**6).start()
    assert [record.known_as for record in link.lived("connected")] == ["x" * MAX_ID_LENGTH]


def test_an_id_given_before_the_connection_was_lost_is_recorded() -> None:
    """A session that had not worked yet has no `connected`; a refused one was given no id."""
    link = calling(Link(), "x")
    link.tell(Started())
    link.refuse().retry().open().hear()
    link.tell(lost(1008))
    assert [(record.phase, record.known_as) for record in link.lived("failed")] == [
        ("upgrade", None),
        ("working", "x"),
    ]


@pytest.mark.parametrize(
    ("asked_id", "reassigned"), [(None, False), ("x", False), ("session-0", True), ("another", True)]
)
def test_the_server_says_that_it_gave_another_id(asked_id: str | None, reassigned: bool) -> None:
    """Where it says which one it was asked for, and that is another."""
    recorder = Recorder()
    attempts = Attempts(dialect_session(), session_config(), recorder)
    attempts.begin(0)
    attempts.established(1, Established(session_id="x", asked_id=asked_id))
    attempts.worked()
    record = recorder.swap(2).lifecycle[-1]
    assert (record.event, record.known_as, record.reassigned) == ("connected", "x", reassigned)


def test_retry_after_gives_no_further_attempt() -> None:
    """A session that may not try again gives up, whatever the server asks."""
    link = Link(session_config(backoff=Backoff(max_attempts=0)))
    link.tell(Started())
    link.refuse(retry_after_s=5.0)
    assert link.finished
    assert link.counted("connect") == {"attempts": 1, "failed": 1, "gave_up": 1}


def test_retry_after_is_ignored_where_the_policy_says_so() -> None:
    """The client waits as long as its policy alone says, in an outage too, and nothing counts as obeyed."""
    link = Link(session_config(backoff=Backoff(retry_after="ignore"))).start().drop().detect().retry()
    link.refuse(retry_after_s=30.0).retry().open().hear().last()
    assert link.delays_s == [1.0, 2.0]
    (record,) = link.lived("resumed")
    assert record.wait_ns == 3 * NS_PER_S
    assert "retry_after" not in link.counted("reconnect")


CLOSES_BEFORE = {
    "refused": lambda link: link.retry().refuse(),
    "opened": lambda link: link.retry().open().lose(1011),
    "established": lambda link: link.reopen().lose(1011),
}
"""How a server ends each attempt: before the WebSocket is open, before it says so, or right after."""


@pytest.mark.parametrize(
    ("ends", "reset", "starts_again"),
    [
        *(("refused", reset, False) for reset in ("worked", "established", "connected")),
        *(("opened", reset, reset == "connected") for reset in ("worked", "established", "connected")),
        *(("established", reset, reset != "worked") for reset in ("worked", "established", "connected")),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_where_the_policy_starts_again(ends: str, reset: Any, starts_again: bool, first: bool) -> None:
    """A client whose counter resets too early comes back at the base delay and never gives up."""
    link = Link(session_config(backoff=Backoff(reset=reset, max_attempts=3)))
    if first:
        link.start_refused(1)
        link.open().lose(1011) if ends == "opened" else link.refuse()
    else:
        link.start().lose()
    began, item = len(link.delays_s), "connect" if first else "reconnect"
    while not link.finished and link.counted(item).get("attempts", 0) < 12:
        CLOSES_BEFORE[ends](link)
    if starts_again:
        assert not link.finished
        assert set(link.delays_s[began:]) == {1.0}, "it hammers the server"
    else:
        assert link.counted(item)["gave_up"] == 1
        assert link.delays_s[-1] == 4.0
    assert link.counted(item)["failed"] == link.counted(item)["attempts"], "each is a failed attempt"


def test_the_last_attempt_of_a_policy_that_starts_again() -> None:
    """`max_attempts` counts from the reset: 2 more attempts after each open WebSocket, with one wait each."""
    link = Link(session_config(backoff=Backoff(reset="connected", max_attempts=2))).start().lose()
    link.retry().refuse().retry().open().lose(1011)
    link.retry().refuse().retry().refuse()
    assert link.finished
    assert link.delays_s == [1.0, 2.0, 1.0, 2.0]
    assert link.counted("reconnect") == {"outages": 1, "attempts": 4, "failed": 4, "gave_up": 1}


def test_jitter_is_drawn_anew_when_the_policy_starts_again() -> None:
    """Within one outage too: a client with jitter does not come back at one and the same interval."""
    link = Link(session_config(backoff=Backoff(reset="connected", jitter="full"))).start().lose()
    for _ in range(5):
        link.retry().open().lose(1011)
    assert len(set(link.delays_s)) == len(link.delays_s) == 6
