"""Gates in words: what decides comes first, and every gate that was left out is named with its reason."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from loadtest.ruling import Ruling
from loadtest.statistics.margins import GATES, GateKind
from loadtest.verdict.gate_evidence import GateResult
from loadtest.verdict.gate_words import change, how_much_longer, interval, level, margin, summary, values


def gate(name: str, decision: Ruling, change_ratio: float | None = 0.004, **more: Any) -> GateResult:
    """Return the result of a gate on a time with a margin of 5%."""
    usual = {"low_ratio": -0.011, "high_ratio": 0.019, "margin_ratio": 0.05, "relative_margin_ratio": 0.05}
    bounds = {} if change_ratio is None else usual
    return GateResult(**{"gate": name, "decision": decision, "change_ratio": change_ratio, **bounds, **more})


def left_out(name: str, reason: str) -> GateResult:
    """Return the result of a gate that was not judged."""
    return gate(name, Ruling.NOT_JUDGED, None, reason=reason)


def test_gates_that_pass_are_told_in_a_line() -> None:
    """The first with bounds and margin, the others with their change."""
    passed = [gate(name, Ruling.PASS) for name in ("service p50", "service p90", "connect p95", "drift")]
    missing = left_out("service p99.9", "3,600 samples, p99.9 needs 10,000")
    assert summary([*passed, missing], Ruling.PASS) == (
        "4 gates unchanged: service p50 +0.4% (-1.1 to +1.9%, margin 5%), p90 +0.4%, connect p95 +0.4%, "
        "drift +0.4%; not judged: service p99.9"
    )


def test_what_is_faster_is_not_called_unchanged() -> None:
    """A gate asks only whether it is slower."""
    faster = gate("service p50", Ruling.PASS, -0.3)
    assert summary([faster], Ruling.PASS).startswith("1 gate unchanged or better: service p50 -30.0% (")


def test_gates_that_fail_come_first_and_alone() -> None:
    """Three in full, the others by name; what is unclear beside a failure is in the table."""
    failed = [gate(one.name, Ruling.FAIL, 0.5) for one in GATES[:5]]
    unclear = gate("drift", Ruling.INCONCLUSIVE)
    assert summary([*failed, unclear], Ruling.FAIL) == (
        "worse: service p50 +50.0% (-1.1 to +1.9%, margin 5%), p90 +50.0% (-1.1 to +1.9%, margin 5%), "
        "p99 +50.0% (-1.1 to +1.9%, margin 5%); also service p99.9 and response p99"
    )


def test_what_is_open_says_what_would_settle_it() -> None:
    """More data first, then a duel, then more pairs."""
    gates = [
        gate("service p50", Ruling.INCONCLUSIVE, 0.08, suspect=True),
        gate("service p90", Ruling.INCONCLUSIVE, more_pairs=9),
        gate("service p99", Ruling.INCONCLUSIVE, None, reason="797 samples, p99 needs 1,000"),
        gate("connect p95", Ruling.INCONCLUSIVE, more_pairs=3),
    ]
    assert summary(gates, Ruling.INCONCLUSIVE) == (
        "too little data to judge service p99 (797 samples, p99 needs 1,000); "
        "suspect: service p50 +8.0% (-1.1 to +1.9%, margin 5%): run a duel; "
        "unclear: service p90 +0.4% (-1.1 to +1.9%, margin 5%), connect p95 +0.4% (-1.1 to +1.9%, "
        "margin 5%): 9 more pairs would settle it"
    )


def test_where_longer_runs_are_needed_nothing_else_is_advised() -> None:
    """The run that is too short says what to do: more pairs or a duel of such runs would not help."""
    gates = [
        gate("service p50", Ruling.INCONCLUSIVE, 0.08, suspect=True),
        gate("drift", Ruling.INCONCLUSIVE, more_pairs=6),
        gate("service p99", Ruling.INCONCLUSIVE, None, reason="178 samples", baseline_samples=200),
    ]
    gates[2] = structs.replace(gates[2], candidate_samples=178)
    assert summary(gates, Ruling.INCONCLUSIVE) == (
        "too little data to judge service p99 (178 samples); suspect: service p50 +8.0% (-1.1 to +1.9%, "
        "margin 5%); unclear: drift +0.4% (-1.1 to +1.9%, margin 5%)"
    )


def test_a_quantile_between_two_groups_is_named() -> None:
    """One pair cannot settle it, a duel can: over four pairs the share of the slower group is compared."""
    between = gate("service p50", Ruling.INCONCLUSIVE, 0.5, between_us=(2_000.0, 40_000.0))
    lies = "service p50 falls between two groups of replies, around 2 ms and 40 ms"
    groups = f"unclear: {lies}"
    assert summary([between], Ruling.INCONCLUSIVE) == f"{groups}: run a duel"
    other = gate("service p90", Ruling.INCONCLUSIVE, more_pairs=35)
    assert summary([structs.replace(between, suspect=True), other], Ruling.INCONCLUSIVE) == (
        f"suspect: {lies}: run a duel; "
        "unclear: service p90 +0.4% (-1.1 to +1.9%, margin 5%): 35 more pairs would settle it"
    )
    assert (change(between), values(between)) == ("+50.0%", ("-", "-"))
    shares = {"baseline_ratio": 0.48, "candidate_ratio": 0.5, "change_ratio": 0.031, "high_ratio": 0.06}
    of_shares = structs.replace(between, **shares)
    assert summary([of_shares], Ruling.INCONCLUSIVE) == (
        f"{groups}: share of the slower group +3.1 pt (-1.1 to +6 pt, margin 5 pt)"
    )
    moved = structs.replace(of_shares, change_ratio=0.004, high_ratio=0.019)
    assert summary([moved], Ruling.INCONCLUSIVE) == (
        f"{groups}: share of the slower group +0.4 pt (-1.1 to +1.9 pt, margin 5 pt), but one of the groups "
        "may be slower"
    )
    failed = structs.replace(moved, decision=Ruling.FAIL)
    assert summary([failed], Ruling.FAIL).endswith("margin 5 pt), but one of the groups became slower")


def test_few_pairs_need_more_of_their_kind() -> None:
    """Who is in a duel already is not told to run one; units of several pairs are counted as such."""
    suspect = gate("service p50", Ruling.INCONCLUSIVE, 0.08, suspect=True)
    between = gate("drift", Ruling.INCONCLUSIVE, 0.5, between_us=(2_000.0, 40_000.0))
    for pairs, units, remedy in (
        (1, 1, "run a duel"),
        (3, 3, "run at least 4 pairs"),
        (9, 3, "run at least 4 units of pairs"),
    ):
        told = summary([suspect, between], Ruling.INCONCLUSIVE, pairs=pairs, units=units)
        assert [part.rpartition(": ")[2] for part in told.split("; ")] == [remedy, remedy]


def test_drift_between_two_groups_is_the_growth_of_one() -> None:
    """In points of all replies, from the first to the last third of a run."""
    drift = gate(
        "drift",
        Ruling.FAIL,
        0.2,
        kind=GateKind.DRIFT,
        between_us=(2_000.0, 40_000.0),
        baseline_ratio=-0.001,
        candidate_ratio=0.199,
        low_ratio=0.15,
        high_ratio=0.25,
        margin_ratio=0.025,
    )
    assert (values(drift), change(drift), margin(drift)) == (("-0.1 pt", "+20 pt"), "+20 pt", "2.5 pt")
    assert summary([drift], Ruling.FAIL) == (
        "worse: drift falls between two groups of replies, around 2 ms and 40 ms: "
        "the slower group's share grew by +20 pt (+15 to +25 pt, margin 2.5 pt)"
    )


def test_gates_that_share_a_reason_share_its_words() -> None:
    """Of a tag the quantiles only."""
    gates = [
        left_out("service p99", "no samples"),
        left_out("service p99.9", "no samples"),
        left_out("outage p95", "no samples"),
        left_out("losses", "pairs only"),
    ]
    assert summary(gates, Ruling.NOT_JUDGED) == (
        "not judged: service p99, p99.9 and outage p95 (no samples), losses (pairs only)"
    )


def test_a_dozen_gates_make_a_short_summary() -> None:
    """Whatever they found, it fits into some eight lines of a terminal."""
    for ruling in (Ruling.PASS, Ruling.FAIL, Ruling.INCONCLUSIVE):
        judged = [gate(one.name, ruling, more_pairs=999) for one in GATES[:6]]
        others = [
            left_out(one.name, f"{number} samples, p95 needs 200") for number, one in enumerate(GATES[6:])
        ]
        assert len(summary([*judged, *others], ruling)) < 600


def test_what_is_not_known_is_a_dash() -> None:
    """In a verdict.json that someone has written, too."""
    for kind in GateKind:
        unknown = GateResult(gate="g", kind=kind)
        assert {*values(unknown), change(unknown), interval(unknown), margin(unknown)} == {"-"}
    assert summary([GateResult(gate="g")], Ruling.INCONCLUSIVE) == "too little data to judge g ()"


def test_many_times_as_slow_is_a_factor() -> None:
    """Percents of five digits say less, and break a table of 80 columns."""
    slow = gate("service p50", Ruling.FAIL, 27.41, low_ratio=8.5, high_ratio=41.35)
    assert (change(slow), interval(slow)) == ("x28.4", "x9.5 to x42.4")
    assert interval(structs.replace(slow, low_ratio=11.11)) == "x12.1 to x42.4"


def test_a_tiny_error_level_is_rounded() -> None:
    """Three pairs of a duel of twelve FAIL at less than a millionth."""
    assert [level(ratio) for ratio in (0.05, 1e-5, 2.96e-8, 0.0)] == [
        *("5%", "0.001%", "below 0.001%", "below 0.001%")
    ]


def test_how_much_longer_a_run_must_be() -> None:
    """By the gate that lacks most; a run without samples does not tell."""
    few = [
        GateResult(gate="service p99", baseline_samples=2_000, candidate_samples=797),
        GateResult(gate="service p90", baseline_samples=97, candidate_samples=99),
    ]
    assert how_much_longer(few) == "1.3 times as long"
    assert how_much_longer(few[1:]) == "1.1 times as long"
    fewer = structs.replace(few[0], candidate_samples=92)
    assert how_much_longer([fewer]) == "11 times as long"
    assert how_much_longer([GateResult(gate="service p99"), GateResult(gate="of another version")]) == ""


AMOUNT = st.none() | st.floats(allow_nan=False)
AMOUNTS = [name for name in GateResult.__struct_fields__ if name.endswith(("_us", "_ratio", "_per_h"))]
AMOUNTS.remove("between_us")


@given(
    kind=st.sampled_from(GateKind),
    amounts=st.fixed_dictionaries(dict.fromkeys(AMOUNTS, AMOUNT)),
    between=st.none() | st.tuples(*[st.floats(allow_nan=False)] * 2),
    decision=st.sampled_from(Ruling),
)
def test_any_numbers_have_words(
    kind: GateKind, amounts: dict[str, Any], between: tuple[float, float] | None, decision: Ruling
) -> None:
    """A verdict.json or duel.json may come from anywhere: nothing in it stops a report."""
    found = GateResult(gate="service p50", kind=kind, decision=decision, between_us=between, **amounts)
    for words in (*values(found), change(found), interval(found), margin(found)):
        assert words
    assert isinstance(summary([found], decision), str)
