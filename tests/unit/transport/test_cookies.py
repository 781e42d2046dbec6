"""A session's cookies: what responses set, and what is sent with the next request."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.transport.cookies import MAX_COOKIES, MAX_LENGTH, header, updated

NOW_S = 1_700_000_000.0


def after(*lines: str, **before: str) -> dict[str, str]:
    """Return the cookies after a response with these Set-Cookie headers."""
    return updated(before, lines, clock=lambda: NOW_S)


def test_what_is_set_is_sent() -> None:
    """Attributes are no cookies; quotes stay, as browsers send them back."""
    cookies = after("sid=abc; Path=/; HttpOnly; Secure; Partitioned; SameSite=Lax", 'theme="dark"')
    assert cookies == {"sid": "abc", "theme": '"dark"'}
    assert header(cookies) == 'sid=abc; theme="dark"'
    assert header({}) is None


def test_a_later_response_replaces_and_keeps() -> None:
    """A cookie of the same name has the new value; what was there before is not modified."""
    before = {"sid": "old", "other": "1"}
    assert updated(before, ["sid=new"]) == {"sid": "new", "other": "1"}
    assert before == {"sid": "old", "other": "1"}


@pytest.mark.parametrize(
    ("attributes", "stays"),
    [
        ("Max-Age=0", False),
        ("max-age=-5", False),
        ("Max-Age=" + "0" * 5000, False),
        ("Max-Age=60", True),
        ("Max-Age=soon", True),
        ("Expires=Thu, 01 Jan 1970 00:00:00 GMT", False),
        ("Expires=Fri, 01 Jan 2100 00:00:00 GMT", True),
        ("Expires=yesterday", True),
        ("Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT", True),
    ],
)
def test_a_lifetime_that_is_over_deletes(attributes: str, stays: bool) -> None:
    """Max-Age counts before Expires; one that cannot be read is ignored (RFC 6265, section 5.2)."""
    assert ("sid" in after(f"sid=x; {attributes}", sid="old")) is stays


@pytest.mark.parametrize(
    "line", ["", "sid", "=x", "a b=c", "sid=a\r\nX: y", "sid=é", "s\x00=1", "sid=" + "x" * MAX_LENGTH]
)
def test_what_cannot_be_sent_is_ignored(line: str) -> None:
    """Nothing that a server sets breaks the header of the next request, or makes it huge."""
    assert after(line) == {}
    assert header({"a b": "c", "sid": "a\r\nX: y"}) is None


def test_the_number_of_cookies_is_bounded() -> None:
    """Further new cookies are ignored; those that are there can still change."""
    many = after(*(f"c{number}=1" for number in range(1000)))
    assert len(many) == MAX_COOKIES
    assert updated(many, ["c0=2", "new=1"]) == {**many, "c0": "2"}


@given(st.lists(st.text(max_size=80), max_size=5), st.dictionaries(st.text(max_size=9), st.text(max_size=9)))
def test_no_input_raises_or_breaks_the_header(lines: list[str], before: dict[str, str]) -> None:
    """Whatever comes, a header is one line of printable ASCII."""
    told = header(updated(before, lines)) or ""
    assert told.isascii()
    assert told == "" or told.isprintable()
