"""What a duel makes of the verdicts of its runs: logs that nobody asked for, servers that ended."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from loadtest.duel.judging import DuelPair, DuelRecord, DuelRun, judged, read_pair
from loadtest.ruling import Ruling
from loadtest.verdict.item_changes import Change
from loadtest.verdict.items import AnyItem, Item
from tests.support.duels import MadeUpRuns, duel

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
    log: AnyItem = Item(item="server_log", verdict=ruling, summary="the log says nothing")
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
            "in 1 of 1 runs: the server's output cannot be judged as its log: the log says nothing"
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
