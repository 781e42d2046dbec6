"""Records matched to drops, and the clocks' difference."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.serverlog.extract import KeptRecord
from loadtest.serverlog.matching import END_OF_RUN, DropMade, Sighting, clock_offset, covered_ratio, match
from loadtest.serverlog.records import Level
from loadtest.serverlog.rules import LogClass
from loadtest.serverlog.times import SECOND_NS

START_S = 1_795_443_815


def drop(at_s: float, session: str = "s", kind: str = "close") -> DropMade:
    """A drop some seconds into the run."""
    return DropMade(at_ns=round((START_S + at_s) * SECOND_NS), session=session, kind=kind)


def seen(
    at_s: float | None,
    session: str = "s",
    log_class: LogClass = LogClass.GRACEFUL,
    level: Level = Level.INFO,
    *,
    arrival: bool = False,
) -> Sighting:
    """A record some seconds into the run."""
    at_ns = None if at_s is None else round((START_S + at_s) * SECOND_NS)
    record = KeptRecord(level=level, log_class=log_class, at_ns=at_ns, arrival=arrival, session=session)
    return Sighting(record, at_ns)


def matched(sightings: list[Sighting], drops: list[DropMade]) -> list[int | None]:
    """The drop of each record."""
    match(sightings, drops)
    return [sighting.drop for sighting in sightings]


def run(rng: random.Random, offset_s: float, named: bool) -> tuple[list[DropMade], list[Sighting]]:
    """A run of 20 sessions with 8 drops each, and what a server logs whose clock is ahead."""
    drops, sightings = [], []
    for session in range(20):
        at_s = 0.0
        for _ in range(8):
            at_s += 5 + rng.expovariate(1 / 20)
            kind = rng.choice(["close", "reset", "half_open", "mid_reply"])
            drops.append(drop(at_s, f"s{session}", kind))
            delay_s = rng.uniform(20, 40) if kind == "half_open" else rng.uniform(0.001, 0.02)
            sightings.append(seen(at_s + delay_s + offset_s, f"s{session}" if named else ""))
    return drops, sightings


@pytest.mark.parametrize("offset_s", [0.0, 0.4, -3.0, 3_600.0, -7_200.0])
@pytest.mark.parametrize("seed", range(5))
def test_the_offset_is_found_by_sessions(offset_s: float, seed: int) -> None:
    """Even hours of difference are found, to within the server's time to notice."""
    drops, sightings = run(random.Random(seed), offset_s, named=True)
    found_ns = clock_offset(sightings, drops).ns
    assert found_ns is not None
    assert 0 <= found_ns / SECOND_NS - offset_s < 0.025


def test_without_sessions_the_offset_is_unknown() -> None:
    """Records that name no session may be anybody's: closeness in time says nothing of the clocks."""
    drops, sightings = run(random.Random(1), 0.5, named=False)
    assert clock_offset(sightings, drops).ns is None
    strangers = [seen(drop.at_ns / SECOND_NS - START_S + 2, "stranger") for drop in drops]
    assert clock_offset(strangers, drops).ns is None


def ends(at_s: float, sessions: int = 20) -> list[DropMade]:
    """The sessions' ends with the run."""
    return [drop(at_s, f"s{number}", END_OF_RUN) for number in range(sessions)]


def assert_offset_s(sightings: list[Sighting], drops: list[DropMade], offset_s: float) -> None:
    """The clocks differ by this."""
    found_ns = clock_offset(sightings, drops).ns
    assert found_ns is not None
    assert found_ns / SECOND_NS == pytest.approx(offset_s, abs=1e-5)


@pytest.mark.parametrize("offset_s", [0.0, 2.0])
def test_records_of_the_runs_end_say_nothing_of_the_clock(offset_s: float) -> None:
    """A server that names sessions only as the run ends, 2 s after their last drops, is not 2 s off.

    One that names them each time is as far off as those records say.
    """
    drops = [drop(10 + number / 100, f"s{number}") for number in range(20)]
    at_end = [
        seen(12 + number / 100 + offset_s + late_s, f"s{number}")
        for number in range(20)
        for late_s in (0, 0.1)
    ]
    assert clock_offset(at_end, [*drops, *ends(12.5)]).ns is None
    few = [seen(10 + number / 100 + offset_s + 0.01, f"s{number}") for number in range(3)]
    assert_offset_s([*at_end, *few], [*drops, *ends(12.5)], offset_s + 0.01)


