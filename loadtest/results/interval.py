"""One interval of one process, folded and ready to travel: from an engine to the writer of the run.

Workers send it to the master as bytes, a run in one process hands it on as it is; the writer knows no other
form, so there is one road. Folding takes milliseconds: never on a loop that measures. What leaves a process
here is cleaned: texts are bounded, and secrets are taken out of them.
"""

import math
import zlib
from collections.abc import Iterable
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from loadtest import histograms
from loadtest.errors import MalformedInterval
from loadtest.session.recorder import ErrorTally, Interval, Lifecycle
from loadtest.session.schedule import NS_PER_S
from loadtest.text import LINE_LENGTH, Secrets, public_line

TEXT_LIMIT = LINE_LENGTH
"""Characters of a foreign text that are kept."""

BYTES_LIMIT = 64 << 20
"""Bytes of an interval: far more than a second of the largest run."""

_EARLY_NS = 10_000_000

Nanoseconds = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Encoded = Annotated[str, Meta(max_length=histograms.ENCODED_LIMIT)]
Name = Annotated[str, Meta(max_length=TEXT_LIMIT)]
Difference = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]


def second_of(start_ns: int) -> int:
    """Return the second of the run to which an interval belongs that started then.

    Intervals start on whole seconds, or later on a busy loop; a timer may also be a little early.
    """
    return (start_ns + _EARLY_NS) // NS_PER_S


class IntervalLine(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line of intervals.jsonl: what one process counted in one interval."""

    start_ns: Nanoseconds
    stop_ns: Nanoseconds
    worker: int | None = None
    counts: dict[Name, Difference] = {}
    errors: list[ErrorTally] = []
    gauges: dict[Name, float] = {}


class PackedInterval(Struct, frozen=True, kw_only=True):
    """What one process recorded in one interval, with latency folded into histograms.

    Args:
        start_ns, stop_ns: since the run's start.
        worker: number of the worker, None in a run of one process.
        histograms: by tag, HdrHistogram's V2 compressed form in base64; empty ones are left out.
    """

    start_ns: Nanoseconds
    stop_ns: Nanoseconds
    worker: int | None
    histograms: dict[Name, Encoded]
    counts: dict[Name, Difference]
    lifecycle: list[Lifecycle]
    errors: list[ErrorTally]
    gauges: dict[Name, float]


def pack(interval: Interval, worker: int | None = None, *, secrets: Iterable[str] = ()) -> PackedInterval:
    """Fold an interval for shipping and writing.

    Args:
        interval: ended by `Recorder.swap`; it is not changed.
        worker: number of this process's worker, None in a run of one process.
        secrets: tokens that must not leave the process in a text.
    """
    encoded, clamped = _folded(interval)
    counts = {name: count for name, count in interval.counts.items() if count}
    if clamped:
        counts["latency.clamped"] = counts.get("latency.clamped", 0) + clamped
    hidden = Secrets(secrets)
    return PackedInterval(
        start_ns=interval.start_ns,
        stop_ns=interval.stop_ns,
        worker=worker,
        histograms=encoded,
        counts=counts,
        lifecycle=[_cleaned_event(record, hidden) for record in interval.lifecycle],
        errors=[_cleaned_error(tally, hidden) for tally in interval.errors.values()],
        gauges={name: value for name, value in interval.gauges.items() if math.isfinite(value)},
    )


def encode(packed: PackedInterval) -> bytes:
    """Return the interval as bytes, for the way from a worker to the master.

    Compressed at the fastest level: a second with thousands of lifecycle events is their names over and over.
    """
    return zlib.compress(_encoder.encode(packed), level=1)


def decode(data: bytes) -> PackedInterval:
    """Read what `encode` wrote.

    Raises:
        MalformedInterval: it is something else, or beyond its bounds.
    """
    try:
        packed = _decoder.decode(_decompressed(data))
        for text in packed.histograms.values():
            histograms.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError, zlib.error) as problem:
        raise MalformedInterval(str(problem)) from problem
    return packed


def _decompressed(data: bytes) -> bytes:
    """Return the whole of what was compressed, which is bounded like what comes.

    Raises:
        ValueError: it is too long, or not whole.
        zlib.error: it is something else.
    """
    decompressor = zlib.decompressobj()
    plain = decompressor.decompress(data, BYTES_LIMIT)
    if not decompressor.eof or decompressor.unused_data:
        raise ValueError(f"it does not end within {BYTES_LIMIT} bytes")
    return plain


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(PackedInterval)


def _folded(interval: Interval) -> tuple[dict[str, str], int]:
    """Return the encoded histograms, and how many samples were clamped."""
    encoded, clamped = {}, 0
    for tag, samples_ns in interval.samples.items():
        if samples_ns:
            histogram, beyond = histograms.fold(samples_ns)
            encoded[tag] = histograms.encode(histogram)
            clamped += beyond
    return encoded, clamped


def _cleaned_event(record: Lifecycle, hidden: Secrets) -> Lifecycle:
    if record.detail is None:
        return record
    return msgspec.structs.replace(record, detail=public_line(record.detail, hidden, TEXT_LIMIT))


def _cleaned_error(tally: ErrorTally, hidden: Secrets) -> ErrorTally:
    return msgspec.structs.replace(
        tally,
        error=public_line(tally.error, hidden, TEXT_LIMIT),
        example=public_line(tally.example, hidden, TEXT_LIMIT),
    )
