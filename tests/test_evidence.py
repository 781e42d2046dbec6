"""What is written of a run, as data: manifest, intervals on their way, and everything summed up."""

from __future__ import annotations

import base64
import contextlib
import struct
import zlib
from array import array

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest import histograms
from loadtest.drops.plan import Storm
from loadtest.results.interval import (
    BYTES_LIMIT,
    IntervalLine,
    MalformedInterval,
    PackedInterval,
    decode,
    encode,
    pack,
    second_of,
)
from loadtest.results.manifest import Manifest, Plan, comparability_hash, differing_fields
from loadtest.results.reader import NAMES_LIMIT, OTHER, ROWS_LIMIT, Gathering
from loadtest.session.recorder import Lifecycle, Recorder
from loadtest.session.schedule import NS_PER_S
from loadtest.text import public_url
from tests.runs import PLAN, gathered, interval, manifest, plan, tally

WEEK_S = 7 * 24 * 3600

SECRET = "eyJhbGciOi/JIUzI1+NiJ9"

# The manifest.


def test_the_comparability_hash_ignores_order_host_revision_and_time() -> None:
    """Two runs of one plan are comparable, whatever they were run against and when."""
    one = manifest(run_plan=plan(drops={"close": 1.0, "fin": 2.0}))
    other = manifest(
        run_plan=plan(drops={"fin": 2.0, "close": 1.0}),
        revision="v2.0",
        target="ws://127.0.0.1:9",
        run_id="ffffffff",
        started_unix_ns=5,
    )
    assert one.comparability_hash == other.comparability_hash
    assert len(one.comparability_hash) == 64


@pytest.mark.parametrize("name", Plan.__struct_fields__)
def test_every_field_of_the_plan_makes_runs_incomparable(name: str) -> None:
    """A change of any field of the plan changes the hash and is named."""
    value = getattr(PLAN, name)
    match value:
        case dict():
            changed: object = {"fin": 3.0}
        case tuple():
            changed = (Storm(at_s=30.0, share_ratio=0.5),)
        case str():
            changed = value + "x"
        case _:
            changed = value + 1
    other = plan(**{name: changed})
    assert differing_fields(PLAN, other) == [name]
    assert manifest(run_plan=other).comparability_hash != manifest().comparability_hash


@pytest.mark.parametrize(
    ("duration_s", "known"),
    [
        (60.0, "42c2d6689447050cd755a2325f654ededf6a52c57b00d71683b31f0a4c9bb177"),
        (None, "f2f64a703a50f97f7aeb8aa5a39ff76e9a88e7584c8e587cad832e585b026ed4"),
    ],
)
def test_known_hashes(duration_s: float | None, known: str) -> None:
    """The hash of a plan may never change: stored baselines are found by it, those from before storms too."""
    assert comparability_hash(plan(duration_s=duration_s)) == known


@pytest.mark.parametrize("storms", [(), (Storm(at_s=30.0, share_ratio=0.5, kind="of their own"),)])
def test_a_manifest_survives_being_written_and_read(storms: tuple[Storm, ...]) -> None:
    """What run.json holds is what was put in, a kind of drop that this process does not know included."""
    one = manifest(run_plan=plan(storms=storms))
    assert msgspec.json.decode(msgspec.json.encode(one), type=Manifest) == one


@pytest.mark.parametrize("storm", ['{"at_s":-1,"share_ratio":0.5}', '{"at_s":1,"share_ratio":2}', '"0.5@30"'])
def test_storms_that_cannot_be_are_not_read(storm: str) -> None:
    """A manifest is foreign: a storm in it is within its bounds, or the manifest cannot be read."""
    plain = msgspec.to_builtins(manifest())
    plain["plan"]["storms"] = [msgspec.json.decode(storm)]
    with pytest.raises(msgspec.ValidationError, match=r"plan\.storms"):
        msgspec.convert(plain, type=Manifest)


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("wss://staging.example.org", "wss://staging.example.org"),
        ("wss://user:pass@host:8443/a/b?token=x#y", "wss://host:8443/a/b"),
        ("ws://[::1]:80/x", "ws://[::1]:80/x"),
        ("ws://TOKEN@[::1", "***"),
    ],
)
def test_urls_are_redacted(url: str, public: str) -> None:
    """Userinfo, query and fragment go; what is no URL goes whole."""
    assert public_url(url) == public


