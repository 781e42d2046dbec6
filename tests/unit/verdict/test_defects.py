"""What is wrong in a failed item, by name, and when a failure is another or a worse one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import exp, factorial
from typing import Any

import pytest

from loadtest.results.manifest import ServerGauge
from loadtest.ruling import Ruling
from loadtest.session.count_words import count_words
from loadtest.session.recorder import Lifecycle
from loadtest.statistics.time_limits import parse_limits, stored
from loadtest.verdict import messaging, persistence, reconnect
from loadtest.verdict.defects import Defects, defects_over, worsened
from loadtest.verdict.evidence import ConnectEvidence, HealthEvidence, LatencyEvidence, LimitResult
from loadtest.verdict.items import AnyItem
from loadtest.verdict.log_evidence import LogLine, ServerLogEvidence
from loadtest.verdict.run import judge
from tests.support.runs import gathered, interval, manifest, sound
from tests.unit.results.test_drill_recovery import lost
from tests.unit.verdict import test_drill_rules, test_health, test_limits, test_server_log
from tests.unit.verdict import test_shared_identity as identities
from tests.unit.verdict.test_silence import mute


def counted(item: str, **counts: int) -> AnyItem:
    """Return an item of a sound run with these counts of it added."""
    return judge(sound({f"{item}.{name}": count for name, count in counts.items()})).item(item)


def lost_by(*causes: str, allowed: tuple[str, ...] = ()) -> AnyItem:
    """Return `stability` of a run that lost connections with these close codes, one after the other."""
    events = [
        Lifecycle(at_ns=number, event="lost", session="s", cause=cause, code=int(cause))
        for number, cause in enumerate(causes)
    ]
    counts = {f"losses.{cause}": causes.count(cause) for cause in causes}
    run = gathered(
        [interval(0, seconds=60, counts=counts, lifecycle=events)], manifest(allowed_losses=allowed)
    )
    return judge(run).item("stability")


def ruled(item: str, counts: dict[str, int], **changes: Any) -> AnyItem:
    """Return an item of a run that was judged by these rules."""
    return judge(sound(counts, of=manifest(**changes))).item(item)


def logged(*log: tuple[str, str]) -> AnyItem:
    """Return `server_log` of a run whose server logged, beside its sound records, this after each drop."""
    made = test_server_log.drops()
    wrong = [
        test_server_log.line(drop.at_ns, level, message.format(drop.session))
        for drop in made
        for level, message in log
    ]
    return test_server_log.judged([*test_server_log.log_of(made, test_server_log.after), *wrong], made)


def limited(name: str) -> AnyItem:
    """Return the item of a limit that is broken."""
    item, tag = test_limits.ITEM_OF[name]
    return judge(test_limits.run({tag: [900_000] * 1000}, f"{name}=1ms")).item(item)


def no_history() -> AnyItem:
    """Return `persistence` of a run that restored no history, as its baseline did."""
    run = sound({"persistence.histories": 0, "persistence.history_missing": 190})
    return judge(run, sound()).item("persistence")


def barred_by_a_drill() -> AnyItem:
    """Return `reconnect` of a drill that ended a connection with a close code that forbids coming back."""
    told = lost(21, 0, 1008, final=True)
    counts = {"reconnect.forbidden": 0, "losses.1012": 0, "losses.1008": 1, "stability.barred": 1}
    return test_drill_rules.judged(told, counts=counts).item("reconnect")


def refused_in_a_drill() -> AnyItem:
    """Return `reconnect` of a drill in which nobody listens for a while, among very many other attempts."""
    rules, counts = test_drill_rules, {"reconnect.attempts": 100_000}
    return rules.judged(*rules.LOSSES, *rules.REFUSED, *rules.BACK, counts=counts).item("reconnect")


GAUGE = ServerGauge(source="http://a/metrics#n", before=1.0, peak=9.0, after=4.0)

FAILURES: dict[str, tuple[Callable[[], AnyItem], str, int]] = {
    **{
        f"messaging {name}": (partial(counted, "messaging", **{name: 3}), count_words("messaging", name), 3)
        for name in messaging.FAILINGS
    },
    **{
        f"reconnect {name}": (partial(counted, "reconnect", **{name: 3}), count_words("reconnect", name), 3)
        for name in reconnect.FAILINGS
    },
    **{
        f"persistence {name}": (
            partial(counted, "persistence", **{name: 3}),
            count_words("persistence", name),
            3,
        )
        for name in persistence.FAILINGS
    },
    "connect failed": (lambda: counted("connect", attempts=150, failed=50), "failed", 50),
    "connect gave up": (lambda: counted("connect", gave_up=2), "gave up", 2),
    "connect leak": (
        lambda: judge(identities.sharing(identities.UNSAID)).item("connect"),
        "sessions with another session's id",
        3,
    ),
    "stability": (lambda: lost_by("1012", "1012"), "lost with 1012", 2),
    "messaging silent": (lambda: judge(mute(10.0)).item("messaging"), "messages without a reply", 240),
    "messaging push rate": (
        lambda: ruled(
            "messaging",
            {"messaging.pushes_expected": 1000, "messaging.pushes_arrived": 900},
            pushes_per_s=1.0,
        ),
        "pushes below the expected rate",
        100,
    ),
    "messaging push gaps": (
        lambda: ruled(
            "messaging",
            {
                "messaging.pushes_expected": 1000,
                "messaging.pushes_arrived": 1000,
                "messaging.push_silences": 2,
            },
            pushes_per_s=1.0,
        ),
        "gaps between pushes",
        2,
    ),
    "reconnect refused": (lambda: counted("reconnect", attempts=300, failed=100), "refused", 100),
    "reconnect refused in a drill": (refused_in_a_drill, "failed during a drill", test_drill_rules.SESSIONS),
    "reconnect barred": (barred_by_a_drill, "barred by a drill's close code", 1),
    "persistence none": (no_history, "without their history", 190),
    "cleanup close": (
        lambda: counted("cleanup", close_watched=5, close_not_closed=5),
        "closed connections left open",
        5,
    ),
    "cleanup late": (
        lambda: ruled(
            "cleanup",
            {"cleanup.half_open_watched": 5, "cleanup.half_open_late": 5},
            cleanup_timeout_s=5.0,
        ),
        "half-open connections closed too late",
        5,
    ),
    "cleanup half open": (
        lambda: ruled(
            "cleanup",
            {"cleanup.half_open_watched": 5, "cleanup.half_open_not_closed": 5},
            cleanup_timeout_s=5.0,
        ),
        "half-open connections left open",
        5,
    ),
    "cleanup gauge": (
        lambda: ruled("cleanup", {}, server_gauge=GAUGE),
        "connections left on the server's gauge",
        3,
    ),
    "server_log disconnects": (
        lambda: logged(("ERROR", "Send error (session {}) -> cleanup: ")),
        "disconnect ERROR Send error (session #) -> cleanup:",
        28,
    ),
    "server_log levels": (
        lambda: logged(("WARNING", "Client disconnected abruptly (session={}): gone")),
        "disconnects logged above INFO",
        28,
    ),
    "server_log errors": (
        lambda: logged(("ERROR", "KeyError: 'thread'")),
        "real error ERROR KeyError: 'thread'",
        28,
    ),
    "health": (
        lambda: judge(test_health.probed(test_health.answered(503))).item("health"),
        "status 503",
        1,
    ),
    "health unanswered": (
        lambda: judge(test_health.probed(test_health.answered(None, "refused"))).item("health"),
        "no response",
        1,
    ),
}
"""Ways to fail an item: the item, the defect's name, and how often it occurred."""


