"""Which run is the baseline, and what was passed over."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from loadtest.cli import main
from loadtest.errors import RunNotFound, UsageError
from loadtest.results.manifest import Manifest
from loadtest.results.reader import read_manifest
from loadtest.ruling import Ruling
from loadtest.runs.baselines import (
    MAX_PASSED_OVER,
    MAX_READ,
    Baseline,
    BaselineChoice,
    Rule,
    choose_baseline,
)
from loadtest.runs.pins import pin, show_baseline
from loadtest.runs.publish import publish
from loadtest.runs.suitability import NONE_GOOD
from loadtest.runs.verdict_file import read_verdict
from tests.support.judged_runs import HOST, OTHER_HOST, judged_run
from tests.support.recorded_runs import begun, recorded
from tests.support.rundirs import write_run


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
    assert told(choice) == [("d", "it did not finish, or is still running")]


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
        ("killed", "it did not finish, or is still running"),
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
    assert told(choice) == [("killed", "it did not finish, or is still running")]


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
    assert set(told(choice)) == {("0a1b2c3d", "the version of its server is unknown")}
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


# A chain of releases.


def released(results: Path, number: int, *, slower_ratio: float, seconds: int = 20, **of: Any) -> Path:
    """Run a release and report it, as every deploy does."""
    manifest = msgspec.structs.replace(begun(f"r{number}", f"v{number}", at_s=3600 * number), **of)
    path = write_run(results, of=manifest, seconds=seconds, slower_ratio=slower_ratio)
    publish(path, results=results)
    return path


def compared_with(path: Path) -> tuple[str | None, Ruling]:
    """Return the baseline of a run and the verdict on its latency."""
    verdict = read_verdict(path)
    assert verdict is not None
    return verdict.baseline, verdict.latency.verdict


def test_a_chain_of_slower_releases_is_caught(tmp_path: Path) -> None:
    """Each is 15% slower than the one before: all are compared with the last good one, and the sum fails."""
    chain = [compared_with(released(tmp_path, number, slower_ratio=3 * 1.15**number)) for number in range(6)]
    assert chain[0] == (None, Ruling.NOT_JUDGED)
    assert {baseline for baseline, _ in chain[1:]} == {"v0"}
    assert Ruling.PASS not in {ruling for _, ruling in chain}
    assert chain[-1] == ("v0", Ruling.FAIL)
    judged = read_manifest(released(tmp_path, 9, slower_ratio=3 * 1.15**6))
    told_why = dict(told(choose_baseline(tmp_path, judged)))
    assert set(told_why) == {f"r{number}" for number in range(1, 6)}
    assert all("latency" in why for why in told_why.values())
    shown = CliRunner().invoke(main, ["baseline", "show", "v9", "--results", str(tmp_path)])
    assert "is compared with v0" in shown.output
    assert "its own latency was INCONCLUSIVE" in shown.output or "it FAILed latency" in shown.output


def test_releases_that_are_as_quick_become_the_baseline(tmp_path: Path) -> None:
    """The newest good one is compared with: one that passed, whatever failed in between."""
    judged_run(tmp_path, "aaaa", "v1", at_s=0, latency=Ruling.NOT_JUDGED, values=None)
    good = write_run(
        tmp_path, of=msgspec.structs.replace(begun("bbbb", "v2", at_s=10), host=HOST), seconds=20
    )
    judged_run(tmp_path, "cccc", "v3", at_s=20, latency=Ruling.FAIL)
    judged_run(tmp_path, "dddd", "v4", at_s=30, latency=Ruling.INCONCLUSIVE, evidence=AGAINST_V1)
    of = msgspec.structs.replace(begun("eeee", "v5", at_s=40), host=HOST)
    choice = choose_baseline(tmp_path, of)
    assert choice.baseline == Baseline(good, Rule.FITTEST)
    assert told(choice) == [
        ("dddd", "its own latency was INCONCLUSIVE: latency INCONCLUSIVE"),
        ("cccc", "it FAILed latency: latency FAIL"),
    ]


AGAINST_V1 = {"baseline": {"revision": "v1", "run_id": "aaaa"}}
"""Evidence of a run that was compared."""


def test_where_no_run_is_good_a_person_decides(tmp_path: Path) -> None:
    """The good one is gone; the next slow one is neither compared with slow ones, nor forgotten about."""
    judged_run(tmp_path, "bbbb", "v2", at_s=10, latency=Ruling.FAIL)
    judged_run(tmp_path, "cccc", "v3", at_s=20, latency=Ruling.INCONCLUSIVE, evidence=AGAINST_V1)
    path = released(tmp_path, 5, slower_ratio=1.0, host=HOST)
    assert compared_with(path) == (None, Ruling.INCONCLUSIVE)
    verdict = read_verdict(path)
    assert verdict is not None
    assert verdict.latency.summary == NONE_GOOD
    assert [one.run_id for one in verdict.latency.evidence.passed_over or ()] == ["cccc", "bbbb"]
    assert show_baseline("v5", tmp_path).rule == NONE_GOOD
    assert compared_with(publish(path, results=tmp_path).path) == (None, Ruling.INCONCLUSIVE)
    after = released(tmp_path, 6, slower_ratio=1.0, host=HOST)
    assert compared_with(after) == (None, Ruling.INCONCLUSIVE), "the one before is no better for that"
    pin(path, tmp_path)
    assert compared_with(released(tmp_path, 7, slower_ratio=1.0, host=HOST))[0] == "v5"


def test_many_slow_releases_do_not_hide_the_good_one(tmp_path: Path) -> None:
    """Their verdicts are looked at, not their data, of which only a few are read."""
    good = made(tmp_path, "good", 0)
    for number in range(4 * MAX_READ):
        judged_run(tmp_path, f"slow{number:02}", "slow", at_s=1 + number, latency=Ruling.FAIL)
    of = begun("new", "new", at_s=99)
    assert choose_baseline(tmp_path, of).baseline == Baseline(good, Rule.FITTEST)


def test_a_run_that_nobody_compared_is_chosen_last(tmp_path: Path) -> None:
    """`--ws-baseline none` may hide any step of a chain; but where there is nothing else, it serves."""
    path = made(tmp_path, "uncompared", 1)
    publish(path, results=tmp_path, baseline="none")
    of = begun("new", "new", at_s=99)
    assert choose_baseline(tmp_path, of).baseline == Baseline(path, Rule.NEWEST)
    sound = made(tmp_path, "sound", 0)
    choice = choose_baseline(tmp_path, of)
    assert choice.baseline == Baseline(sound, Rule.FITTEST)
    assert told(choice) == [("uncompared", "its own latency was not compared: no comparison was requested")]


def test_runs_of_the_same_machine_come_first(tmp_path: Path) -> None:
    """Latency of different machines cannot be compared; the newer run of another one is told."""
    same, other = (
        write_run(tmp_path, of=msgspec.structs.replace(begun(name, name, at_s=at_s), host=host), seconds=20)
        for name, at_s, host in (("same", 0, HOST), ("other", 10, OTHER_HOST))
    )
    choice = choose_baseline(tmp_path, msgspec.structs.replace(begun("new", "new", at_s=20), host=HOST))
    assert choice.baseline == Baseline(same, Rule.FITTEST)
    ((run_id, why),) = told(choice)
    assert run_id == "other"
    assert why.startswith("it was made on another machine: ")
    assert "cores 8 → 2" in why
    shutil.rmtree(same)
    choice = choose_baseline(tmp_path, msgspec.structs.replace(begun("new", "new", at_s=20), host=HOST))
    assert choice == BaselineChoice(Baseline(other, Rule.NEWEST)), "better than none: what differs is told"


def test_runs_of_the_same_script_come_first(tmp_path: Path) -> None:
    """Latency of different scripts cannot be compared; the newer run of another one is told."""

    def of(name: str, at_s: int, code: str) -> Manifest:
        run = begun(name, name, at_s=at_s)
        plan = msgspec.structs.replace(run.plan, tasks={"ask": 1})
        return msgspec.structs.replace(run, plan=plan, code=code)

    same = write_run(tmp_path, of=of("same", 0, "one"), seconds=20)
    other = write_run(tmp_path, of=of("edited", 10, "two"), seconds=20)
    judged = of("new", 20, "one")
    choice = choose_baseline(tmp_path, judged)
    assert choice.baseline == Baseline(same, Rule.FITTEST)
    assert told(choice) == [("edited", "it ran another script: the script's code two → one")]
    shutil.rmtree(same)
    assert choose_baseline(tmp_path, judged).baseline == Baseline(other, Rule.NEWEST)


def test_a_run_behind_a_new_version_is_no_baseline_if_one_before_it_is_good(tmp_path: Path) -> None:
    """Twice as slow with an update of a library: not compared, but no later run must be compared with it."""
    versions = {"python": "3.11", "locust": "2.47"}
    good = released(tmp_path, 1, slower_ratio=3, host=HOST, versions=versions)
    updated = released(tmp_path, 2, slower_ratio=6, host=HOST, versions=versions | {"locust": "2.48"})
    assert compared_with(updated) == ("v1", Ruling.INCONCLUSIVE)
    of = msgspec.structs.replace(begun("r3", "v3", at_s=3 * 3600), host=HOST, versions=versions)
    choice = choose_baseline(tmp_path, of)
    assert choice.baseline == Baseline(good, Rule.FITTEST)
    again = released(tmp_path, 4, slower_ratio=6, host=HOST, versions=versions | {"locust": "2.48"})
    assert compared_with(again)[0] == "v2", "nothing else was made with that version"
    verdict = read_verdict(again)
    assert verdict is not None
    told_why = [note for note in verdict.notes if "baseline v2 is weak" in note]
    assert len(told_why) == 1
    assert told_why[0].endswith("version of locust 2.47 → 2.48")


def test_on_one_machine_a_run_that_passed_comes_before_one_that_was_not_compared(tmp_path: Path) -> None:
    """Of two that are otherwise alike, however new the other is; a pinned one comes before both."""
    passed = judged_baseline(tmp_path, 1, Ruling.PASS)
    judged_baseline(tmp_path, 2, Ruling.INCONCLUSIVE, unlike=[CORES])
    of = msgspec.structs.replace(begun("new", "new", at_s=9 * 3600), host=HOST)
    choice = choose_baseline(tmp_path, of)
    assert choice.baseline == Baseline(passed, Rule.FITTEST)
    ((run_id, why),) = told(choice)
    assert (run_id, "its baseline was made on another machine" in why) == ("r2", True)
    pinned = judged_baseline(tmp_path, 0, Ruling.PASS)
    pin(pinned, tmp_path)
    found = choose_baseline(tmp_path, of).baseline
    assert found is not None
    assert found.rule is Rule.PINNED


CORES = {"what": "cores", "baseline": "2", "candidate": "8"}


def judged_baseline(results: Path, number: int, ruling: Ruling, **evidence: Any) -> Path:
    """Write a run with a verdict on its latency: compared, or with a run of another machine."""
    path = write_run(
        results,
        of=msgspec.structs.replace(begun(f"r{number}", f"v{number}", at_s=3600 * number), host=HOST),
        seconds=20,
    )
    publish(path, results=results, baseline="none")
    file = path / "verdict.json"
    written = json.loads(file.read_bytes())
    (latency,) = [item for item in written["items"] if item["item"] == "latency"]
    latency["verdict"] = str(ruling)
    latency["evidence"] |= {
        "rule": "chosen with --ws-baseline",
        "baseline": {"revision": "v", "run_id": "x"},
        "gates": [{"gate": "service p50", "decision": str(ruling)}],
        **evidence,
    }
    file.write_text(json.dumps(written))
    return path


def test_the_first_run_of_a_new_machine_is_the_baseline_there(tmp_path: Path) -> None:
    """There was nothing like it to compare it with, as for the first run of all."""
    released(tmp_path, 1, slower_ratio=3, host=HOST)
    moved = released(tmp_path, 2, slower_ratio=3, host=OTHER_HOST)
    assert compared_with(moved) == ("v1", Ruling.INCONCLUSIVE)
    assert compared_with(released(tmp_path, 3, slower_ratio=3.01, host=OTHER_HOST))[0] == "v2"
    slow = released(tmp_path, 4, slower_ratio=6, host=OTHER_HOST)
    assert compared_with(slow) == ("v2", Ruling.FAIL)
    assert compared_with(released(tmp_path, 5, slower_ratio=6, host=OTHER_HOST)) == ("v2", Ruling.FAIL)


# Runs of duels, and the last good one behind poor ones.


def made_by_a_duel(results: Path, number: int, *pairs: tuple[Path, Path]) -> str:
    """Write the part of a duel.json that names its runs; return the duel's name."""
    folder = results / "duels" / f"d{number}"
    folder.mkdir(parents=True)
    named = [{"a": str(a.relative_to(results)), "b": str(b.relative_to(results))} for a, b in pairs]
    (folder / "duel.json").write_text(json.dumps({"pairs": named}))
    return folder.name


