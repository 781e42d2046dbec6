"""Intervals on their way: packed, without secrets, bounded, encoded by workers and decoded by the master."""

from __future__ import annotations

import contextlib
import random
import re
import zlib
from array import array
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest import histograms
from loadtest.errors import MalformedInterval
from loadtest.results.identities import Identities
from loadtest.results.interval import BYTES_LIMIT, PackedInterval, decode, encode, has_texts, pack
from loadtest.scrubber import MAX_READ, NO_SECRETS, Secrets
from loadtest.session.recorder import COUNTS, TAGS, ErrorTally, Interval, Lifecycle, Recorder
from loadtest.session.schedule import NS_PER_S
from tests.support.effort import effort
from tests.support.runs import interval, tally

SECRET = "eyJhbGciOi/JIUzI1+NiJ9"


# An interval on its way.


def test_packing_folds_samples_and_leaves_out_what_is_empty() -> None:
    """Histograms hold every sample; silent tags and zero counts are not sent."""
    packed = pack(interval(3, samples_us={"service": [100, 200, 300]}, counts={"a.b": 2, "c.d": 0}))
    assert list(packed.histograms) == ["service"]
    assert histograms.buckets(histograms.decode(packed.histograms["service"])) == {100: 1, 200: 1, 300: 1}
    assert packed.counts == {"a.b": 2}


def test_clamped_samples_are_counted() -> None:
    """A sample beyond the histogram's range is kept at its end, and is counted."""
    recorded = interval(0)
    recorded.samples["service"] = array("q", [-5_000_000, 10**18, 1000])
    packed = pack(recorded)
    assert packed.counts == {"latency.clamped": 2}
    assert histograms.decode(packed.histograms["service"]).get_total_count() == 3


def test_gauges_that_are_no_numbers_are_left_out() -> None:
    """JSON has no NaN, and a reader shall never meet one."""
    packed = pack(interval(0, gauges={"a": float("nan"), "b": float("inf"), "c": 1.5}))
    assert packed.gauges == {"c": 1.5}


@pytest.mark.parametrize(
    "text",
    [
        f"bad token {SECRET}!",
        "url /ws?token=eyJhbGciOi%2FJIUzI1%2BNiJ9 refused",
        f"{SECRET}{SECRET}",
        f"{'x' * 190}{SECRET[:10]}",  # cut off by a bound
    ],
)
def test_secrets_do_not_leave_a_process(text: str) -> None:
    """A server that echoes the token back does not get it into details or examples, whole or in part."""
    recorder = Recorder()
    recorder.error("connect", "upgrade: http_401", session="s", at_ns=1, example=text)
    recorder.lifecycle(Lifecycle(at_ns=1, event="failed", session="s", detail=text))
    sent = zlib.decompress(encode(pack(recorder.swap(NS_PER_S), secrets=Secrets([SECRET, ""]))))
    for part in (SECRET[:10], "eyJhbGciOi%2FJIUzI1"):
        assert part.encode() not in sent


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({}, False),
        ({"lifecycle": [Lifecycle(at_ns=1, event="dropped", session="s", kind="fin")]}, False),
        ({"lifecycle": [Lifecycle(at_ns=1, event="lost", session="s", detail=SECRET)]}, True),
        ({"lifecycle": [Lifecycle(at_ns=1, event="connected", session="s", known_as=SECRET)]}, True),
        ({"errors": [msgspec.structs.replace(tally("connect", "refused"), example=SECRET)]}, True),
    ],
)
def test_where_secrets_may_stand(fields: dict[str, Any], found: bool) -> None:
    """Only where an interval has texts are secrets looked for; without them it holds none anyway."""
    quoting = interval(0, counts={"messaging.sent": 1}, **fields)
    assert has_texts(quoting) is found
    assert (SECRET.encode() in zlib.decompress(encode(pack(quoting)))) is found


def known_as(name: str, secrets: Secrets = NO_SECRETS, run_id: str = "run") -> str | None:
    """Return the id that the server gave a session as it is stored."""
    record = Lifecycle(at_ns=1, event="connected", session="s", known_as=name, reassigned=True)
    (packed,) = pack(interval(0, lifecycle=[record]), secrets=secrets, run_id=run_id).lifecycle
    assert packed.reassigned
    return packed.known_as


def test_ids_that_the_server_gave() -> None:
    """They are stored as they are, except those that hold a secret."""
    assert known_as("session-17") == "session-17"
    assert known_as("session-17", Secrets([SECRET])) == "session-17"


def test_ids_that_hold_a_secret() -> None:
    """Each is replaced by a text that tells it from the others of its run; another run has other texts."""
    accounts = Secrets([SECRET], values=["anna-1", "anna-2"])
    stored = [str(known_as(one, accounts)) for one in (SECRET, f"user {SECRET}!", "anna-1", "anna-2")]
    assert len(set(stored)) == 4
    for one in stored:
        assert re.fullmatch(r"\*\*\* [0-9a-f]{16}", one)
    assert known_as("anna-1", accounts) == stored[2]
    assert known_as("anna-1", accounts, run_id="another") not in (*stored, None)