@pytest.mark.parametrize("way", FAILURES)
def test_every_way_to_fail_has_a_name(way: str) -> None:
    """Else two failures of an item would look alike."""
    made, name, count = FAILURES[way]
    item = made()
    assert item.verdict is Ruling.FAIL, item.summary
    found = defects_over([item.evidence], runs=1)
    assert not found.unnamed
    assert found.counts[name] == count, found.counts


@pytest.mark.parametrize("name", test_limits.ITEM_OF)
def test_a_broken_limit_is_a_defect_with_its_time(name: str) -> None:
    """A slow first connection is not a failed one."""
    item = limited(name)
    assert item.verdict is Ruling.FAIL
    found = defects_over([item.evidence], runs=1)
    assert found.times_ms[f"limit {name}"] == pytest.approx(900, rel=0.01)
    assert stored(parse_limits([f"{name}=1s"])) == {name: 1000.0}  # the name that results have


def test_what_is_in_order_is_no_defect() -> None:
    """Each item names what it allows; what is kept or not judged is left out."""
    for item in judge(sound()).items:
        assert not defects_over([item.evidence], runs=1).counts, item
    few = counted("connect", attempts=5000, failed=1)
    assert not defects_over([few.evidence], runs=1).counts
    open_still = counted("cleanup", half_open_watched=5, half_open_not_closed=5)  # without a cleanup time
    assert not defects_over([open_still.evidence], runs=1).counts
    kept = LimitResult(name="connect.p50", verdict=Ruling.PASS)
    for evidence in (ConnectEvidence(time_limits=[kept]), LatencyEvidence(time_limits=[kept])):
        assert not defects_over([evidence], runs=1).times_ms


def test_a_failure_without_a_name_is_known_as_one() -> None:
    """An item without evidence has an empty object."""
    assert defects_over([{}], runs=1).unnamed
    assert defects_over([HealthEvidence(status=503), {}], runs=2).unnamed
    assert not defects_over([], runs=2).unnamed


