"""Which runs there are, which one a person means, and which one is the baseline."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from loadtest.errors import RunNotFound, UsageError
from loadtest.evidence import pack
from loadtest.run import (
    Baseline,
    Choice,
    Rule,
    RunWriter,
    choose_baseline,
    earlier_runs,
    find_runs,
    pin,
    read_manifest,
    resolve,
    utc_text,
)
from loadtest.run.catalogue import MOST_READ, MOST_TOLD
from loadtest.run.directory import MANIFEST
from loadtest.schedule import NS_PER_S
from tests.support.rundirs import write_run
from tests.support.runs import SOUND_COUNTS, interval, manifest, plan

ENDED_AT = "2026-11-23T14:24:35Z"


def recorded(
    results: Path, run_id: str, revision: str, *, at_s: int, complete: bool = True, rate: float = 1.0
) -> Path:
    """Write a run without anything in it."""
    started_unix_ns = (1_795_443_815 + at_s) * NS_PER_S
    of = manifest(
        run_plan=plan(rate=rate),
        run_id=run_id,
        revision=revision,
        started_unix_ns=started_unix_ns,
        started_at=utc_text(started_unix_ns),
    )
    with RunWriter(results, of) as writer:
        writer.append(pack(interval(0, counts=SOUND_COUNTS)))
        if complete:
            writer.finish(ENDED_AT)
    return writer.path


def test_runs_are_listed_newest_first(tmp_path: Path) -> None:
    """Pinned ones among them, and those that cannot be read apart."""
    old, new = recorded(tmp_path, "a", "v1", at_s=0), recorded(tmp_path, "b", "v2", at_s=9)
    pinned = recorded(tmp_path / "baselines", "c", "v0", at_s=5)
    broken = recorded(tmp_path, "d", "v3", at_s=7)
    (broken / MANIFEST).write_text("{")
    catalogue = find_runs(tmp_path)
    assert [run.path for run in catalogue.runs] == [new, pinned, old]
    assert [run.pinned for run in catalogue.runs] == [False, True, False]
    assert [problem.path for problem in catalogue.unreadable] == [broken / MANIFEST]
    assert find_runs(tmp_path / "nothing").runs == []


def test_a_run_is_meant_by_its_path_or_its_revision(tmp_path: Path) -> None:
    """A revision is its newest complete run."""
    first = recorded(tmp_path, "a", "feature/x", at_s=0)
    second = recorded(tmp_path, "b", "feature/x", at_s=1)
    recorded(tmp_path, "c", "feature/x", at_s=2, complete=False)
    assert resolve(str(first), tmp_path) == first
    assert resolve(f"feature-x/{first.name}", tmp_path) == first
    assert resolve("feature/x", tmp_path) == second
    for unknown in ("feature", "v9", "", "\0", "x" * 10_000):
        with pytest.raises(RunNotFound, match="loadtest list"):
            resolve(unknown, tmp_path)


def test_a_revision_with_killed_runs_only_names_the_newest(tmp_path: Path) -> None:
    """It can be read by its directory, so the error says which that is."""
    recorded(tmp_path, "a", "v1", at_s=0, complete=False)
    newest = recorded(tmp_path, "b", "v1", at_s=1, complete=False)
    with pytest.raises(UsageError, match=rf"'v1'.* give its directory; the newest is {newest}$"):
        resolve("v1", tmp_path)
    assert resolve(str(newest), tmp_path) == newest


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


def told(choice: Choice) -> list[tuple[str, str]]:
    """Return the ids of the runs that were passed over, and why."""
    return [(one.run_id, one.why) for one in choice.passed_over]


def made(results: Path, revision: str, at_s: int, *, seconds: int = 20, **more: Any) -> Path:
    """Write a run that can be compared with if it is long enough."""
    started_unix_ns = (1_795_443_815 + at_s) * NS_PER_S
    of = manifest(run_id=revision, revision=revision, started_unix_ns=started_unix_ns)
    return write_run(results, of=of, seconds=seconds, **more)


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
        ("saturated", "its load generator was not fit to measure"),
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
    assert choice == Choice(Baseline(newest, Rule.NEWEST))


def test_the_search_for_a_sound_baseline_ends(tmp_path: Path) -> None:
    """Of many runs that are too short the newest serves, and no more than some are read."""
    made(tmp_path, "sound", 0)
    runs = [made(tmp_path, f"short{number}", 1 + number, seconds=1) for number in range(MOST_READ)]
    judged = read_manifest(made(tmp_path, "new", 99))
    assert choose_baseline(tmp_path, judged) == Choice(Baseline(runs[-1], Rule.NEWEST))
    shutil.rmtree(runs[0])
    choice = choose_baseline(tmp_path, judged)
    assert choice.baseline is not None
    assert choice.baseline.rule is Rule.FITTEST
    assert len(choice.passed_over) == MOST_READ - 1


def test_damaged_runs_are_read_no_more_than_others(tmp_path: Path) -> None:
    """A folder of them does not keep a run from its verdict; what is older than some is not looked at."""
    made(tmp_path, "sound", 0)
    for number in range(MOST_READ):
        (made(tmp_path, f"damaged{number}", 1 + number, seconds=1) / "intervals.jsonl").write_bytes(b"{}\n")
    judged = read_manifest(made(tmp_path, "new", 99))
    choice = choose_baseline(tmp_path, judged)
    assert choice.baseline is None
    assert [run_id for run_id, _ in told(choice)] == [f"damaged{number}" for number in range(MOST_READ)][::-1]
    shutil.rmtree(tmp_path / "damaged3")
    assert choose_baseline(tmp_path, judged).baseline is not None


def test_any_number_of_runs_may_have_been_killed(tmp_path: Path) -> None:
    """The run before them is found, and not all of them are told."""
    sound = made(tmp_path, "sound", 0)
    for number in range(MOST_TOLD + 1):
        recorded(tmp_path, f"killed{number}", "killed", at_s=1 + number, complete=False)
    choice = choose_baseline(tmp_path, read_manifest(made(tmp_path, "new", 99)))
    assert choice.baseline == Baseline(sound, Rule.NEWEST)
    assert [run_id for run_id, _ in told(choice)] == [f"killed{MOST_TOLD - n}" for n in range(MOST_TOLD)]


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
    assert choose_baseline(tmp_path, judged) == Choice(Baseline(newest, Rule.NEWEST))
    pinned = recorded(tmp_path / "baselines", "g", "v2", at_s=-9)
    assert choose_baseline(tmp_path, judged) == Choice(Baseline(pinned, Rule.PINNED))
    assert choose_baseline(tmp_path, read_manifest(pinned)) == Choice(Baseline(newest, Rule.NEWEST))


def test_a_baseline_can_be_asked_for(tmp_path: Path) -> None:
    """A run directory, a revision, or none; a run is never its own baseline."""
    other = recorded(tmp_path, "a", "v1", at_s=0, rate=2.0)
    before = recorded(tmp_path, "b", "v2", at_s=1)
    judged = read_manifest(recorded(tmp_path, "c", "v2", at_s=2))
    assert choose_baseline(tmp_path, judged, "none") == Choice()
    assert choose_baseline(tmp_path, judged, "v1") == Choice(Baseline(other, Rule.ASKED))
    assert choose_baseline(tmp_path, judged, str(other)) == Choice(Baseline(other, Rule.ASKED))
    assert choose_baseline(tmp_path, judged, "v2") == Choice(Baseline(before, Rule.ASKED))
    assert choose_baseline(tmp_path, judged) == Choice()
    with pytest.raises(RunNotFound):
        choose_baseline(tmp_path, judged, "v9")


def test_earlier_runs_are_those_of_the_same_revision_and_plan(tmp_path: Path) -> None:
    """They tell the noise from run to run, so nothing else may differ."""
    runs = [recorded(tmp_path, name, "v1", at_s=at) for at, name in enumerate("abc")]
    recorded(tmp_path, "d", "v2", at_s=5)
    recorded(tmp_path, "e", "v1", at_s=6, rate=2.0)
    recorded(tmp_path, "f", "v1", at_s=7, complete=False)
    judged = read_manifest(runs[2])
    pin(runs[1], tmp_path)
    now = judged.started_unix_ns
    assert earlier_runs(tmp_path, judged, before_unix_ns=now, least=2) == [runs[1], runs[0]]
    assert earlier_runs(tmp_path, judged, before_unix_ns=now, least=1, most=1) == [runs[1]]
    assert earlier_runs(tmp_path, judged, before_unix_ns=now - NS_PER_S, least=1) == [runs[0]]
    assert earlier_runs(tmp_path, judged, before_unix_ns=now) == []
