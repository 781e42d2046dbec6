"""What people are told to do next: one thing, and connecting first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from loadtest.report.advice import generator_line, next_step, shown_items
from loadtest.report.html import html
from loadtest.report.judged_run import JudgedRun
from loadtest.report.junit import junit
from loadtest.report.markdown import summary
from loadtest.report.terminal import print_verdict
from loadtest.ruling import Ruling
from loadtest.verdict.differences import Difference
from loadtest.verdict.evidence import (
    BaselineEvidence,
    CleanupEvidence,
    ConnectEvidence,
    ErrorSeen,
    LatencyEvidence,
    MessagingEvidence,
    PassedOver,
)
from loadtest.verdict.gate_evidence import GateResult
from loadtest.verdict.items import ITEMS, AnyItem, Generator, Item, Verdict
from loadtest.verdict.loss_evidence import LossesSeen, StabilityEvidence
from loadtest.verdict.run import judge
from tests.support.runs import (
    SOUND_COUNTS,
    SOUND_GAUGES,
    gathered,
    interval,
    manifest,
    plan,
    sound,
    tally,
)


def verdict_of(**items: tuple[Ruling, str] | AnyItem) -> Verdict:
    """Return a verdict with these items; the others pass."""
    made = []
    for name in ITEMS:
        item = items.get(name, (Ruling.PASS, ""))
        made.append(item if isinstance(item, Item) else Item(item=name, verdict=item[0], summary=item[1]))
    return Verdict(
        revision="v1", baseline=None, items=made, generator=Generator(valid=True), verdict=Ruling.FAIL
    )


def latency(ruling: Ruling, **evidence: Any) -> Item[LatencyEvidence]:
    """Return a latency item."""
    return Item(item="latency", verdict=ruling, summary="", evidence=LatencyEvidence(**evidence))


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> JudgedRun:
    """A run whose sessions were all refused."""
    results = tmp_path_factory.mktemp("results")
    run = sound(
        {"connect.attempts": 160, "connect.failed": 160, "connect.established": 0},
        without=("messaging", "reconnect", "persistence", "drops"),
        errors=[tally("connect", "upgrade: http_503", 160)],
    )
    return JudgedRun(path=results, results=results, run=run, verdict=judge(run, run))


def test_what_waits_for_connect_says_so(refused: JudgedRun) -> None:
    """No item advises to run longer while no session connects; verdict.json keeps what was found."""
    verdict = refused.verdict
    assert "run longer" in verdict.item("messaging").summary
    shown = {item.item: item for item in refused.items}
    assert shown["connect"] == verdict.item("connect")
    for name in ("messaging", "reconnect", "persistence", "latency"):
        assert shown[name].verdict is Ruling.INCONCLUSIVE
        assert shown[name].summary == "no session was established: depends on connect (FAIL)"


def test_no_report_contradicts_connect(refused: JudgedRun, capsys: pytest.CaptureFixture[str]) -> None:
    """One next step, that of connect, in every form."""
    print_verdict(refused)
    forms = (capsys.readouterr().out, summary(refused), html(refused), junit(refused).decode())
    for form in forms:
        words = " ".join(form.split())
        assert "run longer" not in words
        assert "depends on connect (FAIL)" in words
        assert "has the server finished starting" in words
    assert forms[0].count("next: ") == 1
    assert forms[1].count("Next: ") == 1


def test_what_failed_is_told_whatever_connect_did() -> None:
    """A lost message is a finding; what is to be done next comes after connect; a log waits for nobody."""
    verdict = verdict_of(
        connect=Item(
            item="connect",
            verdict=Ruling.FAIL,
            summary="5 of 100 attempts failed",
            evidence=ConnectEvidence(counts={"attempts": 100, "established": 95}),
        ),
        messaging=(Ruling.FAIL, "of 9 messages sent: 2 lost"),
        reconnect=(Ruling.INCONCLUSIVE, "only 2 outages were resumed, 10 are needed: run longer"),
        latency=(Ruling.INCONCLUSIVE, "service p50 and more: run 2.5 times as long, or so; a margin"),
        server_log=(Ruling.INCONCLUSIVE, "the log ends before the run"),
    )
    told = {item.item: item.summary for item in shown_items(verdict.items)}
    assert told["messaging"] == "of 9 messages sent: 2 lost"
    for name in ("reconnect", "latency"):
        found = verdict.item(name).summary
        assert told[name] == f"depends on connect (FAIL); {found}"
    assert told["server_log"] == "the log ends before the run"
    assert next_step(verdict.item("messaging"), verdict.items).startswith("look up the first error")
    assert next_step(verdict.item("latency"), verdict.items) == ""
    assert next_step(verdict.item("server_log"), verdict.items).startswith("give the whole log")


@pytest.mark.parametrize("name", ["messaging", "reconnect", "persistence"])
def test_no_step_is_about_drops_in_a_run_without(name: str) -> None:
    """Such a run cannot be made without drops once more."""
    verdict = verdict_of(**{name: (Ruling.FAIL, "of 9: 2 lost")})
    item = verdict.item(name)
    with_drops, without = (next_step(item, verdict.items, drops=drops) for drops in (True, False))
    assert "--ws-drop" in with_drops
    assert "--ws-drop" not in without
    assert with_drops.startswith(f"{without}; ")


def test_latency_of_an_edited_script_is_measured_anew() -> None:
    """Neither the machine nor the length of the run is to be made alike."""
    unlike = [Difference(what="the script's code", baseline="a", candidate="b")]
    item = Item(
        item="latency", verdict=Ruling.INCONCLUSIVE, summary="", evidence=LatencyEvidence(unlike=unlike)
    )
    assert next_step(item, verdict_of(latency=item).items).startswith(
        "run this script against the baseline's"
    )


def test_where_connect_is_only_held_back_nothing_waits_for_it() -> None:
    """A worker was lost, but its sessions connected: what else is to be done is told."""
    few = {
        "messaging.sent": 9,
        "messaging.answered": 9,
        "messaging.lost_in_outage": 0,
        "messaging.unfinished": 0,
    }
    items = judge(sound(few, of=manifest(missing_workers=[1]))).items
    assert items[0].verdict is items[1].verdict is Ruling.INCONCLUSIVE
    assert shown_items(items) == items
    latency = next(item for item in items if item.item == "latency")
    assert next_step(latency, items).startswith("run the same command against the old revision")


def test_who_waits_for_a_connect_that_cannot_tell() -> None:
    """All but the server's log, while no attempt has come to its end."""
    items = judge(sound({"connect.established": 0, "connect.cut_short": 100}, without=["messaging"])).items
    assert items[0].verdict is Ruling.INCONCLUSIVE
    shown = {item.item: item.summary for item in shown_items(items)}
    assert shown["connect"] == items[0].summary
    assert shown["messaging"] == "no session was established: depends on connect (INCONCLUSIVE)"
    assert next_step(next(item for item in items if item.item == "latency"), items) == ""


