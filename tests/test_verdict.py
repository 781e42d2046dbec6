"""What is concluded of a run: each item's rule from both sides, the generator, the whole."""

from __future__ import annotations

import random
from collections.abc import Iterable
from functools import cache
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.drops import Storm
from loadtest.evidence import Evidence, pack
from loadtest.recorder import COUNTS, Lifecycle
from loadtest.schedule import NS_PER_S
from loadtest.verdict import ITEMS, Item, Ruling, Verdict, judge
from loadtest.verdict.books import unaccounted
from loadtest.verdict.connect import MOST_FAILED_RATIO
from loadtest.verdict.generator import judge_generator
from loadtest.verdict.items import whole
from loadtest.verdict.messaging import FAILINGS, LEAST_ANSWERED, OUTCOMES
from loadtest.verdict.persistence import FAILINGS as PERSISTENCE_FAILINGS
from tests.support.fake_link import Link
from tests.support.runs import SOUND_COUNTS, SOUND_GAUGES, gathered, interval, manifest, plan, sound, tally

NO_DROPS = manifest(run_plan=plan(drop_every_s=0.0, drops={}))


def ruling(item: str, evidence: Evidence) -> Ruling:
    """Return the ruling on one item."""
    return judge(evidence).item(item).verdict


def told(item: str, evidence: Evidence) -> str:
    """Return the summary of one item."""
    return judge(evidence).item(item).summary


# The whole.


def test_a_sound_run_passes_whatever_is_judged() -> None:
    """Without baseline and server log those two are not judged, and count for nothing."""
    verdict = judge(sound())
    assert {item.item: item.verdict for item in verdict.items} == {
        "connect": Ruling.PASS,
        "messaging": Ruling.PASS,
        "reconnect": Ruling.PASS,
        "persistence": Ruling.PASS,
        "latency": Ruling.NOT_JUDGED,
        "server_log": Ruling.NOT_JUDGED,
    }
    assert (verdict.verdict, verdict.exit_code) == (Ruling.PASS, 0)
    assert [item.item for item in verdict.items] == list(ITEMS)


def test_the_worst_item_is_the_run() -> None:
    """FAIL before INCONCLUSIVE before PASS, and a run of which nothing was judged is INCONCLUSIVE."""

    def of(*rulings: Ruling) -> Ruling:
        return whole(Item(item="connect", verdict=one, summary="") for one in rulings)

    assert of(Ruling.PASS, Ruling.FAIL, Ruling.INCONCLUSIVE) is Ruling.FAIL
    assert of(Ruling.PASS, Ruling.INCONCLUSIVE, Ruling.NOT_JUDGED) is Ruling.INCONCLUSIVE
    assert of(Ruling.PASS, Ruling.NOT_JUDGED) is Ruling.PASS
    assert of(Ruling.NOT_JUDGED) is Ruling.INCONCLUSIVE
    assert of() is Ruling.INCONCLUSIVE


def test_the_server_logs_item_counts_like_any_other() -> None:
    """The item is judged elsewhere and handed in."""
    log_item = Item(item="server_log", verdict=Ruling.FAIL, summary="3 ERROR lines for normal disconnects")
    verdict = judge(sound(), log_item=log_item)
    assert verdict.item("server_log") is log_item
    assert (verdict.verdict, verdict.exit_code) == (Ruling.FAIL, 1)


def test_an_empty_run_is_inconclusive() -> None:
    """No data is never PASS."""
    verdict = judge(gathered([]))
    assert (verdict.verdict, verdict.exit_code) == (Ruling.INCONCLUSIVE, 4)
    assert Ruling.PASS not in {item.verdict for item in verdict.items}