@settings(deadline=None)
@given(st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=8, max_size=30))
def test_no_manifest_holds_a_secret(text: str) -> None:
    """Wherever a token stands in the URL or in the path's query, run.json does not have it."""
    secret = f"SECRET{text}"
    for target, path in (
        (f"wss://{secret}@h/", "/ws"),
        (f"wss://u:{secret}@h/", f"/ws?token={secret}"),
        (f"wss://h/?token={secret}", f"/ws/{{session_id}}?thread_id={{thread_id}}&key={secret}"),
        (f"wss://h/#{secret}", f"/ws?{secret}#{secret}"),
    ):
        written = msgspec.json.encode(manifest(run_plan=plan(path=path), target=target)).decode()
        assert secret not in written


def test_the_paths_placeholders_stay() -> None:
    """What the dialect fills in is no secret and tells how sessions were addressed."""
    path = "/ws/{session_id}?thread_id={thread_id}"
    assert manifest(run_plan=plan(path=path)).plan.path == path


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
    sent = zlib.decompress(encode(pack(recorder.swap(NS_PER_S), secrets=[SECRET, ""])))
    for part in (SECRET[:10], "eyJhbGciOi%2FJIUzI1"):
        assert part.encode() not in sent


@settings(deadline=None)
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


@settings(deadline=None)
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


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_bytes_that_are_no_interval_are_refused(data: bytes) -> None:
    """Whatever a worker sends, compressed or not, is an interval or a clear error."""
    for sent in (data, zlib.compress(data)):
        with contextlib.suppress(MalformedInterval):
            assert isinstance(decode(sent), PackedInterval)


@settings(max_examples=50, deadline=None)
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


# Histograms from outside.


def _encoded(payload: bytes, *, cookie: int = 0x1C849304) -> str:
    stream = zlib.compress(payload)
    return base64.b64encode(struct.pack(">II", cookie, len(stream)) + stream).decode()


def _payload(
    counts: bytes,
    *,
    digits: int = 3,
    lowest: int = 1,
    highest: int = histograms.HIGHEST_US,
    cookie: int = 0x1C849313,
) -> bytes:
    return struct.pack(">IIIIQQd", cookie, len(counts), 0, digits, lowest, highest, 1.0) + counts


def test_a_histogram_made_by_the_specification_is_read() -> None:
    """Ten samples in the bucket of 2 µs: skip two (zigzag -2), then the count 10."""
    assert histograms.buckets(histograms.decode(_encoded(_payload(bytes([3, 20]))))) == {2: 10}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not base64!",
        base64.b64encode(b"\x1c").decode(),
        _encoded(_payload(b"\x02"), cookie=0x12345678),
        _encoded(_payload(b"\x02", cookie=0x1C849303)),
        _encoded(_payload(b"\x02", digits=5)),
        _encoded(_payload(b"\x02", highest=2**62)),
        _encoded(_payload(b"\x02", lowest=0)),
        _encoded(_payload(b"\x02")[:-1]),
        _encoded(b"short"),
        _encoded(_payload(b"\x80\x80")),  # a number without an end
        _encoded(_payload(b"\xff" * 9 + b"\x02")),
        _encoded(_payload(b"\xfe\xff\xff\xff\xff\xff\xff\xff\x7f" * 4)),  # counts that overflow
        _encoded(_payload(b"\x02" * 30_000)),  # more counts than the range has
        _encoded(b"\0" * 50_000_000),  # inflates to far more than it takes
        "A" * 600_000,
    ],
)
def test_hostile_histograms_are_refused(text: str) -> None:
    """Bombs, other ranges and broken streams raise ValueError before the library meets them."""
    with pytest.raises(ValueError, match=r"histogram|base64|padding|data"):
        histograms.decode(text)


# Summed up.


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(0, 5_000_000)), min_size=1, max_size=200
    )
)
def test_workers_together_are_what_one_process_would_have_seen(samples: list[tuple[int, int, int]]) -> None:
    """Histograms of any number of workers add up to exactly that of one."""
    apart = [
        pack(interval(second, samples_us={"outage": values}), worker)
        for worker in range(4)
        for second in range(5)
        if (values := [us for by, at, us in samples if (by, at) == (worker, second)])
    ]
    alone = [
        pack(interval(second, samples_us={"outage": [us for _, at, us in samples if at == second]}))
        for second in range(5)
    ]
    several, one = gathered(apart), gathered(alone)
    assert histograms.buckets(several.histograms["outage"]) == histograms.buckets(one.histograms["outage"])
    assert several.percentiles_us("outage") == one.percentiles_us("outage")
    assert [second.buckets for second in several.seconds["outage"]] == [
        second.buckets for second in one.seconds["outage"]
    ]


def test_counts_add_up_and_corrections_count_back() -> None:
    """A late reply takes its loss back in a later interval; the sum is what remains."""
    found = gathered(
        [
            interval(0, counts={"messaging.lost": 2}),
            interval(1, counts={"messaging.lost": -2, "messaging.late": 2}),
        ]
    )
    assert found.counts == {"messaging.late": 2}
    assert found.count("messaging.lost") == 0
    assert found.counts_of("messaging") == {"late": 2}


