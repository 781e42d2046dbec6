"""The item stability: connections lost unasked, from both sides of every rule."""

from __future__ import annotations

import pytest

from loadtest.errors import InvalidSetting
from loadtest.results.uptime import Away
from loadtest.ruling import Ruling
from loadtest.session.recorder import Lifecycle
from loadtest.session.schedule import NS_PER_S
from loadtest.verdict.items import Item
from loadtest.verdict.loss_evidence import StabilityEvidence
from loadtest.verdict.run import judge
from tests.support.runs import SOUND_COUNTS, SOUND_GAUGES, gathered, interval, manifest

HOURS = 100 * 60 / 3600
"""Session-hours of the runs here: 100 sessions for a minute."""


def lost(at_s: float, session: str, cause: str, code: int = 1006, detail: str | None = None) -> Lifecycle:
    """Return the loss of a connection."""
    return Lifecycle(
        at_ns=int(at_s * NS_PER_S), event="lost", session=session, cause=cause, code=code, detail=detail
    )


CRASHES = [lost(12 + number, f"s-{number}", "1011", 1011, "internal error") for number in range(9)]
RESETS = [lost(30, f"s-{number}", "reset") for number in range(3)]


def judged(
    *losses: Lifecycle,
    allowed: tuple[str, ...] = (),
    sessions: float = 100.0,
    counted: int | None = None,
    others: dict[str, int] | None = None,
    proxy: str | None = None,
) -> Item[StabilityEvidence]:
    """Return the item of a run with these losses, which must not change any other item."""
    counts = {
        **SOUND_COUNTS,
        "losses.any": len(losses) if counted is None else counted,
        **(others or {}),
    }
    gauges = SOUND_GAUGES | {"sessions_up": sessions}
    one = interval(0, seconds=60, counts=counts, gauges=gauges, lifecycle=losses)
    verdict = judge(gathered([one], manifest(allowed_losses=allowed, proxy=proxy)))
    rulings = {item.item: item.verdict for item in verdict.items if item.item != "stability"}
    assert rulings | {"latency": Ruling.NOT_JUDGED} == {
        name: Ruling.NOT_JUDGED if name in ("latency", "server_log", "cleanup") else Ruling.PASS
        for name in rulings
    }
    without = judge(gathered([interval(0, seconds=60, counts=SOUND_COUNTS | (others or {}), gauges=gauges)]))
    assert (len(verdict.notes), verdict.generator) == (proxy is not None, without.generator)
    return verdict.item("stability")


def test_a_pass_states_its_exposure() -> None:
    """Nothing lost in how many session-hours."""
    item = judged()
    assert (item.verdict, item.summary) == (Ruling.PASS, "0 losses in 1.67 session-hours")
    assert item.evidence.session_hours == pytest.approx(HOURS)


def test_one_loss_fails() -> None:
    """The default is none."""
    item = judged(RESETS[0])
    assert item.verdict is Ruling.FAIL
    assert item.summary == "1 connection lost in 1.67 session-hours (0.6/h): 1 x RST; first at 00:30"


def test_a_failure_says_what_when_and_how_often() -> None:
    """By cause and reason, the most frequent first, with the sessions in the evidence."""
    item = judged(*CRASHES, *RESETS)
    assert item.verdict is Ruling.FAIL
    assert item.summary == (
        "12 connections lost in 1.67 session-hours (7.2/h): 9 x 1011 'internal error', 3 x RST; "
        "first at 00:12"
    )
    first = item.evidence.losses[0]
    assert (first.cause, first.code, first.reason, first.count) == ("1011", 1011, "internal error", 9)
    assert (first.first_at_s, first.last_at_s, first.allowed) == (12.0, 20.0, "0")
    assert first.sessions == ["s-0", "s-1", "s-2"]
    assert first.per_session_hour == pytest.approx(9 / HOURS)


def test_causes_beyond_three_are_counted() -> None:
    """A summary is a sentence; the rest stands in the evidence."""
    item = judged(*CRASHES, *RESETS, *(lost(40, "s", code, int(code)) for code in ("1012", "4408", "4000")))
    assert "9 x 1011 'internal error', 3 x RST, 1 x 1012, 2 others;" in item.summary
    assert len(item.evidence.losses) == 5


def test_a_reason_cannot_break_the_summary() -> None:
    """It comes from the server: cut, and on one line."""
    (shown,) = judged(lost(1, "s", "4000", 4000, "\x1b[2J\n" + "x" * 100)).summary.splitlines()
    assert "\x1b" not in shown
    assert "x" * 80 not in shown


def test_sessions_barred_from_reconnecting_are_counted() -> None:
    """They have no outage, so this is where they are seen."""
    item = judged(lost(5, "s", "4401", 4401), others={"stability.barred": 1})
    assert item.verdict is Ruling.FAIL
    assert "1 x 4401; first at 00:05; 1 session barred from reconnecting" in item.summary
    assert item.evidence.barred == 1


