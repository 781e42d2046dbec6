"""The commands over runs: their output for people and for machines, their exit codes."""

import errno
import json
import os
import re
import shutil
from pathlib import Path

import pytest

from loadtest import regular_files
from tests.support.commands import run
from tests.support.rundirs import write_run
from tests.support.runs import manifest, plan


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs: v1.0, a slower v2.0, and v3.0 of another plan, killed."""
    results = tmp_path_factory.mktemp("results")
    write_run(results, of=manifest(run_id="one", started_unix_ns=1_795_000_000_000_000_000))
    write_run(results, of=manifest(run_id="two", revision="v2.0"), slower_ratio=4.0)
    unlike = manifest(
        run_id="six",
        revision="v3.0",
        started_unix_ns=1_795_900_000_000_000_000,
        run_plan=plan(rate=2.0, drop_every_s=5.0),
    )
    write_run(results, of=unlike, complete=False)
    return results


@pytest.fixture
def own(results: Path, tmp_path: Path) -> Path:
    """The same runs, for a test to change."""
    return Path(shutil.copytree(results, tmp_path / "results"))


# list


def test_list_shows_the_newest_first(results: Path) -> None:
    """Revision, start, length, sessions, verdict, completeness and id, a row a run."""
    result = run("list", "--results", results)
    *lines, headline = [line for line in result.output.splitlines()[2:] if line.strip()]
    rows = [line.split() for line in lines]
    assert result.exit_code == 0
    assert headline.startswith("3 runs in ")
    assert [row[0] for row in rows] == ["v3.0", "v2.0", "v1.0"]
    assert [row[-1] for row in rows] == ["six", "two", "one"]
    assert [row[-2] for row in rows] == ["no", "yes", "yes"]
    assert [row[-4] for row in rows] == ["100", "100", "100"]


def test_list_as_json_is_one_document(own: Path) -> None:
    """Runs with their paths and verdicts; pinned ones are marked; damaged ones are named apart."""
    assert run("report", "v1.0", "--results", own, "--baseline", "none").exit_code == 0
    shutil.move(own / "v1.0", own / "baselines" / "v1.0")
    (own / "bad" / "run").mkdir(parents=True)
    (own / "bad" / "run" / "run.json").write_text("{")
    document = json.loads(run("list", "--results", own, "--json").stdout)
    runs = {one["run_id"]: one for one in document["runs"]}
    assert document["schema"] == 1
    assert [one["run_id"] for one in document["runs"]] == ["six", "two", "one"]
    assert (runs["one"]["pinned"], runs["two"]["pinned"]) == (True, False)
    assert (runs["one"]["verdict"], runs["two"]["verdict"]) == ("PASS", None)
    assert (runs["two"]["duration_s"], runs["six"]["duration_s"]) == (60.0, None)
    assert all(Path(one["path"], "run.json").is_file() for one in document["runs"])
    assert [Path(one["path"]).name for one in document["unreadable"]] == ["run.json"]
    shown = run("list", "--results", own).output
    assert "(pinned)" in shown
    assert "unreadable" in shown


def test_list_of_nothing_says_how_to_begin(tmp_path: Path) -> None:
    """A folder without runs, or none at all, is no error."""
    result = run("list", "--results", tmp_path / "none")
    assert result.exit_code == 0
    assert "locust -f" in result.output
    assert json.loads(run("list", "--results", tmp_path, "--json").stdout)["runs"] == []


# report


@pytest.mark.parametrize(
    ("revision", "baseline", "code", "verdict"),
    [("v1.0", "none", 0, "PASS"), ("v1.0", "v2.0", 4, "INCONCLUSIVE"), ("v2.0", "v1.0", 1, "FAIL")],
)
def test_report_prints_the_verdict_and_leaves_with_its_code(
    own: Path, revision: str, baseline: str, code: int, verdict: str
) -> None:
    """The table for a person, the exit code for a script, and the files rebuilt."""
    result = run("report", revision, "--results", own, "--baseline", baseline)
    assert result.exit_code == code
    assert f"verdict of {revision}" in result.output
    assert verdict in result.output
    (path,) = (own / revision).iterdir()
    assert {"verdict.json", "summary.md", "junit.xml", "report.html", "summary.json", "series.csv"} <= {
        one.name for one in path.iterdir()
    }


def test_report_on_a_full_disk_prints_the_verdict(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The verdict needs no room; the error says why there are no reports, and what helps."""

    def full(*_arguments: object, **_options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(regular_files, "replace", full)
    result = run("report", "v2.0", "--results", own)
    assert "verdict of v2.0 against v1.0: FAIL" in result.stdout
    assert result.stderr.endswith(
        "No space left on device. Make room in the run's folder, or report a copy of it\n"
    )
    assert result.exit_code == 2


def test_report_as_json_is_verdict_json(own: Path) -> None:
    """Standard output holds the document and nothing else."""
    result = run("report", "v2.0", "--results", own, "--json")
    (path,) = (own / "v2.0").iterdir()
    assert json.loads(result.stdout) == json.loads((path / "verdict.json").read_bytes())
    assert result.exit_code == 1


def test_report_of_a_killed_run_by_its_directory(own: Path) -> None:
    """A killed run has no revision's rights, but a directory; without enough data it is inconclusive."""
    assert run("report", "v3.0", "--results", own).exit_code == 2
    (path,) = (own / "v3.0").iterdir()
    intervals = (path / "intervals.jsonl").read_bytes().splitlines(keepends=True)
    (path / "intervals.jsonl").write_bytes(intervals[0])
    result = run("report", path, "--results", own)
    assert result.exit_code == 4
    assert "did not finish" in result.output


def test_report_takes_another_baseline(own: Path) -> None:
    """Named, a later run is a baseline, too; none is none."""
    verdict = json.loads(run("report", "v1.0", "--results", own, "--baseline", "v2.0", "--json").stdout)
    assert verdict["baseline"] == "v2.0"
    verdict = json.loads(run("report", "v2.0", "--results", own, "--baseline", "none", "--json").stdout)
    assert verdict["baseline"] is None


# compare


def test_compare_shows_each_quantile(results: Path) -> None:
    """Both values, the change with its bounds, the margin and the verdict; exit code 1 for slower."""
    result = run("compare", "v1.0", "v2.0", "--results", results)
    assert result.exit_code == 1
    (row,) = [
        line for line in result.output.splitlines() if re.search(r"^service p50 .* FAIL$", line.rstrip())
    ]
    assert row.count(" ms") == 3
    assert row.count("%") == 2
    assert " to " in row
    assert re.search(r"service p50 \([\d.]+% instead of 5%\)", " ".join(result.output.split()))
    assert "v2.0 against v1.0: FAIL" in result.output
    assert "latency FAIL: worse: service p50 +" in result.output


def test_compare_in_either_direction(results: Path) -> None:
    """What became faster passes as far as it was judged."""
    document = json.loads(run("compare", "v2.0", "v1.0", "--results", results, "--json").stdout)
    decisions = {gate["gate"]: gate["decision"] for gate in document["item"]["evidence"]["gates"]}
    assert {decisions[f"service p{number}"] for number in (50, 90, 99)} == {"PASS"}
    assert "FAIL" not in decisions.values()


def test_compare_as_json_and_markdown(results: Path) -> None:
    """The same comparison for machines and for a pull request."""
    document = json.loads(run("compare", "v1.0", "v2.0", "--results", results, "--json").stdout)
    assert (document["schema"], document["verdict"], document["differing_fields"]) == (1, "FAIL", [])
    assert (document["baseline"]["run_id"], document["candidate"]["run_id"]) == ("one", "two")
    markdown = run("compare", "v1.0", "v2.0", "--results", results, "--markdown").stdout
    assert markdown.startswith("<!-- loadtest: comparison -->\n## ❌ FAIL: v2.0 against v1.0")
    assert "| service p50 |" in markdown
    both = run("compare", "v1.0", "v2.0", "--results", results, "--markdown", "--json")
    assert (both.exit_code, both.stdout) == (2, "")


def test_compare_refuses_unlike_plans(results: Path) -> None:
    """What differs is named with both values, and the runs that were taken; standard output stays empty."""
    (path,) = (results / "v3.0").iterdir()
    result = run("compare", "v1.0", path, "--results", results)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "their plans differ in --ws-rate 1 → 2, --ws-drop-every 20 → 5 (v1.0 = " in result.stderr
    assert ", the only complete run; v3.0 = " in result.stderr
    assert f"{path}, did not finish)" in result.stderr


def test_compare_by_force_is_inconclusive_at_best(own: Path) -> None:
    """Unlike plans can be looked at, but however slow one is, nothing is concluded; nor from a killed run."""
    (path,) = (own / "v3.0").iterdir()
    killed = run("compare", path, "v2.0", "--results", own, "--force", "--json")
    assert killed.exit_code == 4
    assert "the run did not finish" in json.loads(killed.stdout)["item"]["summary"]
    manifest_json = path / "run.json"
    manifest_json.write_text(json.dumps(json.loads(manifest_json.read_bytes()) | {"complete": True}))
    result = run("compare", "v1.0", path, "--results", own, "--force", "--json")
    document = json.loads(result.stdout)
    assert (result.exit_code, document["verdict"]) == (4, "INCONCLUSIVE")
    assert document["differing_fields"] == ["rate", "drop_every_s"]
    unlike = "latency was not compared: unlike plans (--ws-rate 1 → 2, --ws-drop-every 20 → 5)"
    assert document["item"]["summary"] == unlike
    assert document["item"]["evidence"]["gates"]
    assert run("compare", path, "v2.0", "--results", own, "--force").exit_code == 4


# What cannot be done.


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("report", "nowhere"), "no run or revision 'nowhere'"),
        (("report", "v1.0", "--baseline", "nowhere"), "no run or revision 'nowhere'"),
        (("compare", "v1.0", "nowhere"), "no run or revision 'nowhere'"),
        (("compare", "v1.0", "v1.0"), "baseline and candidate are the same run (v1.0). Run 'loadtest list'"),
        (("report", "v3.0"), "name its directory; the newest is "),
        (("compare", "v3.0", "v2.0"), "revision 'v3.0' has no complete run"),
        (("baseline", "set", "v3.0"), "revision 'v3.0' has no complete run"),
        (
            ("report", "v1.0", "--server-log", "-", "--format", "xml"),
            "--format must be auto, json, ",
        ),
        (("compare", "v1.0"), "Missing argument"),
        (("report",), "Missing argument"),
        (("report", "../\0"), "no run"),
        (("nonsense",), "No such command"),
    ],
)
def test_usage_errors_are_one_line_and_exit_2(results: Path, arguments: tuple[str, ...], said: str) -> None:
    """What was wrong stands on standard error, without a traceback, and standard output is empty."""
    where = ("--results", str(results)) if len(arguments) > 1 else ()
    result = run(*arguments, *where)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_a_damaged_run_is_named(own: Path) -> None:
    """The file and the line that cannot be read."""
    (path,) = (own / "v1.0").iterdir()
    (path / "events.jsonl").write_bytes(b"{}\n{}\n")
    result = run("report", path, "--results", own)
    assert result.exit_code == 2
    assert "events.jsonl: line 1" in result.stderr
