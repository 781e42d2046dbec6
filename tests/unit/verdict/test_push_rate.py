"""The rate of pushes: simulated servers, sound or with one defect, from the recording to the verdict."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.dialects.base import Push
from loadtest.dialects.echo import Echo
from loadtest.results.interval import pack
from loadtest.results.manifest import Manifest, Promises
from loadtest.ruling import Ruling
from loadtest.session.pushes import Pushes
from loadtest.session.recorder import Recorder
from loadtest.session.schedule import NS_PER_S
from loadtest.verdict.push_rate import MIN_EXPECTED
from tests.support.effort import effort
from tests.support.fake_link import dialect_session
from tests.support.rulings import ruling, told
from tests.support.runs import gathered, interval, manifest, plan

Times = Iterator[float]
"""Seconds of a connection at which pushes come."""


def feed(per_s: float) -> Manifest:
    """Return the manifest of a run whose sessions only listen and expect so many pushes."""
    return manifest(
        run_plan=plan(rate=0.0, dialect="somebodys-own", duration_s=None),
        promises=Promises(ordered=False, identifies=False, pushes=True, requests=False),
        pushes_per_s=per_s,
    )


class Feed:
    """Connections of sessions that receive pushes.

    Args:
        per_s: rate that the run expects.
        seed: of jitter and losses.
    """

    def __init__(self, per_s: float, seed: int = 1) -> None:
        self.per_s = per_s
        self.random = random.Random(seed)
        self.recorder = Recorder()

    def periodic(self, length_s: float, *, late_s: float = 0.0, jitter_s: float = 0.0) -> Times:
        """Yield the times of a server that pushes at the rate, from any phase of its timer."""
        due_s = late_s + self.random.random() / self.per_s
        while due_s < length_s:
            yield due_s + self.random.random() * jitter_s
            due_s += 1 / self.per_s

    def losing(self, times: Times, share: float) -> Times:
        """Yield what is left of these times if a share of the pushes is lost."""
        return (at_s for at_s in times if self.random.random() >= share)

    def connect(self, length_s: float, times: Times, *, lost: bool = False) -> None:
        """Hold a connection for so long, until a drop or a loss ends it."""
        pushes = Pushes(dialect_session(), Echo(), self.recorder, self.per_s)
        begin_ns = self.recorder.counts["test.connections"] * 3600 * NS_PER_S
        self.recorder.counts["test.connections"] += 1
        pushes.began(begin_ns)
        for at_s in sorted(times):
            if at_s < length_s:
                pushes.received(Push(), begin_ns + int(at_s * NS_PER_S))
        if lost:
            pushes.lost()
        else:
            pushes.ended(begin_ns + int(length_s * NS_PER_S))

    def judged(self) -> tuple[Ruling, str]:
        """Return the verdict on messaging, and its summary."""
        recorded = self.recorder.swap(60 * NS_PER_S)
        del recorded.counts["test.connections"]
        run = gathered([pack(recorded)], feed(self.per_s))
        return ruling("messaging", run), told("messaging", run)


@given(
    per_s=st.sampled_from([0.2, 1.0, 7.0, 10.0, 100.0]),
    lengths_s=st.lists(st.floats(0.1, 60), min_size=1, max_size=20),
    late_s=st.floats(0, 2),
    jitter_s=st.floats(0, 0.05),
    seed=st.integers(0, 1000),
)
@effort(60)
def test_a_sound_server_never_fails(
    per_s: float, lengths_s: list[float], late_s: float, jitter_s: float, seed: int
) -> None:
    """Neither phase, jitter, a late start nor the length of connections makes a periodic server fail."""
    server = Feed(per_s, seed)
    for length_s in lengths_s:
        server.connect(length_s, server.periodic(length_s, late_s=late_s, jitter_s=jitter_s))
    assert server.judged()[0] is not Ruling.FAIL


@pytest.mark.parametrize("per_s", [0.2, 1.0, 10.0, 100.0])
@pytest.mark.parametrize("length_s", [20.0, 60.0])
def test_lost_pushes(per_s: float, length_s: float) -> None:
    """A server that loses 3% of its pushes fails, and so does one that loses 5%; their sound twin passes."""
    connections = max(20, int(3000 / per_s / length_s))
    for share, expected in ((0.0, Ruling.PASS), (0.03, Ruling.FAIL), (0.05, Ruling.FAIL)):
        server = Feed(per_s)
        for _ in range(connections):
            server.connect(length_s, server.losing(server.periodic(length_s, jitter_s=0.01), share))
        verdict, summary = server.judged()
        assert verdict is expected, summary


@pytest.mark.parametrize(
    "defect",
    [
        lambda at_s: at_s < 3,
        lambda at_s: at_s < 1,
        lambda at_s: at_s > 14,
        lambda at_s: not 8 < at_s < 11,
        lambda at_s: False,
    ],
    ids=["stops after 3 s", "stops before it settled", "begins late", "stalls for 3 s", "never starts"],
)
@pytest.mark.parametrize("per_s", [0.5, 1.0, 10.0])
def test_a_stream_that_stops(defect: Callable[[float], bool], per_s: float) -> None:
    """A stream that stops, stalls or never starts fails, although no push follows that could tell."""
    server = Feed(per_s)
    for _ in range(20):
        server.connect(20, filter(defect, server.periodic(20)))
    verdict, summary = server.judged()
    assert verdict is Ruling.FAIL
    assert "expected" in summary


def test_one_silent_connection_of_many() -> None:
    """A connection on which nothing came for 20 periods fails, however many others are served."""
    server = Feed(10.0)
    for _ in range(300):
        server.connect(20, server.periodic(20))
    assert server.judged()[0] is Ruling.PASS
    server.connect(20, filter(lambda at_s: at_s < 10, server.periodic(20)))
    for _ in range(300):
        server.connect(20, server.periodic(20))
    assert server.judged() == (
        Ruling.FAIL,
        "pushes came at 9.983 per second per session (10 expected, 94 of 53,873 missing), 1 gap of 20 "
        "periods or more",
    )


@pytest.mark.parametrize(
    ("stall_ms", "arrived", "verdict"),
    [(10.0, 990, Ruling.FAIL), (6000.0, 990, Ruling.INCONCLUSIVE), (6000.0, 900, Ruling.FAIL)],
    ids=["no stall", "stall", "stall and losses"],
)
def test_a_generator_that_stood_still(stall_ms: float, arrived: int, verdict: Ruling) -> None:
    """A silence that the load generator may have caused is not the server's fault; lost pushes are."""
    names = {"pushes": 1000, "pushes_expected": 990, "pushes_arrived": arrived, "push_silences": 1}
    counts = {f"messaging.{name}": count for name, count in names.items()}
    run = gathered([interval(9, counts=counts, gauges={"stall_max_ms": stall_ms})], feed(10.0))
    assert ruling("messaging", run) is verdict


