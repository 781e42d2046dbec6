"""What a run will have to judge: round trips without the warm-up and outages, by its plan."""

from __future__ import annotations

from typing import Any

import pytest

from loadtest.drops.plan import DropPlan, Storm
from loadtest.duel.expectation import Expected, PlannedLoad, expected, more_resumes, resumes
from loadtest.session.schedule import parse_backoff
from tests.support.fake_link import Link, session_config

UNDISTURBED = DropPlan(0)


def load(**changes: Any) -> PlannedLoad:
    """Return a load of 10 sessions, 2 messages a second each, for 30 s, with these changes."""
    usual: dict[str, Any] = {
        "sessions": 10,
        "rate": 2.0,
        "duration_s": 30.0,
        "warmup_s": 0.0,
        "drops": UNDISTURBED,
        "backoff": parse_backoff("constant(4)"),
    }
    return PlannedLoad(**usual | changes)


def storm(at_s: float, kind: str = "reset", every_s: float = 0.0) -> DropPlan:
    """Return a plan that drops every session at this moment."""
    return DropPlan(every_s, storms=(Storm(at_s=at_s, share_ratio=1.0, kind=kind),))


@pytest.mark.parametrize(
    ("changes", "round_trips", "outages"),
    [
        ({}, 600, 0),
        ({"warmup_s": 5.0}, 500, 0),
        ({"warmup_s": 40.0}, 0, 0),
        # 4 s away, in which a message falls due: its reply is the first after the resume.
        ({"drops": storm(10)}, 520, 10),
        ({"drops": storm(10), "rate": 0.125}, 28, 10),
        ({"drops": storm(10), "backoff": parse_backoff("none")}, 200, 0),
        ({"drops": storm(28)}, 560, 0),
        ({"drops": storm(10), "warmup_s": 5.0}, 420, 10),
        # The whole outage, or a part of it, is in the warm-up.
        ({"drops": storm(3), "warmup_s": 10.0}, 400, 0),
        ({"drops": storm(8), "warmup_s": 10.0}, 360, 10),
    ],
)
def test_round_trips_are_counted_where_sessions_are_up(
    changes: dict[str, Any], round_trips: int, outages: int
) -> None:
    """Neither in the warm-up nor in an outage; one that ends after the run is no outage to judge."""
    assert expected(load(**changes)) == Expected(round_trips=round_trips, outages=outages)


def test_a_slow_reader_is_disturbed_and_has_no_outage() -> None:
    """It reads nothing for 1 to 4 s."""
    found = expected(load(drops=storm(10, "slow_reader")))
    assert found.outages == 0
    assert 600 - 10 * 4 * 2 < found.round_trips < 600 - 10 * 1 * 2


@pytest.mark.parametrize(("policy", "start"), [("", 1), (",reset=established", 2), (",reset=connected", 2)])
def test_the_jitter_of_an_outage_is_that_of_the_run(policy: str, start: int) -> None:
    """A session's first outage draws what the forecast draws, also where connections start the policy."""
    backoff = parse_backoff(f"exponential(base=8,jitter=full{policy})")
    config = session_config(backoff=backoff)
    link = Link(config).start().drop().detect()
    away_s = link.delays_s[0]
    assert away_s == backoff.delay_s(1, session=0, outage=start)
    found = expected(load(sessions=1, rate=100.0, drops=storm(10), backoff=backoff))
    assert found.outages == 1
    assert found.round_trips == pytest.approx(100 * (30 - away_s), abs=1)


def test_many_sessions_are_as_a_sample_of_them() -> None:
    """With drops drawn at random for each."""
    few = expected(load(sessions=500, drops=DropPlan(20.0)))
    many = expected(load(sessions=50_000, drops=DropPlan(20.0)))
    assert many == Expected(round_trips=many.round_trips, outages=100 * few.outages)
    assert many.round_trips == pytest.approx(100 * few.round_trips, rel=1e-4)
    # A simulation of 100,000 sessions with another random number generator gave 25,121; 100 is usual chance.
    assert few.round_trips == pytest.approx(25_121, rel=0.02)


def test_outages_of_the_warmup_count_as_resumes() -> None:
    """Not those that end after the run, nor what disconnects nobody."""
    assert resumes(load(drops=storm(3), warmup_s=10.0)) == 10
    assert resumes(load(drops=storm(28))) == 0
    assert resumes(load(drops=storm(10, "slow_reader"))) == 0


def test_advice_for_more_resumes_brings_them() -> None:
    """Storms do not repeat in a longer run."""
    usual: dict[str, Any] = {"sessions": 1, "backoff": parse_backoff("constant(0.3)")}
    few = load(drops=DropPlan(20.0), **usual)
    assert resumes(few) < 10
    duration_s, every_s = more_resumes(few, least=10)
    assert duration_s is not None
    assert every_s is not None
    assert resumes(load(drops=DropPlan(20.0), duration_s=duration_s, **usual)) >= 12
    assert resumes(load(drops=DropPlan(every_s), **usual)) >= 12
    assert more_resumes(load(drops=storm(10)), least=20) == (None, None)
