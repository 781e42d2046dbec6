"""The course of a duel, with made-up runs in the place of Locust's: what is run, judged, written and told."""

from __future__ import annotations

import json
import re
import shutil
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from loadtest.cli import main
from loadtest.duel.duel import DuelResult, rejudge
from loadtest.duel.duel_record import DuelRecord
from loadtest.duel.forecast import Forecast
from loadtest.duel.judging import DuelPair, instance_limit, read_pair
from loadtest.duel.output import duel_sheet, pair_lines
from loadtest.duel.settings import DuelSettings, Order, Side
from loadtest.errors import LoadtestError, RunUnreadable, UsageError
from loadtest.report.comparison_markdown import comparison_summary
from loadtest.report.terminal import print_sheet
from loadtest.ruling import Ruling
from loadtest.statistics.margins import parse_margins
from tests.support.duels import EASY, A, B, MadeUpRuns, duel
from tests.support.rundirs import HOSTILE
from tests.support.runs import plan, tally

LOST = {
    "counts": {"messaging.lost": 3, "messaging.sent": 3},
    "errors": [tally("messaging", "no reply in 10 s", 3)],
}


SATURATED = {"gauges": {"cpu_ratio": 1.0}}


# How it ends.


def test_a_slower_candidate_fails_at_the_first_look(tmp_path: Path) -> None:
    """Four pairs, the order drawn, each gate named, and not a run more."""
    runs = MadeUpRuns(slower_ratio={"b": 10.0})
    result, told = duel(runs, tmp_path)
    assert "".join(runs.made) == "abbaabba"  # as seed 1 draws it
    assert [(pair.order, pair.unit) for pair in result.record.pairs] == [
        *(("ab", 1), ("ba", 2), ("ab", 3), ("ba", 4))
    ]
    assert (result.record.exit_code, result.record.end) == (1, "the verdict is settled")
    assert result.record.item("latency").verdict is Ruling.FAIL
    assert result.record.item("messaging").verdict is Ruling.PASS
    for quantile in ("p50", "p90", "p99"):
        assert re.search(rf"{quantile} [+x]", result.record.item("latency").summary)  # a factor from +900% on
    assert len([line for line in told if line.startswith("so far")]) == 3
    assert told[-1].startswith("look at 4 pairs: FAIL")


def test_a_duel_is_judged_by_its_own_margins(tmp_path: Path) -> None:
    """Not by those of its runs, also when it is judged again; the forecast holds the noise against them."""
    wide = parse_margins(["p50=100%,p90=100%,p99=100%"])
    result, told = duel(MadeUpRuns(slower_ratio={"b": 1.5}), tmp_path, gates=wide, pairs=4)
    assert result.record.item("latency").verdict is not Ruling.FAIL
    assert "these are unchanged" not in forecasts(told)[0]
    found = result.record.item("latency").evidence.gates
    assert [gate.relative_margin_ratio for gate in found[:3]] == [1.0, 1.0, 1.0]
    assert read(result).gates == wide
    assert rejudge(result.folder).record == result.record
    usual, _ = duel(MadeUpRuns(slower_ratio={"b": 1.5}), tmp_path, pairs=4)
    assert usual.record.item("latency").verdict is Ruling.FAIL


def test_a_duel_from_before_there_were_margins_has_the_defaults(tmp_path: Path) -> None:
    """Its duel.json has no such field."""
    result, _ = duel(MadeUpRuns(slower_ratio={"b": 2.0}), tmp_path, pairs=1)
    file = result.folder / "duel.json"
    told = json.loads(file.read_bytes())
    del told["margins"]
    file.write_text(json.dumps(told))
    assert rejudge(result.folder).record.item("latency") == result.record.item("latency")


def test_a_faster_candidate_passes_at_the_first_look(tmp_path: Path) -> None:
    """PASS settles it as FAIL does."""
    result, _ = duel(
        MadeUpRuns(slower_ratio={"b": 0.1}, seconds=30), tmp_path, order=Order.PARALLEL, gates=EASY
    )
    assert (result.record.exit_code, len(result.record.pairs)) == (0, 4)


def test_what_cannot_be_told_uses_all_pairs(tmp_path: Path) -> None:
    """Then it is INCONCLUSIVE, and says how many more would settle it."""
    ratios = enumerate((0.5, 2.2, 0.5, 2.2, 0.5), start=1)
    runs = MadeUpRuns(special={(number, "b"): {"slower_ratio": ratio} for number, ratio in ratios})
    result, told = duel(runs, tmp_path, pairs=5)
    assert (result.record.exit_code, result.record.end) == (4, "all pairs were run")
    assert "more pairs would settle" in result.record.item("latency").summary
    assert told[-1].startswith("look at 5 pairs: INCONCLUSIVE")


