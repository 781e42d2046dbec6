"""What the load generator's gauges say of it: each over its limit for long, for a moment, and never."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import pytest

from loadtest.engine.monitor import Health
from loadtest.results.data import RunData
from loadtest.results.interval import pack
from loadtest.ruling import Ruling
from loadtest.session.recorder import ErrorTally
from loadtest.verdict import messaging
from loadtest.verdict.generator import judge_generator
from loadtest.verdict.items import Generator
from loadtest.verdict.run import judge
from tests.support.runs import SOUND_GAUGES, gathered, interval, manifest, plan, sound

# The generator.


def watched_seconds(gauges: Iterable[dict[str, float]], *, slip_us: int = 100, workers: int = 1) -> RunData:
    """Return the evidence of a run with these gauges after the warm-up, in the last worker."""
    intervals = []
    for second, values in enumerate(gauges, start=5):
        samples = {"send_slip": [slip_us] * 100}
        intervals += [
            pack(interval(second, gauges=SOUND_GAUGES, samples_us=samples), worker)
            for worker in range(workers - 1)
        ]
        last = workers - 1 if workers > 1 else None
        intervals.append(pack(interval(second, gauges=SOUND_GAUGES | values, samples_us=samples), last))
    return gathered(intervals)


def test_a_quiet_generator_is_valid() -> None:
    """Its figures are told all the same."""
    generator = judge_generator(watched_seconds([{}] * 20))
    assert generator.valid
    assert generator.figures["send_slip_p99_ms"] == pytest.approx(0.1, rel=0.01)
    assert generator.figures["cpu_ratio"] == 0.3
    assert generator.figures["loop_lag_max_ms"] == 0.5


@pytest.mark.parametrize(("gauge", "bad"), [("loop_lag_max_ms", 5.1), ("cpu_ratio", 0.81)])
@pytest.mark.parametrize("workers", [1, 3])
def test_a_gauge_over_its_limit_for_long_is_a_problem(gauge: str, bad: float, workers: int) -> None:
    """A hiccup is none; a quarter of the seconds is, and the sentence says what to change."""
    hiccup = watched_seconds([{gauge: bad}] * 2 + [{}] * 5, workers=workers)
    assert judge_generator(hiccup).valid
    saturated = judge_generator(watched_seconds([{gauge: bad}] * 5 + [{}] * 15, workers=workers))
    assert not saturated.valid
    assert "use more workers or a lower rate" in saturated.problems[0]
    assert ("worker 2" in saturated.problems[0]) == (workers == 3)


@pytest.mark.parametrize(
    ("unread_ratio", "received", "about"),
    [
        (1.0, 10**6, "the server sent more than the tool could read"),
        (0.1, 10**6, "other processes used"),
        (1.0, 2000, "other processes used"),
    ],
)
@pytest.mark.parametrize("late", [{"loop_lag_max_ms": 50.0}, {}])
def test_a_generator_that_a_server_floods_is_late_because_of_it(
    unread_ratio: float, received: int, about: str, late: dict[str, float]
) -> None:
    """However little CPU it had; bytes that wait now and then are no reason, nor are replies to the load."""
    gauges = {"cpu_ratio": 0.3, "process_cpu_ratio": 0.3, "unread_ratio": unread_ratio, **late}
    run = watched_seconds([gauges] * 20, slip_us=100 if late else 50_000)
    counts = {**run.counts, "messaging.wire_received": received, "messaging.wire_sent": 1000}
    (problem,) = judge_generator(replace(run, counts=counts)).problems
    assert about in problem


def test_a_generator_whose_loop_user_code_blocked_blames_no_other_process() -> None:
    """The code is named instead, below the problem."""
    gauges = {"cpu_ratio": 0.3, "process_cpu_ratio": 0.3, "loop_lag_max_ms": 300.0}
    run = watched_seconds([gauges] * 20)
    error = "Chat.ask blocked the event loop for over 100 ms"
    tally = ErrorTally(item="generator", error=error, count=7, session="s", at_ns=5, example="(a.py line 3)")
    late, named = judge_generator(replace(run, errors=[tally])).problems
    assert "the script or the dialect blocked it" in late
    assert named.startswith(f"{error} 7 times")
    assert "other processes used" in judge_generator(run).problems[0]


def test_a_fifth_of_a_long_run_may_be_over_the_limit() -> None:
    """Ten bad seconds of fifty are not yet the run's p99, eleven are."""
    bad = {"loop_lag_max_ms": 50.0}
    assert judge_generator(watched_seconds([bad] * 10 + [{}] * 40)).valid
    assert not judge_generator(watched_seconds([bad] * 11 + [{}] * 39)).valid


