"""One interval of one process, folded into histograms, on its way from the engine to the run's writer.

Workers send it to the master as bytes; a run in one process passes the object on. The writer accepts only
this form. Folding takes milliseconds, so it must never happen on the measuring event loop. Before an
interval leaves its process, texts from outside are truncated and secrets removed from them.
"""

from __future__ import annotations

import math
import zlib
from array import array
from collections.abc import Mapping
from hashlib import blake2b
from types import MappingProxyType
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from loadtest import histograms
from loadtest.errors import MalformedInterval
from loadtest.scrubber import NO_SECRETS, Secrets, beginning, public_line, without_secrets
from loadtest.session.recorder import ErrorTally, Interval, Lifecycle, name_tag
from loadtest.session.schedule import NS_PER_S
from loadtest.text import HIDDEN, LINE_LENGTH, one_line, without_likely_secrets

TEXT_LIMIT = LINE_LENGTH
"""Maximum length, in characters, of a text that came from outside."""

NAME_LENGTH = 60
"""Maximum length of the name of a request."""

ID_LIMIT = 128
"""Maximum length of a session id that the server gave; what is longer is cut, and told apart by a hash."""

BYTES_LIMIT = 64 << 20
"""Maximum size of a decompressed interval, in bytes: far more than one second of the largest run."""

_EARLY_NS = 10_000_000  # how early the timer that ends an interval may fire

Nanoseconds = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Encoded = Annotated[str, Meta(max_length=histograms.ENCODED_LIMIT)]
Name = Annotated[str, Meta(max_length=TEXT_LIMIT)]
Difference = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]


def second_of(start_ns: int) -> int:
    """Return the second of the run that an interval belongs to.

    Intervals start on whole seconds, or later if the loop is busy. A timer may also fire slightly early.

    Args:
        start_ns: start of the interval, in ns since the run's start.
    """
    return (start_ns + _EARLY_NS) // NS_PER_S


def counts_of(counts: Mapping[str, int], prefix: str) -> dict[str, int]:
    """Return the counts `prefix.NAME` by NAME."""
    start = f"{prefix}."
    return {name.removeprefix(start): count for name, count in counts.items() if name.startswith(start)}


