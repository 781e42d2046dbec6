"""Several runs of each revision compared, from files: how they are paired, and what is refused."""

from __future__ import annotations

import json
import re
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

from loadtest.cli import main
from loadtest.errors import UsageError
from loadtest.report.tables import gates
from loadtest.ruling import Ruling
from loadtest.runs import compare
from loadtest.runs.pins import pin
from loadtest.session.recorder import Lifecycle
from loadtest.statistics.margins import margins_of, parse_margins
from loadtest.verdict.item_changes import Change
from loadtest.verdict.items import Verdict
from loadtest.verdict.run import judge
from tests.support.judged_runs import HOST, OTHER_HOST
from tests.support.recorded_runs import begun
from tests.support.rundirs import write_run, write_server_log
from tests.support.runs import manifest, plan

_seconds = count()


def made(results: Path, revision: str, slower_ratio: float = 1.0, *, rate: float = 1.0, **more: Any) -> Path:
    """Write a run that begins a second after the one before."""
    at_s = next(_seconds)
    of = begun(f"run{at_s:02}", revision, at_s=at_s, rate=rate)
    return write_run(results, of=of, seconds=20, slower_ratio=slower_ratio, **more)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five runs of v1, interleaved with four of a slower v2; others that do not belong to them."""
    results = tmp_path_factory.mktemp("results")
    made(results, "v1")
    for _ in range(4):
        made(results, "v1")
        made(results, "v2", 1.5)
    made(results, "v2", complete=False)
    made(results, "v1", rate=2.0)
    made(results, "v3", rate=3.0)
    pin(newest(results, "v2", 4)[0], results)
    return results


def newest(results: Path, revision: str, number: int) -> list[Path]:
    """Return the last runs of a revision of those that belong to the comparison, oldest first."""
    belong = {"v1": slice(0, 5), "v2": slice(0, 4)}[revision]
    return sorted((results / revision).iterdir())[belong][-number:]


def run(*arguments: str | Path) -> Result:
    """Run a command."""
    return CliRunner(env={"COLUMNS": "80"}).invoke(main, [str(argument) for argument in arguments])


def test_runs_without_a_revision_are_not_pooled(tmp_path: Path) -> None:
    """They may be of different servers; two of them can be named."""
    write_run(tmp_path, of=manifest(run_id="aaaa", revision="v1"), seconds=1)
    write_run(tmp_path, of=manifest(run_id="bbbb", revision="unnamed"), seconds=1)
    for names in (("unnamed", "v1"), ("v1", "unnamed")):
        with pytest.raises(UsageError, match="runs without a revision may be of different servers"):
            compare.all_pairs(*names, tmp_path)
    assert len(compare.named_pairs([("aaaa", "bbbb")], tmp_path)) == 1


def test_all_runs_are_paired_in_the_order_of_their_starts(results: Path) -> None:
    """The newest as far as both have one; a pinned copy is no further run, a killed one none at all."""
    pairs = compare.all_pairs("v1", "v2", results)
    assert pairs == list(zip(newest(results, "v1", 4), newest(results, "v2", 4), strict=True))


def test_four_pairs_are_judged_by_their_own_spread(results: Path) -> None:
    """No noise is assumed or measured for them; the change is found in each."""
    compared = compare.compare(compare.all_pairs("v1", "v2", results), results=results)
    assert compared.verdict is Ruling.FAIL
    assert compared.item.evidence.pairs == 4
    assert [pair.change_ratios["service p50"] for pair in compared.item.evidence.runs or ()] == [
        pytest.approx(0.5, abs=0.1)
    ] * 4
    p50, *_ = gates(compared.item)
    assert (p50.low_ratio or 0) > 0.3
    assert "assumed" not in compared.item.summary


def test_named_pairs_are_those_of_all(results: Path) -> None:
    """The same pairs give the same verdict, however they are named; two pairs need the noise of runs."""
    pairs = compare.all_pairs("v1", "v2", results)
    (first, *rest) = [(str(baseline), str(candidate)) for baseline, candidate in pairs]
    options = [word for pair in rest for word in ("--pair", *pair)]
    named = run("compare", *first, *options, "--results", results, "--json")
    of_all = run("compare", "v1", "v2", "--all", "--results", results, "--json")
    assert named.exit_code == of_all.exit_code == 1
    assert json.loads(named.stdout) == json.loads(of_all.stdout)
    two = compare.compare(pairs[:2], results=results)
    assert (two.item.evidence.noise or {})["service p50"].endswith("assumed")


def test_every_pair_is_shown(results: Path) -> None:
    """Which runs they were, the change in each, and the verdict over all, for a person and in Markdown."""
    shown = run("compare", "v1", "v2", "--all", "--results", results)
    assert "v2 against v1 over 4 pairs: FAIL" in shown.output
    lines = [line for line in shown.output.splitlines() if not line.startswith("report: ")]
    assert all(len(line) <= 80 for line in lines)
    for path in (*newest(results, "v1", 4), *newest(results, "v2", 4)):
        assert path.name.partition("-")[2] in shown.output
    markdown = run("compare", "v1", "v2", "--all", "--results", results, "--markdown").stdout
    assert "## ❌ FAIL: v2 against v1 over 4 pairs" in markdown
    assert markdown.count("\n- pair 1, ") == 1


def test_pairs_that_do_not_count_are_not_in_the_headline(results: Path) -> None:
    """One of four was spoiled: the verdict is over three."""
    found = compare.compare(compare.all_pairs("v1", "v2", results), results=results)
    assert compare.comparison_sheet(found).headline == "v2 against v1 over 4 pairs"
    evidence = msgspec.structs.replace(found.item.evidence, pairs=3)
    fewer = msgspec.structs.replace(found, item=msgspec.structs.replace(found.item, evidence=evidence))
    assert compare.comparison_sheet(fewer).headline == "v2 against v1 over 3 of 4 pairs"


@pytest.mark.parametrize(("more", "exit_code"), [((), 4), (("--all",), 1)], ids=["one pair", "four pairs"])
def test_a_wider_margin_changes_the_verdict(results: Path, more: tuple[str, ...], exit_code: int) -> None:
    """Half as slow again fails over pairs, and not where twice as slow is let pass; the margins are told."""
    baseline = newest(results, "v1", 1)[0]  # of the candidate's plan, as the newest of v1 is not
    words = ("compare", str(baseline), "v2", *more, "--results", str(results), "--json")
    wide = ("--margin", "p50=100%,p90=100%", "--margin", "p99=100%/3ms")
    assert run(*words).exit_code == exit_code
    found = json.loads(run(*words, *wide).stdout)
    assert found["verdict"] != "FAIL"
    margins = [(gate["relative_margin_ratio"], gate["absolute_margin_us"]) for gate in evidence_of(found)]
    assert margins[:3] == [(1.0, 200.0), (1.0, 200.0), (1.0, 3000.0)]


def evidence_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what is told of each gated quantile."""
    return list(document["item"]["evidence"]["gates"])