def test_late_sends_are_a_problem() -> None:
    """Send slip p99 over 5 ms is the generator's own queue."""
    generator = judge_generator(watched_seconds([{}] * 20, slip_us=6000))
    assert not generator.valid
    assert "(send slip p99 6.0 ms, limit 5 ms): use more" in generator.problems[0]


def test_unsent_messages_are_a_problem() -> None:
    """What an outage kept back is no problem, what was merely not sent is."""
    kept = sound({"messaging.planned": 6000, "messaging.queued": 500, "messaging.missed": 500})
    assert judge_generator(kept).valid
    sent = {"messaging.queued": 500, "messaging.released": 500}  # they are among the sent ones
    assert judge_generator(sound({"messaging.planned": 5000, **sent})).valid
    assert not judge_generator(sound({"messaging.planned": 6000, **sent})).valid
    generator = judge_generator(sound({"messaging.planned": 6000}))
    assert not generator.valid
    assert "83% of the planned messages" in generator.problems[0]


def test_an_unwatched_generator_is_not_called_valid() -> None:
    """No data is never PASS."""
    generator = judge_generator(gathered([interval(0, gauges=SOUND_GAUGES)]))
    assert not generator.valid
    assert "nothing was measured after the warm-up" in generator.problems[0]


def test_a_saturated_generator_leaves_everything_but_latency() -> None:
    """What was lost or came back is true whatever the client's pace was."""
    slow = sound({"messaging.planned": 6000})
    verdict = judge(slow, sound(of=manifest(revision="v0.9")))
    assert not verdict.generator.valid
    assert verdict.item("latency").verdict is Ruling.INCONCLUSIVE
    assert verdict.item("messaging").verdict is Ruling.PASS


FROM_SAMPLES = {"send_slip_p99_ms", "loop_lag_p99_ms", "achieved_ratio"}
"""Figures that come from histograms and counts."""


def test_the_loops_p99_is_that_of_all_its_wakes() -> None:
    """Not that of the seconds: one second of a hundred whose wakes were all late is the p99, not the rule."""
    lags_us = [[200] * 20] * 98 + [[9000] * 20] * 2
    seconds = [
        interval(5 + at, gauges=SOUND_GAUGES, samples_us={"loop_lag": of}) for at, of in enumerate(lags_us)
    ]
    generator = judge_generator(gathered(seconds))
    assert generator.valid
    assert generator.figures["loop_lag_p99_ms"] == pytest.approx(9.0, rel=0.01)


WARMUP_S = 5


SECONDS = 50


MAX_BAD = SECONDS // 5
"""Seconds over the limit that are not yet a problem."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A gauge's limit: a value over it, the limit itself, what is told, and what to do."""

    over: float
    within: float
    told: str
    remedy: str


LIMITS = {
    "loop_lag_max_ms": Limit(5.1, 5.0, "the event loop was more than 5 ms late", "more workers"),
    "cpu_ratio": Limit(0.81, 0.8, "the engine used more than 80% of a core", "more workers or a lower rate"),
    "process_cpu_ratio": Limit(
        0.91, 0.9, "the process used more than 90% of the core", "no other CPU-heavy code"
    ),
    "steal_ratio": Limit(0.11, 0.1, "the host stole more than 10% of the CPU", "dedicated CPUs"),
    "gc_pause_max_ms": Limit(5.1, 5.0, "garbage collection paused the process", "fewer sessions each"),
    "files_ratio": Limit(0.91, 0.9, "more than 90% of the open files allowed", "ulimit -n"),
    "ports_ratio": Limit(0.91, 0.9, "more than 90% of the local ports for this target", "--ws-source-ip"),
}
"""Of the gauges that a moment is forgiven."""


AT_ONCE = {
    "stall_max_ms": Limit(
        1001.0, 1000.0, "the engine stalled for more than 1 s", "make sure that nothing suspends"
    ),
}
"""Of those whose every excess is a problem."""