def test_a_candidate_that_loses_messages_fails_at_once(tmp_path: Path) -> None:
    """Whatever its latency; the evidence leads to the run."""
    result, told = duel(MadeUpRuns(special={(2, "b"): LOST}), tmp_path)
    assert (result.record.exit_code, len(result.record.pairs)) == (1, 2)
    found = result.record.item("messaging")
    assert found.verdict is Ruling.FAIL
    assert f"in 1 of 2 runs, first {result.record.pairs[1].b}:" in found.summary
    assert found.evidence.seen[0].run == result.record.pairs[1].b
    assert found.evidence.seen[0].evidence.errors[0].error == "no reply in 10 s"
    assert result.record.item("latency").verdict is Ruling.INCONCLUSIVE
    assert any("pair 2, b: FAIL messaging (" in line for line in told)
    assert any(line.endswith("; 3 more until the next check") for line in told)
    assert told[-1].endswith("; settled: the candidate fails messaging")


def test_a_fault_of_the_baseline_is_told(tmp_path: Path) -> None:
    """It does not fail the candidate."""
    result, _ = duel(MadeUpRuns(special={(1, "a"): LOST}, slower_ratio={"b": 0.1}), tmp_path)
    assert result.record.item("messaging").verdict is Ruling.PASS
    assert result.record.notes[0] == "the baseline v41 itself fails messaging"


def lost_in(*keys: tuple[int, str]) -> MadeUpRuns:
    """Return runs of equal servers, some of which lost messages, by number and side; b is much faster."""
    return MadeUpRuns(special=dict.fromkeys(keys, LOST), slower_ratio={"b": 0.1}, seconds=30)


def test_a_defect_of_both_ends_no_duel_and_fails_nobody(tmp_path: Path) -> None:
    """The duel goes on to judge the rest; what is alike in both is no regression, and is told as it goes."""
    both = lost_in(*((pair, role) for pair in range(1, 5) for role in "ab"))
    result, told = duel(both, tmp_path, gates=EASY)
    messaging = result.record.item("messaging")
    assert (result.record.verdict, len(result.record.pairs)) == (Ruling.PASS, 4)
    assert messaging.verdict is Ruling.NOT_JUDGED
    assert messaging.summary.startswith("fails in both (a: 4 of 4 runs, b: 4 of 4): 3,003 messages sent")
    assert told.count("fails in both so far, so it is no regression: messaging") == 4
    assert result.record.notes[0] == "the baseline v41 itself fails messaging"
    assert "messaging FAIL (unchanged)" in map(str, result.record.changes)
    assert rejudge(result.folder).record == result.record
    alone, _ = duel(lost_in((1, "b")), tmp_path)
    assert (alone.record.verdict, alone.record.end) == (Ruling.FAIL, "the verdict is settled")
    assert "messaging PASS → FAIL (broken)" in map(str, alone.record.changes)


def test_a_defect_that_is_more_frequent_in_the_candidate_takes_pairs_to_tell(tmp_path: Path) -> None:
    """A faster candidate does not end it at four pairs; at eight, 1 of 8 runs against 8 of 8 is no chance."""
    often = [(pair, "b") for pair in range(1, 13)]
    result, told = duel(lost_in((1, "a"), *often), tmp_path, gates=EASY)
    assert (result.record.end, len(result.record.pairs)) == ("the verdict is settled", 8)
    assert result.record.verdict is Ruling.FAIL
    assert "fails more often in b (a: 1 of 8 runs, b: 8 of 8; p = " in result.record.item("messaging").summary
    assert "messaging FAIL (broken: in 1 of 8 runs → in 8 of 8, without a reply 3 → 24)" in map(
        str, result.record.changes
    )
    assert any(line.startswith("look at 4 pairs: PASS") for line in told)
    few, _ = duel(lost_in((1, "a"), *often), tmp_path, pairs=4)
    assert (few.record.verdict, few.record.end) == (Ruling.INCONCLUSIVE, "all pairs were run")
    assert "run more pairs to rule out chance" in few.record.item("messaging").summary
    assert "messaging FAIL (unclear: in 1 of 4 runs → in 4 of 4)" in map(str, few.record.changes)


def test_a_signal_to_the_suite_is_no_result_of_a_duel(tmp_path: Path) -> None:
    """SIGTERM from a time limit made this file's longest test fail: it ends the test instead."""

    class Stopped(MadeUpRuns):
        def _run(self, settings: DuelSettings, role: str) -> Path:
            if len(self.made) == 2:
                signal.raise_signal(signal.SIGTERM)
            return super()._run(settings, role)

    with pytest.raises(KeyboardInterrupt):
        duel(Stopped(), tmp_path)


def test_the_test_for_more_frequent_is_asked_at_the_looks_alone(tmp_path: Path) -> None:
    """1 of 6 runs against 6 of 6 is significant, and the duel still goes on to its look at eight."""
    runs = lost_in((1, "a"), *((pair, "b") for pair in range(1, 7)))
    result, _ = duel(runs, tmp_path, pairs=8)
    assert len(result.record.pairs) == 8
    broken_off = MadeUpRuns(
        special=runs.special, slower_ratio={"b": 0.1}, instead={(7, "a"): KeyboardInterrupt()}
    )
    ended, _ = duel(broken_off, tmp_path, pairs=8)
    assert (len(ended.record.pairs), ended.record.item("messaging").verdict) == (6, Ruling.FAIL)


