"""Limits on times: each fails its own item, at its edge and no earlier, with or without a baseline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest

from loadtest.report.advice import next_step, shown_items
from loadtest.report.tables import limit_table
from loadtest.results.data import RunData
from loadtest.ruling import Ruling
from loadtest.statistics.time_limits import parse_limits, stored
from loadtest.verdict.evidence import LimitResult
from loadtest.verdict.items import AnyItem, Verdict
from loadtest.verdict.latency import judge_pairs
from loadtest.verdict.limits import over_runs
from loadtest.verdict.run import judge
from loadtest.verdict.timing import timing
from tests.support.runs import SOUND_COUNTS, SOUND_GAUGES, gathered, interval, manifest

ITEM_OF = {
    "connect.p95": ("connect", "connect"),
    "resume.p95": ("reconnect", "resume"),
    "outage.p95": ("reconnect", "outage"),
    "push_gap": ("messaging", "push_gap"),
    "p95": ("latency", "service"),
    "response.p95": ("latency", "response"),
    "first_part.p95": ("latency", "first_part"),
}
"""Item and tag of each kind of limit."""


def run(
    samples_us: Mapping[str, Iterable[int]],
    *limits: str,
    counts: Mapping[str, int] | None = None,
    lag_ms: float = 0.5,
    complete: bool = True,
) -> RunData:
    """Return a sound run with these samples after its warm-up, made with these limits."""
    gauges = {**SOUND_GAUGES, "loop_lag_max_ms": lag_ms}
    intervals = [interval(second, gauges=gauges) for second in range(60)]
    intervals[10] = interval(
        10, samples_us=samples_us, counts={**SOUND_COUNTS, **(counts or {})}, gauges=gauges
    )
    return gathered(intervals, manifest(complete=complete, limits=stored(parse_limits(limits))))


def judged(samples_us: Iterable[int], limit: str, *, lag_ms: float = 0.5) -> AnyItem:
    """Return the item of a limit, in a run with these samples of its tag."""
    item, tag = ITEM_OF[limit.partition("=")[0]]
    return judge(run({tag: samples_us}, limit, lag_ms=lag_ms)).item(item)


def result(samples_us: Iterable[int], limit: str) -> LimitResult:
    """Return how a limit was met by these samples of its tag."""
    found: list[LimitResult] = judged(samples_us, limit).evidence.time_limits
    return found[0]


@pytest.mark.parametrize("name", ITEM_OF)
def test_a_broken_limit_fails_its_item_and_no_other(name: str) -> None:
    """The same run passes without the limit, and with one that it meets."""
    item, tag = ITEM_OF[name]
    late = {tag: [3_000_000] * 200}

    def failed(*limits: str) -> list[str]:
        return [one.item for one in judge(run(late, *limits)).items if one.verdict is Ruling.FAIL]

    assert failed() == failed(f"{name}=4s") == []
    assert failed(f"{name}=2s") == [item]
    assert judge(run(late, f"{name}=4s")).item(item).verdict is Ruling.PASS


@pytest.mark.parametrize(
    ("late", "ruling"), [(0, Ruling.PASS), (10, Ruling.PASS), (11, Ruling.FAIL), (200, Ruling.FAIL)]
)
def test_a_quantile_breaks_its_limit_from_one_sample_more(late: int, ruling: Ruling) -> None:
    """Of 200 samples, ten may be above the p95."""
    found = result([2_000_000] * late + [1_000] * (200 - late), "resume.p95=1s")
    assert (found.verdict, found.samples) == (ruling, 200)


def test_the_limit_itself_is_allowed() -> None:
    """Also where the histogram holds it in a bucket whose highest value is above the limit."""
    for limit_us in (200_000, 1_000_000, 3_333_333):
        limit = f"resume.p95={limit_us}us"
        assert result([limit_us] * 200, limit).verdict is Ruling.PASS
        assert result([int(limit_us * 1.002)] * 200, limit).verdict is Ruling.FAIL


@pytest.mark.parametrize(
    ("late", "on_time", "ruling"),
    [
        (0, 199, Ruling.INCONCLUSIVE),
        (11, 188, Ruling.INCONCLUSIVE),
        (8, 0, Ruling.FAIL),
        (2, 0, Ruling.INCONCLUSIVE),
    ],
)
def test_too_few_samples_are_inconclusive_unless_all_is_late(late: int, on_time: int, ruling: Ruling) -> None:
    """A p95 needs 200; eight of eight above it are no chance."""
    found = result([2_000_000] * late + [1_000] * on_time, "resume.p95=1s")
    assert found.verdict is ruling
    if ruling is Ruling.FAIL:
        assert found.reason == (
            "resume p95 2 s, limit 1 s (--ws-limit resume.p95=1s): 8 of 8 samples are above the limit"
        )
    else:
        assert found.reason.endswith(
            f"only {late + on_time} samples, 200 are needed: run longer, or drop more often"
        )


def test_samples_that_the_warm_up_has_are_accounted_for() -> None:
    """Locust's table shows more requests than are judged; attempts count from the first second."""
    told = result([1_000] * 199, "p95=1s").reason
    assert told.endswith("only 199 samples after the warm-up of 5 s, 200 are needed: run longer")
    assert "warm-up" not in result([1_000] * 199, "connect.p95=1s").reason