def test_a_killed_run_says_so() -> None:
    """What there is of it is judged, and nothing passes; what was under way is no error."""
    killed = manifest(complete=False)
    verdict = judge(sound({"messaging.unfinished": 0}, of=killed))
    assert verdict.verdict is Ruling.INCONCLUSIVE
    assert Ruling.PASS not in {item.verdict for item in verdict.items}
    summary = verdict.item("messaging").summary
    assert summary.startswith("the run was not ended in good order; else: 4890 of 5000 messages answered")
    assert judge(sound({"messaging.lost": 1}, of=killed)).verdict is Ruling.FAIL
    assert any("not ended in good order" in note for note in verdict.notes)


def test_clamped_samples_are_told() -> None:
    """Values beyond the histograms' range are never passed over in silence."""
    assert any("3 latency samples" in note for note in judge(sound({"latency.clamped": 3})).notes)


def test_a_verdict_is_plain_data() -> None:
    """verdict.json can be read back, and its keys are those of the design."""
    verdict = judge(sound(), sound(of=manifest(revision="v0.9")))
    written = msgspec.json.encode(verdict)
    assert msgspec.json.decode(written, type=Verdict) == verdict
    plain = msgspec.json.decode(written)
    assert {"schema", "revision", "baseline", "items", "generator", "verdict"} <= plain.keys()
    assert (plain["revision"], plain["baseline"], plain["schema"]) == ("v1.0", "v0.9", 1)
    assert {"item", "verdict", "summary", "evidence"} == plain["items"][0].keys()


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(COUNTS)), st.integers(0, 10_000)))
def test_any_counts_get_a_verdict(counts: dict[str, int]) -> None:
    """No combination of counts is an error, and a count that must be zero is never PASS."""
    verdict = judge(gathered([interval(0, counts=counts)]))
    assert verdict.exit_code in (0, 1, 4)
    for name in FAILINGS:
        if counts.get(f"messaging.{name}"):
            assert verdict.item("messaging").verdict is Ruling.FAIL


# connect


def test_connecting_fails_above_one_in_a_thousand() -> None:
    """A failed attempt or two in thousands is no finding, one in a hundred is."""
    established, most = 10_000, int(MOST_FAILED_RATIO * 10_000)

    def failed(count: int) -> Ruling:
        attempts = {"connect.attempts": established + count, "connect.established": established}
        return ruling("connect", sound({**attempts, "connect.failed": count}))

    assert failed(most) is Ruling.PASS
    assert failed(most + 1) is Ruling.FAIL


def test_attempts_that_hang_at_the_end_are_inconclusive() -> None:
    """A server that does not answer some sessions at all is not called sound because the run was short."""
    hanging = sound({"connect.attempts": 110, "connect.unresolved": 10})
    assert ruling("connect", hanging) is Ruling.INCONCLUSIVE
    assert "10 of 110 attempts had no answer" in told("connect", hanging)
    assert ruling("connect", sound({"connect.attempts": 110, "connect.cut_short": 10})) is Ruling.PASS


def test_a_session_that_gave_up_connecting_fails() -> None:
    """Not one may."""
    assert ruling("connect", sound({"connect.attempts": 10**6, "connect.gave_up": 1})) is Ruling.FAIL


def test_no_session_established_is_inconclusive() -> None:
    """Attempts under way at the end of a short run tell nothing."""
    assert ruling("connect", sound({"connect.established": 0})) is Ruling.INCONCLUSIVE
    assert ruling("connect", sound(without=["connect"])) is Ruling.INCONCLUSIVE


def test_errors_are_told_with_an_example_and_their_first() -> None:
    """The three commonest errors, each with count, example, session and time of the first."""
    errors = [tally("connect", f"error {count}", count, at_s=count) for count in (1, 4, 2, 3)]
    found = judge(sound({"connect.failed": 10}, errors=errors)).item("connect").evidence["errors"]
    assert [error["count"] for error in found] == [4, 3, 2]
    assert found[0] == {
        "error": "error 4",
        "count": 4,
        "example": "an example",
        "session": "s-1",
        "at_s": 4.0,
    }


# messaging