@pytest.mark.parametrize(("given", "strays"), [("anna-2", 0), ("anna-1", 1)])
def test_a_mix_up_of_ids_that_are_secrets_is_seen(given: str, strays: int) -> None:
    """Where the column of `--ws-data` by which a session logs in is the id that the server calls it by."""
    accounts, identities = Secrets(values=["anna-1", "anna-2"]), Identities()
    for session, name in (("a", "anna-1"), ("b", given)):
        record = Lifecycle(at_ns=1, event="connected", session=session, known_as=name)
        (packed,) = pack(interval(0, lifecycle=[record]), secrets=accounts, run_id="run").lifecycle
        identities.event(packed)
    shared = identities.shared()
    assert (0 if shared is None else shared.strays) == strays


def test_ids_that_the_server_gave_stay_different() -> None:
    """Also where they are long, cannot be printed, or look like a token, which is not shown."""
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzaWQiOiJzLTEifQ.c2lnbmF0dXJlLW9mLXRoZS10b2tlbg"
    pairs = [("x" * 900, "x" * 901), ("a\n", "a\t"), ("\ud800", "\ud801"), (token, f"{token}A")]
    for one, other in pairs:
        stored, stored_other = known_as(one), known_as(other)
        assert stored is not None
        assert stored != stored_other
        assert known_as(one) == stored
        assert len(stored) <= 200
        assert stored.isprintable()
        assert token not in stored


def test_of_a_very_long_id_only_the_beginning_is_read() -> None:
    """What follows may be a secret: such ids stay different, and each run tells them in another way."""
    one, other = ("x" * MAX_READ + SECRET + end for end in "ab")
    known = Secrets([SECRET])
    assert len({known_as(one, known), known_as(other, known), known_as(one, known, run_id="another")}) == 3
    assert known_as(one, known) == known_as(one, known)
    assert len(str(known_as(one, known))) <= 200
    assert str(known_as(SECRET * MAX_READ, known)).startswith("*** ")


@given(st.text(st.characters(), max_size=500))
def test_any_foreign_text_can_be_packed(text: str) -> None:
    """Texts are bounded and made encodable, lone surrogates included."""
    packed = pack(
        interval(
            0,
            lifecycle=[Lifecycle(at_ns=1, event="lost", session="s", detail=text)],
            errors=[msgspec.structs.replace(tally("connect", "refused"), example=text)],
        )
    )
    assert decode(encode(packed)) == packed
    assert len(packed.lifecycle[0].detail or "") <= 200


names = st.text(st.characters(codec="ascii"), max_size=20)


whole_numbers = st.integers(-(2**63), 2**63 - 1)


@given(
    worker=st.none() | st.integers(0, 1000),
    counts=st.dictionaries(names, whole_numbers, max_size=5),
    gauges=st.dictionaries(names, st.floats(allow_nan=False, allow_infinity=False), max_size=5),
    samples_us=st.lists(st.integers(0, 10**10), max_size=50),
)
def test_intervals_survive_the_way_from_a_worker(
    worker: int | None, counts: dict[str, int], gauges: dict[str, float], samples_us: list[int]
) -> None:
    """What a worker encodes, the master decodes."""
    recorded = interval(7, counts=counts, gauges=gauges, samples_us={"service": samples_us})
    packed = pack(recorded, worker)
    assert decode(encode(packed)) == packed


@given(st.binary(max_size=300))
def test_bytes_that_are_no_interval_are_refused(data: bytes) -> None:
    """Whatever a worker sends, compressed or not, is an interval or a clear error."""
    for sent in (data, zlib.compress(data)):
        with contextlib.suppress(MalformedInterval):
            assert isinstance(decode(sent), PackedInterval)


@effort(50)
@given(st.data())
def test_damaged_intervals_are_refused_or_read(data: st.DataObject) -> None:
    """A damaged interval never raises anything else."""
    packed = pack(interval(1, samples_us={"service": [5, 6, 70_000]}, counts={"messaging.sent": 3}))
    damaged = bytearray(zlib.decompress(encode(packed)))
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(MalformedInterval):
        decode(zlib.compress(damaged))


@pytest.mark.parametrize(
    "data",
    [
        encode(pack(interval(1)))[:-1],
        encode(pack(interval(1))) + b"x",
        zlib.compress(bytes(BYTES_LIMIT + 1)),
    ],
    ids=["cut off", "with more behind", "inflating"],
)
def test_compressed_bytes_are_whole_and_bounded(data: bytes) -> None:
    """An interval that is cut off, has something behind it or inflates beyond reason is refused."""
    with pytest.raises(MalformedInterval, match="does not end"):
        decode(data)


SESSIONS = 10_000


MAX_BYTES = 256_000


RUN_ID = "0a1b2c3d"


def _name(number: int) -> str:
    """Return a session's name as `loadtest.locust_plugin.load` makes it."""
    return f"{RUN_ID}-{number:06d}"


def _phases(rng: random.Random) -> dict[str, Any]:
    names = ("dns_ns", "tcp_ns", "tls_ns", "upgrade_ns", "resume_ns")
    return {name: int(rng.lognormvariate(13, 1)) for name in names}


def _loaded_second(rng: random.Random, samples: int) -> Interval:
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
    second = _loaded_second(rng, SESSIONS)
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
    second = _loaded_second(rng, 0)
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
    second = _loaded_second(rng, SESSIONS)
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
