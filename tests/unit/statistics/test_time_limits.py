"""Limits on times: how they are written, read and stored, and when a short run breaks one beyond chance."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.stats import binom

from loadtest.errors import InvalidSetting
from loadtest.statistics.time_limits import (
    LEAST_MS,
    MAX_CHANCE,
    MOST_MS,
    TimeLimit,
    limits_of,
    parse_limits,
    stored,
)
from tests.support.places import ROOT


def read(*texts: object) -> dict[str, float]:
    """Return what is stored of limits."""
    return stored(parse_limits(texts))


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("p99=200ms", {"p99": 200.0}),
        ("p99.90=1.5s", {"p99.9": 1500.0}),
        (" Resume.P95 = 0.3 s ", {"resume.p95": 300.0}),
        ("connect.p50=300us,push_gap=5s", {"connect.p50": 0.3, "push_gap": 5000.0}),
        ("outage.p95=3600s", {"outage.p95": 3_600_000.0}),
        ("response.p05=1us,first_part.p99=1s", {"response.p5": 0.001, "first_part.p99": 1000.0}),
    ],
)
def test_limits_are_names_with_times(text: str, limits: dict[str, float]) -> None:
    """One text or several, in the units of people; stored in milliseconds under one spelling."""
    assert read(text) == read(*text.split(",")) == limits


def test_limits_of_a_class_are_a_mapping_too() -> None:
    """Its items arrive as pairs."""
    assert read(*{"p99": "200ms", "resume.p95": "1s"}.items()) == {"p99": 200.0, "resume.p95": 1000.0}


def test_each_name_has_an_item_a_tag_and_a_quantile() -> None:
    """A limit fails the item that asks its question."""
    names = ("connect.p95", "resume.p95", "outage.p95", "push_gap", "p99", "response.p99", "first_part.p99.9")
    limits = parse_limits([f"{name}=1s" for name in names])
    assert [(limit.item, limit.tag, limit.quantile) for limit in limits] == [
        ("connect", "connect", 0.95),
        ("reconnect", "resume", 0.95),
        ("reconnect", "outage", 0.95),
        ("messaging", "push_gap", 1),
        ("latency", "service", 0.99),
        ("latency", "response", 0.99),
        ("latency", "first_part", 0.999),
    ]
    assert [limit.least_samples for limit in limits] == [200, 200, 200, 1, 1000, 1000, 10_000]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("p99", "must be NAME=TIME with a unit, for example p99=200ms, 1.5s or 300us (got 'p99')"),
        ("query:p99", "must be NAME=TIME with a unit, for example p99=200ms"),
        ("a=b:p99", "must be NAME=TIME with a unit"),
        ("query:p101", "name must be pNN"),
        ("p99=200", "must be NAME=TIME with a unit"),
        (("p99", 200), "must be NAME=TIME with a unit, for example p99=200ms, 1.5s or 300us (got 'p99=200')"),
        ("p99=0.2m", "unit must be us, ms or s"),
        ("p99=-1s", "must be NAME=TIME with a unit"),
        ("p99=1e3ms", "must be NAME=TIME with a unit"),
        ("p99=\u0663s", "must be NAME=TIME with a unit"),
        ("p99=0ms", "time must be 1us–3600s (got 'p99=0ms')"),
        ("p99=0.9us", "time must be 1us–3600s"),
        ("p99=3601s", "time must be 1us–3600s"),
        ("p100=1s", "name must be pNN, response.pNN"),
        ("p0=1s", "name must be pNN"),
        ("p99.99999=1s", "name must be pNN"),
        ("push.p99=1s", "name must be pNN"),
        ("push_gap.p99=1s", "name must be pNN"),
        ("=1s", "name must be pNN"),
        (5, "name must be pNN"),
        (("p99", "1s", "2s"), "must be NAME=TIME"),
        ("", "must not be empty: NAME=TIME"),
        (" , ", "must not be empty: NAME=TIME"),
        ("p99=200MS", "unit must be us, ms or s, in lower case (got 'p99=200MS')"),
        ("p99=2 min", "unit must be us, ms or s"),
        ("connect=1s", "needs a quantile: connect.p95=1s (got 'connect=1s')"),
        ("service", "needs a quantile: p95=1s"),
        ("p99=1s,p99.0=2s", "must set p99 only once (got 'p99.0=2s')"),
    ],
)
def test_what_is_no_limit_is_refused(given: object, says: str) -> None:
    """With the option, what was given, what is wrong with it, and what is allowed."""
    with pytest.raises(InvalidSetting) as refused:
        parse_limits([given])
    assert says in str(refused.value)
    assert refused.value.option == "--ws-limit"


@given(st.text(st.sampled_from("p9.50=musrecont,_gap \u0663\x00"), max_size=30) | st.text(max_size=30))
@example("p99=" + "9" * 5000 + "s")
@example("p99=0.000000000001us")
def test_any_text_gives_limits_within_bounds_or_is_refused(text: str) -> None:
    """What is read can be stored, and read again as the option takes it."""
    with suppress(InvalidSetting):
        found = parse_limits([text])
        assert all(LEAST_MS <= limit.limit_ms <= MOST_MS and 0 < limit.quantile <= 1 for limit in found)
        assert limits_of(stored(found)) == found
        assert parse_limits(map(str, found)) == found


@given(st.integers(1, 3_600_000_000_000), st.integers(1, 999_999))
def test_a_limit_is_written_as_it_is_read(time_ns: int, percent: int) -> None:
    """To the nanosecond, and for any quantile with four decimals."""
    with suppress(InvalidSetting):
        (limit,) = parse_limits([f"p{percent / 10_000:.4f}={time_ns / 1e6:.6f}ms"])
        assert parse_limits([str(limit)]) == (limit,)
        assert limits_of(stored([limit])) == (limit,)


def test_the_docs_name_each_limit_with_its_item() -> None:
    """The table of docs/limits.md, and every example in it."""
    page = (ROOT / "docs" / "limits.md").read_text()
    rows = re.findall(r"^\| `([a-z_.NN]+)` \|.*\| `(\w+)` \|$", page, re.MULTILINE)
    limits = parse_limits(f"{name.replace('NN', '50')}=1s" for name, _ in rows)
    assert [limit.item for limit in limits] == [item for _, item in rows]
    assert len(rows) == 7
    assert parse_limits(re.findall(r"--ws-limit (\S+)", page))


@pytest.mark.parametrize("limits", [{"p99": 0.0}, {"p99": 3_600_001.0}, {"p101": 1.0}, {"later.p99": 1.0}])
def test_a_stored_limit_that_is_unknown_is_an_error(limits: dict[str, float]) -> None:
    """A verdict that overlooked a limit of another version would be wrong."""
    with pytest.raises(ValueError, match="is unknown"):
        limits_of(limits)


@pytest.mark.parametrize(
    ("name", "above", "samples", "broken"),
    [
        ("p95", 2, 2, False),
        ("p95", 3, 3, True),
        ("p50", 9, 9, False),
        ("p50", 10, 10, True),
        ("p99", 1, 100, False),
        ("p99", 5, 100, False),
        ("p99", 6, 100, True),
        ("p99", 0, 100, False),
    ],
)
def test_few_samples_break_a_limit_only_beyond_chance(
    name: str, above: int, samples: int, *, broken: bool
) -> None:
    """All of three are late enough for a p95; one or five of a hundred for a p99 are not."""
    (limit,) = parse_limits([f"{name}=1s"])
    assert limit.broken_beyond_chance(above, samples) is broken


@given(st.data(), st.integers(1, 3000), st.sampled_from([0.1, 0.5, 0.9, 0.95, 0.99, 0.999]))
def test_chance_is_that_of_the_binomial_distribution(
    data: st.DataObject, samples: int, quantile: float
) -> None:
    """As scipy has it, for any number of samples above the limit."""
    above = data.draw(st.integers(0, samples))
    chance = float(binom.sf(above - 1, samples, 1 - quantile))
    if abs(chance - MAX_CHANCE) > 1e-9:
        limit = TimeLimit("p", 1.0, "service", quantile)
        assert limit.broken_beyond_chance(above, samples) is (chance < MAX_CHANCE)