@pytest.mark.parametrize("name", FAILINGS)
def test_one_message_is_enough_to_fail(name: str) -> None:
    """Whatever an undisturbed connection owes and does not keep fails the item, and is named."""
    counts = {f"messaging.{name}": 1}
    if name in OUTCOMES:
        counts["messaging.answered"] = 4889
    assert ruling("messaging", sound({**counts})) is Ruling.FAIL
    assert FAILINGS[name] in told("messaging", sound({**counts}))


def test_what_a_drop_explains_is_no_failing() -> None:
    """Requests that went down with their connection are told, and pass."""
    evidence = sound({"messaging.lost_in_outage": 90, "messaging.recovered": 10})
    assert ruling("messaging", evidence) is Ruling.PASS
    assert "100 went down with their connection" in told("messaging", evidence)


def test_few_answers_are_inconclusive() -> None:
    """Under a hundred answers show too little, unless one of them already fails."""
    few = {"messaging.sent": LEAST_ANSWERED - 1, "messaging.answered": LEAST_ANSWERED - 1}
    few |= {"messaging.lost_in_outage": 0, "messaging.unfinished": 0}
    assert ruling("messaging", sound({**few})) is Ruling.INCONCLUSIVE
    assert ruling("messaging", sound({**few, "messaging.duplicated": 1})) is Ruling.FAIL


def test_books_that_do_not_balance_are_inconclusive() -> None:
    """What has no outcome means that the tool, or a worker, lost something."""
    evidence = sound({"messaging.answered": 4880})
    assert ruling("messaging", evidence) is Ruling.INCONCLUSIVE
    assert "10 of 5000 messages sent have no outcome" in told("messaging", evidence)
    evidence = sound({"connect.attempts": 101, "reconnect.outages": 201})
    assert "1 of 101 attempts have no outcome" in told("connect", evidence)
    assert "1 of 201 outages have no outcome" in told("reconnect", evidence)
    assert ruling("connect", evidence) is ruling("reconnect", evidence) is Ruling.INCONCLUSIVE


def test_a_killed_run_cannot_have_more_outcomes_than_requests() -> None:
    """Requests may be under way when a run is killed, but not the other way round."""
    killed = manifest(complete=False)
    assert unaccounted(sound({"messaging.answered": 4880}, of=killed), "messaging", "sent", OUTCOMES) == 0
    assert unaccounted(sound({"messaging.answered": 4900}, of=killed), "messaging", "sent", OUTCOMES) == -10


def test_no_messages_planned_is_not_judged() -> None:
    """A run at rate 0 is for connections only."""
    silent = sound(of=manifest(run_plan=plan(rate=0.0)), without=["messaging"])
    assert ruling("messaging", silent) is Ruling.NOT_JUDGED
    assert ruling("messaging", sound(without=["messaging"])) is Ruling.INCONCLUSIVE


def test_absent_pushes_are_mentioned_in_long_runs() -> None:
    """A server may have nothing to push, so this is a remark and no failing."""
    short = sound({"messaging.pushes": 0})
    assert "no push" not in told("messaging", short)
    long = gathered([interval(0, seconds=100, counts={"messaging.sent": 200, "messaging.answered": 200})])
    assert ruling("messaging", long) is Ruling.PASS
    assert "no push was received" in told("messaging", long)


@pytest.mark.parametrize(
    ("fault", "found"), [("lose", "lost"), ("duplicate", "duplicated"), ("corrupt", "corrupted")]
)
def test_a_servers_fault_goes_from_the_wire_to_the_verdict(fault: str, found: str) -> None:
    """A session, its recorder, the packing and the judge agree on what a fault is called."""
    link = Link().start()
    link.server.faults[3] = fault
    link.send(200).hear().sweep(60 * NS_PER_S).stop()
    verdict = judge(gathered([pack(link.recorder.swap(link.now_ns))])).item("messaging")
    assert verdict.verdict is Ruling.FAIL
    assert verdict.evidence["counts"][found] == 1
    assert verdict.evidence["unaccounted"] == 0
    assert verdict.evidence["errors"][0]["session"] == "session-0"