def test_one_long_gap_between_pushes_is_enough() -> None:
    """The limit is on the longest of them."""
    found = result([1_000_000] * 500 + [3_000_000], "push_gap=2s")
    assert (found.verdict, found.reason) == (
        Ruling.FAIL,
        "longest push gap 3 s, limit 2 s (--ws-limit push_gap=2s)",
    )
    assert result([1_000_000], "push_gap=2s").verdict is Ruling.PASS


@pytest.mark.parametrize("name", ITEM_OF)
def test_a_limit_without_samples_is_inconclusive(name: str) -> None:
    """Nothing was measured, so nothing is known to be in time; the reason says what did not happen."""
    item, _ = ITEM_OF[name]
    found = judge(run({}, f"{name}=1s")).item(item)
    assert found.verdict is Ruling.INCONCLUSIVE
    (limit,) = found.evidence.time_limits
    assert (limit.value_ms, limit.samples) == (None, 0)
    assert " not judged: no " in limit.reason
    assert found.summary.startswith(limit.reason)


@pytest.mark.parametrize(
    ("name", "time_us", "ruling"),
    [
        ("connect.p95", 3_000_000, Ruling.FAIL),
        ("resume.p95", 3_000_000, Ruling.FAIL),
        ("p95", 1_050_000, Ruling.INCONCLUSIVE),
        ("p95", 3_000_000, Ruling.FAIL),
        ("p95", 1_000, Ruling.INCONCLUSIVE),
        ("connect.p95", 1_000, Ruling.PASS),
        ("resume.p95", 1_000, Ruling.PASS),
    ],
)
def test_an_overloaded_generator_spoils_limits_on_latency_alone(
    name: str, time_us: int, ruling: Ruling
) -> None:
    """Its delays explain no late connect or reconnect, nor latency that exceeds the limit by far more."""
    found = judged([time_us] * 200, f"{name}=1s", lag_ms=80)
    assert found.verdict is ruling
    assert ("the load generator was overloaded" in found.summary) is (ruling is Ruling.INCONCLUSIVE)


def test_fewer_messages_than_planned_excuse_no_late_reply() -> None:
    """A slow server holds back a client that waits for replies: late is late, in time is not known."""
    held = {"messaging.sent": 3000, "messaging.answered": 2890}

    def ruling(time_us: int, lag_ms: float = 0.5) -> Ruling:
        data = run({"service": [time_us] * 2000}, "p99=1s", counts=held, lag_ms=lag_ms)
        return judge(data).latency.verdict

    assert ruling(3_000_000) is Ruling.FAIL
    assert ruling(1_000) is ruling(3_000_000, lag_ms=80) is Ruling.INCONCLUSIVE