def test_what_is_allowed_is_taken_off() -> None:
    """From the causes that the rule covers, in proportion, so that the same causes remain."""
    item = lost_by(*["1012"] * 6, *["1011"] * 3, *["1001"] * 9, allowed=("1001=any 6",))
    assert item.verdict is Ruling.FAIL
    found = defects_over([item.evidence], runs=1)
    assert dict(found.counts) == {"lost with 1012": 2, "lost with 1011": 1}
    errors = [LogLine(level="ERROR", shape="a", count=6), LogLine(level="ERROR", shape="b", count=3)]
    log = ServerLogEvidence(real_errors=12, allowed_errors=8, first_real_errors=errors)
    assert dict(defects_over([log], runs=1).counts) == {
        "real error ERROR a": 2,
        "real error ERROR b": 1,
        "other real errors": 1,
    }
    assert not defects_over([ServerLogEvidence(real_errors=8, allowed_errors=8)], runs=1).counts


def test_another_fault_in_the_log_is_another_defect() -> None:
    """As many errors as before may be of another kind; numbers and ids in them are not."""
    database, thread = ("ERROR", "database is locked ({})"), ("ERROR", "KeyError: 'thread'")
    before, same, other = (
        defects_over([logged(line).evidence], runs=1) for line in (database, database, thread)
    )
    assert worsened(before, same) == ""
    assert worsened(before, other) == "real error ERROR KeyError: 'thread' 0 → 28"


def test_defects_of_several_runs_are_summed() -> None:
    """A defect may occur in one run only; of times the longest counts."""
    kinds = [LimitResult(name="p99", verdict=Ruling.FAIL, value_ms=value_ms) for value_ms in (7.0, 9.0)]
    found = defects_over(
        [
            HealthEvidence(status=503),
            HealthEvidence(status=503),
            *(LatencyEvidence(time_limits=[one]) for one in kinds),
        ],
        runs=8,
    )
    assert found == Defects(runs=8, counts={"status 503": 2}, times_ms={"limit p99": 9.0})


def side(counts: dict[str, int], runs: int = 1) -> Defects:
    """Return the defects of one side."""
    return Defects(runs=runs, counts=counts)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (side({"lost": 1}), side({"lost": 9}), ""),
        (side({"lost": 1}), side({"lost": 11}), "lost 1 → 11"),
        (side({"lost": 5}), side({"lost": 16}), ""),
        (side({"lost": 5}), side({"lost": 17}), "lost 5 → 17"),
        (side({"lost": 100}), side({"lost": 300}), ""),
        (side({"lost": 100}), side({"lost": 301}), "lost 100 → 301"),
        (side({"lost": 5}), side({"lost": 5, "foreign": 1}), "foreign 0 → 1"),
        (side({"lost": 5, "foreign": 1}), side({"lost": 5}), ""),
        (side({"lost": 1}, runs=8), side({"lost": 3}), "lost 1 → 3"),
        (side({"lost": 4}), side({"lost": 32}, runs=8), ""),
        (side({"a": 1}), side(dict.fromkeys("bcdef", 1)), "b 0 → 1, c 0 → 1, d 0 → 1, and 2 more"),
        (side({}), side({"\x1b[2J" + "A" * 300: 1}), "\\x1b[2J" + "A" * 70 + "... 0 → 1"),
        (side({"lost": 5}), Defects(runs=1, unnamed=True), "it may fail for another reason"),
        (Defects(runs=1, unnamed=True), side({"lost": 5}), "it may fail for another reason"),
    ],
)
def test_when_a_failure_is_a_worse_one(before: Defects, after: Defects, told: str) -> None:
    """A new defect, or over three times as many a run and more than chance explains; fewer are none."""
    assert worsened(before, after) == told


@pytest.mark.parametrize(
    ("before_ms", "after_ms", "told"),
    [(10.0, 20.0, ""), (10.0, 21.0, "limit p99 10 ms → 21 ms"), (None, 9.0, "limit p99 kept → 9 ms")],
)
def test_a_time_over_its_limit_is_worse_if_it_is_over_twice_as_long(
    before_ms: float | None, after_ms: float, told: str
) -> None:
    """Or if the limit was kept."""
    before = {} if before_ms is None else {"limit p99": before_ms}
    assert (
        worsened(Defects(runs=1, times_ms=before), Defects(runs=1, times_ms={"limit p99": after_ms})) == told
    )


def poisson(count: int, mean: float) -> float:
    """Return the probability of a Poisson count."""
    return exp(-mean) * mean**count / factorial(count)


@pytest.mark.parametrize("mean", [1.0, 3.0, 10.0, 30.0])
@pytest.mark.parametrize(("cluster", "most_ratio"), [(1, 0.01), (10, 0.07)])
def test_one_flaky_server_is_seldom_worse_than_itself(mean: float, cluster: int, most_ratio: float) -> None:
    """In under 1% of comparisons; in under 7% if its failures come ten at a time."""
    worse = sum(
        poisson(a, mean) * poisson(b, mean)
        for a in range(1, 60)
        for b in range(1, 60)
        if worsened(side({"lost": a * cluster}), side({"lost": b * cluster}))
    )
    assert worse < most_ratio


def test_sessions_and_secrets_are_in_no_name() -> None:
    """Shapes have neither ids nor numbers."""
    item = logged(("ERROR", "database is locked (session={})"))
    assert all("s-" not in name for name in defects_over([item.evidence], runs=1).counts)
