"""Runs published: what is written of sound, failed, killed, empty and hostile runs."""

from __future__ import annotations

import html
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from loadtest.errors import ResultsUnwritable, RunNotFound, RunUnreadable
from loadtest.report.judged_run import JudgedRun
from loadtest.report.terminal import print_verdict
from loadtest.results.directory import VERDICT
from loadtest.results.log_file import ServerLog, read_server_log
from loadtest.results.reader import read_run
from loadtest.ruling import Ruling
from loadtest.runs import run_items
from loadtest.runs.publish import attach_logs, judge_run, publish
from loadtest.runs.verdict_file import read_verdict, write_verdict
from loadtest.serverlog.extract import ReadStats
from loadtest.serverlog.rules import load_rules
from loadtest.session.recorder import ErrorTally, Lifecycle
from loadtest.session.schedule import NS_PER_S
from loadtest.statistics.margins import margins_of, parse_margins
from loadtest.statistics.time_limits import parse_limits, stored
from loadtest.verdict.items import ITEMS
from loadtest.verdict.run import judge
from tests.support.rundirs import HOSTILE, write_run, write_server_log
from tests.support.runs import manifest, plan, tally
from tests.support.stories import written

PLANNED = plan(duration_s=20.0)
"""The usual plan with the length of these runs."""

LOST = ErrorTally(
    item="messaging",
    error="no reply",
    count=12,
    session="lt-17",
    at_ns=12_300_000_000,
    example='{"type": "chat"}',
)

