"""Kinds of value: what they read, what they refuse, and how they say what they take."""

from __future__ import annotations

import math
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.errors import NOT_SHOWN, InvalidSetting
from loadtest.values import Choice, FilePath, Flag, Kind, Number, Pair, Text, Weighted, Whole, seconds

SIZE = Weighted(Whole(48, 2**20, "bytes"), "size")


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Number(), "0 or more"),
        (Number(1e-6, 10_000, "messages", or_zero=True), "0 or 0.000001–10000 messages"),
        (Number(0, 1, above=True), "above 0 and at most 1"),
        (Number(0, above=True), "above 0"),
        (Number(-1.5, 2**30), "-1.5–1073741824"),
        (seconds(0.001, 3600), "0.001–3600 seconds"),
        (Whole(1, 100_000), "a whole number, 1–100000"),
        (SIZE, "a whole number, 48–1048576 bytes, or several with weights: 48=9,1048576=1"),
        (Choice(("one",)), "one"),
        (Choice(("one", "two", "three")), "one, two or three"),
    ],
    ids=str,
)
def test_a_kind_says_what_it_takes(kind: Kind, text: str) -> None:
    """It finishes the sentence "must be …", without exponents."""
    assert str(kind) == text


@given(st.floats(), st.floats(-1e9, 1e9), st.floats(0, 1e9), st.booleans())
def test_a_number_is_within_its_bounds_or_refused(
    value: float, least: float, width: float, above: bool
) -> None:
    """The same as a number and as text."""
    kind = Number(least, least + width, above=above)
    within = math.isfinite(value) and least <= value <= least + width and not (above and value == least)
    for form in (value, repr(value)):
        if within:
            assert kind.read(form, "--n") == value
        else:
            with pytest.raises(InvalidSetting) as refused:
                kind.read(form, "--n")
            assert refused.value.value is form
            assert refused.value.option == "--n"


@given(st.text() | st.none() | st.booleans() | st.lists(st.integers(), max_size=2) | st.binary(max_size=4))
def test_anything_else_is_a_number_or_refused(given: Any) -> None:
    """No object makes it fail in another way, and what is read is of the right type."""
    for kind, wanted in ((Number(), float), (Whole(), int)):
        with suppress(InvalidSetting):
            assert type(kind.read(given, "--n")) is wanted


@pytest.mark.parametrize(
    ("kind", "given", "value"),
    [
        (Whole(1, 9), "7", 7),
        (Whole(1, 9), 7.0, 7),
        (Choice(("a", "b")), "b", "b"),
        (Text(), "any", "any"),
        (Text(or_object="a function"), len, len),
        (FilePath(), "a/b", Path("a/b")),
        (FilePath(), Path("a/b"), Path("a/b")),
        (Pair("NAME:VALUE", ":"), "Cookie: a:b ", ("Cookie", "a:b")),
        (Pair("NAME=VALUE", "="), "a=", ("a", "")),
        (Pair("NAME=VALUE", "="), ("a", "b"), ("a", "b")),
        *((SIZE, given, 64) for given in ("64", 64, 64.0, "64=3", "64,", {64: 2}, {"64": "2"})),
        (SIZE, "100000=1, 64 = 9", {64: 9.0, 100_000: 1.0}),
        (SIZE, "100,64=0.5", {64: 0.5, 100: 1.0}),
        (SIZE, {100: 2, 64: "1"}, {64: 1.0, 100: 2.0}),
        *((Flag(), text, True) for text in (True, "true", "1", "YES", "on")),
        *((Flag(), text, False) for text in (False, "false", "0", "No", "off")),
    ],
    ids=str,
)
def test_what_is_read(kind: Kind, given: Any, value: object) -> None:
    """From text, as from Python."""
    assert kind.read(given, "--x") == value


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        *((Whole(1, 9), given) for given in (0, 10, 1.5, "1.5", True, None, [1])),
        *((Choice(("a", "b")), given) for given in ("c", "A", None)),
        *((Text(), given) for given in (5, None)),
        *((FilePath(), given) for given in ("", 5, None)),
        *((SIZE, given) for given in ("", "47", 2**20 + 1, 64.5, True, None, [64], "big")),
        *(
            (Pair("NAME=VALUE", "="), given)
            for given in ("", "a", "=b", ("a",), ("a", 1), ("a", "b", "c"), 5)
        ),
        *((Flag(), given) for given in ("", "maybe", None)),
    ],
    ids=str,
)
def test_what_is_refused(kind: Kind, given: Any) -> None:
    """With what it must be; the text of a pair, which may be secret, is not shown."""
    with pytest.raises(InvalidSetting) as refused:
        kind.read(given, "--x")
    assert refused.value.problem == f"must be {kind}"
    assert refused.value.value is (NOT_SHOWN if isinstance(kind, Pair) else given)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("64=9,47=1", "size must be a whole number, 48–1048576 bytes"),
        ("64=9,=1", "size must be a whole number, 48–1048576 bytes"),
        ("64=9,65=", "weight of 65 must be above 0 and at most 1000000000"),
        ("64=9,65=0", "weight of 65 must be above 0 and at most 1000000000"),
        ({64: -1}, "weight of 64 must be above 0 and at most 1000000000"),
        ("64=9,064=1", "must name each size once"),
        (",", "must have 1–100 sizes"),
        ({}, "must have 1–100 sizes"),
        (dict.fromkeys(range(100, 201), 1), "must have 1–100 sizes"),
    ],
    ids=str,
)
def test_which_part_of_several_sizes_is_refused(given: Any, problem: str) -> None:
    """The error names the part that is wrong: a size, a weight, or their number."""
    with pytest.raises(InvalidSetting) as refused:
        SIZE.read(given, "--x")
    assert refused.value.problem == problem


def test_sizes_are_in_ascending_order() -> None:
    """So that a distribution has one text, whoever wrote it."""
    assert list(SIZE.read("100=1,64=9,80=1", "--x")) == [64, 80, 100]  # type: ignore[arg-type]  # several


@given(st.text("0123456789=,. ex-", max_size=30) | st.dictionaries(st.text() | st.integers(), st.floats()))
def test_any_sizes_are_read_or_refused(given: Any) -> None:
    """No text makes it fail in another way, and what is read is within the bounds."""
    with suppress(InvalidSetting):
        read = SIZE.read(given, "--x")
        weights = read if isinstance(read, dict) else {read: 1.0}
        assert list(weights) == sorted(weights)
        assert all(48 <= size <= 2**20 and weight > 0 for size, weight in weights.items())
        assert isinstance(read, int) == (len(weights) == 1)