def test_what_was_fixed_is_told_in_one_line(tmp_path: Path) -> None:
    """Item by item and as a whole, on the terminal, in summary.md and in duel.json."""
    result, _ = duel(lost_in((1, "a"), (2, "a")), tmp_path, pairs=2)
    told = {str(change) for change in result.record.changes}
    assert {"messaging FAIL → PASS (fixed)", "connect PASS (unchanged)", "latency PASS (unchanged)"} <= told
    for text in ((result.folder / "summary.md").read_text(), str(duel_sheet(result.record, result.folder))):
        assert "messaging FAIL → PASS (fixed)" in text
        assert "fixed: messaging · unchanged: connect, stability, " in text
    written = json.loads((result.folder / "duel.json").read_bytes())["changes"]
    assert [
        (one["before"], one["after"], one["change"]) for one in written if one["item"] == "messaging"
    ] == [("FAIL", "PASS", "fixed")]
    some, _ = duel(lost_in((1, "a")), tmp_path, pairs=2)
    assert "messaging FAIL → PASS (unclear: in 1 of 2 runs → in 0 of 2)" in map(str, some.record.changes)


def test_pairs_of_a_saturated_generator_do_not_count(tmp_path: Path) -> None:
    """The look waits for another pair, and the reason is told."""
    runs = MadeUpRuns(slower_ratio={"b": 2.0}, special={(2, "a"): SATURATED})
    result, told = duel(runs, tmp_path)
    assert (result.record.exit_code, len(result.record.pairs)) == (1, 5)
    evidence = result.record.item("latency").evidence
    assert evidence.pairs == 4
    overloaded = "the load generator was overloaded: the engine used more than 80%"
    assert evidence.spoiled[0].startswith(f"pair 2, baseline: {overloaded}")
    assert any(line.startswith(f"pair 2 does not count for latency: a: {overloaded}") for line in told)
    note, _ = result.record.notes
    assert note.startswith(f"pair 2 does not count for latency: baseline: {overloaded}")
    advice = "options for Locust go after --, as in: -- --processes 2 --ws-rate 0.5"
    assert told.count(advice) == 1


def test_a_pair_with_a_run_that_was_cut_short_does_not_count(tmp_path: Path) -> None:
    """Someone ended a run of 30 s after 12: the look waits for another pair, and the duel does not pass."""
    whole, _ = duel(MadeUpRuns(), tmp_path / "whole", gates=EASY)
    assert whole.record.verdict is Ruling.PASS
    cut, told = duel(MadeUpRuns(special={(2, "b"): {"seconds": 12}}), tmp_path / "cut", gates=EASY)
    assert cut.record.verdict is Ruling.INCONCLUSIVE
    assert len(cut.record.pairs) == len(whole.record.pairs) + 1
    assert cut.record.item("latency").verdict is Ruling.PASS
    why = "the run was cut short: 12 s of 30 s"
    assert cut.record.item("latency").evidence.spoiled == [f"pair 2, candidate: {why}"]
    assert f"pair 2 does not count for latency: b: {why}" in told
    assert "the run was cut short; until then: " in cut.record.item("connect").summary


def test_a_starved_pair_of_a_saturated_generator_does_not_end_it(tmp_path: Path) -> None:
    """Too few samples say nothing about the plan if the generator was overloaded: the duel goes on."""
    runs = MadeUpRuns(slower_ratio={"b": 10.0}, special={(1, "b"): {**SATURATED, "seconds": 12}})
    result, _ = duel(runs, tmp_path)
    assert result.record.end == "the verdict is settled"
    assert (result.record.exit_code, len(result.record.pairs)) == (1, 5)


def test_a_generator_that_is_never_fit_ends_it(tmp_path: Path) -> None:
    """INCONCLUSIVE after three pairs, and what to change."""
    runs = MadeUpRuns(special={(number, "b"): SATURATED for number in range(1, 9)})
    result, _ = duel(runs, tmp_path)
    assert (result.record.exit_code, len(result.record.pairs)) == (4, 3)
    assert "use more workers or a lower rate" in result.record.item("latency").summary


def test_runs_that_can_never_tell_end_it(tmp_path: Path) -> None:
    """Too few samples in one are too few in all: one pair, and what to change."""
    result, told = duel(MadeUpRuns(plan=plan(warmup_s=13.0)), tmp_path, pairs=3)
    assert result.record.end == "runs like these can never tell"
    assert len(result.record.pairs) == 1
    assert result.record.verdict is not Ruling.FAIL
    assert any("too little to judge, service p50" in line for line in told)


def test_a_duel_without_messages_needs_pairs_that_count(tmp_path: Path) -> None:
    """At rate 0 it goes on; three pairs in a row by an overloaded generator are no PASS."""
    spoiled = MadeUpRuns(plan=plan(rate=0.0), special={(number, "b"): SATURATED for number in range(1, 4)})
    result, _ = duel(spoiled, tmp_path)
    assert result.record.end == "3 invalid pairs in a row"
    assert result.record.exit_code == 4
    sound, _ = duel(MadeUpRuns(plan=plan(rate=0.0)), tmp_path, pairs=3)
    assert len(sound.record.pairs) == 3


# How it is broken off.


def test_ctrl_c_leaves_the_pairs_so_far_and_their_verdict(tmp_path: Path) -> None:
    """The pair under way does not count."""
    runs = MadeUpRuns(slower_ratio={"b": 3.0}, instead={(3, "b"): KeyboardInterrupt()})
    result, _ = duel(runs, tmp_path)
    assert (len(result.record.pairs), result.record.end) == (2, "it was interrupted")
    assert result.record.item("messaging").verdict is Ruling.PASS
    assert result.record.item("latency").evidence.pairs == 2
    assert read(result) == result.record