LOSSES = [
    Lifecycle(at_ns=number, event="lost", session=f"s-{number}", cause="1012", code=1012, detail="going")
    for number in range(3)
]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder."""
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def sound(results: Path) -> JudgedRun:
    """The first run of all: sound, nothing to compare with."""
    path = write_run(results, of=manifest(run_id="base", started_unix_ns=10**18, run_plan=PLANNED))
    return publish(path, results=results)


@pytest.fixture(scope="module")
def failed(results: Path, sound: JudgedRun) -> JudgedRun:
    """A run of the next revision: slower, with lost messages, and a server log that is judged."""
    path = write_run(
        results,
        of=manifest(run_id="next", revision="v2.0", run_plan=PLANNED),
        slower_ratio=4.0,
        errors=[LOST],
        counts={"messaging.sent": 12, "messaging.lost": 12, "losses.1012": 3},
        lifecycle=LOSSES,
    )
    write_server_log(path, wrong_kind="mid_reply")
    return publish(path, results=results)


@pytest.fixture(scope="module")
def hostile(results: Path, failed: JudgedRun) -> JudgedRun:
    """A killed run of a server and a person that wrote what they should not."""
    errors = [
        ErrorTally(item=item, error=HOSTILE, count=3, session=HOSTILE, at_ns=3, example=HOSTILE)
        for item in ("connect", "messaging", "reconnect", "persistence")
    ]
    path = write_run(
        results,
        of=manifest(run_id="evil"),
        seconds=8,
        complete=False,
        errors=errors,
        counts={f"drops.{HOSTILE[:150]}": 5, "messaging.corrupted": 12, "connect.gave_up": 3},
    )
    written = json.loads((path / "run.json").read_bytes())
    for name in ("run_id", "revision", "target", "started_at", "comparability_hash"):
        written[name] = HOSTILE
    for name in ("dialect", "path", "backoff"):
        written["plan"][name] = HOSTILE
    written["plan"]["drops"] = {HOSTILE: 1.0}
    written["plan"]["storms"] = [{"at_s": 3, "share_ratio": 0.3, "kind": HOSTILE}]
    written["failure"] = HOSTILE
    written["versions"] = {HOSTILE: HOSTILE}
    written["host"] = {"system": HOSTILE}
    (path / "run.json").write_text(json.dumps(written))
    loss = {
        "at_ns": 5,
        "event": "lost",
        "session": HOSTILE,
        "cause": HOSTILE,
        "code": 1011,
        "detail": HOSTILE,
    }
    with (path / "events.jsonl").open("a") as file:
        file.write(json.dumps(loss) + "\n")
    return publish(path, results=results)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> JudgedRun:
    """A run that was killed before its first second."""
    results = tmp_path_factory.mktemp("empty")
    return publish(write_run(results, seconds=0, complete=False), results=results)


@pytest.fixture(params=["sound", "failed", "hostile", "empty"])
def published(request: pytest.FixtureRequest) -> JudgedRun:
    """Each of the runs."""
    found: JudgedRun = request.getfixturevalue(request.param)
    return found


# All runs.


def test_everything_is_written(published: JudgedRun) -> None:
    """The reports are there, and no other files beside those of the run."""
    assert {path.name for path in published.path.iterdir()} - {"server_log.jsonl"} == {
        *("run.json", "latency.hlog", "events.jsonl", "intervals.jsonl"),
        *("verdict.json", "summary.md", "junit.xml", "report.html", "summary.json", "series.csv"),
    }
    written = json.loads((published.path / "verdict.json").read_bytes())
    assert written["verdict"] == published.verdict.verdict
    assert [item["item"] for item in written["items"]] == list(ITEMS)


def test_junit_tells_what_verdict_json_tells(published: JudgedRun) -> None:
    """A case per item; FAIL fails, INCONCLUSIVE is an error, NOT_JUDGED is skipped; the totals agree."""
    (suite,) = ElementTree.parse(published.path / "junit.xml").getroot()
    elements = {"PASS": [], "FAIL": ["failure"], "INCONCLUSIVE": ["error"], "NOT_JUDGED": ["skipped"]}
    cases = suite.findall("testcase")
    named = [(case.get("classname"), case.get("name")) for case in cases]
    assert named == [("loadtest.run", item) for item in ITEMS]
    assert [[child.tag for child in case] for case in cases] == [
        elements[item.verdict] for item in published.verdict.items
    ]
    told = suite.findtext("system-out") or ""
    assert all(f"{item.item} {item.verdict}: " in told for item in published.verdict.items)
    assert int(suite.get("tests", "")) == len(ITEMS)
    for attribute, element in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        assert int(suite.get(attribute, "")) == len(suite.findall(f"testcase/{element}"))
    assert {one.get("name") for one in suite.iter("property")} >= {"revision", "run", "baseline"}


class Page(HTMLParser):
    """Reads a page: whether its elements nest, what it refers to, its text."""

    VOID = frozenset({"circle", "link", "meta", "path"})
    IMPLIED = frozenset({"td", "th", "tr"})
    """Elements whose end tags are optional."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.references: list[str] = []
        self.ids: list[str] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        names = dict(attrs)
        self.references += [value or "" for name, value in attrs if name in ("src", "href", "action", "data")]
        self.ids += [names["id"] or ""] if "id" in names else []
        assert not any(name.startswith("on") for name in names)
        if tag in self.IMPLIED:
            self.end_implied({"tr": "tbody"}.get(tag, "tr"))
        if tag not in self.VOID:
            self.open.append(tag)

    def end_implied(self, outer: str) -> None:
        """End what is open within a row, or within the rows of a table."""
        while self.open[-1] in self.IMPLIED and self.open[-1] != outer:
            self.open.pop()

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.IMPLIED:
            self.end_implied(tag)
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_the_page_is_whole_and_needs_nothing(published: JudgedRun) -> None:
    """Elements nest, ids are unique, links lead within the page or to the run's files; nothing is loaded."""
    text = (published.path / "report.html").read_text()
    page = Page(text)
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    inside = {one.removeprefix("#") for one in page.references if one.startswith("#")}
    assert inside <= set(page.ids)
    (icon,) = (one for one in page.references if one.startswith("data:"))
    assert icon.startswith("data:image/svg+xml,")
    beside = {one for one in page.references if one != icon and not one.startswith("#")}
    assert beside == {one.name for one in published.path.iterdir()} - {"report.html"}
    assert not page.tags & {"img", "iframe", "object", "form"}
    assert "url(" not in text
    assert "@import" not in text