def of_side(results: Path, run_id: str, revision: str, at_s: int, *, slower_ratio: float) -> Path:
    """Write a run of a duel: it is not compared by itself."""
    path = write_run(results, of=begun(run_id, revision, at_s=at_s), seconds=20, slower_ratio=slower_ratio)
    publish(path, results=results, baseline="none")
    return path


def test_the_candidate_that_failed_a_duel_is_not_the_next_baseline(tmp_path: Path) -> None:
    """Else the next release, as slow as it, would pass. However many pairs: they use up no reading."""
    good = released(tmp_path, 1, slower_ratio=3)
    pairs = [
        (
            of_side(tmp_path, f"a{number}", "v1b", 7200 + 60 * number, slower_ratio=3),
            of_side(tmp_path, f"b{number}", "v2", 7230 + 60 * number, slower_ratio=6),
        )
        for number in range(MAX_READ + 1)
    ]
    duel = made_by_a_duel(tmp_path, 1, *pairs)
    of = begun("r3", "v3", at_s=3 * 3600)
    choice = choose_baseline(tmp_path, of)
    assert choice.baseline == Baseline(good, Rule.FITTEST)
    assert told(choice) == [
        (f"b{MAX_READ}", f"it is a run of the candidate of duel {duel}"),
        (f"a{MAX_READ}", f"it is a run of the baseline of duel {duel}, which was compared only in pairs"),
    ]
    assert compared_with(released(tmp_path, 3, slower_ratio=6)) == ("v1", Ruling.FAIL)


