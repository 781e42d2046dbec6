"""Replies that name no request: only in number can they be compared with the requests."""

import pytest

from loadtest.session.arrears import PATIENCE
from loadtest.session.schedule import NS_PER_S
from tests.unit.session.test_traffic import Talk

STEP_NS = NS_PER_S // 10


def talk_with(requests: int, lost: frozenset[int] = frozenset(), *, late: int = 0) -> Talk:
    """Send requests at a steady pace; a reply to each that is not lost comes `late` requests later."""
    talk = Talk()
    talk.traffic.opened()
    for number in range(requests):
        talk.due(number * STEP_NS, number * STEP_NS)
        if number >= late and number - late not in lost:
            talk.reply(None, number * STEP_NS + 1)
    return talk


def ended(talk: Talk) -> tuple[int, int]:
    """End the connection by a drop; return the counts of ends and arrears."""
    talk.traffic.interrupted(0, "messaging")
    return talk.counts.get("unnamed_ends", 0), talk.counts.get("arrears", 0)


def test_a_reply_to_each() -> None:
    """A server that answers each request at once is never in arrears."""
    assert ended(talk_with(100)) == (1, 0)


def test_the_third_of_each_ten_is_lost() -> None:
    """Each lost reply shifts those that follow, so that no request seems to be lost; the number tells."""
    talk = talk_with(20, frozenset({2, 12}))
    assert talk.counts["answered"] == 18
    assert ended(talk) == (1, 1)


@pytest.mark.parametrize("since", [0, 1, PATIENCE - 1, PATIENCE])
def test_a_drop_soon_after_a_request(since: int) -> None:
    """A request under way at the drop proves nothing, unless replies to several later ones have come."""
    assert ended(talk_with(10 + since, frozenset({9}))) == (1, since >= PATIENCE)


def test_a_reply_that_catches_up() -> None:
    """A slow reply, and others behind it, are all there in the end."""
    talk = talk_with(30, late=1)
    talk.reply(None, 31 * STEP_NS)
    assert ended(talk) == (1, 0)


def test_the_next_connection_begins_anew() -> None:
    """Arrears of one connection are counted once."""
    talk = talk_with(20, frozenset({2}))
    assert ended(talk) == (1, 1)
    talk.traffic.disconnected(21 * STEP_NS)
    talk.traffic.opened()
    assert ended(talk) == (1, 1)
    talk.due(22 * STEP_NS, 22 * STEP_NS)
    talk.reply(None, 22 * STEP_NS + 1)
    assert ended(talk) == (2, 1)


def test_replies_with_names_or_texts() -> None:
    """Where a reply names its request or holds its text, a lost one is seen by itself."""
    talk = Talk()
    for number in range(6):
        talk.due(number, number)
    for number in range(1, 6):
        talk.reply(number, 10 + number)
    assert ended(talk) == (0, 0)