def test_without_margins_those_of_the_last_candidate_hold(tmp_path: Path) -> None:
    """As its own verdict has them; what is given changes them as far as it goes."""
    pairs = [(made(tmp_path, "v1"), made(tmp_path, "v2")) for _ in range(2)]
    run_json = pairs[-1][1] / "run.json"
    told = json.loads(run_json.read_bytes())
    told["margins"] = msgspec.to_builtins(margins_of(parse_margins(["p50=30%,p90=40%"])))
    run_json.write_text(json.dumps(told))
    for of in (pairs, pairs[-1:]):
        compared = compare.compare(of, results=tmp_path, margins=["p90=1ms"])
        found = gates(compared.item)
        assert [gate.relative_margin_ratio for gate in found[:3]] == [0.3, 0.4, 0.2]
        assert [gate.absolute_margin_us for gate in found[:3]] == [200.0, 1000.0, 200.0]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ("v2", "v3", "--margin", "p42=8%"),
            "--margin gate must be one of p50, p90, p99, p99.9, response p99, connect p95, resume p95",
        ),
        (("v1", "v2", "--pair", "v1", "v2"), "a run that is in another pair"),
        (("v1", "v3", "--all"), "revision 'v1' has no complete run with the plan of 'v3'"),
        (("v1", "v1", "--all"), "are the same revision"),
        (("v1", "nowhere", "--all"), "no run or revision 'nowhere'"),
        (("v1", "v2", "--all", "--pair", "v1", "v2"), "cannot be used together"),
    ],
)
def test_pairs_that_cannot_be_are_refused(results: Path, words: tuple[str, ...], says: str) -> None:
    """One line, exit code 2."""
    result = run("compare", *words, "--results", results)
    assert (result.exit_code, result.stdout) == (2, "")
    assert says in result.stderr


