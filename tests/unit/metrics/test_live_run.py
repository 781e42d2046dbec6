"""The live view: sums over processes and classes, and what is bounded in it."""

import msgspec

from loadtest.metrics.bounded_names import BoundedNames
from loadtest.metrics.live_errors import ERRORS_LIMIT, FURTHER, LiveErrors
from loadtest.metrics.live_run import LiveRun
from loadtest.results.interval import PackedInterval, pack
from loadtest.results.per_second import KINDS_LIMIT
from tests.support.runs import interval, tally


def packed(second: int, worker: int | None = None, **fields: object) -> PackedInterval:
    """Return an interval of a worker."""
    return pack(interval(second, **fields), worker)  # type: ignore[arg-type]  # the fields of `interval`


def test_processes_are_added_up() -> None:
    """Counts since the start; gauges as they are now, of each process."""
    live = LiveRun([None])
    for second in range(3):
        for worker in (1, 2):
            gauges = {"sessions": 10.0, "sessions_up": 4.0 + second, "sessions_in_outage": 1.0}
            live.append(packed(second, worker, counts={"messaging.sent": 5, "drops.fin": 1}, gauges=gauges))
    now = live.progress(3.0)
    assert (now.sent, now.drops, now.up, now.in_outage, now.connecting) == (30, 6, 12, 2, 6)
    assert now.sent_per_s == 10


def test_a_process_that_has_gone_has_no_sessions() -> None:
    """Its counts stay; what it last said of its sessions does not."""
    live = LiveRun([None])
    live.append(packed(0, 1, counts={"messaging.sent": 1}, gauges={"sessions_up": 7.0}))
    live.append(packed(0, 2, gauges={"sessions_up": 5.0}))
    assert live.progress(1.0).up == 12
    live.append(packed(20, 2, gauges={"sessions_up": 5.0}))
    assert live.progress(21.0).up == 5
    assert live.total()["messaging.sent"] == 1


def test_an_outcome_that_is_taken_back_is_known() -> None:
    """A message given up and answered after all: counters for others must not fall, so both are kept."""
    live = LiveRun([None])
    live.append(packed(0, counts={"messaging.lost": 3}))
    live.append(packed(1, counts={"messaging.lost": -2, "messaging.late": 2}))
    assert (live.total()["messaging.lost"], live.taken_back["messaging.lost"]) == (1, 2)


def test_names_from_the_server_are_bounded() -> None:
    """Any number of close codes makes so many names, one of them for all others; the sum is right."""
    live = LiveRun([None])
    for code in range(1000, 1100):
        live.append(packed(0, counts={f"losses.{code}": 1}))
    causes = {name for name in live.total() if name.startswith("losses.")}
    assert len(causes) == KINDS_LIMIT + 1
    assert sum(live.total()[name] for name in causes) == 100
    assert live.progress(1.0).losses == 100


def test_a_name_stays_what_it_was() -> None:
    """A counter does not move to another name; a hostile one is one short line."""
    names = BoundedNames()
    first = names.of("evil\n" + "x" * 500)
    assert len(first) <= 60
    assert first.isprintable()
    for number in range(100):
        names.of(str(number))
    assert names.of("evil\n" + "x" * 500) == first
    assert names.of("99") == "other"


def test_errors_are_added_up_and_bounded() -> None:
    """Most frequent first; further ones together, by item."""
    errors = LiveErrors()
    for number in range(ERRORS_LIMIT + 5):
        errors.append([tally("connect", f"error {number}", number + 1)])
    errors.append([tally("connect", "error 3", 5000)])
    found = errors.most_frequent(3)
    assert (found[0].error, found[0].count) == ("error 3", 5004)
    assert (found[1].error, found[1].count) == (FURTHER, sum(range(ERRORS_LIMIT + 1, ERRORS_LIMIT + 6)))
    assert len(errors.most_frequent(10_000)) == ERRORS_LIMIT + 1


def test_an_error_that_is_taken_back_is_gone() -> None:
    """Where it was told once as lost, and then as late."""
    errors = LiveErrors()
    errors.append([tally("messaging", "no reply in time", 2)])
    errors.append([tally("messaging", "no reply in time", -2), tally("messaging", "reply late", 2)])
    assert [(one.error, one.count) for one in errors.most_frequent(5)] == [("reply late", 2)]


def test_errors_of_an_interval_stay_as_they_are() -> None:
    """The interval is written to files, too."""
    errors, one = LiveErrors(), tally("connect", "refused", 2)
    before = msgspec.to_builtins(one)
    errors.append([one])
    errors.append([one])
    assert msgspec.to_builtins(one) == before