def test_where_only_a_duel_has_runs_those_of_its_baseline_serve(tmp_path: Path) -> None:
    """And without them, nothing is compared, which is not the same as that there is nothing."""
    a = of_side(tmp_path, "a1", "v1", 1, slower_ratio=3)
    b = of_side(tmp_path, "b1", "v2", 2, slower_ratio=6)
    made_by_a_duel(tmp_path, 1, (a, b))
    of = begun("new", "v3", at_s=99)
    assert choose_baseline(tmp_path, of).baseline == Baseline(a, Rule.FITTEST)
    shutil.rmtree(a)
    choice = choose_baseline(tmp_path, of)
    assert (choice.baseline, choice.none_good) == (None, True)


def test_poor_runs_do_not_hide_the_last_good_one(tmp_path: Path) -> None:
    """Five that nobody compared, each slower than the one before: the next is compared with what was good."""
    released(tmp_path, 0, slower_ratio=3)
    for number in range(1, MAX_READ + 2):
        of = begun(f"r{number}", f"v{number}", at_s=3600 * number)
        path = write_run(tmp_path, of=of, seconds=20, slower_ratio=3 * 1.15**number)
        publish(path, results=tmp_path, baseline="none")
    assert compared_with(released(tmp_path, 20, slower_ratio=3 * 1.15**6)) == ("v0", Ruling.FAIL)


