"""Cookies of upgrade responses: kept, changed, deleted, bounded, and harmless in a request."""

from __future__ import annotations

import time
import urllib.request
from email.message import Message
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from loadtest.transport.cookies import MAX_COOKIES, MAX_LENGTH, header, updated

NOW_S = 1_795_443_815.0
"""14:23:35 on 23 November 2026, UTC."""


def after(*lines: str, before: dict[str, str] | None = None) -> dict[str, str]:
    """Return the cookies after a response with these Set-Cookie headers."""
    return updated(before or {}, lines, clock=lambda: NOW_S)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("sid=1", "1"),
        ("sid=1; Path=/chat; Domain=example.org; Secure; HttpOnly; SameSite=Lax", "1"),
        ("sid=1; Path=/; Partitioned; Priority=High", "1"),
        (" sid \t= 1 ;", "1"),
        ('sid="1"; Path=/', '"1"'),
        ('sid={"a": [1, 2]}', '{"a": [1, 2]}'),
        ("sid=a=b==", "a=b=="),
        ("sid=", ""),
        ("sid=1; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "1"),
        ("sid=1; Max-Age=" + "9" * 5000, "1"),
        ("sid=1; Max-Age=soon; Max-Age=", "1"),
        ("sid=1; Expires=Wed, 25 Nov 2026 00:00:00 GMT", "1"),
        ("sid=1; Expires=Mon, 23 Nov 2026 14:23:36", "1"),
        ("sid=1; Expires=never", "1"),
        ("sid=1; Max-Age=0; max-age=5", "1"),
    ],
)
def test_a_cookie_is_kept_as_browsers_keep_it(line: str, value: str) -> None:
    """Whatever its attributes and value, unless its lifetime is over. Of repeated ones the last counts."""
    assert after(line) == {"sid": value}
    assert after(line, before={"other": "x", "sid": "0"}) == {"other": "x", "sid": value}


@pytest.mark.parametrize(
    "line",
    [
        "sid=; Max-Age=0",
        "sid=1; max-age=-5",
        "sid=1; MAX-AGE=000; Expires=Wed, 25 Nov 2026 00:00:00 GMT",
        "sid=1; Max-Age=-" + "9" * 5000,
        "sid=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
        "sid=1; expires=Thu, 01-Jan-1970 00:00:01 GMT; Path=/",
        "sid=1; Expires=Wednesday, 09-Nov-99 23:12:40 GMT",
        "sid=1; Expires=Wed, 09 Nov 1600 23:12:40 GMT",
        "sid=1; Expires=Mon, 23 Nov 2026 14:23:35",
        "sid=1; Expires=Mon, 23 Nov 2026 14:23:35 GMT",
    ],
)
def test_a_cookie_whose_lifetime_is_over_is_deleted(line: str) -> None:
    """Which is how servers log a session out; there may be none."""
    assert after(line, before={"sid": "0", "other": "x"}) == {"other": "x"}
    assert after(line) == {}
    assert after(line, "sid=2") == {"sid": "2"}


