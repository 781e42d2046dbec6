"""Where a dialect's sessions connect to, if its author does not say more than a path."""

import pytest

from loadtest import Dialect, DialectSession, Endpoint
from loadtest.events import Identity


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