def watched(gauge: str, values: Iterable[float], *, worker: int | None = None, first_s: int = 5) -> RunData:
    """Return the evidence of a run whose gauge showed these values, second after second.

    Args:
        worker: whose gauge it was; others were sound.
        first_s: second of the run in which they begin.
    """
    intervals = []
    for second, value in enumerate(values, start=first_s):
        intervals.append(pack(interval(second, gauges=SOUND_GAUGES | {gauge: value}), worker))
        if worker is not None:
            sound = interval(second, gauges=SOUND_GAUGES | {gauge: 0.0})
            intervals += [pack(sound, other) for other in range(worker)]
    return gathered(intervals)


def for_seconds(bad: int, gauge: str, limit: Limit, worker: int | None = None) -> Generator:
    """Judge a run of 50 s in which a gauge was over its limit for so many, here and there."""
    values = [limit.over if (second * bad) % SECONDS < bad else limit.within for second in range(SECONDS)]
    assert values.count(limit.over) == bad
    return judge_generator(watched(gauge, values, worker=worker))


def test_every_gauge_is_judged() -> None:
    """What the engine records of itself is what the verdict looks at."""
    health = Health()
    recorded = health.sample(1, connections=0, address_pairs=1).keys()
    health.close()
    figures = judge_generator(gathered([])).figures.keys()
    assert recorded == LIMITS.keys() | AT_ONCE.keys() == figures - FROM_SAMPLES


@pytest.mark.parametrize("worker", [None, 2])
@pytest.mark.parametrize("gauge", LIMITS)
def test_over_the_limit_for_long_is_a_problem(gauge: str, worker: int | None) -> None:
    """Over a fifth of the seconds is one, which names gauge and worker and says what to do."""
    limit = LIMITS[gauge]
    generator = for_seconds(MAX_BAD + 1, gauge, limit, worker)
    (problem,) = generator.problems
    assert not generator.valid
    assert limit.told in problem
    assert limit.remedy in problem
    assert f"in {MAX_BAD + 1} of {SECONDS} s" in problem
    assert ("(worker 2)" in problem) == (worker == 2)
    assert generator.figures[gauge] == limit.over


@pytest.mark.parametrize("worker", [None, 2])
@pytest.mark.parametrize("gauge", LIMITS)
@pytest.mark.parametrize("bad", [0, 2, MAX_BAD])
def test_over_the_limit_for_a_moment_is_none(bad: int, gauge: str, worker: int | None) -> None:
    """A fifth of the seconds, two, or none: the run's percentiles do not tell of it."""
    generator = for_seconds(bad, gauge, LIMITS[gauge], worker)
    assert generator.valid, generator.problems
    assert generator.figures[gauge] == LIMITS[gauge].within


@pytest.mark.parametrize("gauge", LIMITS)
def test_two_seconds_of_a_short_run_are_none(gauge: str) -> None:
    """However short the run, a hiccup of two seconds is a neighbour's backup; three are too many."""
    limit = LIMITS[gauge]
    assert judge_generator(watched(gauge, [limit.over] * 2 + [limit.within] * 3)).valid
    assert not judge_generator(watched(gauge, [limit.over] * 3 + [limit.within] * 3)).valid


@pytest.mark.parametrize("worker", [None, 2])
@pytest.mark.parametrize("gauge", AT_ONCE)
def test_a_standstill_is_a_problem_however_long_the_run(gauge: str, worker: int | None) -> None:
    """One second of fifty is enough, and the figure is the worst one."""
    limit = AT_ONCE[gauge]
    assert for_seconds(0, gauge, limit, worker).valid
    generator = for_seconds(1, gauge, limit, worker)
    (problem,) = generator.problems
    assert limit.told in problem
    assert limit.remedy in problem
    assert ("(worker 2)" in problem) == (worker == 2)
    assert generator.figures[gauge] == limit.over


@pytest.mark.parametrize("gauge", LIMITS | AT_ONCE)
def test_the_warm_up_is_forgiven(gauge: str) -> None:
    """What a gauge showed before the warm-up's end is no part of what is measured."""
    limit = (LIMITS | AT_ONCE)[gauge]
    values = [limit.over] * WARMUP_S + [limit.within] * 5
    assert judge_generator(watched(gauge, values, first_s=0)).valid
    assert not judge_generator(watched(gauge, values, first_s=WARMUP_S - 2)).valid


