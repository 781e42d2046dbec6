"""How long a session waits between attempts: as its policy says, or longer if the server asks for it."""

from __future__ import annotations

from loadtest.events import Started
from loadtest.session.schedule import NS_PER_S, Backoff
from tests.support.fake_link import Link, session_config


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


def test_retry_after_gives_no_further_attempt() -> None:
    """A session that may not try again gives up, whatever the server asks."""
    link = Link(session_config(backoff=Backoff(max_attempts=0)))
    link.tell(Started())
    link.refuse(retry_after_s=5.0)
    assert link.finished
    assert link.counted("connect") == {"attempts": 1, "failed": 1, "gave_up": 1}