def test_errors_are_summed_and_keep_their_first() -> None:
    """Of one error in several intervals and workers the earliest session and time stay."""
    found = gathered(
        [
            pack(interval(4, errors=[tally("connect", "refused", 2, at_s=4.5, session="late")]), 1),
            pack(interval(0, errors=[tally("connect", "refused", 3, at_s=0.5, session="early")]), 2),
            interval(5, errors=[tally("connect", "timeout", 9), tally("reconnect", "refused")]),
        ]
    )
    assert [(error.error, error.count) for error in found.errors_of("connect")] == [
        ("timeout", 9),
        ("refused", 5),
    ]
    assert found.error_table("connect")[1]["session"] == "early"
    assert found.error_table("connect")[1]["at_s"] == 0.5


def test_names_are_bounded() -> None:
    """A file with names without end does not fill the memory; what is over is counted together."""
    line = IntervalLine(
        start_ns=0,
        stop_ns=NS_PER_S,
        counts={f"drops.{number}": 1 for number in range(2 * NAMES_LIMIT)},
        errors=[tally("connect", str(number)) for number in range(2 * NAMES_LIMIT)],
        gauges={str(number): 1.0 for number in range(2 * NAMES_LIMIT)},
    )
    gathering = Gathering(manifest())
    gathering.interval(line)
    for number in range(2 * NAMES_LIMIT):
        gathering.event(Lifecycle(at_ns=1, event="lost", session="s", cause=str(number)))
    found = gathering.evidence()
    assert len(found.counts) == NAMES_LIMIT + 1
    assert found.count(OTHER) == NAMES_LIMIT
    assert sum(error.count for error in found.errors) == 2 * NAMES_LIMIT
    assert len(found.errors) == NAMES_LIMIT + 1
    assert len(found.gauges) == NAMES_LIMIT
    assert sum(group.begun for group in found.outages) == 2 * NAMES_LIMIT
    assert len(found.outages) == NAMES_LIMIT + 1


def _event(event: str, session: str, **fields: object) -> Lifecycle:
    return msgspec.structs.replace(Lifecycle(at_ns=NS_PER_S, event=event, session=session), **fields)


def test_outages_are_told_by_what_began_them() -> None:
    """Each resume belongs to its session's last drop or loss; a slow reader is not cut off."""
    ms = 1_000_000
    found = gathered(
        [
            interval(
                0,
                lifecycle=[
                    _event("dropped", "a", kind="reset"),
                    _event("lost", "b", cause="1012"),
                    _event("dropped", "c", kind="slow_reader"),
                    _event("resumed", "b", outage_ns=3000 * ms, wait_ns=1000 * ms, tcp_ns=2 * ms),
                    _event("resumed", "a", outage_ns=1000 * ms, wait_ns=1000 * ms, tcp_ns=4 * ms),
                    _event("dropped", "a", kind="reset"),
                ],
            )
        ]
    )
    told = {(group.trigger, group.name): group for group in found.outages}
    assert (told["drop", "reset"].begun, told["drop", "reset"].resumed) == (2, 1)
    assert told["loss", "1012"].p50_us == pytest.approx(3_000_000, rel=0.001)
    assert ("drop", "slow_reader") not in told
    assert found.phase_table()["tcp"]["max_ms"] == pytest.approx(4, rel=0.001)


def test_the_herds_peak_is_the_second_with_most_attempts() -> None:
    """Attempts to connect are counted by the second, of all workers together."""
    at_s = [0.1, 0.9, 7.0, 7.2, 7.9]
    attempts = [Lifecycle(at_ns=int(at * NS_PER_S), event="attempt", session="s") for at in at_s]
    found = gathered([interval(0, lifecycle=attempts)])
    assert found.attempts_per_s == {0: 2, 7: 3}
    assert (found.herd_peak, found.herd_peak_s) == (3, 7)
    assert (gathered([]).herd_peak, gathered([]).herd_peak_s) == (0, None)


def test_the_warm_up_is_left_out_of_what_is_compared() -> None:
    """Round trips in the warm-up count nowhere, first connections do; silent seconds are rows too."""
    found = gathered(
        [
            interval(2, samples_us={"service": [9], "connect": [7]}),
            interval(5, samples_us={"service": [10]}),
            interval(7, samples_us={"service": [20, 20]}),
            interval(8),
        ],
        manifest(run_plan=plan(warmup_s=5.0)),
    )
    assert found.after_warmup("service") == [{10: 1}, {}, {20: 2}, {}]
    assert histograms.buckets(found.histograms["service"]) == {10: 1, 20: 2}
    assert found.samples("connect") == 1
    assert [second.start_s for second in found.seconds["service"]] == [2.0, 5.0, 7.0]
    assert found.seconds["service"][2].percentile_us(50) == 20