class IntervalLine(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line of intervals.jsonl: what one process counted in one interval, of one of several user classes."""

    start_ns: Nanoseconds
    stop_ns: Nanoseconds
    worker: int | None = None
    user: Name | None = None
    counts: dict[Name, Difference] = {}
    errors: list[ErrorTally] = []
    gauges: dict[Name, float] = {}


class PackedInterval(Struct, frozen=True, kw_only=True):
    """What one process recorded in one interval, with samples folded into histograms.

    Args:
        start_ns, stop_ns: limits of the interval, in ns since the run's start.
        worker: number of the worker, None in a run of one process.
        user: name of the user class, None if the run has one.
        histograms: by tag, in HdrHistogram's V2 compressed format as base64; empty ones are left out.
    """

    start_ns: Nanoseconds
    stop_ns: Nanoseconds
    worker: int | None
    histograms: dict[Name, Encoded]
    counts: dict[Name, Difference]
    lifecycle: list[Lifecycle]
    errors: list[ErrorTally]
    gauges: dict[Name, float]
    user: Name | None = None


def pack(
    interval: Interval,
    worker: int | None = None,
    *,
    user: str | None = None,
    secrets: Secrets = NO_SECRETS,
    names: Mapping[str, str] = MappingProxyType({}),
    run_id: str = "",
) -> PackedInterval:
    """Fold an interval into histograms and sanitize its texts.

    Args:
        interval: ended by `Recorder.swap`; not modified.
        worker: number of this worker, None in a run of one process.
        user: name of the user class, in a run of several.
        secrets: texts, such as tokens, that must not leave the process.
        names: public names of requests, by name; they must hold those of the interval.
        run_id: the run's id: all its processes replace an id that holds a secret in the same way.
    """
    encoded, clamped = _folded({**interval.samples, **_by_public_name(interval.named, names)})
    counts = {name: count for name, count in interval.counts.items() if count}
    if clamped:
        counts["latency.clamped"] = counts.get("latency.clamped", 0) + clamped
    return PackedInterval(
        start_ns=interval.start_ns,
        stop_ns=interval.stop_ns,
        worker=worker,
        user=user,
        histograms=encoded,
        counts=counts,
        lifecycle=[_cleaned_event(record, user, secrets, run_id) for record in interval.lifecycle],
        errors=[_cleaned_error(tally, secrets) for tally in interval.errors.values()],
        gauges={name: value for name, value in interval.gauges.items() if math.isfinite(value)},
    )


def has_texts(interval: Interval) -> bool:
    """Return whether an interval has texts that may hold secrets; most intervals of a sound run have none."""
    return bool(interval.errors) or any(
        record.detail is not None or record.known_as is not None for record in interval.lifecycle
    )


def encode(packed: PackedInterval) -> bytes:
    """Serialize an interval, to send it from a worker to the master.

    The fastest compression level is enough: thousands of lifecycle events repeat the same field names.
    """
    return zlib.compress(_encoder.encode(packed), level=1)


def decode(data: bytes) -> PackedInterval:
    """Parse the bytes that `encode` returned.

    Raises:
        MalformedInterval: the bytes are not an interval, or a value is out of range.
    """
    try:
        packed = _decoder.decode(_decompressed(data))
        for text in packed.histograms.values():
            histograms.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError, zlib.error) as problem:
        raise MalformedInterval(str(problem)) from problem
    return packed


def _decompressed(data: bytes) -> bytes:
    """Decompress at most `BYTES_LIMIT` bytes.

    Raises:
        ValueError: the data is longer, truncated, or followed by other bytes.
        zlib.error: the data is not in zlib format.
    """
    decompressor = zlib.decompressobj()
    plain = decompressor.decompress(data, BYTES_LIMIT)
    if not decompressor.eof or decompressor.unused_data:
        raise ValueError(f"it does not end within {BYTES_LIMIT} bytes")
    return plain


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(PackedInterval)


def public_name(name: str, secrets: Secrets) -> str:
    """Return the name of a request as a short text that is safe to store."""
    return public_line(name, secrets, NAME_LENGTH)


def _by_public_name(named: Mapping[str, array[int]], names: Mapping[str, str]) -> dict[str, array[int]]:
    """Return the samples of named requests by tag; names that only a secret tells apart are one."""
    found: dict[str, array[int]] = {}
    for name, samples_ns in named.items():
        found.setdefault(name_tag(names[name]), array("q")).extend(samples_ns)
    return found


def _folded(samples: Mapping[str, array[int]]) -> tuple[dict[str, str], int]:
    """Return the encoded histograms by tag, and the number of clamped samples."""
    encoded, clamped = {}, 0
    for tag, samples_ns in samples.items():
        if samples_ns:
            histogram, beyond = histograms.fold(samples_ns)
            encoded[tag] = histograms.encode(histogram)
            clamped += beyond
    return encoded, clamped


def _cleaned_event(record: Lifecycle, user: str | None, secrets: Secrets, run_id: str) -> Lifecycle:
    if user is not None:
        record = msgspec.structs.replace(record, user=user)
    if record.detail is not None:
        record = msgspec.structs.replace(record, detail=public_line(record.detail, secrets, TEXT_LIMIT))
    if record.known_as is not None:
        record = msgspec.structs.replace(record, known_as=public_id(record.known_as, secrets, run_id))
    return record


def public_id(known_as: str, secrets: Secrets, run_id: str) -> str:
    """Return an id that the server gave as a text that is safe to store, a different one for each id.

    One that holds a secret is replaced whole. Each run does so in another way, so that nobody can follow a
    secret through several runs.
    """
    begun = beginning(known_as)
    if without_secrets(begun, secrets) != begun:
        return f"{HIDDEN} {_digest(known_as, run_id)}"
    shown = one_line(without_likely_secrets(begun), ID_LIMIT)
    if shown == known_as:
        return known_as
    return f"{shown} {_digest(known_as, run_id if begun != known_as else '')}"  # its rest may hold a secret


def _digest(known_as: str, key: str = "") -> str:
    """Return what tells an id from others."""
    content = known_as.encode(errors="surrogatepass")
    return blake2b(content, digest_size=8, key=key.encode()[: blake2b.MAX_KEY_SIZE]).hexdigest()


def _cleaned_error(tally: ErrorTally, secrets: Secrets) -> ErrorTally:
    return msgspec.structs.replace(
        tally,
        error=public_line(tally.error, secrets, TEXT_LIMIT),
        example=public_line(tally.example, secrets, TEXT_LIMIT),
    )