def test_messages_that_hang_until_their_connection_ends_are_inconclusive() -> None:
    """A server that loses replies does not pass because each loss met a drop before the timeout."""
    assert ruling("messaging", sound({"messaging.hanging": 5})) is Ruling.PASS
    many = sound({"messaging.hanging": 6})
    assert ruling("messaging", many) is Ruling.INCONCLUSIVE
    assert "lower --ws-reply-timeout" in told("messaging", many)


def test_a_run_cut_short_is_told() -> None:
    """What a run of a tenth of its time shows stands, and the reader knows how much it was."""
    assert not judge(sound()).notes
    planned = manifest(run_plan=plan(duration_s=600.0))
    assert judge(sound(of=planned)).notes == ["the run was cut short: 60 s of 600 s"]
    brief = manifest(run_plan=plan(duration_s=10.0))
    assert not judge(gathered([interval(0, seconds=8, counts={"connect.attempts": 1})], brief)).notes


def test_nothing_passes_in_a_run_that_the_tool_gave_up() -> None:
    """What was seen up to then stands, a FAIL too, but no PASS."""
    gave_up = manifest(complete=False, failure="OSError: full")
    assert ruling("connect", sound()) is Ruling.PASS
    assert ruling("connect", sound(of=gave_up)) is Ruling.INCONCLUSIVE
    assert "the tool itself failed before the run's end" in told("connect", sound(of=gave_up))
    assert ruling("connect", sound({"connect.gave_up": 1}, of=gave_up)) is Ruling.FAIL


# reconnect


@pytest.mark.parametrize("name", ["gave_up", "forbidden", "overdue"])
def test_one_session_that_stays_away_fails(name: str) -> None:
    """Not one outage may end badly."""
    assert ruling("reconnect", sound({f"reconnect.{name}": 1})) is Ruling.FAIL


def test_a_living_server_may_refuse_one_attempt_in_a_hundred() -> None:
    """Attempts that find nobody are the outage's; the others are the server's."""
    assert ruling("reconnect", sound({"reconnect.failed": 2})) is Ruling.PASS
    assert ruling("reconnect", sound({"reconnect.failed": 3})) is Ruling.FAIL
    assert ruling("reconnect", sound({"reconnect.failed": 150, "reconnect.unreachable": 150})) is Ruling.PASS


def test_outages_without_an_end_are_inconclusive() -> None:
    """A failed attempt just before the end tells neither way."""
    assert ruling("reconnect", sound({"reconnect.unresolved": 1})) is Ruling.INCONCLUSIVE


def test_few_resumes_are_inconclusive_where_drops_were_planned() -> None:
    """Ten are the least; a loss or two in a run without drops are judged as they are."""
    few = {"reconnect.outages": 9, "reconnect.resumed": 9, "reconnect.attempts": 9, "reconnect.cut_short": 0}
    assert ruling("reconnect", sound({**few})) is Ruling.INCONCLUSIVE
    assert ruling("reconnect", sound({**few}, of=NO_DROPS)) is Ruling.PASS


SLOW = {"drops": {"slow_reader": 1.0, "close": 0.0}}
STORM = Storm(at_s=30, share_ratio=0.5)
SLOW_STORM = Storm(at_s=30, share_ratio=0.5, kind="slow_reader")


@pytest.mark.parametrize(
    ("changes", "own", "outages"),
    [
        ({}, True, True),
        (SLOW, False, False),
        (SLOW | {"storms": (SLOW_STORM,)}, False, False),
        ({"drop_every_s": 0.0, "storms": (SLOW_STORM,)}, False, False),
        ({"drop_every_s": 0.0, "storms": (SLOW_STORM, STORM)}, False, True),
        ({"drops": {"somebodys_own": 1.0}}, True, True),
    ],
)
def test_outages_are_planned_by_drops_that_disconnect(
    changes: dict[str, Any], own: bool, outages: bool
) -> None:
    """A slow reader stays connected; a kind that this process does not know is taken to disconnect."""
    of = plan(**changes)
    assert (of.drops_planned, of.drops_disconnect, of.outages_planned) == (True, own, outages)


