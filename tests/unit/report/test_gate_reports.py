"""What people read about gates, in every report: what decided, what was left out, how to go on."""

from __future__ import annotations

from html import unescape
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from loadtest.report.html import html
from loadtest.report.judged_run import JudgedRun
from loadtest.report.junit import junit
from loadtest.report.markdown import summary
from loadtest.report.terminal import print_verdict
from loadtest.ruling import Ruling
from loadtest.verdict.differences import Difference
from loadtest.verdict.evidence import LatencyEvidence
from loadtest.verdict.gate_evidence import GateResult
from loadtest.verdict.items import Item
from loadtest.verdict.run import judge
from tests.support.rundirs import HOSTILE
from tests.support.runs import sound

COMMAND = "loadtest duel --a wss://old.example.org --b wss://new.example.org -u 5 -- -r 5"


def reports(evidence: LatencyEvidence, said: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return terminal, summary.md, report.html and junit.xml of a run with this latency, INCONCLUSIVE."""
    run = sound()
    latency = Item(item="latency", verdict=Ruling.INCONCLUSIVE, summary=said, evidence=evidence)
    verdict = judge(run)
    items = [latency if item.item == "latency" else item for item in verdict.items]
    judged = JudgedRun(
        path=Path("results/v1/x"),
        results=Path("results"),
        run=run,
        verdict=structs.replace(verdict, items=items, baseline="v0"),
    )
    print_verdict(judged)
    printed = capsys.readouterr().out
    return [printed, summary(judged), unescape(html(judged)), unescape(junit(judged).decode())]


def gate(name: str = "service p50", **more: Any) -> GateResult:
    """Return the result of a gate on a time."""
    amounts = {"baseline_us": 1e4, "candidate_us": 1.1e4, "change_ratio": 0.1, "margin_ratio": 0.05}
    bounds = {"low_ratio": -0.01, "high_ratio": 0.2, "relative_margin_ratio": 0.05}
    return GateResult(**{"gate": name, **amounts, **bounds, **more})


def test_the_command_of_a_duel_is_in_every_report(capsys: pytest.CaptureFixture[str]) -> None:
    """Whole, so that it can be copied; without one, there is none."""
    evidence = LatencyEvidence(gates=[gate(suspect=True)], suspect=["service p50"], duel_command=COMMAND)
    said = "suspect: service p50 +10.0% (-1.0 to +20.0%, margin 5%): run a duel"
    for report in reports(evidence, said, capsys):
        assert COMMAND in report
        assert "the command is below" in " ".join(report.split())
    for report in reports(structs.replace(evidence, duel_command=None), said, capsys):
        assert "loadtest duel --a" not in report


def test_what_prevents_a_comparison_is_marked(capsys: pytest.CaptureFixture[str]) -> None:
    """Beside both values; and what to do."""
    unlike = [Difference(what="cores", baseline="2", candidate="8")]
    evidence = LatencyEvidence(gates=[gate()], unlike=unlike)
    found = reports(evidence, "latency was not compared: cores 2 → 8", capsys)
    for report in found:
        assert "latency was not compared: cores 2 → 8" in " ".join(report.split())
        assert "repeat the baseline's run on this machine" in " ".join(report.split())
    for report in found[:3]:
        assert "latency not compared" in report


def test_gates_that_were_left_out_are_in_every_report(capsys: pytest.CaptureFixture[str]) -> None:
    """With the reason: in the summary, and below the table in the reports that are read from there."""
    said = "unclear: …; not judged: service p99.9 (3,600 samples, p99.9 needs 10,000)"
    left_out = gate("service p99.9", decision=Ruling.NOT_JUDGED, reason="3,600 samples, p99.9 needs 10,000")
    for report in reports(LatencyEvidence(gates=[gate(), left_out]), said, capsys):
        assert "service p99.9 (3,600 samples, p99.9 needs 10,000)" in " ".join(report.split())


def test_too_few_samples_come_with_how_many_more(capsys: pytest.CaptureFixture[str]) -> None:
    """How much longer to run is worth more than a number of samples."""
    lacking = GateResult(
        gate="service p99", reason="797 samples, p99 needs 1,000", baseline_samples=900, candidate_samples=797
    )
    said = "too little to judge service p99 (797 samples, p99 needs 1,000)"
    for report in reports(LatencyEvidence(gates=[lacking]), said, capsys):
        told = " ".join(report.split())
        assert said in told
        assert "run 1.3 times as long, or at a higher rate" in told


def test_hostile_text_stays_text(capsys: pytest.CaptureFixture[str]) -> None:
    """In the name of a gate, a difference and the command: a run may come from anywhere."""
    evidence = LatencyEvidence(
        gates=[gate(HOSTILE), gate("g", decision=Ruling.NOT_JUDGED, reason=HOSTILE)],
        noise={HOSTILE: HOSTILE},
        unlike=[Difference(what=HOSTILE, baseline=HOSTILE, candidate=HOSTILE)],
        duel_command=HOSTILE,
    )
    for report in reports(evidence, HOSTILE, capsys):
        assert not [one for one in ("\x1b[2J", "\x07", "\u202e", "\x00", "\x08") if one in report]