OVERLOADED = {"cpu_ratio": 1.0}


def test_overloaded_runs_do_not_hide_the_last_good_one(tmp_path: Path) -> None:
    """They were compared, but not fit for it: none may be a step of a chain."""
    good = released(tmp_path, 0, slower_ratio=3)
    for number in range(1, MAX_READ + 2):
        of = begun(f"r{number}", f"v{number}", at_s=3600 * number)
        path = write_run(tmp_path, of=of, seconds=20, slower_ratio=3 * 1.15**number, gauges=OVERLOADED)
        publish(path, results=tmp_path)
    assert compared_with(released(tmp_path, 20, slower_ratio=3 * 1.15**6)) == ("v0", Ruling.FAIL)
    shutil.rmtree(good)
    after = released(tmp_path, 21, slower_ratio=3 * 1.15**6)
    assert compared_with(after) == (None, Ruling.INCONCLUSIVE), "a person accepts one, or none"


def notes_on_the_baseline(path: Path) -> list[str]:
    """Return the beginnings of what a run's notes say against its baseline."""
    verdict = read_verdict(path)
    assert verdict is not None
    found = [note.partition(" is weak: ")[2] for note in verdict.notes]
    return [note.partition(":")[0] for note in found if note]


def test_a_report_says_that_nobody_compared_its_baseline(tmp_path: Path) -> None:
    """It may be any step of a chain. Who asks for it, or pins it, knows."""
    path = made(tmp_path, "v1", 0)
    publish(path, results=tmp_path, baseline="none")
    second = made(tmp_path, "v2", 3600)
    publish(second, results=tmp_path)
    assert notes_on_the_baseline(second) == ["its own latency was not compared"]
    publish(second, results=tmp_path, baseline="v1")
    assert notes_on_the_baseline(second) == []