@pytest.mark.parametrize("storms", [(), (SLOW_STORM,)])
def test_a_plan_without_disconnects_can_pass(storms: tuple[Storm, ...]) -> None:
    """Of slow readers nobody has to come back; who is lost all the same is judged."""
    of = manifest(run_plan=plan(**SLOW, storms=storms))
    met = Lifecycle(at_ns=30 * NS_PER_S, event="dropped", session="s-0", kind="slow_reader", storm=0)
    counts = {name: count for name, count in SOUND_COUNTS.items() if name[:4] in ("conn", "mess")}
    calm = interval(0, seconds=60, counts=counts, gauges=SOUND_GAUGES, lifecycle=[met])
    verdict = judge(gathered([calm], of))
    assert verdict.item("reconnect").verdict is verdict.item("persistence").verdict is Ruling.NOT_JUDGED
    assert verdict.verdict is Ruling.PASS
    lost = interval(30, counts={"reconnect.outages": 2, "reconnect.resumed": 1, "reconnect.gave_up": 1})
    assert ruling("reconnect", gathered([calm, lost], of)) is Ruling.FAIL
    lost = interval(30, counts={"reconnect.outages": 2, "reconnect.resumed": 2})
    assert ruling("reconnect", gathered([calm, lost], of)) is Ruling.PASS


def test_a_storm_of_slow_readers_that_met_nobody_is_inconclusive() -> None:
    """What was planned did not happen; a killed run may not have come to it."""
    storm = plan(drop_every_s=0.0, storms=(SLOW_STORM,))
    evidence = sound(of=manifest(run_plan=storm), without=["reconnect", "persistence", "drops"])
    assert ruling("reconnect", evidence) is Ruling.INCONCLUSIVE
    assert "or its share of 100 sessions is none" in told("reconnect", evidence)
    killed = manifest(run_plan=storm, complete=False)
    evidence = sound(of=killed, without=["reconnect", "persistence", "drops"])
    assert ruling("reconnect", evidence) is Ruling.NOT_JUDGED


def test_few_outages_are_told_what_makes_more() -> None:
    """A longer run has more drops, but no more storms."""
    few = {"reconnect.outages": 9, "reconnect.resumed": 9, "reconnect.cut_short": 0, "persistence.checked": 9}
    met = [Lifecycle(at_ns=30 * NS_PER_S, event="dropped", session="s-0", storm=0)]
    counts = interval(0, seconds=60, counts={**SOUND_COUNTS, **few}, gauges=SOUND_GAUGES, lifecycle=met)
    storm = gathered([counts], manifest(run_plan=plan(drop_every_s=0.0, storms=(STORM,))))
    drops = gathered([counts], manifest(run_plan=plan(storms=(STORM,))))
    for item in ("reconnect", "persistence"):
        assert ruling(item, storm) is ruling(item, drops) is Ruling.INCONCLUSIVE
        assert told(item, storm).endswith("needed: run with more sessions, or with larger or more storms")
        assert told(item, drops).endswith("needed: run longer, with more sessions or more frequent drops")


def test_no_drops_and_no_outages_are_not_judged() -> None:
    """Nothing was to be seen."""
    evidence = sound(of=NO_DROPS, without=["reconnect", "persistence", "drops"])
    assert ruling("reconnect", evidence) is Ruling.NOT_JUDGED
    assert ruling("persistence", evidence) is Ruling.NOT_JUDGED


def test_a_policy_of_not_coming_back_is_not_judged() -> None:
    """Sessions that were told to stay away and do have done nothing wrong."""
    stay_away = manifest(run_plan=plan(backoff="none"))
    counts = {"reconnect.gave_up": 200, "reconnect.resumed": 0}
    evidence = sound(counts, of=stay_away, without=["persistence"])
    assert ruling("reconnect", evidence) is Ruling.NOT_JUDGED
    assert ruling("persistence", evidence) is Ruling.NOT_JUDGED
    assert ruling("reconnect", sound({"reconnect.forbidden": 1}, of=stay_away)) is Ruling.FAIL


