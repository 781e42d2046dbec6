"""Reads JSON objects of a log by the field names that loggers use.

One set of names serves structlog, python-json-logger, Cloud Run's structured lines, the entries printed by
`gcloud logging read --format=json` (with their text in `textPayload` or `jsonPayload`) and docker's
`{"log": …}`, because they do not conflict. msgspec decodes; the standard library is the fallback for what
Python's json writes although the standard forbids it (NaN, lone surrogates). The size and number of brackets
of an object are limited before decoding; the interpreter's recursion limit guards against depth.
"""

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import msgspec

from loadtest.serverlog.formats import Entry
from loadtest.serverlog.records import LEVELS, MAX_MESSAGE, MAX_NAME, Level
from loadtest.serverlog.times import SECOND_NS, number_time, parse_time
from loadtest.serverlog.tracebacks import Tail, starts_traceback

Object = Mapping[str, Any]

_RAW_TEXT = ("textPayload", "log")
_MESSAGE = ("message", "msg", "event", "text", "body")
_TIME = ("timestamp", "time", "@timestamp", "asctime", "ts", "created", "receiveTimestamp")
_LEVEL = ("severity", "level", "levelname", "log_level", "loglevel", "levelno")
_LOGGER = ("logger", "name", "logger_name")
_SESSION = ("session_id", "session", "sessionId")
_TRACEBACK = ("exception", "exc_info", "stack_trace", "traceback", "stacktrace")

_MAX_VALUES = 500
"""Values of an object that are searched for session ids."""

_SMALL = 4096
_MAX_BRACKETS = 20_000
"""A real entry has some dozens of brackets; this many objects and lists take up a few MB."""


def decode(frame: bytes) -> dict[str, Any] | None:
    """Return the JSON object of a frame; None if it is not one or has too many brackets. Never raises."""
    if len(frame) > _SMALL and frame.count(b"[") + frame.count(b"{") > _MAX_BRACKETS:
        return None
    try:
        value = msgspec.json.decode(frame)
    except (ValueError, RecursionError):
        value = _lenient(frame)
    return value if isinstance(value, dict) else None


def _lenient(frame: bytes) -> object:
    try:
        return json.loads(frame.decode("utf-8", "replace"), strict=False)
    except (ValueError, RecursionError):
        return None


def entry_of(data: Object) -> Entry | None:
    """Return the entry in an object; None if it has no text, traceback or level."""
    payload = data.get("jsonPayload")
    inner: Object = payload if isinstance(payload, dict) else data
    raw = _first(data, _RAW_TEXT)
    text = raw if isinstance(raw, str) else _text(_first(inner, _MESSAGE)) or _request(data)
    tail = _tail(_first(inner, _TRACEBACK))
    level = _level(_first(data, _LEVEL))
    at_ns = _time(data)
    if inner is not data:
        level = level or _level(_first(inner, _LEVEL))
        at_ns = at_ns or _time(inner)
    if not text and tail is None and level is None:
        return None
    labels = _labels(data)
    entry = Entry(
        message="",
        level=level,
        at_ns=at_ns,
        logger=_name(_first(inner, _LOGGER)),
        session=_name(_first(inner, _SESSION)),
        revision=_name(labels.get("revision_name") or data.get("revision")),
        service=_name(labels.get("service_name")),
        raw=isinstance(raw, str),
        tail=tail,
    )
    _put_text(entry, text)
    return entry


def texts_in(frame: bytes) -> Iterator[str]:
    """Yield the texts and whole numbers in the object of a frame, in order, at any depth."""
    pending: list[object] = [decode(frame)]
    for _ in range(_MAX_VALUES):
        if not pending:
            return
        value = pending.pop()
        if isinstance(value, dict):
            pending += reversed([*islice(value.values(), _MAX_VALUES)])
        elif isinstance(value, list):
            pending += reversed(value[:_MAX_VALUES])
        elif isinstance(value, str):
            yield value[: 4 * MAX_MESSAGE]
        elif isinstance(value, int) and 0 <= value < 2**64:
            yield str(value)


