"""Tables: margins that are times, storms, plans and the command to repeat a run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from loadtest.drops.plan import Storm
from loadtest.report.html import html
from loadtest.report.judged_run import JudgedRun
from loadtest.report.markdown import summary
from loadtest.report.tables import gate_table, server_log_table
from loadtest.report.terminal import print_verdict
from loadtest.ruling import Ruling
from loadtest.runs.publish import publish
from loadtest.session.recorder import Lifecycle
from loadtest.session.schedule import NS_PER_S
from loadtest.verdict.evidence import GateResult
from loadtest.verdict.items import Item
from loadtest.verdict.log_evidence import KindEvidence, ServerLogEvidence
from loadtest.verdict.run import judge
from tests.support.rundirs import write_run
from tests.support.runs import gathered, interval, manifest, plan


def test_margins_that_are_times_are_each_told() -> None:
    """Two times are two sentences, a share of nothing is a share."""
    times = [("service p50", 0.05, 500.0), ("service p90", 0.0, 500.0), ("service p99", 0.2, 800.0)]
    gates = [
        GateResult(
            gate=gate,
            baseline_us=1000.0,
            candidate_us=1000.0,
            margin_ratio=0.5,
            relative_margin_ratio=relative_ratio,
            absolute_margin_us=absolute_us,
        )
        for gate, relative_ratio, absolute_us in times
    ]
    table = gate_table(gates)
    assert [row[-2] for row in table.rows] == ["0.5 ms", "0.5 ms", "0.8 ms"]
    assert table.note.endswith(
        " A margin is 0.5 ms at least, which is 50% of service p50 (else 5%), 50% of service p90 (else "
        "0%). A margin is 0.8 ms at least, which is 50% of service p99 (else 20%)."
    )


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
            kind="mid_reply", drops=4, drops_with_record=4, records=8, levels={"INFO": 1, "ERROR": 7}
        ),
    ]
    item = Item(item="server_log", verdict=Ruling.FAIL, summary="", evidence=ServerLogEvidence(by_kind=kinds))
    table = server_log_table(item)
    assert [tuple(table.header), *map(tuple, table.rows)] == [
        ("client action", "times", "with a record", "records", "server's log level"),
        ("bad_message", "4", "4", "4", "ERROR 4 (4 expected)"),
        ("close", "4", "0", "0", "nothing"),
        ("mid_reply", "4", "4", "8", "INFO 1, ERROR 7"),
    ]
    assert not server_log_table(judge(gathered([])).item("server_log"))


def test_storms_are_part_of_the_plan_and_the_command(tmp_path: Path) -> None:
    """Both are shown as --ws-storm takes them; a plan without any says nothing of them."""
    storms = (Storm(at_s=30.0, share_ratio=0.5), Storm(at_s=45.5, share_ratio=1.0, kind="fin"))
    path = write_run(tmp_path, of=manifest(run_plan=plan(storms=storms)), seconds=1)
    publish(path, results=tmp_path)
    text = (path / "summary.md").read_text()
    assert "| storms | `0.5@30:reset,1@45.5:fin` |" in text
    assert "--ws-storm 0.5@30:reset,1@45.5:fin" in text
    without = write_run(tmp_path, of=manifest(run_id="calm"), seconds=1)
    publish(without, results=tmp_path)
    assert "storm" not in (without / "summary.md").read_text()


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
    assert page.count('<line class="mark"') == page.count('<text class="mark') == 3
    assert page.index("<caption>Drops and losses") < page.index("<caption>Storms")
    assert all(len(line) <= 80 for line in printed.splitlines() if str(tmp_path) not in line)


def test_a_run_with_its_own_server_is_repeated_with_its_own_server(tmp_path: Path) -> None:
    """The port of a reference server that Locust started is gone, so no --host is given."""
    path = write_run(tmp_path, seconds=1)
    (path / "server.log").touch()
    publish(path, results=tmp_path)
    assert "--host" not in (path / "summary.md").read_text()
