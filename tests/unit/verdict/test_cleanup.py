"""The item `cleanup`: what fails it, what only doubts it, and what is reported without a judgement."""

from __future__ import annotations

from typing import Any

import pytest

from loadtest.report.watched import watched_table
from loadtest.results.data import RunData
from loadtest.results.manifest import Promises, ServerGauge
from loadtest.ruling import Ruling
from loadtest.verdict.run import judge
from tests.support.rulings import ruling, told
from tests.support.runs import gathered, interval, manifest, plan, sound

CLOSES = {"cleanup.close_watched": 12, "cleanup.close_closed": 10, "cleanup.close_cut_short": 2}
HALF_OPEN = {
    "cleanup.half_open_watched": 9,
    "cleanup.half_open_closed": 8,
    "cleanup.half_open_cut_short": 1,
    "cleanup.half_open_full_time": 5,
}
HALF_OPEN_PLAN = plan(drops={"half_open": 1.0})


def run(counts: dict[str, int], *, within_s: float | None = None, **changes: Any) -> RunData:
    """Return a sound run with these counts; the cleanup time is the option's."""
    of = manifest(**{"run_plan": HALF_OPEN_PLAN, **changes}, cleanup_timeout_s=within_s)
    return sound(counts, of=of)


def of_gauge(before: float, after: float | None, *, peak: float | None = 20.0, **more: Any) -> ServerGauge:
    """Return these values of the server's gauge."""
    source = "http://127.0.0.1:9000/metrics#ws"
    return ServerGauge(source=source, before=before, peak=peak, after=after, **more)


def gauge(before: float, after: float | None, **more: Any) -> RunData:
    """Return a sound run with these values of the server's gauge."""
    return sound(of=manifest(server_gauge=of_gauge(before, after, **more)))


def test_a_run_without_anything_to_close_is_not_judged() -> None:
    """Runs of earlier versions, and those without such drops, say nothing about it."""
    assert ruling("cleanup", sound()) is Ruling.NOT_JUDGED
    assert told("cleanup", sound()) == "no close or half_open drops to check"


def test_a_close_needs_a_fin() -> None:
    """One connection left open after a close drop fails; what the run's end cut short does not count."""
    assert ruling("cleanup", run(CLOSES)) is Ruling.PASS
    assert (
        told("cleanup", run(CLOSES))
        == "the server closed TCP after 10 close drops, 2 cut short by the run's end"
    )
    open_ = {**CLOSES, "cleanup.close_cut_short": 1, "cleanup.close_not_closed": 1}
    assert ruling("cleanup", run(open_)) is Ruling.FAIL
    assert "1 of 12 closed connections had no FIN 10 s after the close frame" in told("cleanup", run(open_))
    cut = {"cleanup.close_watched": 3, "cleanup.close_cut_short": 3}
    assert ruling("cleanup", run(cut)) is Ruling.NOT_JUDGED


def test_closes_still_open_at_the_end_are_no_pass() -> None:
    """One that the server had left open for long is chance; two of 30, or above 1%, may never be closed."""
    few = {"cleanup.close_watched": 30, "cleanup.close_closed": 29, "cleanup.close_unresolved": 1}
    assert ruling("cleanup", run(few)) is Ruling.PASS
    more = {**few, "cleanup.close_closed": 28, "cleanup.close_unresolved": 2}
    assert ruling("cleanup", run(more)) is Ruling.INCONCLUSIVE
    assert told("cleanup", run(more)) == (
        "2 of 30 closed connections had no FIN for over 2 s when the run ended: run longer"
    )
    many = {"cleanup.close_watched": 300, "cleanup.close_closed": 297, "cleanup.close_unresolved": 3}
    assert ruling("cleanup", run(many)) is Ruling.PASS


def test_half_open_connections_need_their_full_time() -> None:
    """Those that the server closes early are no evidence about those that the run's end cut short."""
    cut = {
        "cleanup.half_open_watched": 100,
        "cleanup.half_open_closed": 20,
        "cleanup.half_open_cut_short": 80,
        "cleanup.half_open_full_time": 4,
    }
    assert ruling("cleanup", run(cut, within_s=3)) is Ruling.INCONCLUSIVE
    assert told("cleanup", run(cut, within_s=3)) == (
        "only 4 half-open connections had the full 3 s before the run's end, 5 are needed: run longer, or "
        "drop more often"
    )
    assert ruling("cleanup", run({**cut, "cleanup.half_open_full_time": 5}, within_s=3)) is Ruling.PASS


def test_half_open_connections_are_judged_by_a_cleanup_time() -> None:
    """With a time they pass or fail; without, what was seen is told, and fails nothing."""
    assert ruling("cleanup", run(HALF_OPEN, within_s=3)) is Ruling.PASS
    left = {**HALF_OPEN, "cleanup.half_open_closed": 0, "cleanup.half_open_not_closed": 8}
    assert ruling("cleanup", run(left, within_s=3)) is Ruling.FAIL
    assert told("cleanup", run(left, within_s=3)) == (
        "8 of 9 half-open connections were still open 8 s after the client went silent; "
        "3 s allowed (--ws-cleanup-timeout)"
    )
    assert ruling("cleanup", run(left)) is Ruling.NOT_JUDGED
    assert told("cleanup", run(left)) == (
        "half-open connections are not judged without --ws-cleanup-timeout: 0 of 9 closed, "
        "8 still open when the drop ended, 1 cut short by the run's end"
    )
    assert ruling("cleanup", run({**left, **CLOSES})) is Ruling.PASS