def test_every_file_says_what_was_found(published: JudgedRun) -> None:
    """The verdict of the run stands at the top of the page and of the summary."""
    verdict = published.verdict.verdict
    assert verdict in (published.path / "summary.md").read_text().splitlines()[1]
    assert "".join(Page((published.path / "report.html").read_text()).texts).lstrip().startswith(verdict)


def test_no_file_holds_what_a_terminal_would_obey(published: JudgedRun) -> None:
    """No control character but line ends, and no direction override, in any report."""
    for name in ("summary.md", "junit.xml", "report.html"):
        text = (published.path / name).read_text()
        assert not re.search(
            "[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]", text
        )


def test_tables_of_the_summary_are_rectangular(published: JudgedRun) -> None:
    """Every row of a table has as many cells as its header, whatever the cells hold."""
    width = 0
    for text in (published.path / "summary.md").read_text().splitlines():
        if not text.startswith("|"):
            width = 0
            continue
        cells = len(re.findall(r"(?<!\\)\|", text)) - 1
        assert cells == (width or cells), text
        width = cells


def test_publishing_again_changes_nothing(published: JudgedRun, results: Path) -> None:
    """Reports are made from files alone: made again, later runs or not, they are the same bytes."""
    names = ("verdict.json", "summary.md", "junit.xml", "report.html", "summary.json", "series.csv")
    before = [(published.path / name).read_bytes() for name in names]
    publish(published.path, results=results)
    assert [(published.path / name).read_bytes() for name in names] == before


# What is in them.


def test_the_summary_of_a_failed_run(failed: JudgedRun) -> None:
    """What failed comes with the error, its session and time; folded are all items and the latency."""
    text = (failed.path / "summary.md").read_text()
    assert text.startswith("<!-- loadtest: summary -->\n## ❌ FAIL `v2.0`")
    assert "baseline `v1.0`" in text
    found = '12 x no reply; first at 00:12 in session lt-17; example: {"type": "chat"}'
    assert f"  - `{found}`\n" in text
    assert "- ❌ FAIL **latency**: worse: service p50 +" in text
    assert re.search(r"\| round trip, from the send \| 5,500 \|(.* ms \|){6}", text)
    assert "  - `3 x 1012 'going'; first at" in text


def test_the_page_of_a_failed_run(failed: JudgedRun) -> None:
    """Items that failed are open, with their evidence; every chart has a title, a text and a table."""
    text = (failed.path / "report.html").read_text()
    assert len(re.findall(r'<details class="item FAIL" id="[a-z-]+" open>', text)) == 4
    assert len(re.findall(r'<details class="item PASS" id="[a-z-]+">', text)) == 3
    named = re.findall(r'<svg[^>]*role="img" aria-labelledby="([a-z-]+)-title ([a-z-]+)-text"', text)
    assert len(named) == 12
    assert {one for pair in named for one in pair} == set(re.findall(r'data-behind="([a-z-]+)"', text))
    assert "coordinated omission" in text
    shown = " ".join(Page(text).texts)
    for expected in (
        "12 x no reply",
        "first at 00:12 in session lt-17",
        "client action",
        "half_open",
        "going",
    ):
        assert expected in shown


def test_the_command_to_repeat_a_run_is_its_plan(failed: JudgedRun) -> None:
    """The printed command has the options that make the same plan, and a place for nothing secret."""
    text = (failed.path / "summary.md").read_text()
    command = " ".join(text[text.index("    locust -f") :].replace("\\\n", " ").splitlines()[0].split())
    assert "--headless -u 5 -r 5 -t 20s --host wss://staging.example.org" in command
    assert "--ws-drops close=1,reset=1" in command
    assert "--ws-path '/ws/{session_id}?thread_id={thread_id}'" in command
    assert "--ws-seed 1" in command
    assert "token" not in command


# What changed against the baseline.


