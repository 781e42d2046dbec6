"""Patterns of rules, and the index that finds them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.serverlog.patterns import Index, Pattern, compiled


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("closed", "connection closed now", True),
        ("^closed", "connection closed", False),
        ("^connection", "connection closed", True),
        ("closed$", "connection closed", True),
        ("closed$", "closed connection", False),
        ("^connection closed$", "connection closed", True),
        ("^connection closed$", "connection closed!", False),
        ("a*b", "xxaxxbxx", True),
        ("a*b", "ba", False),
        ("^a*b*c$", "a b c", True),
        ("^a*a$", "a", False),
        ("^ab*ba$", "aba", False),
        ("a*b$", "a b c b", True),
        ("*", "", True),
    ],
)
def test_patterns(pattern: str, text: str, fits: bool) -> None:
    """Plain text anywhere, in order and without overlap, bound to the ends where asked."""
    assert Pattern(pattern).fits(text) is fits


@given(st.lists(st.text("ab", max_size=3), min_size=1, max_size=4), st.text("ab", max_size=12))
def test_patterns_fit_as_regular_expressions_would(parts: list[str], text: str) -> None:
    """A pattern fits exactly where the expression with `.*` for each star does."""
    body = "*".join(parts)
    expression = ".*".join(map(re.escape, parts))
    for before, after in (("", ""), ("^", ""), ("", "$"), ("^", "$")):
        wanted = re.search(f"{before}{expression}{after}", text) is not None
        assert Pattern(f"{before}{body}{after}").fits(text) is wanted


def test_case_does_not_matter() -> None:
    """A pattern in any case fits the text in lower case."""
    assert Pattern("Client DISCONNECTED").fits("client disconnected")


@given(st.lists(st.lists(st.text("abc*^$", max_size=6), max_size=3), max_size=6), st.text("abc", max_size=30))
def test_the_index_leaves_out_only_what_cannot_fit(rows: list[list[str]], text: str) -> None:
    """Every row with a pattern that fits is among the candidates, in order."""
    table = [compiled(row) for row in rows]
    candidates = Index(table).candidates(text)
    assert candidates == sorted(candidates)
    for number, row in enumerate(table):
        if any(pattern.fits(text) for pattern in row):
            assert number in candidates


def test_patterns_of_common_pieces_are_found() -> None:
    """A pattern whose every piece is in many others is found too."""
    rows = [compiled(f"connection closed {number}") for number in range(50)] + [compiled("connection closed")]
    assert Index(rows).candidates("connection closed") == [50]
    assert 7 in Index(rows).candidates("the connection closed 7 times")
