"""How much a worker sends: under 256 KB a second at 10,000 sessions, whatever happens in that second."""

import random
from array import array
from collections.abc import Callable
from typing import Any

import pytest

from loadtest.results.interval import decode, encode, pack
from loadtest.session.recorder import COUNTS, TAGS, ErrorTally, Interval, Lifecycle, Recorder
from loadtest.session.schedule import NS_PER_S

SESSIONS = 10_000
MAX_BYTES = 256_000
RUN_ID = "0a1b2c3d"


def _name(number: int) -> str:
    """Return a session's name as `loadtest.locust_plugin.load` makes it."""
    return f"{RUN_ID}-{number:06d}"


def _phases(rng: random.Random) -> dict[str, Any]:
    names = ("dns_ns", "tcp_ns", "tls_ns", "upgrade_ns", "resume_ns")
    return {name: int(rng.lognormvariate(13, 1)) for name in names}


def _second(rng: random.Random, samples: int) -> Interval:
    """Return a second of a long run with every histogram, count, gauge and error there can be."""
    second = Interval(start_ns=500 * NS_PER_S, stop_ns=501 * NS_PER_S)
    for tag in TAGS:
        second.samples[tag] = array("q", (int(rng.lognormvariate(14, 1)) for _ in range(samples)))
    second.counts.update({name: rng.randrange(10**6) for name in COUNTS})
    second.gauges = {f"gauge_number_{number}": rng.random() for number in range(12)}
    for number in range(Recorder.ERRORS_LIMIT):
        example = "".join(rng.choices("abcdefghij klmnop/:", k=200))
        error = f"upgrade: http_{number}"
        tally = ErrorTally(
            item="reconnect", error=error, count=3, session=_name(number), at_ns=7, example=example
        )
        second.errors["reconnect", error] = tally
    return second


def _default_plan(rng: random.Random) -> Interval:
    """A message each, and each dropped every 20 s: 500 drops, attempts and resumes, some attempts refused."""
    second = _second(rng, SESSIONS)
    for number in rng.sample(range(SESSIONS), SESSIONS // 20):
        at_ns = second.start_ns + rng.randrange(NS_PER_S)
        common: dict[str, Any] = {"at_ns": at_ns, "session": _name(number)}
        second.lifecycle += [
            Lifecycle(event="dropped", kind=rng.choice(("close", "mid_message")), ordinal=25, **common),
            Lifecycle(event="attempt", attempt=1, **common),
            Lifecycle(
                event="resumed",
                attempt=1,
                outage_ns=rng.randrange(9 * NS_PER_S),
                detect_ns=rng.randrange(NS_PER_S),
                wait_ns=NS_PER_S,
                **_phases(rng),
                **common,
            ),
        ]
        if number % 10 == 0:
            refused: dict[str, Any] = {
                "cause": "http_503",
                "phase": "upgrade",
                "detail": f"HTTP 503 no room for {at_ns}",
            }
            second.lifecycle.append(Lifecycle(event="failed", attempt=1, **refused, **common))
    return second


def _connecting(rng: random.Random) -> Interval:
    """As many first connections as one core makes in a second, and more."""
    second = _second(rng, 0)
    for number in range(SESSIONS // 2):
        at_ns = second.start_ns + number * 200_000 + rng.randrange(200_000)
        common: dict[str, Any] = {"at_ns": at_ns, "session": _name(number)}
        second.lifecycle += [
            Lifecycle(event="attempt", attempt=1, **common),
            Lifecycle(event="connected", attempt=1, **_phases(rng), **common),
        ]
    return second


def _storm(rng: random.Random) -> Interval:
    """Every session lost in the same second."""
    second = _second(rng, SESSIONS)
    second.lifecycle += [
        Lifecycle(
            at_ns=second.start_ns + rng.randrange(NS_PER_S),
            event="lost",
            session=_name(number),
            cause="1012",
            code=1012,
            detail="service restart",
        )
        for number in range(SESSIONS)
    ]
    return second


@pytest.mark.parametrize("made", [_default_plan, _connecting, _storm])
def test_a_second_of_10000_sessions_is_small(made: Callable[[random.Random], Interval]) -> None:
    """Of the default plan, of connecting and of a storm: a worker's message is small, and nothing is lost."""
    packed = pack(made(random.Random(1)), worker=3)
    encoded = encode(packed)
    assert len(encoded) < MAX_BYTES
    assert decode(encoded) == packed
