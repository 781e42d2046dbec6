"""Reads the JSON objects of a log, logfmt's pairs and the rows of YAML and CSV by the names that loggers use.

Each field has a list of names, the most telling first; `log.level` is a name with a dot or a path. One set
of names serves all loggers and carriers, because they do not conflict; what a number means as a level
depends on the logger, so each has its scale. msgspec decodes; the standard library is the fallback for what
Python's json writes although the standard forbids it (NaN, lone surrogates). The size and number of
brackets of an object are limited before decoding; the interpreter's recursion limit guards against depth.
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from loadtest.serverlog.access_logs import request_level, request_text
from loadtest.serverlog.carriers import Unwrapping
from loadtest.serverlog.entries import Entry
from loadtest.serverlog.level_numbers import level_of_number
from loadtest.serverlog.records import ESCAPE, LEVELS, MAX_MESSAGE, MAX_NAME, Level, level_of
from loadtest.serverlog.times import SECOND_NS, number_time, parse_time
from loadtest.serverlog.tracebacks import Tail, raises, starts_traceback

Object = Mapping[str, Any]

_FIELDS: dict[str, str] = {
    # a line of text that a carrier wrapped: Cloud Logging, docker, Fluent Bit, journald, Loki, Azure, Splunk
    "raw": """
        textPayload text_payload log MESSAGE line Log @message _raw ResultDescription Log_s LogEntry""",
    "message": """
        message msg event short_message @m @mt body.stringValue Body.stringValue body Body text
        Message msg_ MessageTemplate RenderedMessage title resultDescription @message 0""",
    "time": """
        timestamp time @timestamp @t ts t asctime datetime date Timestamp time.repr time.timestamp
        TimeStamp timeUnixNano created instant eventTime __REALTIME_TIMESTAMP TimeGenerated Date
        _time observedTimeUnixNano receiveTimestamp receive_timestamp startTime""",
    "level": """
        level severity levelname level_name log.level severityText SeverityText severity_text lvl @l @level
        syslog.severity _meta.logLevelName severityLevel
        level.name level.levelStr Level LogLevel logLevel log_level loglevel status severityNumber
        SeverityNumber severity_number levelno level.no PRIORITY priority log.syslog.severity.code
        at""",
    "logger": """
        logger name logger_name loggerName log.logger SourceContext _logger logger.name
        SYSLOG_IDENTIFIER Category category channel python_logger""",
    "session": """
        session_id session sessionId session.id _session_id extra.session_id extra.session
        attributes.session_id attributes.session.id mdc.session_id mdc.sessionId fields.session_id""",
    "error": """
        exc_info exception traceback stack_trace stacktrace stackTrace stack exc_text full_message
        error err thrown @x Exception attributes.exception attributes.error ex cause errorVerbose
        extra.exception error.stack_trace error.stack err.stack exception.stacktrace
        exception.stack_trace attributes.exception.stacktrace exception.message error.message
        err.message attributes.exception.message""",
}
_PLAIN_NAMES = frozenset({"log", "line", "Log"})
"""Of these, names that a logger may use too: beside a message, they are no wrapped line."""

_STREAMED = frozenset({"textPayload", "text_payload", "ResultDescription", "Log_s", "LogEntry"})
"""Wrapped lines to which clouds add their own severity."""

_PAYLOADS = ("jsonPayload", "json_payload", "_source")
_WITHIN = (*_PAYLOADS, "record", "result", "fields", "mdc")
"""Objects that hold the logger's fields, inside those of a carrier; after the first three, not always."""

_CLOUDWATCH = frozenset({"ingestionTime", "logStreamName", "eventId"})
_ESCAPE = re.compile(ESCAPE)
_LISTS = ("resourceLogs", "scopeLogs", "logRecords", "logEvents", "events", "entries")
"""Lists of records inside one object: OpenTelemetry's export, CloudWatch."""

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


_Path = tuple[str, tuple[str, ...]]