def test_the_dialect_may_promise_a_cleanup_time() -> None:
    """Its promise stands in the manifest, and the option overrides it."""
    promises = Promises(ordered=True, identifies=True, pushes=False, cleanup_s=40.0)
    left = {**HALF_OPEN, "cleanup.half_open_closed": 0, "cleanup.half_open_not_closed": 8}
    assert "45 s after the client went silent; 40 s allowed (the dialect's cleanup_s)" in told(
        "cleanup", run(left, promises=promises)
    )
    assert "3 s allowed (--ws-cleanup-timeout)" in told("cleanup", run(left, within_s=3, promises=promises))


def test_a_late_end_fails_unless_the_generator_stalled() -> None:
    """A process that stalled may have seen it late: that is INCONCLUSIVE."""
    late = {**HALF_OPEN, "cleanup.half_open_closed": 7, "cleanup.half_open_late": 1}
    assert ruling("cleanup", run(late, within_s=3)) is Ruling.FAIL
    assert "1 of 9 half-open connections not closed in time; 3 s allowed (--ws-cleanup-timeout)" in told(
        "cleanup", run(late, within_s=3)
    )
    stalled = gathered(
        [interval(0, counts=late, gauges={"stall_max_ms": 2500.0})],
        manifest(run_plan=HALF_OPEN_PLAN, cleanup_timeout_s=3.0),
    )
    assert ruling("cleanup", stalled) is Ruling.INCONCLUSIVE


def test_a_run_too_short_for_its_option_is_inconclusive() -> None:
    """Who asks for a judgement gets none from a short run; a dialect's promise spoils no default run."""
    cut = {"cleanup.half_open_watched": 4, "cleanup.half_open_cut_short": 4}
    asked = run({**CLOSES, **cut}, within_s=40)
    assert ruling("cleanup", asked) is Ruling.INCONCLUSIVE
    needed = "no half-open connections had the full 40 s before the run's end, 5 are needed"
    assert f"{needed}: run longer" in told("cleanup", asked)
    promises = Promises(ordered=True, identifies=True, pushes=False, cleanup_s=40.0)
    promised = run({**CLOSES, **cut}, promises=promises)
    assert ruling("cleanup", promised) is Ruling.PASS
    assert needed in told("cleanup", promised)
    unplanned = run(CLOSES, within_s=40, run_plan=plan(drops={"close": 1.0}))
    assert ruling("cleanup", unplanned) is Ruling.PASS


def test_books_that_do_not_balance() -> None:
    """A watched connection without an outcome is INCONCLUSIVE."""
    for counts in (
        {**CLOSES, "cleanup.close_watched": 13},
        {**HALF_OPEN, "cleanup.half_open_watched": 10},
    ):
        found = run(counts, within_s=3)
        assert ruling("cleanup", found) is Ruling.INCONCLUSIVE
        assert "have no outcome" in told("cleanup", found)
        assert judge(found).item("cleanup").evidence.unaccounted == 1


@pytest.mark.parametrize(
    ("found", "expected", "summary"),
    [
        (gauge(2, 2), Ruling.PASS, "the server's gauge is back at 2 (peak 20)"),
        (gauge(0, 0, peak=None), Ruling.INCONCLUSIVE, "could not be read while sessions were up: run longer"),
        (
            gauge(0, 11, waited_s=10.2),
            Ruling.FAIL,
            "the server's gauge was 0 before the run, and still 11, 10 s after its end",
        ),
        (
            gauge(5, 0),
            Ruling.INCONCLUSIVE,
            "fell from 5 to 0: other clients were connected when the run started",
        ),
        (gauge(0, 0, peak=0), Ruling.INCONCLUSIVE, "does it count connections?"),
        (
            gauge(0, None, problem="HTTP 503"),
            Ruling.INCONCLUSIVE,
            "could not be read after the run: HTTP 503",
        ),
        (gauge(0, None), Ruling.INCONCLUSIVE, "the run ended before that"),
    ],
)
def test_the_servers_gauge(found: RunData, expected: Ruling, summary: str) -> None:
    """It passes when it is back, fails when it is above its start, and else proves nothing."""
    assert ruling("cleanup", found) is expected
    assert summary in told("cleanup", found)
    assert {item.item for item in judge(found).items if item.verdict is Ruling.FAIL} <= {"cleanup"}


def test_a_failure_shows_the_gauge_too() -> None:
    """It confirms what the client saw, or the server disagrees; other parts that pass are left out."""
    left = {**CLOSES, **HALF_OPEN, "cleanup.half_open_closed": 7, "cleanup.half_open_not_closed": 1}
    still_open = (
        "1 of 9 half-open connections was still open 8 s after the client went silent; "
        "3 s allowed (--ws-cleanup-timeout)"
    )
    back = run(left, within_s=3, server_gauge=of_gauge(2, 2))
    assert ruling("cleanup", back) is Ruling.FAIL
    assert told("cleanup", back) == f"{still_open}; the server's gauge is back at 2 (peak 20)"
    leaks = run(left, within_s=3, server_gauge=of_gauge(0, 1, waited_s=10.0))
    assert told("cleanup", leaks) == (
        f"{still_open}; the server's gauge was 0 before the run, and still 1, 10 s after its end"
    )


def test_the_table_shows_what_was_watched() -> None:
    """A row a kind of drop, with its outcomes; the note names the time allowed and the gauge."""
    source = "http://127.0.0.1:9000/metrics#ws"
    found = run(
        {**CLOSES, **HALF_OPEN}, within_s=3, server_gauge=ServerGauge(source=source, before=1, after=4)
    )
    table = watched_table(found)
    assert [row[:7] for row in table.rows] == [
        ("close", "12", "10", "-", "0", "0", "2"),
        ("half_open", "9", "8", "0", "0", "-", "1"),
    ]
    assert table.note == (
        f"Half-open connections must be closed within 3 s. The server's gauge {source}: 1 before the run, "
        "- at most during it, 4 after it."
    )
    assert not watched_table(sound())
