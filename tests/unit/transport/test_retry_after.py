"""Retry-After: seconds or a date, of the refusals that may bear it, and never for long."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.datastructures import Headers

from loadtest.transport.retry_after import LONGEST_S, retry_after_s
from tests.support.effort import effort

NOW = "Wed, 21 Oct 2015 07:28:00 GMT"


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({}, 0),
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": " 30 "}, 30),
        ({"Retry-After": "0"}, 0),
        ({"Retry-After": "005"}, 5),
        ({"Retry-After": "3600"}, LONGEST_S),
        ({"Retry-After": "9" * 5000}, LONGEST_S),
        ({"Retry-After": "-5"}, 0),
        ({"Retry-After": "1.5"}, 0),
        ({"Retry-After": "²"}, 0),
        ({"Retry-After": "soon"}, 0),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:12 GMT", "Date": NOW}, 12),
        ({"Retry-After": "Wed, 21 Oct 2015 09:28:00 GMT", "Date": NOW}, LONGEST_S),
        ({"Retry-After": "Wed, 21 Oct 2015 07:27:00 GMT", "Date": NOW}, 0),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:12 GMT", "Date": "yesterday"}, 0),
    ],
)
def test_the_wait_is_read_and_bounded(headers: dict[str, str], wait_s: float) -> None:
    """Whole seconds, or a date by the server's clock, up to a minute; anything else asks for nothing."""
    assert retry_after_s(503, Headers(headers)) == wait_s


def test_a_date_without_a_server_time_is_by_our_clock() -> None:
    """A server that does not tell its time has, we assume, the same as ours."""
    wait_s = retry_after_s(429, Headers({"Retry-After": formatdate(time.time() + 30, usegmt=True)}))
    assert 20 < wait_s <= 30


@pytest.mark.parametrize("status", [200, 301, 403, 404, 500, 502])
def test_other_refusals_ask_for_nothing(status: int) -> None:
    """Only 429 and 503 are about time; elsewhere the header is ignored."""
    assert retry_after_s(status, Headers({"Retry-After": "9"})) == 0


def test_the_first_of_several_counts() -> None:
    """A proxy may add a second header to the application's."""
    headers = Headers([("Retry-After", "5"), ("Retry-After", "50")])
    assert retry_after_s(429, headers) == 5


HEADER = st.text(st.characters(codec="latin-1", categories=["L", "N", "P", "Zs"]))


@effort(60)
@given(HEADER, HEADER)
def test_no_header_does_harm(after: str, date: str) -> None:
    """Whatever a server writes there, the wait is a number between 0 and a minute."""
    assert 0 <= retry_after_s(503, Headers({"Retry-After": after, "Date": date})) <= LONGEST_S