def read(result: DuelResult) -> DuelRecord:
    """Return what is written of a duel."""
    return msgspec.json.decode((result.folder / "duel.json").read_bytes(), type=DuelRecord)


def test_ctrl_c_before_the_first_pair_leaves_nothing_known(tmp_path: Path) -> None:
    """INCONCLUSIVE, and the reason."""
    result, _ = duel(MadeUpRuns(instead={(1, "a"): KeyboardInterrupt()}), tmp_path)
    assert (result.record.exit_code, result.record.pairs) == (4, [])
    assert result.record.item("latency").summary == "no pair of runs was made to its end"
    assert result.record.changes == []


def test_a_failure_of_the_tool_keeps_what_was_run(tmp_path: Path) -> None:
    """The failure is handed on with the verdict so far; before the first pair there is only the failure."""
    failure = LoadtestError("Locust ended with exit status 5")
    result, _ = duel(MadeUpRuns(instead={(2, "b"): failure}), tmp_path)
    assert result.failure is failure
    assert len(result.record.pairs) == 1
    assert result.record.end.startswith("it could not go on")
    with pytest.raises(UsageError, match="--ws-typo"):
        duel(MadeUpRuns(instead={(1, "a"): UsageError("unrecognized arguments: --ws-typo")}), tmp_path)


# Instances of the servers.


def test_servers_that_cannot_be_restarted_are_named_as_a_limit(tmp_path: Path) -> None:
    """Before the first run and beside the verdict: a fresh instance may differ by more than the margin."""
    result, told = duel(MadeUpRuns(), tmp_path, pairs=1)
    limit = (
        "the servers behind --a and --b cannot be restarted: the change found is that of these two "
        "instances; a fresh one may differ by some 5% at p50, 8% at p90, 20% at p99"
    )
    assert limit in told[: told.index("pair 1 of 1: a, v41 runs for 00:30")]
    assert result.record.notes == [limit]
    assert limit in (result.folder / "summary.md").read_text().replace("\\", "")
    assert (result.record.restart_every, result.record.restarted) == (1, [])


@pytest.mark.parametrize(
    ("restarted", "every", "says"),
    [
        (["a", "b"], 1, ""),
        (["a", "b"], 5, ""),
        (
            ["b"],
            1,
            "the server behind --a cannot be restarted: the change found is that of this one instance of",
        ),
        (
            [],
            0,
            "the servers were started once: the change found is that of these two instances; a fresh one",
        ),
    ],
)
def test_what_a_duel_without_restarts_can_say(restarted: Sequence[str], every: int, says: str) -> None:
    """Nothing to add if both servers restart."""
    found = instance_limit(restarted, every=every)
    assert found.startswith(says)
    assert bool(found) is bool(says)


def test_the_seed_of_the_runs_draws_the_order(tmp_path: Path) -> None:
    """Another seed, another order; duel.json has it."""
    orders = {}
    for seed in ("1", "2", "3"):
        runs = MadeUpRuns()
        result, _ = duel(runs, tmp_path / seed, pairs=6, arguments=("--ws-seed", seed), restart_every=0)
        orders[seed] = "".join(pair.order for pair in read(result).pairs)
        assert "".join(runs.made) == orders[seed]
    assert len(set(orders.values())) > 1


# What is said before.


def forecasts(told: Sequence[str]) -> list[str]:
    """Return what was said of its chances, each time in one line."""
    lines = [line for line in told if line.startswith(("forecast: ", "  "))]
    return "\n".join(lines).replace("\n  ", " | ").splitlines()


def test_it_says_at_first_what_it_can_tell(tmp_path: Path) -> None:
    """In one line; judging by an earlier run that is alike, and again where the plan is another."""
    broken_off = {(2, "b"): KeyboardInterrupt()}
    _, told = duel(MadeUpRuns(instead=broken_off), tmp_path)
    before, after = forecasts(told)
    assert re.match(
        r"forecast: 12 pairs: a change this large is found with 80% probability: "
        r"p50 \+[\d.]+%, p90 \+[\d.]+%, p99 \+",
        before,
    )
    assert (
        "there is no earlier run with 5 users for 00:30 to go by; run-to-run noise of 5% / 8% / 20% is"
        in before
    )
    assert "too few to show that these are unchanged: p50 (margin 5% or 0.2 ms), p99 (mar" in before
    assert "each run should have about 2,552 round trips outside its warm-up and its 130 outages" in before
    assert before.count("|") == 3
    assert "judging by the first pair" in after
    known: dict[str, Any] = {"arguments": ("--ws-warmup", "5")}
    _, again = duel(MadeUpRuns(instead=broken_off), tmp_path, **known)
    assert "judging by run a-" in " ".join(forecasts(again))
    assert len(forecasts(again)) == 1
    _, other = duel(MadeUpRuns(instead=broken_off, plan=plan(in_flight=2)), tmp_path, **known)
    assert "judging by the first pair" in forecasts(other)[1]


