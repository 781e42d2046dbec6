"""How fit a run is to be compared with: what can be judged against it, and what it failed itself. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from loadtest.evidence import Evidence
from loadtest.verdict import Item, Ruling, judge
from loadtest.verdict.suitability import suitability
from tests.support.runs import SOUND_GAUGES, gathered, interval, manifest, plan


def run(
    *, a_second: int = 60, seconds: int = 20, counts: Mapping[str, int] | None = None, **of: Any
) -> Evidence:
    """Return the evidence of a run with so many round trips a second after its warm-up."""
    gauges = of.pop("gauges", SOUND_GAUGES)
    samples_us = {"service": [400 + number for number in range(a_second)]}
    first = interval(0, counts={"connect.attempts": 9, "connect.established": 9, **(counts or {})})
    rest = [interval(second, samples_us=samples_us, gauges=gauges) for second in range(5, 5 + seconds)]
    return gathered([first, *rest], manifest(**of))


def test_nothing_speaks_against_a_sound_run() -> None:
    """All gated quantiles can be judged, and nothing failed; outages are no matter."""
    found = suitability(run())
    assert (found.sound, found.rank, found.problems) == (True, (0, False), [])


@pytest.mark.parametrize(
    ("a_second", "seconds", "unjudged", "lack"),
    [
        (49, 20, 1, "service p99 cannot be judged against it: 980 round trips, 1000 are needed"),
        (4, 20, 2, "service p99 cannot be judged against it: 80 round trips, 1000 are needed"),
        (0, 20, 3, "service p99 cannot be judged against it: 0 round trips, 1000 are needed"),
        (500, 9, 3, "service p99 cannot be judged against it: round trips in 9 seconds only, 10 are needed"),
    ],
)
def test_too_few_round_trips_speak_against_it(a_second: int, seconds: int, unjudged: int, lack: str) -> None:
    """How many quantiles cannot be judged is counted; the one that needs the most is told."""
    found = suitability(run(a_second=a_second, seconds=seconds))
    assert (found.unjudged, found.lack, found.problems) == (unjudged, lack, [lack])


def test_a_generator_that_could_not_keep_up_speaks_against_it() -> None:
    """Nothing can be judged against such a run, nor against one whose worker was lost."""
    saturated = suitability(run(gauges={"loop_lag_p99_ms": 0.5, "cpu_ratio": 1.0}))
    assert (saturated.sound, saturated.unjudged) == (False, 3)
    assert saturated.lack.startswith("its load generator was not fit to measure: the engine used more than")
    lost = suitability(run(missing_workers=[2]))
    assert (lost.unjudged, lost.lack) == (3, "its load generator was not fit to measure: worker 2 was lost")


def test_failed_items_speak_against_it_less_than_what_cannot_be_judged() -> None:
    """A run that failed connect or messaging is told as such, and is better than one without samples."""
    refused = suitability(run(counts={"connect.failed": 5, "connect.gave_up": 2}))
    assert (refused.sound, refused.rank) == (False, (0, True))
    assert refused.failings[0].startswith("it FAILed connect: 5 of 9 attempts failed")
    lossy = suitability(run(counts={"messaging.sent": 9, "messaging.lost": 2}))
    assert lossy.failings[0].startswith("it FAILed messaging: of 9 messages sent: 2 ")
    assert suitability(run()).rank < refused.rank < suitability(run(a_second=4)).rank


def test_where_no_messages_are_planned_none_are_missed() -> None:
    """Latency is not judged then, whatever the baseline holds."""
    assert suitability(run(a_second=0, run_plan=plan(rate=0.0))).rank == (0, False)


def test_a_run_that_failed_latency_is_the_regression_itself() -> None:
    """Its own evidence cannot tell, the verdict that it was given can."""
    given = judge(run())
    slower = Item(item="latency", verdict=Ruling.FAIL, summary="service p50 changed by +271 %")
    items = [slower if item.item == "latency" else item for item in given.items]
    found = suitability(run(), msgspec.structs.replace(given, items=items))
    assert (found.sound, found.rank) == (False, (0, True))
    assert found.failings == ["it FAILed latency: service p50 changed by +271 %"]
    assert suitability(run(), given).sound
    assert suitability(run(), msgspec.structs.replace(given, items=[])).sound, "a file may lack any item"
