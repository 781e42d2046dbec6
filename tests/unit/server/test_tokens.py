"""Which logins are valid, and which session they name."""

from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.server.tokens import LoginRefused, session_of
from tests.support.serverclient import signed

SECRET = "se-cret"


def by(secret: str, **claims: Any) -> str:
    """Return a token signed with a secret."""
    return signed(claims, secret)


def unsigned(**claims: Any) -> str:
    """Return a token without a signature."""
    return jwt.encode(claims, "", algorithm="none")


def session(token: str, secret: str | None = SECRET) -> str | None:
    return session_of(("jwt", token), secret)


def test_the_secret_itself_is_a_valid_login() -> None:
    """It names no session, unless it is a JWT."""
    assert session(SECRET) is None
    whole = unsigned(sid="s-1")
    assert session(whole, secret=whole) == "s-1"


def test_a_token_signed_with_the_secret_names_its_session() -> None:
    """One secret makes tokens for any number of sessions; one without `sid` names none."""
    assert [session(by(SECRET, sid=f"s-{number}")) for number in (1, 2)] == ["s-1", "s-2"]
    assert session(by(SECRET, sub="someone", aud="somewhere")) is None


def test_without_a_secret_every_token_is_valid() -> None:
    """A `sid` counts whoever signed it, and something that is no JWT is as good as no token."""
    assert session(by("somebody else's", sid="s-1"), None) == "s-1"
    assert session(unsigned(sid="s-1", exp=1), None) == "s-1"
    assert session("some-token", None) is None
    assert session_of((), None) is None
    assert session_of(("jwt",), None) is None


@pytest.mark.parametrize(
    ("subprotocols", "problem"),
    [
        ((), "missing token"),
        (("jwt",), "missing token"),
        ((SECRET,), "missing token"),
        (("other", SECRET), "missing token"),
        (("jwt", "wrong"), "invalid token"),
        (("jwt", by("another", sid="s")), "invalid token"),
        (("jwt", unsigned(sid="s")), "invalid token"),
        (("jwt", by(SECRET, sid="s", exp=1)), "invalid token"),
        (("jwt", by(SECRET, sid="s")[:-2]), "invalid token"),
        (("jwt", by(SECRET, sid=5)), "impossible sid in the token"),
        (("jwt", by(SECRET, sid="")), "impossible sid in the token"),
        (("jwt", by(SECRET, sid="two\nlines")), "impossible sid in the token"),
    ],
)
def test_any_other_login_is_refused(subprotocols: tuple[str, ...], problem: str) -> None:
    """Also a token without signature, with another one, or that has expired; the client learns why."""
    with pytest.raises(LoginRefused, match=f"^{problem}$"):
        session_of(subprotocols, SECRET)


@given(st.text() | st.text('abcAB0._-{}"[', min_size=10).map(lambda text: f"{text}.{text}.{text}"))
def test_any_token_is_valid_or_refused(token: str) -> None:
    """Hostile tokens have no other effect."""
    assert session(token, None) is None
    with pytest.raises(LoginRefused):
        session(token)


def test_a_deeply_nested_token_is_refused() -> None:
    """Reading it would end in a RecursionError."""
    head, _, end = by(SECRET).split(".")
    body = jwt.utils.base64url_encode(b'{"sid":' + b"[" * 100_000).decode()
    with pytest.raises(LoginRefused):
        session(f"{head}.{body}.{end}")
    assert session(f"{head}.{body}.{end}", None) is None