def test_a_pair_of_another_plan_is_refused_or_doubted(results: Path) -> None:
    """One unlike run among many is enough; by force it is INCONCLUSIVE at best."""
    unlike = sorted((results / "v1").iterdir())[-1]
    pairs = [*compare.all_pairs("v1", "v2", results)[:3], (unlike, newest(results, "v2", 1)[0])]
    with pytest.raises(UsageError, match="their plans differ in --ws-rate"):
        compare.compare(pairs, results=results)
    same = [(candidate, baseline) for baseline, candidate in pairs]
    doubted = compare.compare(same, results=results, force=True)
    assert doubted.verdict is Ruling.INCONCLUSIVE
    assert doubted.differing_fields == ["rate"]


def pairs_of(results: Path, *, seconds: tuple[int, int] = (20, 20), **after: Any) -> list[tuple[Path, Path]]:
    """Write four pairs, the candidate three times as slow, which may differ in more from its baseline."""
    pairs = []
    for _ in range(4):
        of = [begun(f"run{(at_s := next(_seconds)):02}", revision, at_s=at_s) for revision in ("v1", "v2")]
        runs = (of[0], msgspec.structs.replace(of[1], **after))
        pairs.append(
            tuple(
                write_run(results, of=run, seconds=length, slower_ratio=ratio)
                for run, length, ratio in zip(runs, seconds, (3.0, 9.0), strict=True)
            )
        )
    return [(before, after_) for before, after_ in pairs]


@pytest.mark.parametrize("pairs", [1, 4])
def test_what_is_not_alike_neither_passes_nor_fails(tmp_path: Path, pairs: int) -> None:
    """Three times as slow fails, but not under another plan, on another machine, or over another length."""
    assert compare.compare(pairs_of(tmp_path / "alike")[:pairs], results=tmp_path).item.verdict is Ruling.FAIL
    unlike = {
        "--ws-rate": pairs_of(tmp_path / "plan", plan=plan(rate=2.0)),
        "cores": pairs_of(tmp_path / "machine", host=OTHER_HOST),
        "length": pairs_of(tmp_path / "length", seconds=(20, 40)),
    }
    unlike["cores"] = [
        (rewritten(before, host=msgspec.to_builtins(HOST)), after) for before, after in unlike["cores"]
    ]
    for name, found in unlike.items():
        compared = compare.compare(found[:pairs], results=tmp_path, force=True)
        assert compared.item.verdict is Ruling.INCONCLUSIVE, name
        assert name in compared.item.summary
        reverse = [(after, before) for before, after in found[:pairs]]
        assert compare.compare(reverse, results=tmp_path, force=True).verdict is Ruling.INCONCLUSIVE, name


def rewritten(run: Path, **fields: Any) -> Path:
    """Change fields of a run's run.json."""
    file = run / "run.json"
    file.write_text(json.dumps(json.loads(file.read_bytes()) | fields))
    return run


