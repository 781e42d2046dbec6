"""Margins: the defaults, and those of a team's own as they are written and read."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import replace

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from loadtest.errors import InvalidSetting
from loadtest.statistics.margins import (
    GATES,
    Margin,
    gates_with,
    margins_of,
    margins_text,
    parse_margins,
)

# Gates and noise


def test_margins_are_relative_or_absolute_whichever_is_more() -> None:
    """5 % of 100 ms is 5 ms; 5 % of 1 ms is less than the 0.2 ms that nobody notices."""
    assert Margin(0.05, 200).ratio(100_000) == 0.05
    assert Margin(0.05, 200).ratio(1_000) == pytest.approx(0.2)
    assert math.isfinite(Margin(0.05, 200).ratio(0.0))


@pytest.mark.parametrize("number", [-0.1, math.nan, math.inf])
def test_a_margin_that_is_none_is_refused(number: float) -> None:
    """Negative and infinite margins would settle everything."""
    for name in ("relative_ratio", "absolute_us", "absolute_ratio", "absolute_per_h"):
        with pytest.raises(ValueError, match="must be 0–100%, 0–60 s, 0–100 pt and 0–3600/h"):
            Margin(**{"relative_ratio": 0.05, name: number})


def test_a_quantile_in_percent_is_refused() -> None:
    """99 where 0.99 is meant is a slip that must not go on."""
    with pytest.raises(ValueError, match=r"0\.99"):
        replace(GATES[2], quantile=99)


def test_default_gates_are_the_contract() -> None:
    """What is judged, by which margin, with which assumed noise, and how many samples each asks for."""
    found = [
        (gate.name, gate.margin_text, gate.assumed_ratio, gate.least_samples, gate.least_samples_of_many)
        for gate in GATES
        if not gate.kind.counted
    ]
    assert found == [
        ("service p50", "5%/0.2ms", 0.05, 20, 2),
        ("service p90", "10%/0.2ms", 0.08, 100, 10),
        ("service p99", "20%/0.2ms", 0.20, 1000, 100),
        ("service p99.9", "30%/1ms", 0.20, 10_000, 1000),
        ("response p99", "20%/1ms", 0.20, 1000, 100),
        ("connect p95", "20%/5ms", 0.10, 200, 20),
        ("resume p95", "20%/5ms", 0.10, 200, 20),
        ("outage p95", "20%/0.2ms", 0.10, 200, 20),
        ("first reply p95", "20%/1ms", 0.20, 200, 20),
        ("drift", "5%/0.2ms", 0.05, 20, 2),
    ]
    counted = [(gate.name, gate.margin_text) for gate in GATES if gate.kind.counted]
    assert counted == [("slow replies", "100%/0.02pt"), ("losses", "0%/1/h")]
    assert [gate.name for gate in GATES if gate.required] == ["service p50", "service p90", "service p99"]


DEFAULTS = margins_of(GATES)


def changed(*texts: str) -> dict[str, Margin]:
    """Return what margins differ from the defaults."""
    found = margins_of(parse_margins(texts))
    return {name: margin for name, margin in found.items() if margin != DEFAULTS[name]}


# As a person writes them.


@pytest.mark.parametrize(
    ("text", "margins"),
    [
        ("", {}),
        ("p50=8%", {"service p50": Margin(0.08, 200)}),
        ("p50=57%", {"service p50": Margin(0.57, 200)}),
        ("p99=2ms", {"service p99": Margin(0.20, 2000)}),
        ("p90=0%/1.5ms", {"service p90": Margin(0.0, 1500)}),
        (" outage = 30 % / 0.05 s ", {"outage p95": Margin(0.30, 50_000)}),
        (
            "service p50=8%,outage p95=30%",
            {"service p50": Margin(0.08, 200), "outage p95": Margin(0.30, 200)},
        ),
        ("OUTAGE=25%", {"outage p95": Margin(0.25, 200)}),
        ("p99.9=40%", {"service p99.9": Margin(0.40, 1000)}),
        ("response=3ms", {"response p99": Margin(0.20, 3000)}),
        ("first reply=30%", {"first reply p95": Margin(0.30, 1000)}),
        ("drift=9%", {"drift": Margin(0.09, 200)}),
        ("slow=50%/0.1pt", {"slow replies": Margin(0.50, absolute_ratio=0.001)}),
        ("losses=2/h", {"losses": Margin(0.0, absolute_per_h=2.0)}),
        ("losses = 10 % / 2/h", {"losses": Margin(0.10, absolute_per_h=2.0)}),
        ("p50=8%,p50=1ms,p50=9%", {"service p50": Margin(0.09, 1000)}),
        ("p50=100%/60s", {"service p50": Margin(1.0, 60_000_000)}),
    ],
)
def test_margins_are_shares_times_or_both(text: str, margins: dict[str, Margin]) -> None:
    """What is not said stays as it is; a gate is named as in a report, or by the words that tell it apart."""
    assert changed(text) == changed(*text.split(",")) == margins


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("p95.5=8%", "gate must be one of p50, p90, p99, p99.9, response p99, connect p95, resume p95"),
        ("service=8%", "slow replies, losses (got 'service=8%')"),
        ("p95=8%", "gate must be one of"),
        ("=8%", "gate must be one of"),
        ("p50", "must be GATE=SHARE%"),
        ("p50=8", "must be GATE=SHARE%"),
        ("p50=0,5ms", "must be GATE=SHARE%"),
        ("p50=much%", "must be GATE=SHARE%"),
        ("p50=8%/9%", "must have at most one share and one amount"),
        ("p50=-1%", "0–3600/h (got 'p50=-1%')"),
        ("p50=101%", "must be 0–100%, 0–60 s, 0–100 pt and 0–3600/h"),
        ("p50=61s", "must be 0–100%, 0–60 s, 0–100 pt and 0–3600/h"),
        ("p50=nan%", "must be 0–100%, 0–60 s, 0–100 pt and 0–3600/h"),
        ("p50=infms", "must be 0–100%, 0–60 s, 0–100 pt and 0–3600/h"),
        ("p50=1pt", "must be GATE=SHARE%"),
        ("slow=1ms", "must be slow=SHARE%, slow=POINTSpt"),
        ("losses=1pt", "must be losses=SHARE%, losses=NUMBER/h"),
        ("losses=0/h", "must be above 0"),
        ("p50=0%/0ms", "must be above 0: without a margin nothing can pass"),
    ],
)
def test_what_is_no_margin_is_refused(text: str, says: str) -> None:
    """With what was given, what is wrong with it, and what can be given."""
    with pytest.raises(InvalidSetting) as refused:
        parse_margins([text])
    assert says in str(refused.value)
    assert refused.value.option == "--ws-margin"


@given(st.text(st.sampled_from("p5902=%/ms,.-e outagevlswh\u0663\x00"), max_size=30) | st.text(max_size=30))
@example("p50=1e400%")
@example("p50=" + "9" * 5000 + "ms")
def test_any_text_gives_margins_within_bounds_or_is_refused(text: str) -> None:
    """Always all gates, in their order, and with a margin that can be written down and read."""
    with suppress(InvalidSetting):
        found = parse_margins([text])
        assert [(gate.tag, gate.quantile) for gate in found] == [(gate.tag, gate.quantile) for gate in GATES]
        told = msgspec.json.encode(margins_of(found))
        assert gates_with(msgspec.json.decode(told, type=dict[str, Margin])) == found


@given(st.lists(st.builds(Margin, st.integers(0, 1000).map(lambda n: n / 1000), st.integers(1, 10**6))))
def test_margins_are_written_as_they_are_read(margins: list[Margin]) -> None:
    """Those that are not the defaults, in the form that the options take; an absolute part of 0 too."""
    timed = GATES[:10]
    found = tuple(replace(gate, margin=margin) for gate, margin in zip(timed, margins, strict=False))
    found += timed[len(found) :]
    slow, losses = Margin(0.5), Margin(0.25)
    found += (replace(GATES[10], margin=slow), replace(GATES[11], margin=losses))
    assert parse_margins([margins_text(found)]) == found
    assert margins_text(GATES) == ""


def test_later_margins_change_earlier_ones() -> None:
    """A comparison starts from what its candidate was judged with."""
    first = parse_margins(["p50=8%,p90=3ms"])
    assert parse_margins(["p50=1ms"], first) == parse_margins(["p50=8%/1ms,p90=3ms"])