def test_outages_are_told_in_numbers() -> None:
    """Resumes, percentiles and herd peak stand in summary and evidence."""
    outages = interval(31, samples_us={"outage": [1_000_000] * 100})
    item = judge(
        gathered(
            [interval(0, seconds=31, counts={"reconnect.outages": 100, "reconnect.resumed": 100}), outages]
        )
    ).item("reconnect")
    assert "100 of 100 outages resumed, p50 1.00 s, p95 1.00 s" in item.summary
    assert item.evidence["percentiles"]["outage"]["samples"] == 100
    assert item.evidence["herd_peak_per_s"] == 0


# persistence


@pytest.mark.parametrize("name", PERSISTENCE_FAILINGS)
def test_one_broken_promise_fails(name: str) -> None:
    """Whatever a server acknowledged holds after a resume."""
    assert ruling("persistence", sound({f"persistence.{name}": 1})) is Ruling.FAIL


def test_few_resumes_tell_too_little_of_persistence() -> None:
    """Ten checked resumes are the least."""
    assert ruling("persistence", sound({"persistence.checked": 9})) is Ruling.INCONCLUSIVE
    assert ruling("persistence", sound({"persistence.checked": 10})) is Ruling.PASS


def test_without_history_the_identity_alone_is_judged() -> None:
    """Evidence and summary say that it was."""
    item = judge(sound({"persistence.histories": 0, "persistence.acknowledged": 0})).item("persistence")
    assert item.verdict is Ruling.PASS
    assert "identity only" in item.summary
    assert item.evidence["judged_by"] == "identity only"


@pytest.mark.parametrize(("dialect", "checked"), [("echo", 0), ("somebodys-own", 0)])
def test_dialects_without_identity_are_not_judged(dialect: str, checked: int) -> None:
    """Nor is a dialect that this process does not know and that compared nothing."""
    of = manifest(run_plan=plan(dialect=dialect))
    assert ruling("persistence", sound(of=of, without=["persistence"])) is Ruling.NOT_JUDGED


def test_an_unknown_dialect_is_judged_by_what_it_compared() -> None:
    """A report made without the user's locustfile comes to the same verdict."""
    of = manifest(run_plan=plan(dialect="somebodys-own"))
    assert ruling("persistence", sound(of=of)) is Ruling.PASS
    assert ruling("persistence", sound({"persistence.missing": 1}, of=of)) is Ruling.FAIL


# The generator.


def watched(gauges: Iterable[dict[str, float]], *, slip_us: int = 100, workers: int = 1) -> Evidence:
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
    generator = judge_generator(watched([{}] * 20))
    assert generator.valid
    assert generator.figures["send_slip_p99_ms"] == pytest.approx(0.1, rel=0.01)
    assert generator.figures["cpu_ratio"] == 0.3
    assert generator.figures["loop_lag_p99_ms"] == 0.5


@pytest.mark.parametrize(("gauge", "bad"), [("loop_lag_p99_ms", 5.1), ("cpu_ratio", 0.81)])
@pytest.mark.parametrize("workers", [1, 3])
def test_a_gauge_over_its_limit_for_long_is_a_problem(gauge: str, bad: float, workers: int) -> None:
    """A hiccup is none; a quarter of the seconds is, and the sentence says what to change."""
    hiccup = watched([{gauge: bad}] * 2 + [{}] * 5, workers=workers)
    assert judge_generator(hiccup).valid
    saturated = judge_generator(watched([{gauge: bad}] * 5 + [{}] * 15, workers=workers))
    assert not saturated.valid
    assert "use more workers, or a lower rate" in saturated.problems[0]
    assert ("worker 2" in saturated.problems[0]) == (workers == 3)