class _Plan(NamedTuple):
    """Where an object with certain keys may have each field, and which lists and objects it holds."""

    raw: tuple[_Path, ...]
    message: tuple[_Path, ...]
    time: tuple[_Path, ...]
    level: tuple[_Path, ...]
    logger: tuple[_Path, ...]
    session: tuple[_Path, ...]
    error: tuple[_Path, ...]
    within: tuple[str, ...]
    lists: tuple[str, ...]


@lru_cache(maxsize=1024)
def _plan(keys: tuple[str, ...]) -> _Plan:
    fields = {
        field: tuple(
            (name, path)
            for name in names.split()
            for path in dict.fromkeys(((name,), tuple(name.split("."))))
            if path[0] in keys
        )
        for field, names in _FIELDS.items()
    }
    within, lists = (tuple(name for name in names if name in keys) for names in (_WITHIN, _LISTS))
    return _Plan(**fields, within=within, lists=lists)


def _plan_of(data: Object) -> _Plan:
    return _plan(tuple(data) if len(data) <= 64 else tuple(islice(data, 64)))


def entries_of(data: Object, depth: int = 0) -> list[Entry]:
    """Return the entries in an object: one, or those of its lists."""
    plan = _plan_of(data)
    inner = data[plan.lists[0]] if plan.lists and depth < 4 else None
    if isinstance(inner, list):
        return [entry for one in inner if isinstance(one, dict) for entry in entries_of(one, depth + 1)]
    held = _held(data, plan) if depth < 4 else None
    if held is not None:
        entries = entries_of(held, depth + 1)
        for entry in entries:
            entry.at_ns = entry.at_ns or _time(data, plan)
        return entries
    found = entry_of(data)
    return [] if found is None else [found]


def _held(data: Object, plan: _Plan) -> dict[str, Any] | None:
    """Return the object that a logger wrote as JSON, if a carrier put it into its text."""
    raw = _raw(data, plan) if plan.raw or not _CLOUDWATCH.isdisjoint(data) else None
    text = _first(data, plan.message) if raw is None else raw
    if not isinstance(text, str) or "}" not in text[-3:]:
        return None
    if raw is not None and text[0] != "{":
        text = Unwrapping().strip(text).text
    held = decode(text.encode("utf-8", "replace")) if text[:1] == "{" else None
    if held is None:
        return None
    within = _plan_of(held)
    if raw is None and not (within.message and _level(held, within)):
        return None  # data that the logger logged
    return held


def _within(data: Object, plan: _Plan) -> Object:
    """Return the object inside an object that holds the logger's fields; the object itself if none does."""
    for name in plan.within:
        inner = data[name]
        if not isinstance(inner, dict):
            continue
        held = _plan_of(inner)
        if name in _PAYLOADS:
            found = bool(held.message or held.level or held.error or held.raw or held.within)
        elif name == "record":  # loguru puts the whole line beside it
            found = bool(held.message) and (not plan.message or "text" in data)
        else:
            found = bool(held.message or held.raw or held.level) and not plan.message
        if found:
            return inner
    return data


def entry_of(data: Object) -> Entry | None:
    """Return the entry in an object; None if it has no text, traceback or level."""
    plan = outer = _plan_of(data)
    inner = _within(data, plan) if plan.within else data
    if inner is not data:
        plan = _plan_of(inner)
    raw = _raw(data, outer) if outer.raw or not _CLOUDWATCH.isdisjoint(data) else None
    text = _text(_first(inner, plan.message)) or request_text(data) if raw is None else raw
    level, at_ns = _level(inner, plan), _time(inner, plan)
    if inner is not data:
        level, at_ns = level or _level(data, outer), at_ns or _time(data, outer)
    level = request_level(data, level)
    tail, said = _errors(inner, plan, text) if plan.error else (None, "")
    if not text and tail is None and level is None:
        return None
    entry = Entry(
        message="",
        level=None if raw is not None and _by_stream(data) else level,
        at_ns=at_ns,
        logger=_name(_first(inner, plan.logger)) if plan.logger else "",
        session=_name(_first(inner, plan.session)) if plan.session else "",
        raw=raw is not None,
        tail=tail,
    )
    if raw is not None or "resource" in data or "revision" in data:
        _put_origin(entry, data)
    _put_text(entry, text, said)
    return entry