def test_every_report_tells_what_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line an item, and the outcome in one line; the hotfix was fixed, what it broke was broken."""
    before = write_run(tmp_path, of=manifest(run_id="base", started_unix_ns=10**18), seconds=20)
    write_server_log(before, wrong_kind="mid_reply")
    of = manifest(run_id="next", revision="v2.0", locustfile="other.py")
    after = write_run(tmp_path, of=of, seconds=20, counts={"messaging.lost": 3, "messaging.sent": 3})
    write_server_log(after)
    judged = publish(after, results=tmp_path)
    print_verdict(judged)
    lines = ["server_log FAIL → PASS (fixed)", "messaging PASS → FAIL (broken)", "connect PASS (unchanged)"]
    outcomes = ["broken: messaging", "fixed: server_log", "unchanged: connect, stability"]
    terminal = capsys.readouterr().out
    page = " ".join(Page((after / "report.html").read_text()).texts)
    summary = (after / "summary.md").read_text().replace("\\", "")
    junit = (after / "junit.xml").read_text()
    for report in (terminal, summary, junit):
        told = " ".join(report.split())
        assert not [line for line in (*lines, *outcomes) if line not in told]
        assert "other.py" in told  # what else differs
    in_cells = ["server_log FAIL PASS fixed", "messaging PASS FAIL broken", "connect PASS PASS unchanged"]
    assert not [line for line in (*in_cells, "other.py") if line not in " ".join(page.split())]
    document = json.loads((after / "verdict.json").read_bytes())
    changes = {one["item"]: one["change"] for one in document["changes"]}
    assert (changes["server_log"], changes["messaging"], changes["latency"]) == (
        "fixed",
        "broken",
        "unclear",
    )
    assert document["differences"] == [
        {"what": "locustfile", "baseline": "none", "candidate": "other.py", "in_plan": False}
    ]
    assert document["verdict"] == "FAIL"  # as without a baseline


def test_without_a_baseline_nothing_changed(sound: JudgedRun) -> None:
    """There is no table of changes, and verdict.json says null."""
    document = json.loads((sound.path / "verdict.json").read_bytes())
    assert (document["changes"], document["differences"]) == (None, None)
    for name in ("summary.md", "report.html", "junit.xml"):
        assert "unchanged" not in re.sub(
            "unchanged against the baseline", "", (sound.path / name).read_text()
        )


def test_a_baseline_whose_log_is_damaged_is_no_reason_to_stop(tmp_path: Path) -> None:
    """The run is judged; what changed is not known, and a note says why."""
    before = write_run(tmp_path, of=manifest(run_id="base", started_unix_ns=10**18), seconds=8)
    (before / "server_log.jsonl").write_text("{}\n{")
    after = write_run(tmp_path, of=manifest(run_id="next", revision="v2.0"), seconds=8)
    verdict = publish(after, results=tmp_path).verdict
    assert (verdict.baseline, verdict.changes) == ("v1.0", None)
    assert any("the changes against the baseline are unknown" in note for note in verdict.notes)


# A run that the tool itself ended.


def test_a_slower_run_fails_latency_only(tmp_path: Path) -> None:
    """Four times as slow as the baseline that is given: nothing else fails, and the exit code is 1."""
    baseline = write_run(tmp_path, of=manifest(run_id="base", started_unix_ns=10**18))
    slower = write_run(tmp_path, of=manifest(run_id="next"), slower_ratio=4.0)
    verdict = publish(slower, results=tmp_path, baseline=str(baseline)).verdict
    assert [item.item for item in verdict.items if item.verdict is Ruling.FAIL] == ["latency"]
    assert verdict.exit_code == 1


def test_why_the_tool_failed_stands_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The reason stands right at the top of the page, the summary and what is printed, and in junit.xml."""
    reason = "RuntimeError: my dialect <b>has</b> no reply"
    of = manifest(failure=reason)
    published = publish(write_run(tmp_path, of=of, seconds=8, complete=False), results=tmp_path)
    print_verdict(published)
    told = f"loadtest failed: {reason}"
    assert capsys.readouterr().out.startswith(f"{told}\nThe results below cover only the 00:08 recorded")
    page = Page((published.path / "report.html").read_text())
    shown = "".join(page.texts)
    assert "b" not in page.tags
    assert shown.index(told) < shown.index("Load test of") < shown.index("Verdict by item")
    lines = (published.path / "summary.md").read_text().splitlines()
    assert lines[3] == "### loadtest failed: RuntimeError: my dialect \\<b\\>has\\</b\\> no reply"
    (suite,) = ElementTree.parse(published.path / "junit.xml").getroot()
    assert told in (suite.findtext("system-err") or "")


