"""`loadtest baseline`: which run would be compared with and why; pinning, clearing; seen in a verdict."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from loadtest.cli import main
from loadtest.report.terminal import print_verdict
from loadtest.runs.publish import publish
from loadtest.verdict.evidence import PassedOver
from tests.support.recorded_runs import begun
from tests.support.rundirs import write_run


def made(
    results: Path, revision: str, at_s: int, *, rate: float = 1.0, seconds: int = 1, **more: Any
) -> Path:
    """Write a run."""
    of = begun(f"{revision}at{at_s}", revision, at_s=at_s, rate=rate)
    return write_run(results, of=of, seconds=seconds, **more)


def run(results: Path, *arguments: str) -> Result:
    """Run a command on these results."""
    return CliRunner(env={"COLUMNS": "80"}).invoke(main, [*arguments, "--results", str(results)])


def shown(results: Path, *arguments: str) -> dict[str, Any]:
    """Return what `baseline show` says."""
    return dict(json.loads(run(results, "baseline", "show", *arguments, "--json").stdout))


def test_the_choice_and_its_rule_are_shown(tmp_path: Path) -> None:
    """For the newest run, for another, for a plan; none is told as none."""
    made(tmp_path, "v1", 0)
    made(tmp_path, "v2", 1)
    made(tmp_path, "v3", 2, rate=2.0)
    choice = shown(tmp_path)
    assert (choice["run"]["revision"], choice["baseline"]) == ("v3", None)
    assert choice["rule"] == "no other revision has a complete run with this plan, and none is pinned for it"
    choice = shown(tmp_path, "v2")
    assert choice["baseline"]["revision"] == "v1"
    assert choice["rule"] == "the newest complete run of another revision with the same plan"
    assert shown(tmp_path, choice["run"]["comparability_hash"][:12]) == choice
    text = run(tmp_path, "baseline", "show", "v2").output
    assert f"v2 ({tmp_path}/v2/" in text.replace("\n", "")
    assert "Reason: the newest complete run" in text


def test_a_pinned_run_is_what_others_are_compared_with(tmp_path: Path) -> None:
    """Pinned by revision, shown with its rule, cleared again."""
    made(tmp_path, "v1", 0)
    made(tmp_path, "v2", 1)
    made(tmp_path, "v3", 2)
    change = run(tmp_path, "baseline", "set", "v1", "--json")
    (kept,) = json.loads(change.stdout)["pinned"]
    assert kept == str(tmp_path / "baselines" / "v1" / Path(kept).name)
    choice = shown(tmp_path)
    assert choice["baseline"]["path"] == kept
    assert choice["rule"] == "pinned for this plan"
    assert [one["path"] for one in choice["pinned"]] == [kept]
    replaced = run(tmp_path, "baseline", "set", "v2")
    assert f"removed {kept}" in replaced.output.replace("\n", "")
    assert run(tmp_path, "baseline", "clear", "v2").exit_code == 0
    assert shown(tmp_path)["pinned"] == []
    assert shown(tmp_path)["baseline"]["revision"] == "v2"


@pytest.mark.parametrize("name", ["v1", "v1/", "v1at0", "v1at0/", None])
def test_baselines_are_cleared_by_name(tmp_path: Path, name: str | None) -> None:
    """A revision, a run's id, with or without a slash, or all; the runs stay."""
    run_path = made(tmp_path, "v1", 0)
    run(tmp_path, "baseline", "set", str(run_path))
    cleared = run(tmp_path, "baseline", "clear", *([name] if name else []), "--json")
    assert len(json.loads(cleared.stdout)["removed"]) == 1
    assert run_path.is_dir()
    assert not list((tmp_path / "baselines").iterdir())


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("baseline", "set", "nowhere"), "no run or revision 'nowhere'"),
        (("baseline", "clear", "nowhere"), "no pinned run 'nowhere'"),
        (("baseline", "clear", "v1"), "no pinned run 'v1'"),
        (("baseline", "show", "nowhere"), "no run or revision 'nowhere'"),
        (("baseline", "show", "abcdef012"), "no run or revision 'abcdef012'"),
        (("trend", "--plan", "nowhere"), "no run or revision 'nowhere'"),
    ],
)
def test_what_is_not_there_is_told(tmp_path: Path, words: tuple[str, ...], says: str) -> None:
    """One line, exit code 2."""
    made(tmp_path, "v1", 0)
    result = run(tmp_path, *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert says in result.stderr


def test_what_speaks_against_a_pinned_run_is_told(tmp_path: Path) -> None:
    """It is pinned all the same; `show` says it again, and what would be passed over without the pin."""
    made(tmp_path, "v0", 0, seconds=20)
    made(tmp_path, "v1", 1, seconds=20, counts={"connect.failed": 9})
    made(tmp_path, "v2", 2, seconds=20)
    choice = shown(tmp_path)
    assert choice["baseline"]["revision"] == "v0"
    assert [(one["revision"], one["run_id"]) for one in choice["passed_over"]] == [("v1", "v1at1")]
    assert choice["problems"] == []
    assert "it FAILed connect" in run(tmp_path, "baseline", "show").output
    change = run(tmp_path, "baseline", "set", "v1", "--json")
    assert change.exit_code == 0
    (problem,) = json.loads(change.stdout)["problems"]
    assert problem.startswith("it FAILed connect: 9 of 100 attempts failed")
    choice = shown(tmp_path)
    assert (choice["rule"], choice["passed_over"]) == ("pinned for this plan", [])
    assert choice["problems"] == [problem]
    assert "Warning: it FAILed connect" in run(tmp_path, "baseline", "show").output


def test_a_verdict_says_what_was_passed_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In the evidence, and in one line of every form; a report that is made again says the same."""
    made(tmp_path, "v1", 0, seconds=20)
    short = made(tmp_path, "v2", 1, seconds=7)
    (made(tmp_path, "v3", 2, seconds=20) / "events.jsonl").write_text("no json\n")
    path = made(tmp_path, "v4", 3, seconds=20)
    judged = publish(path, results=tmp_path)
    latency = judged.verdict.item("latency")
    assert latency.evidence.baseline.revision == "v1"
    assert [one.revision for one in latency.evidence.passed_over] == ["v3", "v2"]
    assert latency.evidence.passed_over[1] == PassedOver(
        revision="v2",
        run_id="v2at1",
        path=str(short),
        why="service p99 cannot be judged against it: 200 samples, p99 needs 1,000",
    )
    print_verdict(judged)
    line = re.compile(r"Not chosen as baseline: v3 \(.*\): it cannot be read: .*; 1 more in verdict\.json")
    assert line.search(" ".join(capsys.readouterr().out.split()))
    for name in ("report.html", "junit.xml"):
        assert line.search((path / name).read_text()), name
    assert "Not chosen as baseline: v3" in (path / "summary.md").read_text()
    shutil.rmtree(short)
    assert publish(path, results=tmp_path).verdict.item("latency").evidence == latency.evidence


def test_a_baseline_that_failed_itself_is_told(tmp_path: Path) -> None:
    """Where there is no better one it serves, and a note says what it is worth."""
    made(tmp_path, "v1", 0, seconds=20, counts={"messaging.lost": 1})
    verdict = publish(made(tmp_path, "v2", 1, seconds=20), results=tmp_path).verdict
    assert verdict.baseline == "v1"
    *_, note = verdict.notes  # the run itself was cut short, which is told first
    assert note.startswith("baseline v1 is weak: it FAILed messaging: 2,000 messages sent: 1 ")


def test_without_a_baseline_the_reason_is_told(tmp_path: Path) -> None:
    """Nobody asked for one, or what there is was killed; both stay when the report is made again."""
    made(tmp_path, "v1", 0, seconds=20, complete=False)
    path = made(tmp_path, "v2", 1, seconds=20)
    for _ in range(2):
        latency = publish(path, results=tmp_path).verdict.item("latency")
        assert latency.summary == "no baseline to compare with"
        assert [one.revision for one in latency.evidence.passed_over] == ["v1"]
    for baseline in ("none", None):
        latency = publish(path, results=tmp_path, baseline=baseline).verdict.item("latency")
        assert latency.summary == "no comparison was asked for"


def test_without_runs_there_is_nothing_to_show(tmp_path: Path) -> None:
    """It says what makes one."""
    result = run(tmp_path, "baseline", "show")
    assert result.exit_code == 2
    assert "no complete run in" in result.stderr


def test_a_verdict_says_what_it_compared_with_and_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On the terminal and in every file; the rule stays when the report is made again."""
    baseline = made(tmp_path, "v1", 0, seconds=20)
    path = made(tmp_path, "v2", 1, seconds=20)
    judged = publish(path, results=tmp_path)
    told = judged.verdict.item("latency").evidence.baseline
    rule = "the newest complete run of another revision with the same plan"
    assert (told.path, told.rule) == (str(baseline), rule)
    print_verdict(judged)
    assert rule in " ".join(capsys.readouterr().out.split())
    for name in ("summary.md", "report.html", "junit.xml"):
        assert rule in (path / name).read_text(), name
    made(tmp_path, "v3", 2, seconds=20)
    run(tmp_path, "baseline", "set", "v3")
    assert publish(path, results=tmp_path).verdict.item("latency").evidence.baseline == told