def test_few_units_are_forecast_as_few(tmp_path: Path) -> None:
    """Twelve pairs on three instances of each server tell less than twelve; so many more pairs are needed."""
    a, b = (Side(role=side.role, revision=side.revision, command=("none",)) for side in (A, B))
    detected, needed = [], []
    for every in (1, 4):
        forecast = Forecast(DuelSettings(a=a, b=b, results=tmp_path, restart_every=every), 0)
        told = list(forecast.before())
        detected.append(float(re.findall(r"forecast: 12 pairs: .* probability: p50 \+([\d.]+)%", told[0])[0]))
        (few,) = [line for line in told if "too few to show" in line]
        needed.append(int(re.findall(r"it takes (\d+) pairs", few)[0]))
    assert detected[1] > 1.5 * detected[0]
    assert needed[1] == 4 * needed[0]


def test_too_few_round_trips_are_told_before_the_first_run(tmp_path: Path) -> None:
    """Those of the warm-up and of outages do not count: with all of them there would be enough."""
    told_by = {}
    for every_s in ("0", "3"):
        arguments = ("--ws-sessions", "10", "--ws-drop-every", every_s, "--ws-backoff", "constant(3)")
        interrupted = MadeUpRuns(instead={(1, "a"): KeyboardInterrupt()})
        _, told = duel(interrupted, tmp_path / every_s, arguments=arguments, duration_s=26)
        (told_by[every_s],) = forecasts(told)
    assert "about 1,150 round trips outside its warm-up and its 0 outages" in told_by["0"]
    # Twelve pairs: each run needs one reply beyond the quantile, and each side ten.
    assert "cannot be judged" not in told_by["0"]
    assert re.search(
        r"cannot be judged: service p99.9 \(about \d+ round trips a run, 1,000 are needed over 12 pairs\)",
        told_by["3"],
    )
    interrupted = MadeUpRuns(instead={(1, "a"): KeyboardInterrupt()})
    _, told = duel(interrupted, tmp_path / "alone", arguments=arguments, duration_s=26, pairs=1)
    (alone,) = forecasts(told)
    needed = r"about \d+ round trips a run, 1,000 are needed in one pair"
    assert re.search(rf"cannot be judged: service p99 \({needed}\), ", alone)
    assert "p90 +" in alone
    assert "p99 +" not in alone


@pytest.mark.parametrize(
    ("arguments", "duration_s", "told"),
    [
        # About one drop a session in 20 s: 5 sessions in 26 s have too few that end in time.
        (
            ("--ws-drop-every", "20"),
            26,
            r"about \d outages? a run, 10 are needed: --duration \d+s or --ws-drop-",
        ),
        (
            ("--ws-drop-every", "0", "--ws-storm", "1@5:reset"),
            26,
            "about 5 outages a run, 10 are needed: more ses",
        ),
        (("--ws-drop-every", "2"), 26, ""),
        (("--ws-drop-every", "0"), 26, ""),
        (("--ws-drop-every", "20", "--ws-backoff", "none"), 26, ""),
    ],
)
def test_too_few_outages_are_told_before_the_first_run(
    arguments: Sequence[str], duration_s: int, told: str, tmp_path: Path
) -> None:
    """Reconnecting could not be judged; where no outage is planned, it need not be."""
    interrupted = MadeUpRuns(instead={(1, "a"): KeyboardInterrupt()})
    _, lines = duel(
        interrupted, tmp_path, arguments=("--ws-sessions", "1", *arguments), duration_s=duration_s
    )
    (forecast,) = forecasts(lines)
    start = r"cannot be judged: reconnect, persistence \("
    assert bool(re.search(start, forecast)) is bool(told), forecast
    assert re.search(start + told, forecast) or not told, forecast


def test_a_run_under_another_load_is_not_alike(tmp_path: Path) -> None:
    """What it had to judge says nothing of these; as far as the settings are known."""
    runs, interrupted = MadeUpRuns(), {(1, "a"): KeyboardInterrupt()}
    runs(DuelSettings(a=A, b=B, results=tmp_path), ["a"], urls={}, logs={}, server_logs={})
    same = ("--ws-warmup", "5")
    for arguments, alike in (
        (same, True),
        ((*same, "--ws-rate", "0.5"), False),
        ((*same, "--ws-sessions", "21"), False),
        ((*same, "--ws-drop-every", "4"), False),
        ((*same, "--ws-drops", "reset, close=1"), True),
        ((*same, "--ws-drops", "reset=2,close=1"), False),
        ((*same, "--ws-storm", "1@9"), False),
        ((*same, "--ws-backoff", "exponential(1,2,8,none,50)"), True),
        ((*same, "--ws-backoff", "constant(2)"), False),
        ((), False),
    ):
        _, told = duel(MadeUpRuns(instead=interrupted), tmp_path, arguments=arguments)
        assert ("judging by run a-" in forecasts(told)[0]) is alike, arguments


