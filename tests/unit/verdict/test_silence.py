"""A server that never answers: FAIL messaging alone; slow replies or a short run are no finding."""

from __future__ import annotations

import pytest

from loadtest.report.advice import next_step, shown_items
from loadtest.results.data import RunData
from loadtest.ruling import Ruling
from loadtest.session.schedule import NS_PER_S
from loadtest.verdict.messaging import SILENT_RATIO
from loadtest.verdict.run import judge
from loadtest.verdict.silence import silent
from tests.support.rulings import ruling, told
from tests.support.runs import SOUND_GAUGES, gathered, interval, manifest, plan

TIMEOUT_S = 10.0

MUTE = {
    "connect.attempts": 20,
    "connect.unproven": 20,
    "messaging.planned": 240,
    "messaging.sent": 240,
    "messaging.unfinished": 240,
    "messaging.hanging": 200,
}
"""A server that lets sessions connect, and then says nothing."""


def mute(
    waited_s: float,
    changes: dict[str, int] | None = None,
    *,
    timeout_s: float = TIMEOUT_S,
    parts: str = "",
) -> RunData:
    """Return a run without an answer, in which a message has waited so long when the run ended.

    Args:
        waited_s: how long; 0 for not long enough to be recorded.
        changes: counts that replace the usual ones.
        timeout_s: the reply timeout.
        parts: a tag of streamed replies that has a sample.
    """
    samples = {"unanswered": [int(waited_s * 1e6)]} if waited_s else {}
    of = manifest(run_plan=plan(reply_timeout_s=timeout_s, drop_every_s=0.0, drops={}))
    first = interval(0, seconds=6, counts=MUTE | (changes or {}), gauges=SOUND_GAUGES)
    last = interval(6, seconds=6, samples_us=samples | ({parts: [500]} if parts else {}), gauges=SOUND_GAUGES)
    return gathered([first, last], of)


def test_nothing_was_ever_answered() -> None:
    """A run as long as the reply timeout is long enough: FAIL, with what was seen, and not \"run longer\"."""
    run = mute(9.1)
    assert ruling("messaging", run) is Ruling.FAIL
    assert told("messaging", run).startswith("none of 240 messages was answered; the longest wait was 9.1 s")
    assert "run longer" not in told("messaging", run)


def test_the_reply_timeout_was_over() -> None:
    """Messages that the timeout gave up waited that long, on a first connection or on a later one."""
    lost = mute(0, {"messaging.lost": 200, "messaging.unfinished": 40})
    outage = {"reconnect.outages": 10, "reconnect.attempts": 10, "reconnect.silent": 10}
    later = mute(0, {"messaging.lost_in_outage": 200, "messaging.unfinished": 40, **outage})
    for run in (lost, later):
        assert ruling("messaging", run) is Ruling.FAIL
        assert "the longest wait was 10 s" in told("messaging", run)


def test_no_other_item_fails() -> None:
    """Whoever depends on answers says so; what one reads gives one next step."""
    outage = {"reconnect.outages": 10, "reconnect.attempts": 10, "reconnect.silent": 10}
    verdict = judge(mute(9.1, outage))
    assert [item.item for item in verdict.items if item.verdict is Ruling.FAIL] == ["messaging"]
    assert verdict.item("connect").verdict is Ruling.PASS
    assert verdict.item("reconnect").verdict is Ruling.INCONCLUSIVE
    shown = {item.item: item for item in shown_items(verdict.items)}
    assert shown["reconnect"].summary == "no message was answered: depends on messaging (FAIL)"
    steps = {item.item: step for item in verdict.items if (step := next_step(item, verdict.items))}
    assert list(steps) == ["messaging"]
    assert "loadtest dialect check" in steps["messaging"]


def test_silence_after_a_reconnect_is_a_fault_where_others_were_answered() -> None:
    """One answer in the run, and a connection that does not answer is again a finding about reconnecting."""
    outage = {"reconnect.outages": 10, "reconnect.attempts": 10, "reconnect.silent": 10}
    run = mute(9.1, {**outage, "messaging.answered": 1, "messaging.unfinished": 239})
    assert ruling("reconnect", run) is Ruling.FAIL
    assert "10 ended on a new connection that did not answer" in told("reconnect", run)


@pytest.mark.parametrize("timeout_s", [30.0, 60.0])
def test_a_slow_server_in_a_short_run_is_no_finding(timeout_s: float) -> None:
    """A model may answer after half a minute: a run that ends before cannot tell, and says how it could."""
    run = mute(9.1, timeout_s=timeout_s)
    assert ruling("messaging", run) is Ruling.INCONCLUSIVE
    assert f"the reply timeout is {timeout_s:g} s: run longer than that" in told("messaging", run)


def test_how_long_a_message_must_have_waited() -> None:
    """Most of the reply timeout, on a connection that stayed up."""
    assert ruling("messaging", mute(SILENT_RATIO * TIMEOUT_S)) is Ruling.FAIL
    assert ruling("messaging", mute(SILENT_RATIO * TIMEOUT_S - 0.1)) is Ruling.INCONCLUSIVE
    assert "no messages answered" in told("messaging", mute(0))


@pytest.mark.parametrize("tag", ["first_part", "part_gap"])
def test_a_reply_that_has_begun_is_an_answer(tag: str) -> None:
    """A long streamed answer is under way at the end of a short run: the server is not silent."""
    run = mute(9.1, parts=tag)
    assert ruling("messaging", run) is Ruling.INCONCLUSIVE
    assert "none of" not in told("messaging", run)


@pytest.mark.parametrize(
    "sign", ["answered", "failed", "late", "corrupted", "foreign", "unmatched", "unreadable"]
)
def test_any_answer_breaks_the_silence(sign: str) -> None:
    """A bad answer is a finding of its own, which says more."""
    assert silent({"sent": 5})
    assert not silent({"sent": 5, sign: 1})
    assert not silent({"sent": 5, "unanswerable": 5})
    assert not silent({})


def test_times_are_in_seconds() -> None:
    """The sample of the histogram is in microseconds, as all of them."""
    assert mute(2.5).percentiles_us("unanswered", (100,))[100] * 1000 == pytest.approx(
        2.5 * NS_PER_S, rel=0.01
    )
