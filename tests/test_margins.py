"""Margins of a team's own: how they are written, kept in files, judged by and told."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from loadtest.errors import InvalidSetting
from loadtest.evidence import Manifest, comparability_hash
from loadtest.report import publish
from loadtest.report.tables import gate_table, gates
from loadtest.statistics import (
    GATES,
    Gate,
    Margin,
    NoiseFloor,
    feasibility,
    gates_with,
    margins_of,
    margins_text,
    parse_margins,
)
from loadtest.verdict import Item, Ruling
from tests.support.rundirs import write_run
from tests.support.runs import manifest

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
        ("p50=8%", {"service p50": Margin(0.08)}),
        ("p50=57%", {"service p50": Margin(0.57)}),
        ("p99=2ms", {"service p99": Margin(0.20, 2000)}),
        ("p90=0%/1.5ms", {"service p90": Margin(0.0, 1500)}),
        (" outage = 30 % / 0.05 s ", {"outage p95": Margin(0.30, 50_000)}),
        ("service p50=8%,outage p95=30%", {"service p50": Margin(0.08), "outage p95": Margin(0.30)}),
        ("P95=25%", {"outage p95": Margin(0.25)}),
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
        (
            "p95.5=8%",
            "does not name one gated quantile. Known are service p50, service p90, service p99, out",
        ),
        ("service=8%", "does not name one gated quantile"),
        ("=8%", "does not name one gated quantile"),
        ("p50", "is no margin. Write QUANTILE=SHARE%"),
        ("p50=8", "is no margin"),
        ("p50=0,5ms", "is no margin"),
        ("p50=much%", "is no margin"),
        ("p50=8%/9%", "has two of a kind"),
        ("p50=-1%", "'-1%/0.2ms' is out of range. Give 0 to 100 %, 0 to 60 s, or both"),
        ("p50=101%", "is out of range"),
        ("p50=61s", "is out of range"),
        ("p50=nan%", "is out of range"),
        ("p50=infms", "is out of range"),
        ("p50=0%/0ms", "leaves no margin: nothing could ever PASS"),
    ],
)
def test_what_is_no_margin_is_refused(text: str, says: str) -> None:
    """With what was given, what is wrong with it, and what can be given."""
    with pytest.raises(InvalidSetting) as refused:
        parse_margins([text])
    assert says in str(refused.value)
    assert refused.value.name == "margin"


@given(st.text(st.sampled_from("p5902=%/ms,.-e outagev\u0663\x00"), max_size=30) | st.text(max_size=30))
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
    """Those that are not the defaults, in the form that the options take."""
    found = tuple(replace(gate, margin=margin) for gate, margin in zip(GATES, margins, strict=False))
    found += GATES[len(found) :]
    assert parse_margins([margins_text(found)]) == found
    assert margins_text(GATES) == ""


def test_later_margins_change_earlier_ones() -> None:
    """A comparison starts from what its candidate was judged with."""
    first = parse_margins(["p50=8%,p90=3ms"])
    assert parse_margins(["p50=1ms"], first) == parse_margins(["p50=8%/1ms,p90=3ms"])


# As files keep them.


def test_margins_are_no_part_of_the_plan() -> None:
    """They change nothing of what was measured: runs with others stay comparable."""
    one, other = manifest(), manifest(margins={"service p50": Margin(0.5)})
    assert one.comparability_hash == other.comparability_hash == comparability_hash(other.plan)
    assert other.gates == parse_margins(["p50=50%"])


def test_a_run_from_before_there_were_margins_has_the_defaults() -> None:
    """A run.json without them is read as ever; what it says of no gate is passed over."""
    plain = msgspec.to_builtins(manifest())
    del plain["margins"]
    assert msgspec.convert(plain, type=Manifest).gates == GATES
    plain["margins"] = {"service p42": {"relative_ratio": 0.5}}
    assert msgspec.convert(plain, type=Manifest).gates == GATES


@pytest.mark.parametrize(
    "margin",
    [
        '{"relative_ratio":-1}',
        '{"relative_ratio":0.1,"absolute_us":1e99}',
        "{}",
        '"8%"',
        '{"relative_ratio":2}',
    ],
)
def test_margins_that_cannot_be_are_not_read(margin: str) -> None:
    """A manifest is foreign: a margin in it is within its bounds, or the manifest cannot be read."""
    plain = {**msgspec.to_builtins(manifest()), "margins": {"service p50": msgspec.json.decode(margin)}}
    with pytest.raises(msgspec.ValidationError, match=r"margins\[\.\.\.\]"):
        msgspec.convert(plain, type=Manifest)


# As they are judged by and told.


def test_a_run_is_judged_by_its_own_margins_again_and_again(tmp_path: Path) -> None:
    """The verdict at its end is rebuilt from files alone, and the command to repeat it has the margins."""
    write_run(tmp_path, of=manifest(run_id="base", started_unix_ns=10**18))
    wide = manifest(
        run_id="next", revision="v2", margins=margins_of(parse_margins(["p50=80%,p90=80%,p99=80%"]))
    )
    path = write_run(tmp_path, of=wide, slower_ratio=1.6)
    assert publish(path, results=tmp_path).verdict.item("latency").verdict is not Ruling.FAIL
    written = (path / "verdict.json").read_bytes()
    found = json.loads(written)["items"][4]["evidence"]["gates"]
    assert [gate["relative_margin_ratio"] for gate in found] == [0.8, 0.8, 0.8, 0.2]
    publish(path, results=tmp_path)
    assert (path / "verdict.json").read_bytes() == written
    margins = "service p50=80%/0.2ms,service p90=80%/0.2ms,service p99=80%/0.2ms"
    assert f"--ws-margin '{margins}'" in (path / "summary.md").read_text()
    run_json = json.loads((path / "run.json").read_bytes())
    del run_json["margins"]
    (path / "run.json").write_text(json.dumps(run_json))
    assert publish(path, results=tmp_path).verdict.item("latency").verdict is Ruling.FAIL
    assert "--ws-margin" not in (path / "summary.md").read_text()


def test_margins_that_are_times_are_each_told() -> None:
    """Two times are two sentences, a share of nothing is a share."""
    figures = {"decision": "PASS", "baseline_us": 1000.0, "candidate_us": 1000.0, "margin_ratio": 0.5}
    times = [("service p50", 0.05, 500.0), ("service p90", 0.0, 500.0), ("service p99", 0.2, 800.0)]
    told = [
        figures | {"gate": gate, "relative_margin_ratio": ratio, "absolute_margin_us": us}
        for gate, ratio, us in times
    ]
    table = gate_table(gates(Item(item="latency", verdict=Ruling.PASS, summary="", evidence={"gates": told})))
    assert [row[-2] for row in table.rows] == ["0.5 ms", "0.5 ms", "0.8 ms"]
    assert table.note.endswith(
        " A margin is 0.5 ms at least, which is 50 % of service p50 (else 5 %), 50 % of service p90 (else "
        "0 %). A margin is 0.8 ms at least, which is 50 % of service p99 (else 20 %)."
    )


@pytest.mark.parametrize(
    ("margin", "says"),
    [
        (Margin(0.3, 0), "the margin is 30 %: enough"),
        (
            Margin(0.0, 500),
            "0 %, or 0.5 ms where that is more: too few, unless the time is more, which a first",
        ),
    ],
)
def test_a_forecast_holds_the_noise_against_the_margin_asked_for(margin: Margin, says: str) -> None:
    """A margin that is only a time cannot be weighed before the quantile is known."""
    gate = Gate("service", 0.5, margin)
    noise = NoiseFloor(0.05, 8)
    found = feasibility(gate, pairs=12, duration_s=60, rng=np.random.default_rng(0), noise=noise)
    assert says in str(found)