def test_pairs_that_were_not_made_in_turn_are_refused(tmp_path: Path) -> None:
    """All runs of one revision before those of the other: by --all, by --pair, even by force."""
    before, after = ([made(tmp_path, revision) for _ in range(2)] for revision in ("v1", "v2"))
    named = [str(path) for pair in zip(before, after, strict=True) for path in pair]
    for words in (
        ("v1", "v2", "--all"),
        (*named[:2], "--pair", *named[2:]),
        ("v1", "v2", "--all", "--force"),
    ):
        result = run("compare", *words, "--results", tmp_path)
        assert (result.exit_code, result.stdout) == (2, "")
        assert "the runs were not made in turn" in result.stderr
        assert "loadtest duel" in result.stderr
    assert run("compare", "v1", "v2", "--results", tmp_path).exit_code in (0, 4)


def test_a_pair_that_a_saturated_generator_spoiled_is_left_out(tmp_path: Path) -> None:
    """It is named with its reason; the others are judged."""
    pairs = [(made(tmp_path, "v1"), made(tmp_path, "v2", 1.5)) for _ in range(4)]
    pairs.append((made(tmp_path, "v1"), made(tmp_path, "v2", 9.0, gauges={"cpu_ratio": 1.0})))
    compared = compare.compare(pairs, results=tmp_path)
    assert compared.item.evidence.pairs == 4
    assert (compared.item.evidence.spoiled or [""])[0].startswith(
        "pair 5, candidate: the load generator was overloaded: the engine used more than"
    )
    assert any("pair 5" in line for line in compare.comparison_sheet(compared).lines)
    assert gates(compared.item)[0].change_ratio == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("pairs", [1, 2])
def test_runs_that_were_killed_are_not_compared(tmp_path: Path, pairs: int) -> None:
    """One pair and several are held back alike, however much slower the candidate was."""
    killed = [
        (made(tmp_path, "v1"), made(tmp_path, "v2", 3.0, complete=False)),
        (made(tmp_path, "v1", complete=False), made(tmp_path, "v2", 3.0)),
    ]
    item = compare.compare(killed[:pairs], results=tmp_path).item
    assert item.verdict is Ruling.INCONCLUSIVE
    assert item.summary.endswith("the run did not finish")


def test_the_same_run_is_no_pair(results: Path) -> None:
    """A run against itself tells nothing."""
    path = str(newest(results, "v1", 1)[0])
    with pytest.raises(UsageError, match="are the same run"):
        compare.named_pairs([(path, path)], results)


def test_what_is_compared_is_what_another_reader_reads(tmp_path: Path) -> None:
    """The quantiles of a comparison are those that HdrHistogram's own log reader finds in the files."""
    pair = (made(tmp_path, "v1"), made(tmp_path, "v2", 1.5))
    item = compare.compare([pair], results=tmp_path).item
    for role, path in zip(("baseline_us", "candidate_us"), pair, strict=True):
        total = HdrHistogram(1, 3_600_000_000, 3)
        reader = HistogramLogReader(str(path / "latency.hlog"), total)
        while (one := reader.get_next_interval_histogram()) is not None:
            began_ms = one.get_start_time_stamp() - 1000 * reader.get_start_time_sec()
            if one.get_tag() == "service" and began_ms >= 1000 * plan().warmup_s:
                total.add(one)
        reader.close()
        for gate in gates(item)[:3]:
            assert gate.tag == "service"
            assert getattr(gate, role) == total.get_value_at_percentile(100 * gate.quantile), gate


# What changed, item by item.


WIDE = "p50=60s,p90=60s,p99=60s,outage=60s"
"""Margins that no latency breaks."""


def logged(results: Path, revision: str, *, before: bool, **more: Any) -> Path:
    """Write a run with a server's log: as before the hotfix that logs disconnects as INFO, or after it."""
    path = made(results, revision, **more)
    write_server_log(path, wrong_kind="mid_reply" if before else "")
    return path


def changed(results: Path, *pairs: tuple[Path, Path]) -> compare.Compared:
    """Compare runs that are alike but for what the test changed."""
    return compare.compare(pairs, results=results, margins=[WIDE])