def test_a_failure_that_could_not_be_written_is_told(tmp_path: Path, capsys: Any) -> None:
    """The disk is full, so run.json does not have the reason; a complete run has not failed."""
    full = "cannot write results to r any more: No space left on device"
    ended = write_run(tmp_path, of=manifest(run_id="a"), seconds=8, complete=False)
    judged = judge_run(ended, results=tmp_path, failure=full)
    print_verdict(judged)
    assert " ".join(capsys.readouterr().out.split()).startswith(f"loadtest failed: {full}")
    assert judged.verdict.notes[-1].startswith("the tool itself failed before the run's end; the verdict")
    complete = write_run(tmp_path, of=manifest(run_id="b"), seconds=8)
    assert judge_run(complete, results=tmp_path, failure=full).run.manifest.failure is None


def test_after_a_mistake_only_the_mistake_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The items were judged from half a run of the wrong thing: their advice would mislead."""
    mistake = "mistake in the script: Chat.ask raised KeyError: 'x'"
    of = manifest(failure=mistake, usage_error=True)
    print_verdict(publish(write_run(tmp_path, of=of, seconds=8, complete=False), results=tmp_path))
    printed = capsys.readouterr().out
    assert printed.startswith(f"The run ended early: {mistake}\nFix it and run again.")
    assert "report.html" in printed
    for misleading in ("messaging", "run longer", "next:", "warm-up"):
        assert misleading not in printed


def test_a_usage_error_is_no_failure_of_the_tool(tmp_path: Path) -> None:
    """A mistake in --ws-data or a dialect ended the run early, whatever its text says."""
    of = manifest(failure="--ws-data must be a file that can be read", usage_error=True)
    published = publish(write_run(tmp_path, of=of, seconds=8, complete=False), results=tmp_path)
    lines = (published.path / "summary.md").read_text().splitlines()
    assert lines[3] == "### The run ended early: --ws-data must be a file that can be read"
    assert "tool itself" not in (published.path / "summary.md").read_text()


def test_nothing_is_told_of_a_failure_that_was_none(sound: JudgedRun, empty: JudgedRun) -> None:
    """A sound run, and one that was merely killed, have no such line."""
    for one in (sound, empty):
        for name in ("summary.md", "report.html", "junit.xml"):
            assert "tool itself failed" not in (one.path / name).read_text()


def test_a_run_that_was_stopped_for_a_night_has_a_report(tmp_path: Path) -> None:
    """The night is told as a remark, the charts stay small, and what was measured is shown."""
    path = write_run(tmp_path, seconds=30)
    night = {"start_ns": 30 * NS_PER_S, "stop_ns": (30 + 8 * 3600) * NS_PER_S}
    with (path / "intervals.jsonl").open("a") as file:
        file.write(json.dumps(night) + "\n")
    publish(path, results=tmp_path)
    for name in ("summary.md", "report.html", "junit.xml"):
        assert "8.0 hours at the longest" in (path / name).read_text()
    assert len((path / "report.html").read_bytes()) < 400_000


def test_a_hostile_run_keeps_its_text_and_loses_its_power(hostile: JudgedRun) -> None:
    """What was sent can be read, but no tag, link, mention or cell of it takes effect."""
    page = Page((hostile.path / "report.html").read_text())
    assert "<script>alert(1)</script>" in " ".join(page.texts)
    assert "b" not in page.tags
    assert not [one for one in page.references if "evil" in one]
    scripts = re.findall("<script[^>]*>", (hostile.path / "report.html").read_text())
    assert [one for one in scripts if "application/json" not in one] == ["<script>"]
    for line in (hostile.path / "summary.md").read_text().splitlines():
        outside = re.sub(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", "", line) if not line.startswith("    ") else ""
        assert "](http" not in outside.replace("\\]", "")
        assert "<script" not in outside.replace("\\<", "")


def test_killed_and_empty_runs_say_so(hostile: JudgedRun, empty: JudgedRun) -> None:
    """An incomplete run is told as such in every form, and without data nothing passes."""
    assert all(item.verdict is not Ruling.PASS for item in empty.verdict.items)
    for one in (hostile, empty):
        for name in ("report.html", "summary.md", "junit.xml"):
            assert one.run.manifest.unended in html.unescape((one.path / name).read_text())
    assert "<figure" not in (empty.path / "report.html").read_text()


def test_many_errors_are_cut_off_and_counted(tmp_path: Path) -> None:
    """A run with many different errors has a page of bounded size that says how many it leaves out."""
    errors = [tally("messaging", f"error {number}") for number in range(100)]
    published = publish(write_run(tmp_path, seconds=2, errors=errors), results=tmp_path)
    assert "and 70 more" in (published.path / "report.html").read_text()


# Baselines and what was judged before.


def test_the_baseline_stays_when_a_report_is_made_again(tmp_path: Path) -> None:
    """A run without a baseline gets none from a later run; asked for, it is compared with that."""
    first = publish(write_run(tmp_path, of=manifest(run_id="a")), results=tmp_path)
    second = write_run(tmp_path, of=manifest(run_id="b", revision="v2.0"))
    assert publish(second, results=tmp_path).verdict.baseline == "v1.0"
    assert publish(first.path, results=tmp_path).verdict.baseline is None
    assert publish(first.path, results=tmp_path, baseline="v2.0").verdict.baseline == "v2.0"
    assert publish(first.path, results=tmp_path).verdict.baseline == "v2.0"
    assert publish(second, results=tmp_path, baseline="none").verdict.baseline is None


def test_a_baseline_that_is_gone_is_told(tmp_path: Path) -> None:
    """If the run that was compared with has been damaged, latency is not judged, and a note says why."""
    write_run(tmp_path, of=manifest(run_id="a"))
    second = write_run(tmp_path, of=manifest(run_id="b", revision="v2.0"))
    publish(second, results=tmp_path)
    (damaged,) = tmp_path.glob("v1.0/*/intervals.jsonl")
    damaged.write_bytes(b"{}\n")
    verdict = publish(second, results=tmp_path).verdict
    assert verdict.item("latency").verdict is Ruling.NOT_JUDGED
    assert "could not be read" in verdict.notes[-1]


def test_a_baseline_that_is_asked_for_must_be_there(tmp_path: Path) -> None:
    """A person who names a baseline gets it, or an error."""
    path = write_run(tmp_path, seconds=1)
    with pytest.raises(RunNotFound, match="nowhere"):
        publish(path, results=tmp_path, baseline="nowhere")


def test_the_servers_log_is_judged_from_the_runs_files(failed: JudgedRun) -> None:
    """The item server_log is made again from what the run keeps of the log, whatever the verdict before."""
    before = failed.verdict.item("server_log")
    assert before.verdict is Ruling.FAIL
    assert "ERROR records for disconnects (after mid_reply)" in before.summary
    (failed.path / "verdict.json").unlink()
    again = publish(failed.path, results=failed.results)
    assert again.verdict.item("server_log") == before


def test_the_drop_kind_table_is_shown_everywhere(
    failed: JudgedRun, capsys: pytest.CaptureFixture[str]
) -> None:
    """report.html and the terminal show which client action is logged at which level."""
    print_verdict(failed)
    shown = (capsys.readouterr().out, (failed.path / "report.html").read_text())
    rows = {row.kind: row for row in failed.verdict.item("server_log").evidence.by_kind}
    assert rows["mid_reply"].levels == {"ERROR": 2 * rows["mid_reply"].drops}
    assert rows["close"].levels == {"INFO": rows["close"].drops}
    for text in shown:
        assert f"ERROR {2 * rows['mid_reply'].drops}" in text
        assert "client action" in text
        assert "Send error (session" in text


def test_a_log_without_drops_planned_is_judged_by_its_errors_only(tmp_path: Path) -> None:
    """A plan without drops shows nothing of disconnects: such a log fails, or is not judged."""
    path = write_run(tmp_path, of=manifest(run_plan=plan(drop_every_s=0.0)), seconds=1)
    write_server_log(path)
    assert publish(path, results=tmp_path).verdict.item("server_log").verdict is Ruling.NOT_JUDGED


@pytest.mark.parametrize(
    "line", [b"no json\n", b'{"type":"logged","level":99,"log_class":"x"}\n', b"[" * 9 + b"\n"]
)
def test_a_damaged_server_log_is_told(tmp_path: Path, line: bytes) -> None:
    """A damaged server_log.jsonl is an error that names it."""
    path = write_run(tmp_path, seconds=1)
    (path / "server_log.jsonl").write_bytes(line)
    with pytest.raises(RunUnreadable, match=r"server_log\.jsonl"):
        publish(path, results=tmp_path)


@pytest.mark.parametrize("text", [b"", b"{", b'{"schema": 9}', b"\xff\x00", b"[" * 100_000])
def test_a_damaged_verdict_is_replaced(tmp_path: Path, text: bytes) -> None:
    """An earlier verdict.json that cannot be read is replaced; a note says that its baseline is forgotten."""
    path = write_run(tmp_path, seconds=1)
    assert not any("chosen anew" in note for note in publish(path, results=tmp_path).verdict.notes)
    (path / "verdict.json").write_bytes(text)
    judged = publish(path, results=tmp_path)
    assert any("verdict.json could not be read" in note for note in judged.verdict.notes)
    assert json.loads((path / "verdict.json").read_bytes())["schema"] == 1


def test_a_run_that_cannot_be_read_has_no_report(tmp_path: Path) -> None:
    """A damaged run is an error that names the file."""
    path = write_run(tmp_path, seconds=1)
    (path / "events.jsonl").write_bytes(b"no json\n")
    with pytest.raises(RunUnreadable, match=r"events\.jsonl"):
        publish(path, results=tmp_path)


def test_a_directory_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A report that cannot be written is an error that names it."""
    path = write_run(tmp_path, seconds=1)
    (path / "summary.md").mkdir()
    with pytest.raises(ResultsUnwritable, match=r"summary\.md"):
        publish(path, results=tmp_path)


