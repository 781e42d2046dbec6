"""The verdict so far: what is certain, what may still change, and that nothing passes before the end."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest

from loadtest.metrics.verdict_so_far import ItemSoFar, Standing, VerdictSoFar, standings
from loadtest.results.interval import pack
from loadtest.results.manifest import DrillRun
from loadtest.session.recorder import Lifecycle
from tests.support.runs import SOUND_COUNTS, SOUND_GAUGES, gathered, interval, manifest, sound

UNDER_WAY: Any = {"complete": False, "ended_at": None}


def by_item(found: Sequence[ItemSoFar]) -> Mapping[str, ItemSoFar]:
    """Return the items by name."""
    return {one.item: one for one in found}


def standing(item: str, changes: Mapping[str, int] | None = None, **of: Any) -> Standing:
    """Return how an item of a run under way stands, sound but for these counts."""
    return by_item(standings(sound(changes, of=manifest(**UNDER_WAY, **of))))[item].standing


def test_nothing_passes_before_the_end() -> None:
    """A sound run has no failure so far, however sound it is; some items are not judged before the end."""
    found = by_item(standings(sound(of=manifest(**UNDER_WAY))))
    assert {one.standing for one in found.values()} == {Standing.NO_FAILURE, Standing.AT_END}
    assert {name for name, one in found.items() if one.standing is Standing.AT_END} == {
        "latency",
        "server_log",
    }
    assert all(one.summary for one in found.values() if one.standing is Standing.AT_END)


@pytest.mark.parametrize(
    ("count", "item", "expected"),
    [
        ("messaging.lost", "messaging", Standing.FAIL),
        ("messaging.duplicated", "messaging", Standing.FAIL),
        ("messaging.foreign", "messaging", Standing.FAILING),  # an identity leak would explain it
        ("persistence.missing", "persistence", Standing.FAIL),
        ("persistence.identity_changed", "persistence", Standing.FAIL),
        ("reconnect.forbidden", "reconnect", Standing.FAIL),
        ("reconnect.gave_up", "reconnect", Standing.FAILING),  # unless the load generator was out of ports
        ("connect.failed", "connect", Standing.FAILING),  # a share: more attempts may outweigh it
    ],
)
def test_one_finding(count: str, item: str, expected: Standing) -> None:
    """One finding fails its item for good, or for as long as nothing outweighs or explains it."""
    assert standing(item) is Standing.NO_FAILURE
    assert standing(item, {count: 1}) is expected


def test_a_connection_left_open() -> None:
    """A server that has not ended TCP in time has failed."""
    closes = {"cleanup.close_watched": 20, "cleanup.close_closed": 19, "cleanup.close_not_closed": 1}
    assert standing("cleanup", closes) is Standing.FAIL


@pytest.mark.parametrize(
    ("allowed", "expected"),
    [
        ((), Standing.FAIL),
        (("2",), Standing.FAIL),
        (("3",), Standing.NO_FAILURE),
        (("any",), Standing.NO_FAILURE),
        (("0.1/h",), Standing.FAILING),
        (("1000/h",), Standing.NO_FAILURE),
    ],
)
def test_losses(allowed: tuple[str, ...], expected: Standing) -> None:
    """Three losses: more than a fixed number is final, more than a rate is not."""
    lost = [Lifecycle(at_ns=10**9, event="lost", session=f"s-{n}", cause="1011", code=1011) for n in range(3)]
    first = interval(
        0, seconds=30, counts={**SOUND_COUNTS, "losses.1011": 3}, lifecycle=lost, gauges=SOUND_GAUGES
    )
    run = gathered([first], manifest(**UNDER_WAY, allowed_losses=list(allowed)))
    assert by_item(standings(run))["stability"].standing is expected


def test_in_a_run_with_drills_losses_are_judged_at_the_end() -> None:
    """Which losses belong to a drill is known once its window is over."""
    drills = (DrillRun(at_s=10.0, command="restart"),)
    found = by_item(standings(sound({"reconnect.gave_up": 1}, of=manifest(**UNDER_WAY, drills=drills))))
    at_end = {name for name, one in found.items() if one.standing is Standing.AT_END}
    assert at_end == {"connect", "stability", "reconnect", "latency", "server_log"}


def test_what_is_certain_stays() -> None:
    """After FAIL comes FAIL, whatever sound time follows."""
    clock = iter(range(0, 10_000, 10))
    verdict = VerdictSoFar(manifest(**UNDER_WAY), lambda: float(next(clock)))
    verdict.append(pack(interval(0, counts={**SOUND_COUNTS, "messaging.lost": 1}, gauges=SOUND_GAUGES)))
    for second in range(1, 20):
        verdict.append(pack(interval(second, counts=SOUND_COUNTS, gauges=SOUND_GAUGES)))
        assert by_item(verdict.items({}))["messaging"].standing is Standing.FAIL


def test_looking_often_costs_little() -> None:
    """An answer is given again for five seconds, and for a hundred times as long as it took."""
    now = [0.0]
    verdict = VerdictSoFar(manifest(**UNDER_WAY), lambda: now[0])
    first = verdict.items({})
    now[0] = 4.9
    assert verdict.items({}) is first
    now[0] = 5.0
    assert verdict.items({}) is not first


@pytest.mark.parametrize(("asked_s", "again"), [(9.9, False), (10.1, True)])
def test_slow_judging_is_rarer(asked_s: float, again: bool) -> None:
    """Here it takes 0.1 s, in the process that sends the load: its next time is ten seconds after that."""
    clock = iter([0.0, 0.1, asked_s, asked_s])
    verdict = VerdictSoFar(manifest(**UNDER_WAY), lambda: next(clock))
    first = verdict.items({})
    assert (verdict.items({}) is not first) is again


def test_impossible_times_do_not_end_the_run() -> None:
    """An interval that ends before it starts is a matter of the verdict at the end."""
    verdict = VerdictSoFar(manifest(**UNDER_WAY))
    verdict.append(msgspec.structs.replace(pack(interval(5)), stop_ns=0))
    assert {one.standing for one in verdict.items({})} == {Standing.AT_END}
