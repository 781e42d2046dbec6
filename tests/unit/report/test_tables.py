"""Tables: margins that are times, storms, plans and the command to repeat a run."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from loadtest.drops.plan import Storm
from loadtest.report.change_tables import difference_table
from loadtest.report.html import html
from loadtest.report.judged_run import JudgedRun
from loadtest.report.markdown import summary
from loadtest.report.tables import (
    gate_table,
    outage_table,
    pair_table,
    phase_table,
    plan_table,
    server_log_table,
)
from loadtest.report.terminal import print_verdict
from loadtest.report.terminal_tables import print_table
from loadtest.ruling import Ruling
from loadtest.runs.publish import publish
from loadtest.session.recorder import Lifecycle
from loadtest.session.schedule import NS_PER_S
from loadtest.statistics.margins import GATES, GateKind
from loadtest.verdict.differences import Difference
from loadtest.verdict.evidence import LatencyEvidence, PairEvidence
from loadtest.verdict.gate_evidence import ErrorLevels, GateResult
from loadtest.verdict.items import Item
from loadtest.verdict.log_evidence import KindEvidence, ServerLogEvidence
from loadtest.verdict.run import judge
from tests.support.rundirs import write_run
from tests.support.runs import gathered, interval, manifest, plan


def latency(*gates: GateResult, **more: Any) -> Item[LatencyEvidence]:
    """Return the item latency with these gates."""
    evidence = LatencyEvidence(gates=list(gates), **more)
    return Item(item="latency", verdict=Ruling.INCONCLUSIVE, summary="", evidence=evidence)


def timed(gate: str, **more: Any) -> GateResult:
    """Return the result of a gate on a time."""
    usual = {"baseline_us": 1000.0, "candidate_us": 1020.0, "change_ratio": 0.02, "margin_ratio": 0.05}
    bounds = {"low_ratio": -0.011, "high_ratio": 0.051, "relative_margin_ratio": 0.05}
    return GateResult(**{"gate": gate, **usual, **bounds, **more})


def test_a_single_outage_has_no_percentiles() -> None:
    """Its length is the maximum, of the outage and of each phase."""
    events = [
        Lifecycle(at_ns=0, event="dropped", session="a", kind="reset"),
        Lifecycle(at_ns=9, event="resumed", session="a", outage_ns=8_000_000, tcp_ns=2_000_000),
    ]
    run = gathered([interval(0, lifecycle=events)])
    assert outage_table(run).rows == [("reset", "dropped", "1", "1", "-", "-", "8 ms")]
    assert ("tcp", "-", "-", "2 ms") in phase_table(run).rows


def test_margins_that_are_times_are_each_told() -> None:
    """As the share that they are; a share of nothing is a share."""
    times = [("service p50", 0.05, 500.0), ("service p90", 0.0, 500.0), ("service p99", 0.2, 800.0)]
    gates = [
        timed(gate, margin_ratio=0.5, relative_margin_ratio=relative_ratio, absolute_margin_us=absolute_us)
        for gate, relative_ratio, absolute_us in times
    ]
    table = gate_table(latency(*gates))
    assert [row[-2] for row in table.rows] == ["0.5 ms", "0.5 ms", "0.8 ms"]
    assert table.note == (
        "Where the margin in percent is below the minimum time, that time applies: "
        "service p50 (50% instead of 5%), p90 (50% instead of 0%), p99 (50% instead of 20%)."
    )


ALL = (
    timed("service p50", decision=Ruling.PASS),
    timed("service p99.9", change_ratio=None, decision=Ruling.NOT_JUDGED, reason="9 samples, p99.9 needs 10"),
    timed(
        "service p90",
        between_us=(2_000.0, 40_000.0),
        baseline_ratio=0.1,
        candidate_ratio=0.14,
        change_ratio=0.04,
    ),
    GateResult(
        gate="drift",
        kind=GateKind.DRIFT,
        baseline_ratio=0.01,
        candidate_ratio=0.0614,
        change_ratio=0.0509,
        low_ratio=0.031,
        high_ratio=0.0712,
        margin_ratio=0.05,
        relative_margin_ratio=0.05,
    ),
    GateResult(
        gate="slow replies",
        kind=GateKind.SLOW,
        baseline_ratio=0.0,
        candidate_ratio=0.0005,
        change_ratio=0.0005,
        low_ratio=0.00031,
        high_ratio=0.0007,
        margin_ratio=0.0002,
        relative_margin_ratio=1.0,
        slow_us=80_000.0,
        decision=Ruling.FAIL,
    ),
    GateResult(
        gate="losses",
        kind=GateKind.LOSSES,
        baseline_per_h=0.0,
        candidate_per_h=2.5,
        change_per_h=2.5,
        low_per_h=1.25,
        high_per_h=3.7,
        margin_per_h=1.0,
        decision=Ruling.FAIL,
    ),
    GateResult(gate="connect p95", decision=Ruling.NOT_JUDGED, reason="no samples"),
)


def test_each_gate_has_its_own_unit() -> None:
    """Times, trends, shares and rates; a gate without values is named below the table."""
    table = gate_table(latency(*ALL))
    assert list(table.rows) == [
        ("service p50", "1 ms", "1.02 ms", "+2.0%", "-1.1 to +5.1%", "5%", "PASS"),
        ("service p99.9", "1 ms", "1.02 ms", "-", "-1.1 to +5.1%", "5%", "NOT_JUDGED"),
        ("service p90", "10%", "14%", "+4 pt", "-1.1 to +5.1 pt", "5 pt", "INCONCLUSIVE"),
        ("drift", "+1.0%", "+6.1%", "+5.1%", "+3.1 to +7.1%", "5%", "INCONCLUSIVE"),
        ("slow replies", "0%", "0.05%", "+0.05 pt", "+0.031 to +0.07 pt", "0.02 pt", "FAIL"),
        ("losses", "0/h", "2.5/h", "+2.5/h", "+1.2 to +3.7/h", "1/h", "FAIL"),
    ]
    left_out = "Not judged: service p99.9 (9 samples, p99.9 needs 10), connect p95 (no samples)."
    assert table.note == (
        "Slow replies took 80 ms or more. service p90 falls between two groups of replies, around 2 ms and "
        f"40 ms. {left_out}"
    )


def test_how_gates_were_judged_stands_below_their_table() -> None:
    """The error levels, and with few pairs the noise that they were judged by."""
    levels = ErrorLevels(pass_ratio=0.05, fail_ratio=0.005, correction="Bonferroni over 10 gates")
    noise = {gate.name: "5%, assumed" for gate in GATES}
    note = gate_table(latency(timed("service p50"), levels=levels, noise=noise, pairs=1)).note
    assert note == (
        "Error levels, one-sided: 5% for a PASS, 0.5% for a FAIL (Bonferroni over 10 gates). "
        "Run-to-run noise: service p50 5%, assumed; service p90 5%, assumed; service p99 5%, assumed."
    )
    many = gate_table(latency(timed("service p50"), levels=levels, noise=noise, pairs=4)).note
    assert "noise" not in many


def test_a_table_of_gates_fits_into_eighty_columns(capsys: pytest.CaptureFixture[str]) -> None:
    """All twelve, with their longest values."""
    gates = [
        timed(
            gate.name,
            baseline_us=1_234_567.0,
            candidate_us=1_234_567.0,
            change_ratio=0.1234,
            low_ratio=-0.1234,
            high_ratio=0.2345,
            decision=Ruling.INCONCLUSIVE,
        )
        for gate in GATES
    ]
    print_table(Console(width=80), replace(gate_table(latency(*gates)), note=""))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + len(GATES)
    assert all(line.rstrip().endswith("INCONCLUSIVE") for line in lines[2:])


def pairs(losses_per_h: float | None = None) -> list[PairEvidence]:
    """Return the evidence of a pair with this change of losses; all times are slower by 10 %."""
    ratios: dict[str, float | None] = {gate.name: 0.1 for gate in GATES if not gate.kind.counted}
    return [PairEvidence(pair=1, fit=True, change_ratios=ratios, losses_change_per_h=losses_per_h)]


def test_a_table_of_pairs_shows_the_gates_that_decided() -> None:
    """Twelve columns fit nowhere: those that failed, else those that every run is judged by."""
    failed = pair_table(latency(*ALL, runs=pairs(2.5)).evidence)
    assert tuple(failed.header) == ("pair", "baseline", "candidate", "losses", "counts")
    assert failed.rows[0][3] == "+2.5/h"
    passed = pair_table(latency(ALL[0], runs=pairs()).evidence)
    assert tuple(passed.header[3:-1]) == ("service p50", "service p90", "service p99")


def test_differences_say_what_they_prevent() -> None:
    """Of the plan everything, of the machine latency; where nothing is prevented there is no such column."""
    cores = Difference(what="cores", baseline="2", candidate="8")
    length = Difference(what="length", baseline="20 s", candidate="60 s")
    rate = Difference(what="--ws-rate", baseline="1", candidate="2", in_plan=True)
    other = Difference(what="target", baseline="a", candidate="b")
    assert difference_table([other]).header == ("setting", "baseline", "candidate")
    table = difference_table([rate, cores, other], [cores, length])
    assert list(table.rows) == [
        ("cores", "2", "8", "latency not compared"),
        ("length", "20 s", "60 s", "latency not compared"),
        ("--ws-rate", "1", "2", "runs not comparable"),
        ("target", "a", "b", ""),
    ]


def test_the_server_logs_table_reads_from_action_to_level() -> None:
    """A row a kind of drop; without a log there is no table."""
    kinds = [
        KindEvidence(
            kind="bad_message",
            drops=4,
            drops_with_record=4,
            records=4,
            levels={"ERROR": 4},
            expected_errors=4,
        ),
        KindEvidence(kind="close", drops=4),
        KindEvidence(
            kind="mid_reply",
            drops=4,
            drops_with_record=4,
            records=8,
            levels={"INFO": 1, "ERROR": 7},
            departure_levels={"ERROR": 4},
        ),
    ]
    item = Item(item="server_log", verdict=Ruling.FAIL, summary="", evidence=ServerLogEvidence(by_kind=kinds))
    table = server_log_table(item)
    assert [tuple(table.header), *map(tuple, table.rows)] == [
        ("client action", "times", "with a record", "disconnects by worst level", "records by level"),
        ("bad_message", "4", "4", "none", "ERROR 4 (4 expected)"),
        ("close", "4", "0", "none", "none"),
        ("mid_reply", "4", "4", "ERROR 4", "INFO 1, ERROR 7"),
    ]
    assert not server_log_table(judge(gathered([])).item("server_log"))


def test_options_of_the_dialect_stand_in_the_plan() -> None:
    """Beside its name, where there are any: two runs with different ones are not comparable."""
    for options, shown in (
        ({"event": "say", "data": "{}"}, "emergence event=say,data={}"),
        ({}, "emergence"),
    ):
        assert ("dialect", shown) in plan_table(plan(dialect_options=options)).rows


def test_storms_are_part_of_the_plan_and_the_command(tmp_path: Path) -> None:
    """Both are shown as --ws-storm takes them; a plan without any says nothing of them."""
    storms = (Storm(at_s=30.0, share_ratio=0.5), Storm(at_s=45.5, share_ratio=1.0, kind="fin"))
    path = write_run(tmp_path, of=manifest(run_plan=plan(storms=storms)), seconds=1)
    publish(path, results=tmp_path)
    assert ">0.5@30:reset,1@45.5:fin</td>" in (path / "report.html").read_text()
    assert "--ws-storm 0.5@30:reset,1@45.5:fin" in (path / "summary.md").read_text()
    without = write_run(tmp_path, of=manifest(run_id="calm"), seconds=1)
    publish(without, results=tmp_path)
    assert "--ws-storm" not in (without / "summary.md").read_text()


def storm_events(storm: int, at_s: float, *, dropped: int, back: int) -> list[Lifecycle]:
    """Return the events of a storm whose members come back 1.0, 1.1, … s later."""
    names = [f"s-{number}" for number in range(dropped)]
    return [
        *(Lifecycle(at_ns=int(at_s * NS_PER_S), event="dropped", session=one, storm=storm) for one in names),
        *(
            Lifecycle(at_ns=int((at_s + 1 + number / 10) * NS_PER_S), event=event, session=names[number])
            for event in ("attempt", "resumed")
            for number in range(back)
        ),
    ]


def test_storms_have_a_table_in_every_form(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whom each met, and when half, 95 % and all of them were back; a time that nobody knows is a dash."""
    storms = (
        Storm(at_s=5.0, share_ratio=0.5),
        Storm(at_s=10.5, share_ratio=1.0, kind="fin"),
        Storm(at_s=20.0, share_ratio=0.25, kind="slow_reader"),
    )
    events = [
        *storm_events(0, 5.0, dropped=10, back=10),
        *storm_events(1, 10.5, dropped=10, back=7),
        *storm_events(2, 20.0, dropped=4, back=0),
    ]
    whole = interval(0, seconds=30, lifecycle=events, gauges={"sessions_up": 10.0})
    run = gathered([whole], manifest(run_plan=plan(storms=storms)))
    judged = JudgedRun(path=tmp_path, results=tmp_path, run=run, verdict=judge(run))
    print_verdict(judged)
    rows = [
        ("5 s", "reset", "50%", "10", "10", "1.4 s", "1.9 s", "1.9 s", "10"),
        ("10.5 s", "fin", "100%", "10", "7", "1.4 s", "-", "-", "5"),
        ("20 s", "slow_reader", "25%", "4", "stayed up", "-", "-", "-", "-"),
    ]
    page, markdown, printed = html(judged), summary(judged), capsys.readouterr().out
    for row in rows:
        assert re.search(" +".join(map(re.escape, row)), printed)
        assert re.search("".join(rf"<td[^>]*>{re.escape(cell)}</td>" for cell in row), page)
        assert f"| {row[0]} | `{row[1]}` | {' | '.join(row[2:])} |" in markdown.replace("\\_", "_")
    assert page.count('<text class="mark') == 5  # the warm-up and a gap, too
    assert page.index("<caption>Drops and losses") < page.index("<caption>Storms")
    assert all(len(line) <= 80 for line in printed.splitlines() if str(tmp_path) not in line)


def test_a_run_with_its_own_server_is_repeated_with_its_own_server(tmp_path: Path) -> None:
    """The port of a reference server that Locust started is gone, so no --host is given."""
    path = write_run(tmp_path, seconds=1)
    (path / "server.log").touch()
    publish(path, results=tmp_path)
    assert "--host" not in (path / "summary.md").read_text()