def test_quiet_machines_are_known_by_earlier_runs(tmp_path: Path) -> None:
    """Eight runs of the baseline that agree tell that twelve pairs are enough for times."""
    runs, known = MadeUpRuns(), {"arguments": ("--ws-warmup", "5")}
    for _ in range(9):
        runs(DuelSettings(a=A, b=B, results=tmp_path), ["a"], urls={}, logs={}, server_logs={})
    _, told = duel(MadeUpRuns(instead={(1, "a"): KeyboardInterrupt()}), tmp_path, **known)
    (forecast,) = forecasts(told)
    assert forecast.startswith("forecast: 12 pairs: a change this large is found with 80% probability: p50 +")
    assert "unchanged: slow replies, losses; it takes" in forecast
    assert "judging by run a-" in forecast
    assert "assumed" not in forecast
    assert "measured over 8 runs" in forecast


def test_an_earlier_run_with_too_little_in_it_is_told(tmp_path: Path) -> None:
    """A quantile that could not be judged in it gets no number."""
    runs, known = MadeUpRuns(special={(1, "a"): {"seconds": 14}}), {"arguments": ("--ws-warmup", "5")}
    runs(DuelSettings(a=A, b=B, results=tmp_path), ["a"], urls={}, logs={}, server_logs={})
    _, told = duel(MadeUpRuns(instead={(1, "a"): KeyboardInterrupt()}), tmp_path, **known)
    (forecast,) = forecasts(told)
    assert "cannot be judged: service p99.9 (900 samples, p99.9 needs 1,000)" in forecast


# What is written.


def test_a_duel_is_judged_again_from_its_files(tmp_path: Path) -> None:
    """The same verdict, wherever the results folder has gone, and what later runs there are."""
    result, _ = duel(MadeUpRuns(slower_ratio={"b": 2.0}), tmp_path / "results", pairs=1)
    duel(MadeUpRuns(slower_ratio={"a": 7.0}), tmp_path / "results", pairs=4)
    moved = (tmp_path / "results").rename(tmp_path / "elsewhere")
    folder = moved / "duels" / result.folder.name
    (folder / "summary.md").unlink()
    assert rejudge(folder).record == result.record
    assert (folder / "summary.md").is_file()


def test_a_duel_without_its_runs_cannot_be_judged(tmp_path: Path) -> None:
    """Which file is missing is told."""
    result, _ = duel(MadeUpRuns(), tmp_path, pairs=1)
    (tmp_path / result.record.pairs[0].a / "events.jsonl").unlink()
    with pytest.raises(RunUnreadable, match=r"events\.jsonl"):
        rejudge(result.folder)
    (result.folder / "duel.json").write_text('{"schema": 2}')
    with pytest.raises(RunUnreadable, match="its schema is 2, this version reads 1"):
        rejudge(result.folder)


@pytest.mark.parametrize(
    ("looks", "problem"),
    [
        ([], "length >= 1"),
        ([1], "the last of `looks` must be at least the 2 units of pairs (got 1)"),
        ([0, 12], "`int` >= 1"),
        ([-4], "`int` >= 1"),
        ([12, 8, 4], "`looks` must increase, as in 4, 8, 12 (got 12, 8, 4)"),
        ([4, 4], "`looks` must increase"),
        (list(range(4, 300)), "length <= 12"),
        ([4, 10**15], "`int` <= 1000"),
    ],
)
def test_looks_that_cannot_be_are_not_read(tmp_path: Path, looks: list[int], problem: str) -> None:
    """A duel.json may be edited; the error levels come from them."""
    result, _ = duel(MadeUpRuns(), tmp_path, pairs=2)
    edit(result, looks=looks)
    with pytest.raises(RunUnreadable, match=re.escape(problem)):
        rejudge(result.folder)


def edit(result: DuelResult, **changes: object) -> None:
    """Edit a duel.json."""
    file = result.folder / "duel.json"
    file.write_text(json.dumps(json.loads(file.read_bytes()) | changes))


def test_a_run_stands_in_one_place_only(tmp_path: Path) -> None:
    """Against itself any candidate is unchanged, and a pair that counts twelve times is no twelve pairs."""
    result, _ = duel(MadeUpRuns(slower_ratio={"b": 2.0}), tmp_path, pairs=2)
    assert rejudge(result.folder).record.verdict is Ruling.FAIL
    first, second = (msgspec.to_builtins(pair) for pair in result.record.pairs)
    dotted = f"{first['a'].replace('/', '/./')}"
    copy = tmp_path / "v42" / "copy"
    shutil.copytree(tmp_path / first["a"], copy)
    for pairs, problem in (
        ([first | {"b": first["a"]}, second | {"b": second["a"]}], "in one place of `pairs` only"),
        ([first | {"b": dotted}], "in one place of `pairs` only"),
        ([first, first], "in one place of `pairs` only"),
        ([first | {"b": second["a"]}, second], "in one place of `pairs` only"),
        ([first | {"b": "v42/copy"}], "is the same run as"),
    ):
        edit(result, pairs=pairs)
        with pytest.raises(RunUnreadable, match=re.escape(problem)):
            rejudge(result.folder)


def test_nothing_secret_is_written(tmp_path: Path) -> None:
    """Arguments and commands stay where they were given."""
    secret = "eyJhbGciOiJIUzI1NiJ9.secret"
    a, b = (Side(role=role, revision=role, url=f"ws://127.0.0.1:2/?token={secret}{role}") for role in "ab")
    result, told = duel(MadeUpRuns(), tmp_path, pairs=1, a=a, b=b, arguments=("--ws-token", secret))
    assert secret not in "".join(told)
    for file in result.folder.rglob("*"):
        assert secret.encode() not in file.read_bytes()