def test_the_summary_begins_with_what_decides() -> None:
    """A broken limit before what else is known, met limits after it, all with value and limit."""
    counts = {"connect.attempts": 120, "connect.failed": 20}
    late, met = run({"connect": [3_000_000] * 200}, "connect.p95=1s"), "connect.p95=4s"
    summary = judge(late).item("connect").summary
    assert summary == (
        "connect p95 3 s, limit 1 s (--ws-limit connect.p95=1s); "
        "100 sessions established in 100 attempts, 0 failed"
    )
    summary = judge(run({"connect": [3_000_000] * 200}, met)).item("connect").summary
    assert summary.endswith("0 failed; connect p95 3 s, limit 4 s")
    both = run({"connect": [3_000_000] * 200}, "connect.p95=1s", counts=counts)
    assert judge(both).item("connect").summary.startswith("20 of 120 attempts failed")


def test_latency_is_judged_without_a_baseline() -> None:
    """By its limits, and the summary says that nothing was compared."""
    verdict = judge(run({"service": [12_100] * 2000}, "p99=200ms", "p50=10ms"))
    assert verdict.latency.verdict is Ruling.FAIL
    assert verdict.latency.summary == (
        "service p50 12.1 ms, limit 10 ms (--ws-limit p50=10ms); no baseline to compare with"
    )
    assert [one.verdict for one in verdict.latency.evidence.time_limits or ()] == [Ruling.PASS, Ruling.FAIL]


def test_an_unfinished_run_passes_no_limit() -> None:
    """What it did not see may have been late; what was late stays late."""
    met, broken = (
        judge(run({"service": [12_100] * 2000}, f"p99={limit}", complete=False)) for limit in ("200ms", "2ms")
    )
    assert (met.latency.verdict, broken.latency.verdict) == (Ruling.INCONCLUSIVE, Ruling.FAIL)


def test_over_pairs_each_candidate_is_judged() -> None:
    """One late run of two fails; those whose generator was overloaded do not count beside a fit one."""
    fast, late = (timing(run({"service": [us] * 2000}, "p99=200ms")) for us in (1_000, 300_000))
    unfit = timing(run({"service": [300_000] * 2000}, "p99=200ms", lag_ms=120))
    assert judge_pairs([(fast, fast), (fast, late)]).summary.startswith("in 1 of 2 runs: service p99 300 ms")
    for pairs, ruling in (([(fast, fast), (fast, unfit)], "PASS"), ([(fast, unfit)], "INCONCLUSIVE")):
        found = judge_pairs(pairs).evidence.time_limits or []
        assert [one.verdict for one in found] == [ruling]
    assert over_runs([[], []]) == []


def step(verdict: Verdict, item: str) -> str:
    """Return the next step for an item."""
    return next_step(verdict.item(item), verdict.items)


def test_what_to_do_about_a_late_server_is_another_thing() -> None:
    """Nothing failed, so nobody looks for an error; and a late connect explains no other item."""
    verdict = judge(run({"connect": [3_000_000] * 200}, "connect.p95=1s", counts={"messaging.answered": 10}))
    assert step(verdict, "connect").startswith("find out in report.html when it was slow")
    assert "depends on connect" not in " ".join(item.summary for item in shown_items(verdict.items))
    assert step(judge(run({"service": [300_000] * 2000}, "p99=200ms")), "latency").startswith("find out")


def test_limits_are_shown_in_one_table() -> None:
    """With the values of the run, whatever their item."""
    verdict = judge(
        run({"service": [300_000] * 2000, "connect": [100_000] * 3}, "p99=200ms", "connect.p95=1s")
    )
    assert limit_table(verdict.items).rows == [
        ("connect.p95", "connect", "3", "100 ms", "1 s", "INCONCLUSIVE"),
        ("p99", "latency", "2,000", "300 ms", "200 ms", "FAIL"),
    ]
    assert not limit_table(judge(run({})).items)