def _put_text(entry: Entry, text: str) -> None:
    """Set the message to the text's first line, and add the rest, or a bare traceback, to the tail."""
    head, newline, rest = text.partition("\n")
    if starts_traceback(text):
        head, rest = "", text
    entry.message = head[:MAX_MESSAGE]
    if rest.strip() and (newline or not head):
        entry.tail = entry.tail or Tail()
        entry.tail.extend(rest.split("\n"))


def _first(data: Object, names: tuple[str, ...]) -> object:
    for name in names:
        if name in data and data[name] is not None:
            return data[name]
    return None


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, bool):
        return ""
    try:
        return msgspec.json.encode(value)[: 4 * MAX_MESSAGE].decode("utf-8", "replace")
    except (RecursionError, UnicodeEncodeError):
        return ""


def _name(value: object) -> str:
    if value is None:
        return ""
    return str(value)[:MAX_NAME] if isinstance(value, (str, int)) and not isinstance(value, bool) else ""


def _level(value: object) -> Level | None:
    """Return a level given by name or by logging's number; None if unknown, as Cloud Logging's DEFAULT."""
    if isinstance(value, str):
        return LEVELS.get(value) or LEVELS.get(value.strip().upper()[:MAX_NAME])
    if isinstance(value, (int, float)) and 0 < value <= 60:
        return max((level for level in Level if level <= value), default=Level.DEBUG)
    return None


def _time(data: Object) -> int | None:
    value = _first(data, _TIME)
    if isinstance(value, str):
        return parse_time(value)
    if isinstance(value, (int, float)):
        return number_time(value)
    if isinstance(value, dict):
        return _seconds_and_nanos(value.get("seconds"), value.get("nanos"))
    return _seconds_and_nanos(data.get("timestampSeconds"), data.get("timestampNanos"))


def _seconds_and_nanos(seconds: object, nanos: object) -> int | None:
    """Return a time from Cloud Logging's other notation in structured lines."""
    try:
        at_ns = int(str(seconds)[:12]) * SECOND_NS + int(str(nanos or 0)[:9])
    except ValueError:
        return None
    return at_ns if at_ns > 0 else None


def _labels(data: Object) -> Object:
    resource = data.get("resource")
    labels = resource.get("labels") if isinstance(resource, dict) else None
    return labels if isinstance(labels, dict) else {}


def _request(data: Object) -> str:
    """Return method, URL and status as text for a record of Cloud Run's request log, which has no text."""
    request = data.get("httpRequest")
    if not isinstance(request, dict):
        return ""
    return " ".join(_name(request.get(key)) for key in ("requestMethod", "requestUrl", "status")).strip()


def _tail(value: object) -> Tail | None:
    """Return a traceback given as text or as structlog's list of exceptions, of which the first counts."""
    if isinstance(value, list):
        value = _structured(value)
    if not isinstance(value, str) or not value:
        return None
    tail = Tail()
    tail.extend(value.split("\n"))
    if not tail.exception and not starts_traceback(value):
        tail.exception = tail.stray[:MAX_MESSAGE]
    return tail


def _structured(exceptions: list[object]) -> str:
    for exception in exceptions[:1]:
        if isinstance(exception, dict):
            lines = ["Traceback (most recent call last):", *map(_frame, _frames(exception))]
            lines.append(f"{_name(exception.get('exc_type'))}: {_text(exception.get('exc_value'))}")
            return "\n".join(lines)
    return ""


def _frames(exception: Object) -> list[Object]:
    frames = exception.get("frames")
    return [frame for frame in frames[:200] if isinstance(frame, dict)] if isinstance(frames, list) else []


def _frame(frame: Object) -> str:
    name, line = _name(frame.get("name")), _name(frame.get("lineno"))
    return f'  File "{_name(frame.get("filename"))}", line {line}, in {name}'