def test_a_long_run_is_kept_in_longer_rows() -> None:
    """Memory for the seconds of a run has a limit, and nothing of it is lost to that."""
    length_s = 2 * ROWS_LIMIT + 100
    hours = [interval(second, seconds=100) for second in range(0, length_s, 100)]
    found = gathered([interval(second, samples_us={"outage": [50]}) for second in (0, 1, 4, 7)] + hours)
    assert found.row_s == 4
    assert [(row.start_s, row.samples) for row in found.seconds["outage"]] == [(0.0, 2), (4.0, 2)]
    assert len(found.after_warmup("outage")) == length_s // 4 - 2


@pytest.mark.parametrize(
    ("start_ns", "stop_ns"),
    [(5, 4), (0, WEEK_S * NS_PER_S + 1), (WEEK_S * NS_PER_S + 1, WEEK_S * NS_PER_S + 2), (2**62, 2**62 + 1)],
)
def test_impossible_intervals_are_refused(start_ns: int, stop_ns: int) -> None:
    """Times that no run can have do not become memory."""
    with pytest.raises(ValueError, match="interval"):
        Gathering(manifest()).interval(IntervalLine(start_ns=start_ns, stop_ns=stop_ns))


def test_a_process_that_was_stopped_for_a_night_is_told() -> None:
    """An interval of eight hours is read, with a warning; what was measured before and after it counts."""
    night = interval(60, seconds=8 * 3600, samples_us={"outage": [50]})
    after = interval(60 + 8 * 3600, samples_us={"outage": [70]})
    found = gathered([*(interval(second) for second in range(60)), night, after])
    assert found.samples("outage") == 2
    assert found.length_s == 8 * 3600 + 61
    (warning,) = found.warnings
    assert "over an hour once, 8.0 hours at the longest" in warning
    assert gathered([interval(0, seconds=3600), interval(7200)]).warnings == ()


@pytest.mark.parametrize("seconds", [0, 1, WEEK_S])
def test_intervals_ever_further_away_do_not_become_memory(seconds: int) -> None:
    """Each a week after the one before, for years: rows keep their limit, and one warning tells of all."""
    far = [
        interval(number * (WEEK_S + seconds), seconds=seconds, samples_us={"service": [50]})
        for number in range(1000)
    ]
    found = gathered(far)
    assert len(found.seconds["service"]) <= 1000
    assert ROWS_LIMIT // 2 - 1 <= found.length_s // found.row_s <= ROWS_LIMIT
    assert len(found.after_warmup("service")) <= ROWS_LIMIT
    (warning,) = found.warnings
    assert "168.0 hours at the longest" in warning


def test_attempts_at_no_time_of_the_run_are_left_out() -> None:
    """Those after the last interval are of a run that was killed; days away they are of a damaged file."""
    at_s = (-5, 0, 7, 86_400, 10**300)
    attempts = [Lifecycle(at_ns=at * NS_PER_S, event="attempt", session="s") for at in at_s]
    assert gathered([interval(0, lifecycle=attempts)]).attempts_per_s == {0: 1, 7: 1}


def test_numbers_beyond_reason_are_refused_or_held() -> None:
    """JSON has numbers of any size: a count of no possible run is damage, that of an error is cut off."""
    with pytest.raises(msgspec.ValidationError, match="counts"):
        msgspec.json.decode(
            b'{"start_ns":0,"stop_ns":1,"counts":{"a":1%s}}' % (b"0" * 400), type=IntervalLine
        )
    gathering = Gathering(manifest())
    error = msgspec.structs.replace(tally("connect", "refused", 10**400), at_ns=10**400)
    gathering.interval(IntervalLine(start_ns=0, stop_ns=1, errors=[error]))
    (kept,) = gathering.evidence().error_table("connect")
    assert kept["count"] == 2**62
    assert kept["at_s"] == pytest.approx(2**62 / NS_PER_S)


def test_intervals_belong_to_the_second_they_start_in() -> None:
    """A timer may be a little early, or as late as it likes."""
    assert [second_of(int(at * NS_PER_S)) for at in (0, 4.995, 5.0, 5.9)] == [0, 5, 5, 5]


def test_percentiles_of_a_second_are_those_of_the_histogram() -> None:
    """A row's percentile is HdrHistogram's own."""
    found = gathered([interval(5, samples_us={"service": range(1, 1001)})])
    row = found.seconds["service"][0]
    for percentile in (0.01, 50, 90, 99, 99.9, 100):
        assert row.percentile_us(percentile) == found.percentiles_us("service", [percentile])[percentile]