def test_a_fifth_of_a_long_run_may_be_over_the_limit() -> None:
    """Ten bad seconds of fifty are not yet the run's p99, eleven are."""
    bad = {"loop_lag_p99_ms": 50.0}
    assert judge_generator(watched([bad] * 10 + [{}] * 40)).valid
    assert not judge_generator(watched([bad] * 11 + [{}] * 39)).valid


def test_late_sends_are_a_problem() -> None:
    """Send slip p99 over 5 ms is the generator's own queue."""
    generator = judge_generator(watched([{}] * 20, slip_us=6000))
    assert not generator.valid
    assert "send slip p99 is 6.0 ms" in generator.problems[0]


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
    assert "was not observed after the warm-up" in generator.problems[0]


def test_a_saturated_generator_leaves_everything_but_latency() -> None:
    """What was lost or came back is true whatever the client's pace was."""
    slow = sound({"messaging.planned": 6000})
    verdict = judge(slow, sound(of=manifest(revision="v0.9")))
    assert not verdict.generator.valid
    assert verdict.item("latency").verdict is Ruling.INCONCLUSIVE
    assert verdict.item("messaging").verdict is Ruling.PASS


# latency


@cache
def timed(
    factor: float = 1.0,
    *,
    seed: int = 1,
    seconds: int = 20,
    outages: int = 0,
    revision: str = "v1.0",
    rate: float = 1.0,
) -> Evidence:
    """Return the evidence of a run with service times around 20 ms, slower by a factor."""
    rng = random.Random(seed)
    intervals = [
        interval(
            second,
            samples_us={
                "service": [int(rng.lognormvariate(9.9, 0.2) * factor) for _ in range(60)],
                "outage": [int(rng.lognormvariate(14, 0.2) * factor) for _ in range(outages)],
            },
            gauges=SOUND_GAUGES,
        )
        for second in range(5, 5 + seconds)
    ]
    return gathered(intervals, manifest(revision=revision, run_plan=plan(rate=rate)))


def test_without_a_baseline_latency_is_not_judged() -> None:
    """It is measured all the same."""
    item = judge(timed()).item("latency")
    assert item.verdict is Ruling.NOT_JUDGED
    assert item.evidence["percentiles"]["service"]["samples"] == 1200


def test_latency_without_messages_is_not_judged() -> None:
    """A run at rate 0 is for connections only, whatever baseline there is."""
    silent = manifest(run_plan=plan(rate=0.0))
    assert judge(sound(of=silent), sound(of=silent)).item("latency").verdict is Ruling.NOT_JUDGED


def test_runs_of_unlike_plans_are_inconclusive() -> None:
    """The fields that differ are named."""
    other = timed(revision="v0.9", rate=2.0)
    item = judge(timed(), other).item("latency")
    assert item.verdict is Ruling.INCONCLUSIVE
    assert "they differ in --ws-rate. " in item.summary


def test_a_baseline_made_by_a_saturated_generator_is_inconclusive() -> None:
    """A slow baseline would make anything pass."""
    baseline = gathered([interval(second, gauges={"cpu_ratio": 1.0}) for second in range(5, 40)])
    item = judge(timed(), baseline).item("latency")
    assert item.verdict is Ruling.INCONCLUSIVE
    assert "the baseline's load generator" in item.summary


def test_a_much_slower_run_fails_and_names_its_gates() -> None:
    """Twice as slow is beyond all noise; each gate is told with values, change, interval and margin."""
    item = judge(timed(2.0, seed=2), timed(revision="v0.9")).item("latency")
    assert item.verdict is Ruling.FAIL
    assert "service p50 changed by +98.2 %" in item.summary
    gate = item.evidence["gates"][0]
    assert gate["decision"] == "FAIL"
    assert gate["change_ratio"] == pytest.approx(1.0, abs=0.05)
    assert gate["low_ratio"] < gate["change_ratio"] < gate["high_ratio"]
    assert gate["margin_ratio"] == pytest.approx(0.05)
    assert gate["candidate_us"] == pytest.approx(2 * gate["baseline_us"], rel=0.05)
    assert item.evidence["baseline"]["revision"] == "v0.9"