# As they are judged by and told.


def test_a_run_is_judged_by_its_own_margins_again_and_again(tmp_path: Path) -> None:
    """The verdict at its end is rebuilt from files alone, and the command to repeat it has the margins."""
    write_run(tmp_path, of=manifest(run_id="base", started_unix_ns=10**18))
    wide = manifest(
        run_id="next", revision="v2", margins=margins_of(parse_margins(["p50=60s,p90=60s,p99=60s"]))
    )
    path = write_run(tmp_path, of=wide, slower_ratio=4.0)
    assert publish(path, results=tmp_path).verdict.item("latency").verdict is not Ruling.FAIL
    written = (path / "verdict.json").read_bytes()
    latency = next(item for item in json.loads(written)["items"] if item["item"] == "latency")
    found = latency["evidence"]["gates"]
    assert [gate["absolute_margin_us"] for gate in found[:4]] == [6e7, 6e7, 6e7, 1e3]
    publish(path, results=tmp_path)
    assert (path / "verdict.json").read_bytes() == written
    margins = "service p50=5%/60000ms,service p90=10%/60000ms,service p99=20%/60000ms"
    assert f"--ws-margin '{margins}'" in (path / "summary.md").read_text()
    run_json = json.loads((path / "run.json").read_bytes())
    del run_json["margins"]
    (path / "run.json").write_text(json.dumps(run_json))
    assert publish(path, results=tmp_path).verdict.item("latency").verdict is Ruling.FAIL
    assert "--ws-margin" not in (path / "summary.md").read_text()


