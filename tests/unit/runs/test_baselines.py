"""Which run is the baseline, and how fit a run is to be compared with."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from loadtest.errors import RunNotFound, UsageError
from loadtest.results.data import RunData
from loadtest.results.reader import read_manifest
from loadtest.ruling import Ruling
from loadtest.runs import baselines
from loadtest.runs.baselines import (
    MAX_PASSED_OVER,
    MAX_READ,
    Baseline,
    BaselineChoice,
    Rule,
    choose_baseline,
    earlier_runs,
    suitability,
)
from loadtest.runs.pins import pin
from loadtest.session.schedule import NS_PER_S
from loadtest.verdict.items import AnyItem, Item
from loadtest.verdict.run import judge
from tests.support.recorded_runs import begun, recorded
from tests.support.rundirs import write_run
from tests.support.runs import SOUND_GAUGES, gathered, interval, manifest, plan


def test_the_baseline_is_the_newest_complete_run_of_another_revision(tmp_path: Path) -> None:
    """Of the same plan; killed runs, other plans and the same revision are passed over."""
    baseline = recorded(tmp_path, "a", "v1", at_s=0)
    recorded(tmp_path, "b", "v0", at_s=-5)
    recorded(tmp_path, "c", "v3", at_s=1, rate=2.0)
    recorded(tmp_path, "d", "v4", at_s=2, complete=False)
    recorded(tmp_path, "e", "v2", at_s=3)
    judged = read_manifest(recorded(tmp_path, "f", "v2", at_s=4))
    choice = choose_baseline(tmp_path, judged)
    assert choice.baseline == Baseline(baseline, Rule.NEWEST)
    assert told(choice) == [("d", "it was not ended in good order")]


def told(choice: BaselineChoice) -> list[tuple[str, str]]:
    """Return the ids of the runs that were passed over, and why."""
    return [(one.run_id, one.why) for one in choice.passed_over]


def made(results: Path, revision: str, at_s: int, *, seconds: int = 20, **more: Any) -> Path:
    """Write a run that can be compared with if it is long enough."""
    return write_run(results, of=begun(revision, revision, at_s=at_s), seconds=seconds, **more)


def test_the_baseline_is_the_newest_run_that_can_be_compared_with(tmp_path: Path) -> None:
    """Too few samples, a saturated generator, failed items, a damaged file: each is passed over and told."""
    made(tmp_path, "v0", 0)
    sound = made(tmp_path, "v1", 1)
    (made(tmp_path, "damaged", 2) / "intervals.jsonl").write_bytes(b"{}\n")
    made(tmp_path, "refused", 3, counts={"connect.failed": 9})
    made(tmp_path, "saturated", 4, gauges={"cpu_ratio": 1.0})
    made(tmp_path, "short", 5, seconds=7)
    made(tmp_path, "killed", 6, complete=False)
    choice = choose_baseline(tmp_path, read_manifest(made(tmp_path, "new", 7)))
    assert choice.baseline == Baseline(sound, Rule.FITTEST)
    assert [(run_id, why.partition(":")[0]) for run_id, why in told(choice)] == [
        ("killed", "it was not ended in good order"),
        ("short", "service p99 cannot be judged against it"),
        ("saturated", "the load generator was overloaded"),
        ("refused", "it FAILed connect"),
        ("damaged", "it cannot be read"),
    ]


def test_where_no_run_is_sound_the_best_serves(tmp_path: Path) -> None:
    """A comparison that cannot be made is INCONCLUSIVE; without any baseline nobody would ask for one."""
    made(tmp_path, "short", 0, seconds=7)
    lossy = made(tmp_path, "lossy", 1, counts={"messaging.lost": 1})
    made(tmp_path, "shorter", 2, seconds=6)
    choice = choose_baseline(tmp_path, read_manifest(made(tmp_path, "new", 3)))
    assert choice.baseline == Baseline(lossy, Rule.FITTEST)
    assert [run_id for run_id, _ in told(choice)] == ["shorter"]
    only_short = tmp_path / "others"
    made(only_short, "short", 0, seconds=7)
    newest = made(only_short, "shorter", 2, seconds=6)
    choice = choose_baseline(only_short, read_manifest(made(only_short, "new", 3)))
    assert choice == BaselineChoice(Baseline(newest, Rule.NEWEST))


def test_the_search_for_a_sound_baseline_ends(tmp_path: Path) -> None:
    """Of many runs that are too short the newest serves, and no more than some are read."""
    made(tmp_path, "sound", 0)
    runs = [made(tmp_path, f"short{number}", 1 + number, seconds=1) for number in range(MAX_READ)]
    judged = read_manifest(made(tmp_path, "new", 99))
    assert choose_baseline(tmp_path, judged) == BaselineChoice(Baseline(runs[-1], Rule.NEWEST))
    shutil.rmtree(runs[0])
    choice = choose_baseline(tmp_path, judged)
    assert choice.baseline is not None
    assert choice.baseline.rule is Rule.FITTEST
    assert len(choice.passed_over) == MAX_READ - 1


def test_damaged_runs_are_read_no_more_than_others(tmp_path: Path) -> None:
    """A folder of them does not keep a run from its verdict; what is older than some is not looked at."""
    made(tmp_path, "sound", 0)
    for number in range(MAX_READ):
        (made(tmp_path, f"damaged{number}", 1 + number, seconds=1) / "intervals.jsonl").write_bytes(b"{}\n")
    judged = read_manifest(made(tmp_path, "new", 99))
    choice = choose_baseline(tmp_path, judged)
    assert choice.baseline is None
    assert [run_id for run_id, _ in told(choice)] == [f"damaged{number}" for number in range(MAX_READ)][::-1]
    shutil.rmtree(tmp_path / "damaged3")
    assert choose_baseline(tmp_path, judged).baseline is not None


def test_any_number_of_runs_may_have_been_killed(tmp_path: Path) -> None:
    """The run before them is found, and not all of them are told."""
    sound = made(tmp_path, "sound", 0)
    for number in range(MAX_PASSED_OVER + 1):
        recorded(tmp_path, f"killed{number}", "killed", at_s=1 + number, complete=False)
    choice = choose_baseline(tmp_path, read_manifest(made(tmp_path, "new", 99)))
    assert choice.baseline == Baseline(sound, Rule.NEWEST)
    assert [run_id for run_id, _ in told(choice)] == [
        f"killed{MAX_PASSED_OVER - n}" for n in range(MAX_PASSED_OVER)
    ]


def test_where_every_run_was_killed_there_is_no_baseline(tmp_path: Path) -> None:
    """What was passed over is told all the same."""
    made(tmp_path, "killed", 0, complete=False)
    choice = choose_baseline(tmp_path, read_manifest(made(tmp_path, "new", 1)))
    assert choice.baseline is None
    assert told(choice) == [("killed", "it was not ended in good order")]


def test_a_pinned_baseline_of_the_plan_comes_first(tmp_path: Path) -> None:
    """However old it is, and of whatever revision; one of another plan changes nothing."""
    newest = recorded(tmp_path, "a", "v1", at_s=0)
    recorded(tmp_path / "baselines", "b", "v0", at_s=-5, rate=2.0)
    judged = read_manifest(recorded(tmp_path, "f", "v2", at_s=4))
    assert choose_baseline(tmp_path, judged) == BaselineChoice(Baseline(newest, Rule.NEWEST))
    pinned = recorded(tmp_path / "baselines", "g", "v2", at_s=-9)
    assert choose_baseline(tmp_path, judged) == BaselineChoice(Baseline(pinned, Rule.PINNED))
    assert choose_baseline(tmp_path, read_manifest(pinned)) == BaselineChoice(Baseline(newest, Rule.NEWEST))


def test_a_baseline_can_be_asked_for(tmp_path: Path) -> None:
    """A run directory, a revision, or none; a run is never its own baseline."""
    other = recorded(tmp_path, "a", "v1", at_s=0, rate=2.0)
    before = recorded(tmp_path, "b", "v2", at_s=1)
    judged = read_manifest(recorded(tmp_path, "c", "v2", at_s=2))
    assert choose_baseline(tmp_path, judged, "none") == BaselineChoice()
    assert choose_baseline(tmp_path, judged, "v1") == BaselineChoice(Baseline(other, Rule.ASKED))
    assert choose_baseline(tmp_path, judged, str(other)) == BaselineChoice(Baseline(other, Rule.ASKED))
    assert choose_baseline(tmp_path, judged, "v2") == BaselineChoice(Baseline(before, Rule.ASKED))
    assert choose_baseline(tmp_path, judged) == BaselineChoice()
    with pytest.raises(RunNotFound):
        choose_baseline(tmp_path, judged, "v9")


def test_a_run_without_a_revision_is_never_chosen(tmp_path: Path) -> None:
    """Its server may be any version, and the list says so. Whoever names the run itself gets it."""
    named = recorded(tmp_path, "a", "v1", at_s=0)
    unnamed = recorded(tmp_path, "0a1b2c3d", "unnamed", at_s=1)
    shutil.copytree(unnamed, tmp_path / "baselines" / "unnamed" / unnamed.name)  # nothing of ours pins it
    judged = read_manifest(recorded(tmp_path, "c", "v2", at_s=2))
    choice = choose_baseline(tmp_path, judged)
    assert choice.baseline == Baseline(named, Rule.NEWEST)
    assert set(told(choice)) == {("0a1b2c3d", "the version of its server is not known")}
    for wanted in ("0a1b2c3d", "0a1b", str(unnamed)):
        assert choose_baseline(tmp_path, judged, wanted).baseline == Baseline(unnamed, Rule.ASKED)
    of_unnamed = choose_baseline(tmp_path, read_manifest(unnamed))
    assert of_unnamed.baseline is not None, "an unnamed run is compared with others"


def test_a_revision_that_earlier_versions_did_not_know_is_no_name(tmp_path: Path) -> None:
    """They wrote `unknown`, without a source; a person who names a revision so is taken at their word."""
    (tmp_path / "old").mkdir()
    old = recorded(tmp_path / "old", "a", "unknown", at_s=0)
    judged = begun("b", "v2", at_s=2)
    with pytest.raises(UsageError, match="has no revision"):
        pin(old, tmp_path / "old")
    shutil.copytree(old, tmp_path / "old" / "baselines" / "unknown" / old.name)  # pinned by that version
    assert choose_baseline(tmp_path / "old", judged).baseline is None
    of = msgspec.structs.replace(begun("c", "unknown", at_s=0), revision_source="--ws-revision")
    called_so = write_run(tmp_path / "new", of=of, seconds=20)
    assert choose_baseline(tmp_path / "new", judged).baseline == Baseline(called_so, Rule.NEWEST)


def test_runs_without_a_revision_tell_no_noise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They may be of different servers: what these differ in would hide a regression."""
    monkeypatch.setattr(baselines, "MIN_RUNS", 1)
    for revision, expected in (("v1", 1), ("unnamed", 0), ("unknown", 0)):
        recorded(tmp_path, f"{revision}-a", revision, at_s=0)
        judged = read_manifest(recorded(tmp_path, f"{revision}-b", revision, at_s=1))
        earlier = list(earlier_runs(tmp_path, judged, before_unix_ns=judged.started_unix_ns))
        assert len(earlier) == expected