def test_an_overloaded_run_that_never_serves_says_so(tmp_path: Path) -> None:
    """One without a revision, and one that had no good baseline itself: the rule and the note agree."""
    nameless = write_run(
        tmp_path, of=begun("r1", "unnamed", at_s=0), seconds=20, slower_ratio=3, gauges=OVERLOADED
    )
    assert "this run cannot be a baseline" in publish(nameless, results=tmp_path).verdict.notes[-1]
    released(tmp_path, 1, slower_ratio=1)
    released(tmp_path, 2, slower_ratio=3)
    shutil.rmtree(tmp_path / "v1")
    of = begun("r3", "v3", at_s=3 * 3600)
    path = write_run(tmp_path, of=of, seconds=20, slower_ratio=3, gauges=OVERLOADED)
    verdict = publish(path, results=tmp_path).verdict
    assert verdict.latency.evidence.rule == NONE_GOOD
    assert "this run cannot be a baseline" in verdict.notes[-1]
    assert compared_with(released(tmp_path, 4, slower_ratio=3))[0] is None


def test_the_first_run_may_have_been_overloaded(tmp_path: Path) -> None:
    """The next one cannot be compared with it, but the ones after that with the second."""
    of = begun("r1", "v1", at_s=3600)
    path = write_run(tmp_path, of=of, seconds=20, slower_ratio=3, gauges=OVERLOADED)
    (note,) = publish(path, results=tmp_path).verdict.notes[-1:]
    assert note.startswith("this run can be a baseline only while there is no better one: the load ")
    second = released(tmp_path, 2, slower_ratio=3)
    assert compared_with(second) == ("v1", Ruling.INCONCLUSIVE)
    assert notes_on_the_baseline(second) == ["the load generator was overloaded"]
    assert compared_with(released(tmp_path, 3, slower_ratio=6)) == ("v2", Ruling.FAIL)


def test_a_run_that_lost_messages_comes_before_one_that_nobody_compared(tmp_path: Path) -> None:
    """Losing one does not hide that a server has become slower; a missing comparison does."""
    lossy = made(tmp_path, "lossy", 0, counts={"messaging.lost": 1})
    path = made(tmp_path, "uncompared", 1)
    publish(path, results=tmp_path, baseline="none")
    of = begun("new", "new", at_s=99)
    assert choose_baseline(tmp_path, of).baseline == Baseline(lossy, Rule.FITTEST)