def test_a_run_is_judged_by_its_own_limits_again_and_again(tmp_path: Path) -> None:
    """From files alone; without limits it passes, and a limit that this version does not know is refused."""
    path = write_run(tmp_path, of=manifest(limits=stored(parse_limits(["p99=1us", "connect.p50=2s"]))))
    assert publish(path, results=tmp_path).verdict.item("latency").verdict is Ruling.FAIL
    written = (path / "verdict.json").read_bytes()
    publish(path, results=tmp_path)
    assert (path / "verdict.json").read_bytes() == written
    assert "--ws-limit p99=1us --ws-limit connect.p50=2s" in (path / "summary.md").read_text()
    run_json = json.loads((path / "run.json").read_bytes())
    (path / "run.json").write_text(json.dumps(run_json | {"limits": {}}))
    assert publish(path, results=tmp_path).verdict.item("latency").verdict is Ruling.NOT_JUDGED
    assert "--ws-limit" not in (path / "summary.md").read_text()
    (path / "run.json").write_text(json.dumps(run_json | {"limits": {"later.p99": 1.0}}))
    with pytest.raises(RunUnreadable, match=r"limit 'later.p99' of 1.0 ms is unknown"):
        publish(path, results=tmp_path)


def test_a_run_is_judged_by_its_own_allowances(tmp_path: Path) -> None:
    """As they stand in run.json; the command to repeat it has them."""
    allowed = manifest(allowed_losses=("1012=any", "2/h"))
    path = write_run(tmp_path, of=allowed, counts={"losses.1012": 3}, lifecycle=LOSSES)
    assert publish(path, results=tmp_path).verdict.item("stability").verdict is Ruling.PASS
    text = (path / "summary.md").read_text()
    assert "--ws-allow-losses 1012=any" in text
    assert "--ws-allow-losses 2/h" in text
    run_json = json.loads((path / "run.json").read_bytes())
    del run_json["allowed_losses"]
    (path / "run.json").write_text(json.dumps(run_json))
    assert publish(path, results=tmp_path).verdict.item("stability").verdict is Ruling.FAIL