@pytest.mark.parametrize(
    ("item", "step"),
    [
        (latency(Ruling.NOT_JUDGED), "run the same command against the old revision"),
        (latency(Ruling.NOT_JUDGED, passed_over=[PassedOver(run_id="x")]), "--ws-baseline DIRECTORY"),
        (latency(Ruling.NOT_JUDGED, rule="no comparison was asked for"), ""),
        (latency(Ruling.NOT_JUDGED, baseline=BaselineEvidence(run_id="x")), ""),
        (latency(Ruling.INCONCLUSIVE), ""),
        (latency(Ruling.INCONCLUSIVE, gates=[GateResult(gate="g")]), ""),
        (
            latency(
                Ruling.INCONCLUSIVE,
                gates=[GateResult(gate="g", change_ratio=0.1)],
            ),
            "loadtest duel: it runs both revisions in turn",
        ),
        (
            latency(
                Ruling.INCONCLUSIVE,
                gates=[GateResult(gate="g", change_ratio=0.1), GateResult(gate="h")],
            ),
            "",
        ),
        (latency(Ruling.PASS), ""),
        (latency(Ruling.FAIL), "confirm it with loadtest duel, which runs both revisions in turn"),
    ],
)
def test_latency_is_advised_by_what_it_lacks(item: AnyItem, step: str) -> None:
    """A baseline, more pairs, or nothing that its summary does not say already."""
    found = next_step(item, verdict_of(latency=item).items)
    assert step in found
    assert bool(found) == bool(step)


# The load generator.


@pytest.mark.parametrize(
    ("generator", "ruling", "line"),
    [
        (
            Generator(valid=True, figures={"send_slip_p99_ms": 0.12, "cpu_ratio": 0.3}),
            Ruling.PASS,
            "Load generator OK: send slip p99 0.12 ms, engine CPU 30% of a core",
        ),
        (
            Generator(
                valid=False,
                figures={"send_slip_p99_ms": 98.4, "cpu_ratio": 0.3},
                exceeded={"send_slip_p99_ms": 5.0},
            ),
            Ruling.INCONCLUSIVE,
            "Load generator overloaded: latency not judged (send slip p99 98.4 ms, limit 5 ms)",
        ),
        (
            Generator(
                valid=False,
                figures={"cpu_ratio": 0.95, "ports_ratio": 0.99},
                exceeded={"cpu_ratio": 0.8, "ports_ratio": 0.9},
            ),
            Ruling.NOT_JUDGED,
            "Load generator overloaded (engine CPU 95% of a core, limit 80%; 99% of the local ports, "
            "limit 90%): latencies may include the tool's own delays",
        ),
        (
            Generator(valid=False, figures={"cpu_ratio": None}),
            Ruling.INCONCLUSIVE,
            "Load generator not measured: latency not judged",
        ),
    ],
)
def test_the_generators_line_says_what_it_means(generator: Generator, ruling: Ruling, line: str) -> None:
    """An overloaded generator is no verdict of its own; it keeps latency from being judged."""
    verdict = replace(verdict_of(latency=(ruling, "")), generator=generator)
    assert generator_line(verdict) == line