def test_tables_for_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Items, quantiles and pairs, on a narrow terminal and as Markdown, with hostile names made harmless."""
    a = Side(role="a", revision=HOSTILE, url="ws://127.0.0.1:1")
    result, _ = duel(MadeUpRuns(slower_ratio={"b": 2.0}), tmp_path, a=a, pairs=2)
    tables = duel_sheet(result.record, result.folder)
    print_sheet(tables)
    shown = capsys.readouterr().out
    assert "\x1b[2J" not in shown
    assert all(len(line) <= 80 for line in shown.splitlines() if "again" not in line)
    said = " ".join(shown.split())
    assert "2 of 2 pairs of runs of 00:30 (in turn in drawn order): the verdict is" in said
    assert [line.split()[0] for line in shown.splitlines() if line.rstrip().endswith("yes")] == ["1", "2"]
    markdown = (result.folder / "summary.md").read_text()
    assert markdown == comparison_summary(result.comparison)
    assert markdown.splitlines()[1].startswith("## ❌ FAIL: v42 against ")
    assert "<script>" not in markdown
    assert markdown.count("- pair ") == 2
    assert json.loads((result.folder / "duel.json").read_bytes())["verdict"] == "FAIL"


def test_a_duel_has_the_reports_of_a_comparison(tmp_path: Path) -> None:
    """Both versions in each chart, a case per item and gate; they are made again with the verdict."""
    result, _ = duel(MadeUpRuns(slower_ratio={"b": 2.0}), tmp_path, pairs=2)
    page = (result.folder / "report.html").read_text()
    assert result.report == result.folder / "report.html"
    assert "service p50 +" in page
    assert "baseline v41" in page
    assert "candidate v42" in page
    assert '<testsuite name="loadtest.duel"' in (result.folder / "junit.xml").read_text()
    (result.folder / "report.html").unlink()
    assert rejudge(result.folder).report == result.report
    assert (result.folder / "report.html").read_text() == page


def test_a_duel_without_a_pair_has_reports_too(tmp_path: Path) -> None:
    """They say why there is nothing to see."""
    result, _ = duel(
        MadeUpRuns(instead={(1, "a"): KeyboardInterrupt(), (1, "b"): KeyboardInterrupt()}), tmp_path
    )
    assert result.record.pairs == []
    assert "no pair of runs was made to its end" in (result.folder / "report.html").read_text()


def test_a_duel_whose_reports_cannot_be_written_can_be_judged_again(tmp_path: Path) -> None:
    """The verdict is printed first, as of an archive that is read only; then what could not be written."""
    made, _ = duel(MadeUpRuns(slower_ratio={"b": 2.0}), tmp_path, pairs=1)
    (made.folder / "report.html").unlink()
    (made.folder / "report.html").mkdir()
    (made.folder / "report.html" / "inside").write_text("")
    result = CliRunner().invoke(main, ["report", str(made.folder), "--results", str(tmp_path)])
    assert result.exit_code == 2
    assert "verdict of v42 against v41" in result.stdout
    assert "cannot write results to" in result.stderr
    assert "report: " not in result.stdout


# Units of several pairs.


class NoServers:
    """In the place of servers that commands start."""

    def __init__(self, sides: Sequence[Side], *, folder: Path, **_: float) -> None:
        self.urls = {side.role: "ws://127.0.0.1:1" for side in sides}
        self.logs = {side.role: folder / f"server-{side.role}.log" for side in sides}

    def __enter__(self) -> NoServers:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def start(self, roles: Sequence[str]) -> None:
        pass

    def ended(self) -> dict[str, str]:
        return {}


def of_units(folder: Path, *, slower_ratio: float, restart_every: int) -> DuelRecord:
    """Run a duel of four units whose candidate is that much slower, in one unit a little more, or less."""
    pairs = 4 * restart_every
    ratios = {n: slower_ratio * (1 + 0.004 * ((n - 1) // restart_every - 1.5)) for n in range(1, pairs + 1)}
    runs = MadeUpRuns(special={(n, "b"): {"slower_ratio": ratio} for n, ratio in ratios.items()})
    a, b = (Side(role=side.role, revision=side.revision, command=("none",)) for side in (A, B))
    gates = parse_margins(["p50=5%/0ms"], EASY)
    result, _ = duel(runs, folder, a=a, b=b, pairs=pairs, restart_every=restart_every, gates=gates)
    assert rejudge(result.folder).record == result.record
    return result.record


@pytest.mark.parametrize(("slower_ratio", "ruling"), [(1.12, Ruling.FAIL), (1.0, Ruling.PASS)])
def test_units_of_several_pairs_are_judged_as_units_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slower_ratio: float, ruling: Ruling
) -> None:
    """The last look spends the whole error, whatever N is: +12% fails, an unchanged server passes."""
    monkeypatch.setattr("loadtest.duel.duel.Servers", NoServers)
    one, three = (
        of_units(tmp_path / str(every), slower_ratio=slower_ratio, restart_every=every) for every in (1, 3)
    )
    assert (one.looks, three.looks) == ([4], [4])
    for record in (one, three):
        assert record.item("latency").verdict is ruling, record.item("latency").summary
        levels = record.item("latency").evidence.levels
        gates = int(re.findall(r"over (\d+) gates", levels.correction)[0])  # with more pairs p99.9 is one
        assert (levels.pass_ratio, levels.fail_ratio) == (pytest.approx(0.05), pytest.approx(0.05 / gates))
    assert [record.item("latency").evidence.units for record in (one, three)] == [4, 4]


# What to do next.


def next_of(result: DuelResult) -> list[str]:
    """Return the lines of the sheet that say what to do."""
    return [line for line in duel_sheet(result.record, result.folder).lines if line.startswith("next: ")]


def test_a_duel_that_settled_nothing_says_what_to_change(tmp_path: Path) -> None:
    """More pairs, longer runs, or less load on the generator; nothing if it settled what it could."""
    ratios = enumerate((0.5, 2.2, 0.5, 2.2, 0.5), start=1)
    open_ = MadeUpRuns(special={(number, "b"): {"slower_ratio": ratio} for number, ratio in ratios})
    unclear, _ = duel(open_, tmp_path / "unclear", pairs=5)
    (line,) = next_of(unclear)
    assert re.match(
        r"next: run the duel again with --pairs \d+, or with a longer --duration|next: .*wider", line
    )
    short, _ = duel(MadeUpRuns(plan=plan(warmup_s=13.0)), tmp_path / "short", pairs=3)
    (line,) = next_of(short)
    assert re.match(r"next: run the duel again with --duration \d+s", line)
    busy = MadeUpRuns(special={(number, "b"): SATURATED for number in range(1, 4)})
    spoiled, told = duel(busy, tmp_path / "busy")
    (line,) = next_of(spoiled)
    assert "-- --processes 2 at the command's end" in line
    assert spoiled.record.notes[0].startswith(
        "3 of 3 pairs do not count for latency: 1, 2 and 3. Pair 1, candidate: the load generator was overl"
    )
    sheet_lines = duel_sheet(spoiled.record, spoiled.folder).lines
    assert len([line for line in sheet_lines if "the load generator was overloaded" in line]) == 1
    assert any(line.startswith("so far 0 pairs: nothing to compare; ") for line in told)
    passed, _ = duel(MadeUpRuns(slower_ratio={"b": 0.1}), tmp_path / "passed", gates=EASY)
    assert next_of(passed) == []


def test_a_look_that_can_no_longer_be_reached_is_told(tmp_path: Path) -> None:
    """Two of five pairs do not count: three are too few for the look at four, and are judged at the end."""
    runs = MadeUpRuns(special={(1, "a"): SATURATED, (2, "a"): SATURATED})
    _, told = duel(runs, tmp_path, pairs=5)
    standing = [line.rpartition("; ")[2] for line in told if line.startswith("so far")]
    late = "the check after 4 can no longer be reached: the verdict comes after pair 5, the last"
    assert standing[:2] == ["4 more until the next check", late]
    assert told[-1].startswith("look at 3 pairs: ")


def test_the_forecast_is_made_again_from_the_first_pair_that_counts(tmp_path: Path) -> None:
    """A pair that does not count foretells nothing; before, it made the forecast jump."""
    runs = MadeUpRuns(special={(1, "b"): SATURATED}, instead={(4, "b"): KeyboardInterrupt()})
    _, told = duel(runs, tmp_path)
    again = [number for number, line in enumerate(told) if line.startswith("forecast: ")]
    first, second = (
        next(i for i, line in enumerate(told) if line.startswith(f"pair {n}, a: ")) for n in (1, 2)
    )
    assert len(again) == 2
    assert again[0] < first < second < again[1]


def test_a_log_that_nobody_asked_for_is_not_in_a_pairs_line(tmp_path: Path) -> None:
    """A server's output that cannot be judged as its log is NOT_JUDGED: its runs do not say else."""
    a, b = (Side(role=side.role, revision=side.revision, command=("none",)) for side in (A, B))
    changed = msgspec.structs.replace
    result, _ = duel(MadeUpRuns(), tmp_path, pairs=1)
    pair = read_pair(result.record.pairs[0], tmp_path)
    items = [
        changed(item, verdict=Ruling.INCONCLUSIVE) if item.item == "server_log" else item
        for item in pair.a.verdict.items
    ]
    run = replace(pair.a, verdict=changed(pair.a.verdict, items=items))
    lines = {}
    for settings in (DuelSettings(a=A, b=B), DuelSettings(a=a, b=b)):
        lines[settings.followed] = next(iter(pair_lines(1, DuelPair(run, pair.b), settings)))
    assert "INCONCLUSIVE server_log; " in lines[()]
    assert "server_log" not in lines["a", "b"]


def test_at_rate_0_the_forecast_is_not_of_replies(tmp_path: Path) -> None:
    """There are none; before, it named the change of p50 that would be found."""
    told = list(Forecast(DuelSettings(a=A, b=B, results=tmp_path, arguments=("--ws-rate", "0")), 0).before())
    assert told[0] == (
        "forecast: 12 pairs: no messages are planned, rate 0: judged by connects, outages and losses"
    )
    assert not any("p50" in line for line in told)