def test_a_hotfix_is_told_in_one_line(tmp_path: Path) -> None:
    """What it mended was fixed, and nothing else moved; the exit code is that of the comparison."""
    pair = logged(tmp_path, "v1", before=True), logged(tmp_path, "v2", before=False)
    found = changed(tmp_path, pair)
    assert found.verdict is Ruling.PASS
    assert [str(one) for one in found.changes if one.change is not Change.UNCHANGED] == [
        "server_log FAIL → PASS (fixed)"
    ]
    words = ("compare", "v1", "v2", "--margin", WIDE, "--results", tmp_path)
    shown = run(*words)
    assert shown.exit_code == 0
    assert "\nserver_log FAIL → PASS (fixed)\n" in re.sub(r" +\n", "\n", shown.output)
    outcome = " ".join(shown.output.split())
    assert "fixed: server_log · unchanged: connect, stability, messaging" in outcome
    assert "server_log fixed, before: 7 ERROR records for disconnects" in re.sub(r"\d+ E", "7 E", outcome)
    assert "v2 against v1: PASS" in outcome
    markdown = run(*words, "--markdown").stdout
    assert "| server\\_log FAIL → PASS (fixed) | PASS |" in markdown
    document = json.loads(run(*words, "--json").stdout)
    (change,) = [one for one in document["changes"] if one["item"] == "server_log"]
    assert (change["before"], change["after"], change["change"]) == ("FAIL", "PASS", "fixed")


def test_what_the_candidate_broke_fails_the_comparison(tmp_path: Path) -> None:
    """Though latency passes; the reason stands beside it."""
    pair = logged(tmp_path, "v1", before=False), logged(tmp_path, "v2", before=True)
    found = changed(tmp_path, pair)
    assert (found.verdict, found.item.verdict) == (Ruling.FAIL, Ruling.PASS)
    lines = compare.comparison_sheet(found).lines
    assert lines[0].startswith("server_log broken: ")
    assert "ERROR records for disconnects" in lines[0]


@pytest.mark.parametrize("pairs", [1, 2])
def test_a_defect_of_both_is_no_regression(tmp_path: Path, pairs: int) -> None:
    """It neither fails the comparison nor is it called fixed."""
    found = changed(
        tmp_path,
        *((logged(tmp_path, "v1", before=True), logged(tmp_path, "v2", before=True)) for _ in range(pairs)),
    )
    (log,) = [one for one in found.changes if one.item == "server_log"]
    assert (log.before, log.after, log.change) == (Ruling.FAIL, Ruling.FAIL, Change.UNCHANGED)
    assert found.verdict is not Ruling.FAIL


def test_both_are_judged_by_the_candidates_rules(tmp_path: Path) -> None:
    """A limit that only the candidate has, and both break, is not what the server changed."""
    pair = made(tmp_path, "v1", counts=LOST, lifecycle=LOSS), made(tmp_path, "v2")
    assert stability(changed(tmp_path, pair)) == "stability FAIL → PASS (fixed)"
    document = json.loads((pair[1] / "run.json").read_bytes()) | {"allowed_losses": ["1012=any"]}
    (pair[1] / "run.json").write_text(json.dumps(document))
    found = changed(tmp_path, pair)
    assert stability(found) == "stability PASS (unchanged)"
    assert "--ws-allow-losses none → 1012=any" in list(map(str, found.differences))


@pytest.mark.parametrize("pairs", [1, 2])
def test_what_was_counted_by_other_rules_is_unclear(tmp_path: Path, pairs: int) -> None:
    """A rate of pushes that only the candidate's run expected says nothing of the server's change."""
    of = [(made(tmp_path, "v1"), made(tmp_path, "v2")) for _ in range(pairs)]
    for _, candidate in of:
        document = json.loads((candidate / "run.json").read_bytes()) | {"pushes_per_s": 5.0}
        (candidate / "run.json").write_text(json.dumps(document))
    found = changed(tmp_path, *of)
    (messaging,) = [one for one in found.changes if one.item == "messaging"]
    assert (messaging.change, messaging.verdict) == (Change.UNCLEAR, Ruling.INCONCLUSIVE)
    assert messaging.remark == "judged by different rules (--ws-pushes-per-s none → 5)"
    assert found.verdict is not Ruling.PASS