def test_the_next_step_is_not_about_the_load_generators_own_limits() -> None:
    """As the summary does, it takes the first cause that the server has to do with."""
    errors = [
        ErrorSeen(error="tcp: out_of_ports", count=9),
        ErrorSeen(error="a remark", count=8),
        ErrorSeen(error="upgrade: http_401", count=3),
    ]
    connect: AnyItem = Item(
        item="connect", verdict=Ruling.FAIL, summary="", evidence=ConnectEvidence(errors=errors)
    )
    assert next_step(connect, verdict_of(connect=connect).items).startswith("check --ws-token")


# By evidence.


def losses(*groups: tuple[str, int, str]) -> StabilityEvidence:
    """Return evidence with these losses: cause, code, and how many the rule for the code allows."""
    return StabilityEvidence(
        losses=[LossesSeen(cause=cause, code=code, allowed=allowed) for cause, code, allowed in groups]
    )


@pytest.mark.parametrize(
    ("item", "evidence", "step"),
    [
        ("stability", losses(("1011", 1011, "0")), "--ws-allow-losses 1011=2/h"),
        ("stability", losses(("eof", 1006, "0"), ("1012", 1012, "0")), "--ws-allow-losses 1006,1012=2/h"),
        ("stability", losses(("eof", 1006, "any"), ("1012", 1012, "0")), "--ws-allow-losses 1012=2/h"),
        (
            "stability",
            losses(("protocol_error", 1006, "0"), ("1012", 1012, "0")),
            "frames that RFC 6455 forbids",
        ),
        (
            "stability",
            losses(("1012", 1012, "0"), ("protocol_error", 1006, "0")),
            "--ws-allow-losses 1012=2/h",
        ),
        ("stability", losses(("flooded", 1008, "0")), "raise the limit"),
        ("stability", losses(("message_too_big", 1006, "0")), "raise WebSocketUser.max_message_bytes"),
        (
            "cleanup",
            CleanupEvidence(counts={"close_not_closed": 1, "half_open_late": 1}),
            "--ws-drops close",
        ),
        ("cleanup", CleanupEvidence(counts={"half_open_not_closed": 1}), "--ws-drops half_open"),
        ("cleanup", CleanupEvidence(), "compare the gauge with the server's open sockets"),
        ("messaging", MessagingEvidence(counts={"corrupted": 9}), "every reply is altered: does the dialect"),
        (
            "messaging",
            MessagingEvidence(counts={"corrupted": 9, "answered": 1}),
            "server's log, by its session and time; to rule out drops",
        ),
        ("messaging", MessagingEvidence(limits={"pushes_per_s": 1.0}), "is the push rate"),
        (
            "messaging",
            MessagingEvidence(limits={"pushes_per_s": 1.0}, counts={"lost": 1}),
            "server's log, by its session and time; to rule out drops",
        ),
    ],
)
def test_the_next_step_fits_what_was_seen(item: str, evidence: Any, step: str) -> None:
    """The codes that were lost, the drops that left a connection open, and what kind of replies was wrong."""
    found: AnyItem = Item(item=item, verdict=Ruling.FAIL, summary="", evidence=evidence)
    said = next_step(found, verdict_of(**{item: found}).items)
    assert step in said
    assert ("--ws-allow-losses" in said) == ("--ws-allow-losses" in step)


def test_a_cut_run_is_told_once_and_not_as_the_generators(capsys: pytest.CaptureFixture[str]) -> None:
    """With its times on top, as the verdict's note; items say only that it was cut short."""
    cut = gathered(
        [interval(0, seconds=20, counts=SOUND_COUNTS, gauges=SOUND_GAUGES)],
        manifest(run_plan=plan(duration_s=60.0), revision="v42", revision_source="GITHUB_SHA"),
    )
    judged = JudgedRun(path=Path("results/x"), results=Path("results"), run=cut, verdict=judge(cut))
    print_verdict(judged)
    printed = capsys.readouterr().out
    for form in (printed, summary(judged), html(judged), junit(judged).decode()):
        said = "the run was cut short: 20 s of 60 s"
        assert form.count(said) == 1
        assert form.index(said) < form.index("Load generator not measured")
    assert "the run was cut short; until then: " in " ".join(printed.split())
    assert "verdict of v42 (GITHUB_SHA): INCONCLUSIVE" in printed