def test_earlier_runs_are_those_of_the_same_revision_and_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They tell the noise from run to run, so nothing else may differ; a damaged one is passed over."""

    def found(before_unix_ns: int) -> list[str]:
        return [run.manifest.run_id for run in earlier_runs(tmp_path, judged, before_unix_ns=before_unix_ns)]

    runs = [recorded(tmp_path, name, "v1", at_s=at) for at, name in enumerate("abc")]
    recorded(tmp_path, "d", "v2", at_s=5)
    recorded(tmp_path, "e", "v1", at_s=6, rate=2.0)
    recorded(tmp_path, "f", "v1", at_s=7, complete=False)
    judged = read_manifest(runs[2])
    pin(runs[1], tmp_path)
    now = judged.started_unix_ns
    assert found(now) == []
    monkeypatch.setattr(baselines, "MIN_RUNS", 2)
    assert found(now) == ["b", "a"]
    assert found(now - NS_PER_S) == []
    monkeypatch.setattr(baselines, "MIN_RUNS", 1)
    assert found(now - NS_PER_S) == ["a"]
    (runs[0] / "intervals.jsonl").write_text("{\n")
    assert found(now) == ["b"]
    monkeypatch.setattr(baselines, "MAX_EARLIER", 1)
    assert found(now) == ["b"]


def run(
    *, a_second: int = 60, seconds: int = 20, counts: Mapping[str, int] | None = None, **of: Any
) -> RunData:
    """Return the evidence of a run with so many round trips a second after its warm-up."""
    gauges = of.pop("gauges", SOUND_GAUGES)
    samples_us = {"service": [400 + number for number in range(a_second)]}
    first = interval(0, counts={"connect.attempts": 9, "connect.established": 9, **(counts or {})})
    rest = [interval(second, samples_us=samples_us, gauges=gauges) for second in range(5, 5 + seconds)]
    return gathered([first, *rest], manifest(**of))


def test_nothing_speaks_against_a_sound_run() -> None:
    """All gated quantiles can be judged, and nothing failed; outages are no matter."""
    found = suitability(run())
    assert (found.sound, found.rank, found.problems) == (True, (0, False), [])


@pytest.mark.parametrize(
    ("a_second", "seconds", "unjudged", "lack"),
    [
        (49, 20, 1, "service p99 cannot be judged against it: 980 round trips, 1000 are needed"),
        (4, 20, 2, "service p99 cannot be judged against it: 80 round trips, 1000 are needed"),
        (0, 20, 3, "service p99 cannot be judged against it: 0 round trips, 1000 are needed"),
        (500, 9, 3, "service p99 cannot be judged against it: round trips in 9 seconds only, 10 are needed"),
    ],
)
def test_too_few_round_trips_speak_against_it(a_second: int, seconds: int, unjudged: int, lack: str) -> None:
    """How many quantiles cannot be judged is counted; the one that needs the most is told."""
    found = suitability(run(a_second=a_second, seconds=seconds))
    assert (found.unjudged, found.lack, found.problems) == (unjudged, lack, [lack])


def test_a_generator_that_could_not_keep_up_speaks_against_it() -> None:
    """Nothing can be judged against such a run, nor against one that lost a worker or ended early."""
    saturated = suitability(run(gauges={"loop_lag_max_ms": 0.5, "cpu_ratio": 1.0}))
    assert (saturated.sound, saturated.unjudged) == (False, 3)
    assert saturated.lack.startswith("the load generator was overloaded: the engine used more than")
    lost = suitability(run(missing_workers=[2]))
    early = suitability(run(ended_early="no session left"))
    assert (early.unjudged, early.lack) == (3, "the run was ended early: no session left")
    assert (lost.unjudged, lost.lack) == (3, "worker 2 was lost before it had delivered all its data")


def test_failed_items_speak_against_it_less_than_what_cannot_be_judged() -> None:
    """A run that failed connect or messaging is told as such, and is better than one without samples."""
    refused = suitability(run(counts={"connect.failed": 5, "connect.gave_up": 2}))
    assert (refused.sound, refused.rank) == (False, (0, True))
    assert refused.failings[0].startswith("it FAILed connect: 5 of 9 attempts failed")
    lossy = suitability(run(counts={"messaging.sent": 9, "messaging.lost": 2}))
    assert lossy.failings[0].startswith("it FAILed messaging: none of 9 messages was answered")
    assert suitability(run()).rank < refused.rank < suitability(run(a_second=4)).rank


def test_where_no_messages_are_planned_none_are_missed() -> None:
    """Latency is not judged then, whatever the baseline holds."""
    assert suitability(run(a_second=0, run_plan=plan(rate=0.0))).rank == (0, False)


def test_a_run_that_failed_latency_is_the_regression_itself() -> None:
    """Its own evidence cannot tell, the verdict that it was given can."""
    given = judge(run())
    slower: AnyItem = Item(item="latency", verdict=Ruling.FAIL, summary="service p50 changed by +271 %")
    items = [slower if item.item == "latency" else item for item in given.items]
    found = suitability(run(), msgspec.structs.replace(given, items=items))
    assert (found.sound, found.rank) == (False, (0, True))
    assert found.failings == ["it FAILed latency: service p50 changed by +271 %"]
    assert suitability(run(), given).sound
    assert suitability(run(), msgspec.structs.replace(given, items=[])).sound, "a file may lack any item"