def _raw(data: Object, plan: _Plan) -> str | None:
    """Return the line of text that a carrier wrapped in an object; None if it wrapped none."""
    paths = plan.raw if plan.raw or _CLOUDWATCH.isdisjoint(data) else plan.message
    if plan.raw and plan.message and not _PLAIN_NAMES.isdisjoint(data) and _first(data, plan.message):
        paths = tuple(path for path in paths if path[0] not in _PLAIN_NAMES)
    value = _first(data, paths)
    if isinstance(value, list):  # journald writes a text that is not UTF-8 as numbers
        numbers = (byte for byte in value if isinstance(byte, int) and 0 <= byte < 256)
        value = bytes(numbers).decode("utf-8", "replace")
    return _plain(value) if isinstance(value, str) else None


def _plain(text: str) -> str:
    return _ESCAPE.sub("", text) if "\x1b" in text else text


def _put_origin(entry: Entry, data: Object) -> None:
    resource = data.get("resource")
    labels = resource.get("labels") if isinstance(resource, dict) else None
    labels = labels if isinstance(labels, dict) else {}
    entry.revision = _name(labels.get("revision_name") or data.get("revision"))
    entry.service = _name(labels.get("service_name"))
    entry.source = _name(labels.get("pod_name") or data.get("logStreamName") or data.get("stream"))


def _by_stream(data: Object) -> bool:
    """Whether a carrier's severity says only by which stream a line came: GKE, systemd, Azure."""
    if "PRIORITY" in data:
        if "CONTAINER_NAME" in data:  # docker's driver: 3 is stderr, 6 is stdout
            return data["PRIORITY"] in ("3", 3, "6", 6)
        return data.get("_TRANSPORT") == "stdout" and data["PRIORITY"] in ("6", 6)
    name = data.get("logName")
    if isinstance(name, str):
        return name.endswith(("stderr", "stdout"))
    return not _STREAMED.isdisjoint(data)


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


def _put_text(entry: Entry, text: str, said: str) -> None:
    """Set the message to the text's first line, and add the rest, or a bare traceback, to the tail."""
    begins = starts_traceback(text)
    if not said and not begins and "\n" not in text:
        entry.message = text[:MAX_MESSAGE]
        return
    head, newline, rest = ("", "", text) if begins else text.strip("\n").partition("\n")
    entry.message = f"{head}: {said}"[:MAX_MESSAGE] if said else head[:MAX_MESSAGE]
    if rest.strip() and (newline or not head):
        entry.tail = entry.tail or Tail()
        entry.tail.extend(rest.split("\n"))


def _at(data: Object, path: tuple[str, ...]) -> Any:
    value = data.get(path[0])
    for key in path[1:]:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _first(data: Object, paths: tuple[_Path, ...]) -> Any:
    for _, path in paths:
        value = data.get(path[0]) if len(path) == 1 else _at(data, path)
        if value is not None:
            return value
    return None


def _text(value: object) -> str:
    if isinstance(value, str):
        return _plain(value)
    if value is None or isinstance(value, bool):
        return ""
    try:
        return msgspec.json.encode(value)[: 4 * MAX_MESSAGE].decode("utf-8", "replace")
    except (RecursionError, UnicodeEncodeError):
        return ""


def _name(value: object) -> str:
    if isinstance(value, str):
        return value[:MAX_NAME]
    return str(value)[:MAX_NAME] if isinstance(value, int) and not isinstance(value, bool) else ""


def _level(data: Object, plan: _Plan) -> Level | None:
    """Return the level by the first field that has one; None if unknown, as Cloud Logging's DEFAULT."""
    for name, path in plan.level:
        value, level = _at(data, path), None
        if isinstance(value, str):
            level = LEVELS.get(value)
            if level is not None:
                return level
            level = level_of(_plain(value))
            value = (
                int(value)
                if level is None and value.isascii() and value.isdigit() and len(value) < 6
                else value
            )
        if level is None and isinstance(value, (int, float)) and not isinstance(value, bool):
            level = level_of_number(value, name, data)
        if level is not None:
            return level
    return Level.INFO if "@t" in data and ("@mt" in data or "@m" in data) else None  # Serilog leaves it out


