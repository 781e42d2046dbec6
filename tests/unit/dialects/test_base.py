"""Where a dialect's sessions connect to, if its author does not say more than a path."""

import pytest

from loadtest import Dialect, DialectSession, Endpoint
from loadtest.dialects.base import MAX_RECORDS, Unreadable, lines
from loadtest.dialects.bundled import dialect_named
from loadtest.errors import Flooded
from loadtest.events import Identity
from tests.support.fake_link import dialect_session


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/chat", Endpoint(path="/chat", headers=(("Authorization", "Bearer a/b"),))),
        ("/chat?ticket={token}", Endpoint(path="/chat?ticket=a%2Fb")),
    ],
    ids=["header", "path"],
)
def test_a_token_goes_to_one_place(path: str, expected: Endpoint) -> None:
    """A server that reads tickets from the URL may refuse the same text as a bearer token."""
    session = DialectSession(Identity(number=0, session_id="s", thread_id="t"))
    session.token = "a/b"
    assert Dialect(path=path).endpoint(session) == expected


@pytest.mark.parametrize("newline", ["\n", b"\n"])
def test_lines_are_counted_before_they_are_split(newline: str | bytes) -> None:
    """A message of a million empty lines costs nothing."""
    assert len(lines(newline * MAX_RECORDS)) == MAX_RECORDS + 1
    with pytest.raises(Flooded, match=r"^one message holds 5,001 records, limit 5,000$"):
        lines(newline * (MAX_RECORDS + 1))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("graphql", b'{"type":"connection_ack"}'),
        ("jsonrpc", b'{"jsonrpc":"2.0","id":7,"result":{}}'),
        ("signalr", b"{}\x1e"),
    ],
)
def test_binary_messages_of_protocols_that_send_text(name: str, message: bytes) -> None:
    """Their clients cannot read them."""
    dialect, session = dialect_named(name)(), dialect_session()
    assert isinstance(dialect.read(session, message), Unreadable)
    assert not isinstance(dialect.read(session, message.decode()), Unreadable)