def test_the_time_away_is_told() -> None:
    """From when to when nobody was up."""
    killed = [
        Lifecycle(at_ns=0, event="connected", session="s"),
        lost(12, "s", "eof"),
        Lifecycle(at_ns=13 * NS_PER_S, event="failed", session="s", cause="refused"),
        Lifecycle(at_ns=15 * NS_PER_S, event="resumed", session="s"),
    ]
    item = judged(*killed, counted=1)
    assert item.summary.endswith("1 x FIN; first at 00:12; server away from 00:12 until 00:15")
    assert item.evidence.away == [Away(from_s=12.0, until_s=15.0)]
    assert judged(*killed[:-1], counted=1).summary.endswith("server away from 00:12 until the end")
    proxied = judged(*killed, counted=1, proxy="http://127.0.0.1:3128")
    assert proxied.summary.endswith("server or proxy away from 00:12 until 00:15")


@pytest.mark.parametrize(
    ("allowed", "ruling"),
    [
        (("any",), Ruling.PASS),
        (("12",), Ruling.PASS),
        (("11",), Ruling.FAIL),
        (("8/h",), Ruling.PASS),  # 12 in 1.67 hours
        (("7/h",), Ruling.INCONCLUSIVE),  # 11.7 were allowed: a server that keeps that rate may lose 12
        (("2/h",), Ruling.FAIL),
        (("1011=any", "1006=3"), Ruling.PASS),
        (("1011=any", "1006=2"), Ruling.FAIL),
        (("1011=any",), Ruling.FAIL),
        (("1006=any", "9"), Ruling.PASS),
        (("1006=any", "8"), Ruling.FAIL),
        (("1006,1011=12",), Ruling.PASS),
        (("1006,1011=11",), Ruling.FAIL),
        (("1012=any",), Ruling.FAIL),
    ],
)
def test_what_is_allowed_passes_and_no_more(allowed: tuple[str, ...], ruling: Ruling) -> None:
    """Nine closes with 1011 and three RST: each rule covers its own codes, together."""
    item = judged(*CRASHES, *RESETS, allowed=allowed)
    assert item.verdict is ruling
    assert f"; allowed: {' '.join(allowed)}" in item.summary
    assert item.evidence.allowed == list(allowed)


@pytest.mark.parametrize(
    ("count", "rate", "ruling"),
    [
        (0, "1/h", Ruling.PASS),
        (1, "1/h", Ruling.PASS),
        (2, "1/h", Ruling.INCONCLUSIVE),  # 1.67 expected: 50% of runs have two or more
        (7, "1/h", Ruling.INCONCLUSIVE),  # 0.2%
        (8, "1/h", Ruling.FAIL),  # 0.04%
        (1, "0.01/h", Ruling.INCONCLUSIVE),  # 1.7%
        (2, "0.01/h", Ruling.FAIL),
        (1, "0.0001/h", Ruling.FAIL),
    ],
)
def test_a_rate_is_broken_by_what_chance_does_not_explain(count: int, rate: str, ruling: Ruling) -> None:
    """Losses come by chance: a server that keeps its rate exactly loses more in every other run."""
    item = judged(*[lost(20, f"s-{number}", "reset") for number in range(count)], allowed=(rate,))
    assert item.verdict is ruling
    doubt = f"; more than {rate}, which may be chance: run longer"
    assert item.summary.endswith(doubt) is (ruling is Ruling.INCONCLUSIVE)


def test_a_number_is_no_rate() -> None:
    """What is not allowed at all fails at the first loss, beside a rate that is kept."""
    assert judged(RESETS[0], CRASHES[0], allowed=("1006=0.6/h",)).verdict is Ruling.FAIL


def test_without_a_session_nothing_is_known() -> None:
    """Next to no exposure is never a PASS; a loss is one all the same."""
    few = judged(sessions=0.1)
    assert (few.verdict, few.summary) == (
        Ruling.INCONCLUSIVE,
        "0 losses in 6 session-seconds; 10 session-seconds are needed: run longer",
    )
    assert judged(sessions=0.2).verdict is Ruling.PASS
    assert judged(sessions=2.0).summary == "0 losses in 2 session-minutes"
    assert judged(sessions=0.0).verdict is Ruling.INCONCLUSIVE
    found = judged(RESETS[0], sessions=0.0)
    assert (found.verdict, found.evidence.per_session_hour) == (Ruling.FAIL, None)


def test_losses_without_a_record_do_not_pass() -> None:
    """What was counted and what was recorded must agree."""
    item = judged(RESETS[0], allowed=("any",), counted=2)
    assert item.verdict is Ruling.INCONCLUSIVE
    assert "1 of 2 losses have no record" in item.summary
    assert item.evidence.unaccounted == 1


def test_a_rule_that_cannot_be_read_is_named() -> None:
    """A stored run may have been changed."""
    with pytest.raises(InvalidSetting, match=r"allowed_losses in run\.json must be N"):
        judged(allowed=("some",))
