"""What a duel makes of the verdicts of its runs: logs that nobody asked for, servers that ended."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from loadtest.duel.duel_record import DuelRecord
from loadtest.duel.judging import DuelPair, DuelRun, is_stuck, judged, read_pair
from loadtest.ruling import Ruling
from loadtest.statistics.margins import parse_margins
from loadtest.verdict.evidence import LatencyEvidence
from loadtest.verdict.gate_evidence import GateResult
from loadtest.verdict.item_changes import Change
from loadtest.verdict.items import AnyItem, Item
from tests.support.duels import EASY, MadeUpRuns, duel

P, F, I, N = Ruling.PASS, Ruling.FAIL, Ruling.INCONCLUSIVE, Ruling.NOT_JUDGED  # noqa: E741  # as tables of verdicts are written


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a duel of one pair."""
    folder = tmp_path_factory.mktemp("results")
    duel(MadeUpRuns(), folder, pairs=1)
    return folder


def judge(results: Path, a: Ruling, b: Ruling, **changes: object) -> DuelRecord:
    """Judge that duel as if its runs had these verdicts on the server's log."""
    (folder,) = (results / "duels").iterdir()
    record = msgspec.json.decode((folder / "duel.json").read_bytes(), type=DuelRecord)
    (runs,) = record.pairs
    pair = read_pair(runs, results)
    changed = DuelPair(_with_log(pair.a, a), _with_log(pair.b, b))
    return judged(msgspec.structs.replace(record, **changes), [changed], results=results)


def _with_log(run: DuelRun, ruling: Ruling) -> DuelRun:
    log: AnyItem = Item(item="server_log", verdict=ruling, summary="the log has no records")
    others = [item for item in run.verdict.items if item.item != "server_log"]
    return replace(run, verdict=msgspec.structs.replace(run.verdict, items=[*others, log]))


@pytest.mark.parametrize(
    ("a", "b", "asked", "followed"),
    [
        (I, I, I, N),  # nothing can be recognised in either
        (N, I, I, N),
        (P, I, I, I),  # what a logs can be judged
        (I, P, P, P),
        (I, F, F, F),
        (F, I, I, I),
        (P, P, P, P),
        (P, F, F, F),
        (P, N, I, I),  # a check that vanished
        (N, F, F, F),
    ],
)
def test_a_log_that_nobody_asked_for_may_be_unreadable(
    results: Path, a: Ruling, b: Ruling, asked: Ruling, followed: Ruling
) -> None:
    """NOT_JUDGED with the reason, if no run's log can be judged; one that was asked for is INCONCLUSIVE."""
    assert judge(results, a, b).item("server_log").verdict is asked
    item = judge(results, a, b, followed=["a", "b"]).item("server_log")
    assert item.verdict is followed
    if asked is I and followed is N:
        assert item.summary == (
            "in 1 run: the server's output cannot be judged as its log: the log has no records"
        )


@pytest.mark.parametrize(
    ("a", "change"), [(P, Change.BROKEN), (N, Change.FAILS), (I, Change.FAILS), (F, Change.UNCLEAR)]
)
def test_only_what_worked_in_the_baseline_is_called_broken(results: Path, a: Ruling, change: Change) -> None:
    """A candidate that fails is not green, but the baseline may fail, too, where it was not judged."""
    record = judge(results, a, F)
    (found,) = [one for one in record.changes if one.item == "server_log"]
    assert (found.change, found.verdict) == (change, F if a is not F else I)


@pytest.mark.parametrize(
    ("ended", "ruling", "change"),
    [
        ({"b": "ended with exit status 3"}, F, "connect PASS → FAIL (broken)"),
        ({"a": "ended with exit status 3"}, P, "connect PASS (unchanged)"),
        ({"a": "ended with exit status 3", "b": "ended, too"}, I, "connect PASS (unclear)"),
    ],
)
def test_a_server_that_ended_by_itself_fails_unless_both_did(
    results: Path, ended: dict[str, str], ruling: Ruling, change: str
) -> None:
    """The candidate's; the baseline's is a note."""
    record = judge(results, P, P, ended_servers=ended)
    assert record.item("connect").verdict is ruling
    assert change in map(str, record.changes)
    assert record.item("connect").summary.startswith(ended["b"]) if "b" in ended else record.notes


def test_a_server_that_does_not_start_again_fails_like_one_that_ends(results: Path) -> None:
    """The message says which; the rule is the same."""
    told = "the server did not start again: it did not listen on 127.0.0.1:4 within 60 s"
    record = judge(results, P, P, ended_servers={"b": told}, end="a server did not start again")
    assert (record.exit_code, record.item("connect").verdict) == (1, F)
    assert record.item("connect").summary.startswith(told)


@pytest.mark.parametrize(
    ("verdict", "gates", "stuck"),
    [
        (I, [GateResult(decision=P), GateResult(decision=N)], True),  # by a limit
        (I, [GateResult(decision=P), GateResult(decision=I)], False),
        (
            I,
            [GateResult(decision=I, between_us=(2e3, 4e4))],
            False,
        ),  # by its shares
        (I, None, False),  # no pair counts yet
        (P, [GateResult(decision=P)], False),
        (F, [GateResult(decision=P)], False),
    ],
)
def test_what_no_number_of_pairs_settles(
    verdict: Ruling, gates: list[GateResult] | None, *, stuck: bool
) -> None:
    """A limit that a run has too few samples for, if no gate is open."""
    item = Item(item="latency", verdict=verdict, summary="", evidence=LatencyEvidence(gates=gates))
    assert is_stuck(item) is stuck


def test_pairs_of_a_unit_are_judged_together(tmp_path: Path) -> None:
    """Eight pairs of which every two share instances are four observations, not eight."""
    runs = MadeUpRuns(special={(n, "b"): {"slower_ratio": 1 + 0.02 * (n // 2)} for n in range(1, 9)})
    result, _ = duel(runs, tmp_path, pairs=8, gates=parse_margins(["p50=0.1%/0ms,p90=0.1%/0ms,p99=0.1%/0ms"]))
    pairs = [read_pair(pair, tmp_path) for pair in result.record.pairs]
    assert len(pairs) == 8
    by_twos = [replace(pair, unit=1 + number // 2) for number, pair in enumerate(pairs)]
    one_by_one, together = (
        judged(result.record, some, results=tmp_path).item("latency").evidence for some in (pairs, by_twos)
    )
    assert (one_by_one.units, together.units) == (8, 4)
    for alone, shared in zip(one_by_one.gates[:3], together.gates[:3], strict=True):
        assert shared.change_ratio == pytest.approx(alone.change_ratio)
        assert shared.low_ratio < alone.low_ratio
        assert alone.high_ratio < shared.high_ratio


def test_a_limit_that_no_run_can_be_judged_by_ends_it_with_the_gates(tmp_path: Path) -> None:
    """At the look that settles every gate, instead of after all pairs."""
    result, _ = duel(MadeUpRuns(limits={"p99.9": 1e3}, seconds=30), tmp_path, pairs=12, gates=EASY)
    assert (result.record.end, len(result.record.pairs)) == ("no number of pairs settles what is open", 8)
    assert result.record.item("latency").verdict is I
    passed, _ = duel(MadeUpRuns(limits={"p50": 1e3}, seconds=30), tmp_path / "passed", pairs=12, gates=EASY)
    assert (passed.record.item("latency").verdict, len(passed.record.pairs)) == (P, 8)