def test_a_log_that_only_the_baseline_has_is_asked_for(tmp_path: Path) -> None:
    """A candidate whose log nobody gave is not green."""
    found = changed(tmp_path, (logged(tmp_path, "v1", before=False), made(tmp_path, "v2")))
    assert found.verdict is Ruling.INCONCLUSIVE
    assert "server_log PASS → NOT_JUDGED (no longer judged: give --ws-server-log for both)" in map(
        str, found.changes
    )
    assert "server_log no longer judged: no server log was given" in compare.comparison_sheet(found).lines


def test_a_history_that_was_lost_fails_over_several_pairs(tmp_path: Path) -> None:
    """Each candidate is judged beside its baseline, though latency is judged over all pairs at once."""
    restored = {"persistence.checked": 20, "persistence.histories": 20, "persistence.acknowledged": 9}
    forgotten = {"persistence.checked": 20, "persistence.history_missing": 20}
    pairs = [(made(tmp_path, "v1", counts=restored), made(tmp_path, "v2", counts=forgotten)) for _ in "ab"]
    (persistence,) = [one for one in changed(tmp_path, *pairs).changes if one.item == "persistence"]
    assert persistence.verdict is Ruling.FAIL


def test_latency_of_several_pairs_is_not_judged_for_each_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bootstrap takes seconds; the pairs' own spread decides."""
    pairs = [(made(tmp_path, "v1"), made(tmp_path, "v2")) for _ in range(2)]
    asked: list[dict[str, Any]] = []

    def recorded(*of_run: Any, **rules: Any) -> Verdict:
        asked.append(rules)
        return judge(*of_run, **rules)

    monkeypatch.setattr(compare, "judge", recorded)
    changed(tmp_path, *pairs)
    assert asked == [{"compares_latency": False}] * 2


LOST = {"losses.1012": 1}
LOSS = [Lifecycle(at_ns=10**9, event="lost", session="s-1", cause="1012", code=1012)]


def stability(found: compare.Compared) -> str:
    """Return the line of an item."""
    return next(str(one) for one in found.changes if one.item == "stability")


def test_several_pairs_have_one_line_an_item(tmp_path: Path) -> None:
    """The worst of each side's runs."""
    pairs = [
        (logged(tmp_path, "v1", before=True), logged(tmp_path, "v2", before=False)),
        (logged(tmp_path, "v1", before=False), logged(tmp_path, "v2", before=False)),
    ]
    found = changed(tmp_path, *pairs)
    names = [one.item for one in found.changes]
    assert len(names) == len(set(names)) == 8
    assert "server_log FAIL → PASS (unclear: in 1 of 2 runs → in 0 of 2)" in list(map(str, found.changes))
    assert next(one for one in found.changes if one.item == "latency").after is found.item.verdict


def test_the_runs_taken_are_named(results: Path) -> None:
    """Which run a revision stood for, and among how many; one named by its directory is told likewise."""
    baseline = newest(results, "v1", 2)[0]
    found = compare.compare([(baseline, newest(results, "v2", 1)[0])], results=results)
    lines = compare.comparison_sheet(found).lines
    assert f"v1 = {baseline}, an older one of 6 complete runs" in lines
    assert f"v2 = {found.candidate.path}, the newest of 4 complete runs" in lines


def test_another_run_with_the_same_plan_is_named(tmp_path: Path) -> None:
    """Where the newest run of a revision is a drill; not where no run is alike, or it was cut short."""
    made(tmp_path, "v1")
    made(tmp_path, "v2", complete=False)
    made(tmp_path, "v2", rate=2.0)
    refused = run("compare", "v1", "v2", "--results", tmp_path)
    assert refused.exit_code == 2
    assert "has another run" not in refused.output
    older = made(tmp_path, "v2")
    made(tmp_path, "v2", rate=3.0)
    refused = run("compare", "v1", "v2", "--results", tmp_path)
    assert refused.exit_code == 2
    run_id = json.loads((older / "run.json").read_bytes())["run_id"]
    assert f"v2 has another run with the plan of v1: {run_id}. Repeat one" in " ".join(refused.output.split())