def test_a_short_lived_worker_hides_no_other() -> None:
    """A worker late in half of its many seconds is told, though another was late in both of its two."""
    lag = "loop_lag_max_ms"
    long = [
        pack(interval(second, gauges=SOUND_GAUGES | {lag: 9.0 * (second % 2)}), 0) for second in range(100)
    ]
    short = [pack(interval(second, gauges=SOUND_GAUGES | {lag: 20.0}), 1) for second in (98, 99)]
    generator = judge_generator(gathered([*long, *short]))
    assert not generator.valid
    assert any("(worker 0)" in problem for problem in generator.problems)


# What it exceeded, and what the command that made the run can do about it.


def test_what_was_exceeded_is_named() -> None:
    """The figures that are over their limits stand beside these; others, and a fit generator, have none."""
    late = judge_generator(watched_seconds([{"cpu_ratio": 0.9}] * 20, slip_us=6000))
    assert late.exceeded == {"send_slip_p99_ms": 5.0, "cpu_ratio": 0.8}
    assert (late.state, judge_generator(watched_seconds([{}] * 20)).state) == ("overloaded", "OK")
    unmeasured = judge_generator(gathered([interval(0, gauges=SOUND_GAUGES)]))
    assert (unmeasured.state, unmeasured.exceeded) == ("not measured", {})


NOT_FOR_PROBES = ("worker", "rate", "--ws-", "run longer")
"""Words of advice that a probe cannot follow: it has one process, a fixed rate and its own options."""


@pytest.mark.parametrize("gauge", LIMITS | AT_ONCE)
def test_a_probe_is_advised_what_it_can_do(gauge: str) -> None:
    """Fewer sessions or another machine, never workers or a rate."""
    values = [(LIMITS | AT_ONCE)[gauge].over] * 20
    run = watched(gauge, values)
    probed = gathered_as(run, made_by="probe")
    (problem,) = judge_generator(probed).problems
    advice = problem.partition(": ")[2]
    assert advice
    assert not [word for word in NOT_FOR_PROBES if word in advice]


def gathered_as(run: RunData, **changes: Any) -> RunData:
    """Return a run with its manifest changed."""
    return replace(run, manifest=msgspec.structs.replace(run.manifest, **changes))


@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        ({}, "use more workers or a lower rate"),
        ({"arrivals": "closed"}, "use more workers or fewer sessions"),
        ({"rate": 0.0}, "use more workers or fewer sessions"),
    ],
)
def test_a_run_without_a_rate_is_not_advised_to_lower_it(changes: dict[str, Any], advice: str) -> None:
    """Where each message follows a reply, or none is sent, only the number of sessions is left."""
    run = watched("cpu_ratio", [0.9] * 20)
    planned = gathered_as(run, plan=plan(**changes))
    (problem,) = judge_generator(planned).problems
    assert problem == f"the engine used more than 80% of a core in 20 of 20 s: {advice}"


def test_more_in_flight_is_advised_where_they_are_bounded() -> None:
    """Without a bound there is nothing to raise."""
    (free,) = judge_generator(sound({"messaging.planned": 6000})).problems
    assert free == "only 83% of the planned messages were sent (limit 95%): use a lower rate"
    bounded = sound({"messaging.planned": 6000}, of=manifest(run_plan=plan(in_flight=2)))
    assert judge_generator(bounded).problems == [f"{free}, or raise --ws-in-flight"]


def test_a_script_has_no_planned_messages() -> None:
    """Each is sent when the script wants it; beside a rate there are planned ones."""
    for rate, ratio in ((0.0, None), (1.0, 1.0)):
        of = manifest(run_plan=plan(tasks={"ask": 1}, rate=rate))
        run = gathered([interval(8, counts={"messaging.planned": 9, "messaging.sent": 9})], of)
        assert judge_generator(run).figures["achieved_ratio"] == ratio
        counts = messaging.judge(run).evidence.counts
        assert counts["sent"] == 9
        assert ("planned" in counts) is (ratio is not None)