# The verdict's file.


def test_a_verdict_is_written_and_read(tmp_path: Path) -> None:
    """verdict.json is whole or not there, and is rebuilt from the other files."""
    path = written(tmp_path)
    assert read_verdict(path) is None
    verdict = judge(read_run(path))
    write_verdict(path, verdict)
    assert read_verdict(path) == verdict == judge(read_run(path))
    (path / VERDICT).write_text("{")
    with pytest.raises(RunUnreadable, match=VERDICT):
        read_verdict(path)


@pytest.mark.parametrize("damaged", [False, True])
def test_a_log_attached_later_keeps_the_runs_allowance(tmp_path: Path, damaged: bool) -> None:
    """Real errors that the run allows are allowed in the new log too; a damaged log allows none."""
    run = write_run(tmp_path)
    write_server_log(run, reading=ReadStats(allowed_errors=3))
    if damaged:
        (run / "server_log.jsonl").write_text("{}\n{}\n")
    log = tmp_path / "server.log"
    log.write_text("INFO:     connection open\n")
    attach_logs(run, [log], rules=load_rules())
    attached = read_server_log(run)
    assert attached is not None
    assert attached.reading is not None
    assert attached.reading.files == ["server.log"]
    assert attached.reading.allowed_errors == (0 if damaged else 3)


def test_the_log_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For the item and for its errors by second: a log of hundreds of thousands of records takes seconds."""
    path = write_run(tmp_path)
    write_server_log(path, wrong_kind="reset")
    read: list[Path] = []

    def reading(run: Path) -> ServerLog | None:
        read.append(run)
        return read_server_log(run)

    monkeypatch.setattr(run_items, "read_server_log", reading)
    judged = publish(path, results=tmp_path)
    assert read == [path]
    assert judged.verdict.item("server_log").verdict is Ruling.FAIL
    assert sum((judged.run.log_errors_per_s or {}).values()) > 0