def test_a_late_record_does_not_hide_that_of_the_end() -> None:
    """The server notices a silent client when the run is over: the record before that one is of the end."""
    made = [one for n in range(20) for one in (drop(5, f"s{n}", "half_open"), drop(10, f"s{n}", "fin"))]
    at_end = [seen(at_s, f"s{number}") for number in range(20) for at_s in (12, 35)]
    assert clock_offset(at_end, [*made, *ends(12.5)]).ns is None
    prompt = [seen(10.01, f"s{number}") for number in range(20)]
    assert_offset_s([*at_end, *prompt], [*made, *ends(12.5)], 0.01)


def test_a_session_that_is_away_at_the_end_has_no_record_of_it() -> None:
    """Its last record is that of its drop."""
    drops = [drop(10 + number, f"s{number}") for number in range(9)]
    assert_offset_s([seen(10.25 + number, f"s{number}") for number in range(9)], drops, 0.25)


def twice_given(offset_s: float, *, records: int = 1, of_drops: int = 30) -> list[Sighting]:
    """What a server logs of `thirty` by ids of its own, whose clock, or another run, is so far away."""
    found = [
        seen(drop.at_ns / SECOND_NS - START_S + offset_s + late / 10)
        for drop in thirty()[:of_drops]
        for late in range(records)
    ]
    for sighting in found:
        sighting.own = False
    return found


def thirty() -> list[DropMade]:
    """Thirty drops of one session, at irregular times."""
    rng = random.Random(3)
    return [drop(10 * number + rng.uniform(0, 5)) for number in range(30)]


@pytest.mark.parametrize("other_s", [-3_600.0, -600.0, -40_000.5, 3_600.0, 411.0])
def test_another_run_in_the_log_is_not_this_one(other_s: float) -> None:
    """The same accounts are dropped at the same times in each run: the one at the run's own time counts."""
    both = [*twice_given(other_s, records=2), *twice_given(0.01)]
    found = clock_offset(both, thirty())
    assert found.ns is not None
    assert found.ns / SECOND_NS == pytest.approx(0.01, abs=1e-5)


def test_ids_that_every_run_has_say_little_of_a_clock_far_away() -> None:
    """Before the first drop they are another run's; after it they count if the offset is that of a zone."""
    assert clock_offset(twice_given(-3_600), thirty()).ns is None
    assert clock_offset(twice_given(-3_600), thirty()).doubtful_ns == ()
    zone = clock_offset(twice_given(7_200.01), thirty())
    assert zone.ns is not None
    assert zone.ns / SECOND_NS == pytest.approx(7_200.01, abs=1e-5)
    odd = clock_offset(twice_given(411), thirty())
    assert (odd.ns, odd.doubtful_ns) == (None, (411 * SECOND_NS,))


@pytest.mark.parametrize(
    "both",
    [
        [*twice_given(0, of_drops=5), *twice_given(3_600)],
        [*twice_given(3_600), *twice_given(7_200)],
    ],
    ids=["some at the run's time", "two later ones"],
)
def test_two_runs_that_fit_leave_the_clock_unknown(both: list[Sighting]) -> None:
    """None of them is taken for this run's."""
    found = clock_offset(both, thirty())
    assert found.ns is None
    assert len(found.doubtful_ns) == 2


def test_the_tools_own_ids_decide() -> None:
    """No other run has them, so the clock may be anywhere."""
    own = [seen(drop.at_ns / SECOND_NS - START_S - 4_321) for drop in thirty()]
    assert_offset_s([*own, *twice_given(0.01, records=3)], thirty(), -4_321)


def test_times_in_whole_seconds_are_no_offset() -> None:
    """They are cut, so half a second early on average; the clocks agree."""
    rng = random.Random(2)
    at_s = [rng.uniform(10, 100) for _ in range(50)]
    drops = [drop(at, f"s{number}") for number, at in enumerate(at_s)]
    sightings = [seen(int(at + 0.01), f"s{number}") for number, at in enumerate(at_s)]
    found_ns = clock_offset(sightings, drops).ns
    assert found_ns is not None
    assert abs(found_ns / SECOND_NS) < 0.2


def test_no_pair_no_offset() -> None:
    """Nothing to pair, or only records timed by the reader itself, gives no offset."""
    arrival = seen(1.0, arrival=True)
    assert clock_offset([], [drop(1)]).ns is None
    assert clock_offset([arrival], [drop(1)]).ns is None
    assert clock_offset([seen(1.0)], [drop(1, kind="half_open")]).ns is None