def test_a_date_without_a_zone_is_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever the tool runs (RFC 6265, section 5.1.1)."""
    with monkeypatch.context() as patch:
        for zone in ("Asia/Tokyo", "America/New_York"):
            patch.setenv("TZ", zone)
            time.tzset()
            assert after("a=1; Expires=Mon, 23 Nov 2026 14:23:35") == {}
            assert after("a=1; Expires=Mon, 23 Nov 2026 14:23:36") == {"a": "1"}
    time.tzset()


@pytest.mark.parametrize(
    "line",
    ["", ";", "sid", "=1", "s id=1", "sid=a\x00b", "sid=a\tb", "sid=ä", "sïd=1", "sid=\x7f", "sid=a\r\nX: y"],
)
def test_what_is_malformed_or_would_break_a_header_is_ignored(line: str) -> None:
    """The cookie before it stays."""
    assert after(line, before={"sid": "0"}) == {"sid": "0"}


def test_the_given_cookies_are_not_modified() -> None:
    """Sessions share nothing by accident."""
    before = {"a": "1"}
    assert after("b=2", before=before) == {"a": "1", "b": "2"}
    assert before == {"a": "1"}


def test_cookies_are_bounded() -> None:
    """A server cannot fill the memory, nor push out the cookie of the login; known ones still change."""
    many = after(*(f"c{number}={number}" for number in range(100)), before={"login": "x"})
    assert len(many) == MAX_COOKIES
    assert many["login"] == "x"
    assert after("c0=new", "another=1", before=many)["c0"] == "new"
    assert "another" in after("c0=; Max-Age=0", "another=1", before=many)
    longest = "x" * (MAX_LENGTH - 1)
    assert after(f"a={longest}") == {"a": longest}
    assert after(f"a={longest}x") == {}


def test_the_header_has_all_cookies_in_order() -> None:
    """There is none without cookies; one that would break it is left out, whoever set it."""
    assert header({"a": "1", "b": '"2"'}) == 'a=1; b="2"'
    assert header({}) is None
    bad = {"a": "1;2", "b;": "1", "c=": "1", "": "1", "d": "1\r\nX: y", "e": "ü", "f": "x" * 5000}
    assert header(bad) is None
    assert header({**bad, "g": "1"}) == "g=1"


ATTRIBUTES = ["Path=/", "HttpOnly", "SameSite=Lax", "Max-Age=60", "Max-Age=0", "Priority=High"]
DATES = ["Expires=Thu, 01 Jan 1970 00:00:00 GMT", "Expires=Wed, 25 Nov 2099 00:00:00 GMT"]
LINES = st.builds(
    lambda name, value, attributes: "; ".join([f"{name}={value}", *attributes]),
    st.sampled_from("abc"),
    st.text("xyz019-_.!*", min_size=1, max_size=5),
    st.lists(st.sampled_from(ATTRIBUTES + DATES), unique_by=lambda one: one.partition("=")[0], max_size=3),
)


@given(st.lists(st.lists(LINES, unique_by=lambda line: line[0], max_size=3), max_size=4))
def test_it_is_as_in_pythons_own_jar(responses: list[list[str]]) -> None:
    """A second implementation: after each response, `http.cookiejar` would send the same cookies.

    Each name is set once a response: the jar deletes before it adds.
    """
    jar = CookieJar(DefaultCookiePolicy())
    request = urllib.request.Request("http://example.org/")
    cookies: dict[str, str] = {}
    for lines in responses:
        headers = Message()
        for line in lines:
            headers["Set-Cookie"] = line
        response: Any = SimpleNamespace(info=lambda headers=headers: headers)
        jar.extract_cookies(response, request)
        cookies = updated(cookies, lines)
        assert cookies == {cookie.name: cookie.value for cookie in jar}


@given(st.dictionaries(st.text(), st.text(), max_size=5), st.lists(st.text(max_size=60), max_size=5))
@example({}, ["a=1; Expires=" + "0" * 400 + "1 Jan 99999999999 00:00:00"])
@example({}, ["a=1; Expires=Thu, 99 Foo 0000 99:99:99 GMT"])
def test_no_header_makes_it_fail(cookies: dict[str, str], lines: list[str]) -> None:
    """What is sent is one line of printable ASCII."""
    kept = updated(cookies, lines)
    sent = header(kept)
    assert sent is None or (sent.isascii() and sent.isprintable())
    new = {name: value for name, value in kept.items() if cookies.get(name) != value}
    assert (header(new) or "").count("=") >= len(new)


@given(st.text("0123456789 :,-/JanFebGMT", max_size=60))
def test_no_date_makes_it_fail(date: str) -> None:
    """An Expires that is no date is ignored."""
    assert after(f"a=1; Expires={date}") in ({}, {"a": "1"})