def _time(data: Object, plan: _Plan) -> int | None:
    for _, path in plan.time:
        at_ns = _moment(_at(data, path))
        if at_ns is not None:
            return at_ns
    return (
        _seconds_and_nanos(data.get("timestampSeconds"), data.get("timestampNanos"))
        if "timestampSeconds" in data
        else None
    )


def _moment(value: object) -> int | None:
    if isinstance(value, str):
        return (
            number_time(int(value))
            if value.isascii() and value.isdigit() and len(value) < 20
            else parse_time(value)
        )
    if isinstance(value, (int, float)):
        return number_time(value)
    if isinstance(value, dict):
        seconds, nanos = (
            value.get(a, value.get(b)) for a, b in (("seconds", "epochSecond"), ("nanos", "nanoOfSecond"))
        )
        return _seconds_and_nanos(seconds, nanos)
    return None


def _seconds_and_nanos(seconds: object, nanos: object) -> int | None:
    """Return a time from Cloud Logging's other notation in structured lines."""
    try:
        at_ns = int(str(seconds)[:12]) * SECOND_NS + int(str(nanos or 0)[:9])
    except ValueError:
        return None
    return at_ns if at_ns > 0 else None


def _errors(data: Object, plan: _Plan, text: str) -> tuple[Tail | None, str]:
    """Return the traceback in an object's fields, and an error of one line, to be added to the message."""
    tail, said = None, ""
    for _, path in plan.error:
        value = _at(data, path)
        written = _structured(value[0]) if isinstance(value, list) and value else _structured(value)
        if not written or (tail is not None and written in tail.text()):
            continue
        if isinstance(value, str) and "\n" not in written and not starts_traceback(written):
            if raises(written):
                tail = tail or Tail()
                tail.exception = tail.exception or written[:MAX_MESSAGE]
            elif written not in text:
                said = said or written[:MAX_MESSAGE]
        if "\n" in written or raises(written) or isinstance(value, (list, dict)):
            tail = tail or Tail()
            tail.extend(written.strip("\n").split("\n"))
            if not tail.exception:
                tail.exception = (
                    tail.stray[:MAX_MESSAGE] if tail.framed or isinstance(value, (list, dict)) else ""
                )
    return tail, said


_TYPE = ("type", "exc_type", "name", "kind", "class", "Type")
_SAID = ("message", "exc_value", "value", "msg", "Message", "stringValue")
_STACK = (
    "stack_trace",
    "stack",
    "stacktrace",
    "stackTrace",
    "extendedStackTrace",
    "traceback",
    "frames",
    "StackTrace",
)


def _structured(value: Any) -> str:
    """Return an exception written as an object as text: its frames, then its type and message."""
    if not isinstance(value, dict):
        return value if isinstance(value, str) else ""
    kind, said, stack = (
        next((v for n in names if (v := value.get(n))), "") for names in (_TYPE, _SAID, _STACK)
    )
    summary = f"{_name(kind)}: {_text(said)}" if kind else _text(said)
    if isinstance(stack, list):
        stack = "\n".join(["Traceback (most recent call last):", *map(_frame, stack[:200])])
    if not isinstance(stack, str) or not stack:
        return summary
    if summary and summary in stack:
        return stack
    if stack.lstrip(" >").startswith("File "):
        stack = f"Traceback (most recent call last):\n{stack}"
    return f"{stack.rstrip()}\n{summary}" if starts_traceback(stack) else f"{summary}\n{stack}"


def _frame(frame: Any) -> str:
    if not isinstance(frame, dict):
        return f"    at {_text(frame)}"
    name, line = (_name(frame.get(a) or frame.get(b)) for a, b in (("name", "method"), ("lineno", "line")))
    return f'  File "{_name(frame.get("filename") or frame.get("file"))}", line {line}, in {name}'