def test_each_drop_gets_its_own_record() -> None:
    """Records of one session go to the drops they follow."""
    drops = [drop(10), drop(30), drop(20, "other")]
    assert matched([seen(10.1), seen(30.1), seen(20.1, "other")], drops) == [0, 1, 2]


def test_a_record_may_seem_older_than_its_drop() -> None:
    """Stamps in whole seconds put a record before its drop."""
    assert matched([seen(9.0)], [drop(9.9)]) == [0]


def test_what_comes_too_late_belongs_to_no_drop() -> None:
    """A record long after a prompt drop, or of another client, is nobody's."""
    assert matched([seen(20), seen(1.1, "stranger")], [drop(1)]) == [None, None]


def test_a_silent_client_is_found_out_late() -> None:
    """The record of a half-open drop comes after that of a later drop, and finds its own all the same."""
    drops = [drop(0, kind="half_open"), drop(20, kind="reset")]
    assert matched([seen(20.01), seen(40.5)], drops) == [1, 0]


def test_two_records_of_one_drop_stay_together() -> None:
    """The second line of a failed send does not go to an older drop without a record."""
    drops = [drop(0, kind="half_open"), drop(20, kind="mid_reply")]
    assert matched([seen(20.01), seen(20.02)], drops) == [1, 1]


def test_expected_faults() -> None:
    """A real error near a bad message is expected, one elsewhere is not, and a disconnect never is."""
    drops = [drop(10, kind="bad_message"), drop(12, kind="close"), drop(50, kind="close")]
    near, far = (seen(at_s, log_class=LogClass.REAL_ERROR, level=Level.ERROR) for at_s in (10.1, 50.1))
    wrong = seen(12.1, log_class=LogClass.ABRUPT, level=Level.ERROR)
    assert matched([near, far, wrong], drops) == [0, 2, 1]
    assert [near.expected, far.expected, wrong.expected] == [True, False, False]


def test_one_bad_message_excuses_one_nameless_error() -> None:
    """Where errors name no session, as many are expected as bad messages were sent."""
    errors = [seen(10.0 + at, "", LogClass.REAL_ERROR, Level.ERROR) for at in (0.1, 0.2, 0.3)]
    match(errors, [drop(10, kind="bad_message"), drop(10.05, "t", kind="bad_message")])
    assert [error.expected for error in errors] == [True, True, False]


def test_without_sessions_time_decides() -> None:
    """Records that name no session go to the nearest drop that has none yet."""
    drops = [drop(10, "a", "close"), drop(10.5, "b", "reset"), drop(40, "c", "fin")]
    assert matched([seen(10.05, ""), seen(10.55, ""), seen(40.05, "")], drops) == [0, 1, 2]


def test_without_times_order_decides() -> None:
    """Records without time go to their session's drops in order."""
    drops = [drop(10), drop(20), drop(30, "other")]
    assert matched([seen(None), seen(None), seen(None, "other"), seen(None, "")], drops) == [0, 1, 2, None]


def test_coverage_counts_drops_that_have_records_near() -> None:
    """A log that ends half-way covers half of the drops; a hole shows as well."""
    drops = [drop(at_s) for at_s in range(0, 100, 10)]
    assert covered_ratio(drops, {START_S + second for second in range(100)}, 2) == 1
    assert covered_ratio(drops, {START_S + second for second in range(45)}, 2) == 0.5
    assert covered_ratio(drops, set(), 2) == 0
    assert covered_ratio([], {START_S}, 2) == 0


times = st.floats(0, 100)
kinds = st.sampled_from(["close", "bad_message", "half_open"])


@given(
    st.lists(st.tuples(times, st.sampled_from("ab"), kinds)),
    st.lists(st.tuples(st.none() | times, st.sampled_from(["a", "b", "c", ""]), st.sampled_from(LogClass))),
)
def test_a_record_is_matched_only_to_what_may_have_caused_it(
    made: list[tuple[float, str, str]], found: list[tuple[float | None, str, LogClass]]
) -> None:
    """Whatever the drops and records: sessions agree, and the record comes with or after its drop."""
    drops = [drop(*fields) for fields in made]
    sightings = [seen(at_s, session, log_class, Level.ERROR) for at_s, session, log_class in found]
    by = match(sightings, drops)
    assert by.total() == len(sightings)
    for sighting in sightings:
        if sighting.drop is not None:
            cause = drops[sighting.drop]
            assert sighting.record.session in ("", cause.session)
            assert sighting.at_ns is None or sighting.at_ns >= cause.at_ns - 2 * SECOND_NS