def test_a_backlog_makes_up_for_nothing() -> None:
    """What an outage held up comes first on a connection, and does not hide what is lost later."""
    server = Feed(10.0)
    for _ in range(20):
        backlog = iter([0.01] * 50)
        server.connect(20, iter([*backlog, *server.losing(server.periodic(20), 0.1)]))
    assert server.judged()[0] is Ruling.FAIL


def test_pushes_that_come_at_random() -> None:
    """A fifth of the mean rate does not fail a server whose pushes others cause; it finds one that stops."""
    for stop_s, verdict in ((60.0, Ruling.PASS), (20.0, Ruling.FAIL)):
        server = Feed(2.0)
        for _ in range(300):
            gaps_s = (server.random.expovariate(10.0) for _ in range(600))
            server.connect(60, filter(lambda at_s: at_s < stop_s, accumulate(gaps_s)))
        assert server.judged()[0] is verdict


def test_a_loss_explains_the_silence_before_it() -> None:
    """A server that is gone pushes nothing, and fails another item. Pushes lost before still count."""
    server = Feed(10.0)
    for _ in range(20):
        server.connect(60, server.periodic(20), lost=True)
    assert server.judged()[0] is Ruling.PASS
    for _ in range(20):
        server.connect(60, server.losing(server.periodic(20), 0.1), lost=True)
    assert server.judged()[0] is Ruling.FAIL


@pytest.mark.parametrize(
    ("counts", "verdict", "summary"),
    [
        (
            {"pushes": 120, "pushes_expected": MIN_EXPECTED, "pushes_arrived": MIN_EXPECTED},
            Ruling.PASS,
            "pushes came at 10 per second per session (10 expected, none missing)",
        ),
        (
            {"pushes": 120, "pushes_expected": MIN_EXPECTED - 1, "pushes_arrived": MIN_EXPECTED - 1},
            Ruling.INCONCLUSIVE,
            "only 149 pushes expected on undisturbed connections, 150 are needed: run longer, or with "
            "more sessions",
        ),
        (
            {"pushes": 170, "pushes_expected": 153, "pushes_arrived": 150, "push_stretches": 20},
            Ruling.INCONCLUSIVE,
            "pushes came at 9.804 per second per session (10 expected, 3 of 153 missing), which may be "
            "jitter: run longer, or drop less often",
        ),
        (
            {"pushes": 8, "pushes_expected": 5, "pushes_arrived": 4, "push_stretches": 1},
            Ruling.INCONCLUSIVE,
            "only 5 pushes expected on undisturbed connections, 150 are needed: run longer, or with "
            "more sessions",
        ),
        (
            {"pushes_expected": 6},
            Ruling.FAIL,
            "no pushes were received (10 per second per session expected)",
        ),
        (
            {"pushes": 2000, "pushes_expected": 1000, "pushes_arrived": 1990},
            Ruling.PASS,
            "pushes came at 19.9 per second per session (10 expected, none missing)",
        ),
        (
            {"pushes": 120, "pushes_expected": 150, "pushes_arrived": 150, "pushes_foreign": 1},
            Ruling.FAIL,
            "120 pushes received: 1 push with another session's text",
        ),
    ],
    ids=["enough", "too few", "jitter", "one missing", "none", "more than expected", "foreign"],
)
def test_limits(counts: dict[str, int], verdict: Ruling, summary: str) -> None:
    """Each limit of the rule from both sides, and the words for it."""
    recorded = interval(0, counts={f"messaging.{name}": count for name, count in counts.items()})
    run = gathered([recorded], feed(10.0))
    assert ruling("messaging", run) is verdict
    assert told("messaging", run) == (
        summary
        if "of 120" in summary or verdict is not Ruling.PASS
        else f"no messages are planned at rate 0; {summary}"
    )