def test_a_single_pair_cannot_tell_a_few_percent() -> None:
    """With the noise of runs assumed, 5 % at 20 ms needs more pairs, and the item says so."""
    item = judge(timed(seed=2), timed(revision="v0.9")).item("latency")
    assert item.verdict is Ruling.INCONCLUSIVE
    assert "more interleaved pairs would settle it" in item.summary
    assert item.evidence["gates"][0]["more_pairs"] > 0
    assert item.evidence["noise"]["service p50"].endswith("assumed")


def test_earlier_runs_tell_the_noise_and_settle_it() -> None:
    """Eight runs that agree within a percent let one pair of runs PASS."""
    earlier = (timed(seed=seed, revision="v0.9") for seed in range(3, 11))
    item = judge(timed(seed=2), timed(revision="v0.9"), earlier=earlier).item("latency")
    assert item.verdict is Ruling.PASS
    assert item.evidence["noise"]["service p50"].endswith("measured over 8 runs")


def test_too_few_outages_leave_their_gate_out() -> None:
    """A short run's outages do not make it inconclusive; the evidence says what was left out."""
    some = judge(timed(2.0, outages=1), timed(outages=1)).item("latency")
    assert [gate["tag"] for gate in some.evidence["gates"]] == ["service"] * 3
    assert some.evidence["left_out"] == ["outage p95: 20 outages, 200 are needed"]
    many = judge(timed(2.0, outages=10), timed(outages=10)).item("latency")
    assert [gate["gate"] for gate in many.evidence["gates"]][-1] == "outage p95"
    assert many.evidence["left_out"] == []


def test_too_few_round_trips_are_inconclusive() -> None:
    """Service gates are never left out."""
    item = judge(timed(seconds=5), timed(seconds=5, revision="v0.9")).item("latency")
    assert item.verdict is Ruling.INCONCLUSIVE
    assert item.summary == (
        "service p50, p90 and p99 cannot be judged, the baseline has 300 service samples, p99 needs 1000: "
        "run 3.3 times as long, or at a higher rate"
    )


def test_a_margin_that_is_a_time_is_told_as_one() -> None:
    """5 % of 0.4 ms is less than 0.2 ms: the summary says so once, the evidence holds both margins."""
    item = judge(timed(0.02 * 1.6, seed=2), timed(0.02, revision="v0.9")).item("latency")
    assert item.summary.endswith(
        "; the margin of service p50, p90 and p99 is 0.2 ms, which is more than 5 %, 10 % and 20 % there"
    )
    gate = item.evidence["gates"][0]
    assert (gate["relative_margin_ratio"], gate["absolute_margin_us"]) == (0.05, 200.0)
    assert gate["margin_ratio"] == pytest.approx(200 / gate["baseline_us"])
    assert "the margin of" not in judge(timed(2.0, seed=2), timed()).item("latency").summary


def test_how_a_baseline_was_found_is_evidence() -> None:
    """Where it is and by which rule, what was passed over, and why there is none."""
    found = {"path": "results/v0.9/x", "rule": "a rule", "passed_over": [{"run_id": "y"}]}
    evidence = judge(timed(2.0), timed(revision="v0.9"), found=found).item("latency").evidence
    assert (evidence["baseline"]["path"], evidence["baseline"]["rule"]) == ("results/v0.9/x", "a rule")
    assert evidence["passed_over"] == [{"run_id": "y"}]
    none = judge(timed(), found={"rule": "nobody asked"}).item("latency")
    assert (none.verdict, none.summary) == (Ruling.NOT_JUDGED, "nobody asked")
    assert judge(timed()).item("latency").summary == "no baseline to compare with"


def test_a_verdict_is_the_same_whenever_it_is_made() -> None:
    """`loadtest report` rebuilds what the run's end said, bootstrap included."""
    assert judge(timed(seed=2), timed()) == judge(timed(seed=2), timed())
