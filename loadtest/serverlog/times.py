"""Finds and parses the times in logs: a table of the ways to write one, each with its parser.

Neighbouring lines share their seconds, so parsed seconds are cached: a time takes well under a microsecond.
A time without a zone is taken as UTC, the usual zone in containers; any difference shows up as clock offset.
A time without a year is the latest such day that is not in the future, a clock time without a date is none.
"""

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from loadtest.errors import InvalidSetting

SECOND_NS = 1_000_000_000
EARLIEST_NS = 631_152_000 * SECOND_NS
LATEST_NS = 4_102_444_800 * SECOND_NS
"""1990 and 2100: a time in a log outside of them is not a time."""

_AGO = re.compile(r"(\d{1,6})\s?(s|m|h|d)")
_UNIT_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_DAY_S = 86_400


def _numbers(text: str) -> int:
    """Parse `YYYY-MM-DD?HH:MM:SS`, with any separators."""
    date, clock = (int(text[:4]), int(text[5:7]), int(text[8:10])), (text[11:13], text[14:16], text[17:19])
    hour, minute, second = map(int, clock)
    return int(datetime(*date, hour, minute, second, tzinfo=UTC).timestamp())


def _format(*layouts: str) -> Callable[[str], int]:
    """Return a parser by strptime's layouts."""

    def parse(text: str) -> int:
        text = " ".join(text.replace(",", " ").split())
        for layout in layouts:
            try:
                return int(datetime.strptime(text, layout).replace(tzinfo=UTC).timestamp())
            except ValueError:
                continue
        raise ValueError(text)

    return parse


def _yearless(text: str) -> int:
    """Parse `Nov 24 14:20:35`, also with AM or PM: the latest such moment up to a day ahead of now."""
    now_s = time.time()
    year = datetime.fromtimestamp(now_s, UTC).year
    parse = _format("%Y %b %d %H:%M:%S", "%Y %b %d %I:%M:%S %p")
    years = (year + 1, year, year - 1)
    return next(s for y in years if (s := parse(f"{y} {text}")) <= now_s + _DAY_S or y < year)


def _undated(_text: str) -> int:
    raise ValueError


class TimeForm(NamedTuple):
    """A way to write a time.

    Args:
        name: its name.
        pattern: matches it; the group `s` is what `parse` takes, the rest may be a fraction and a zone.
        parse: returns Unix seconds.
        subtle: whether it may have a fraction and a zone.
    """

    name: str
    pattern: re.Pattern[str]
    parse: Callable[[str], int]
    subtle: bool


_FRACTION = r"(?:[.,](?P<f>\d{1,9})\d{0,3})?"
_ZONE = r"(?: ?(?P<z>Z|UTC|GMT|[+-]\d\d:?\d\d)(?![\w:]))?"
_WEEKDAY = r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? )?"
MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
CLOCK = r"\d\d:\d\d:\d\d"
SECOND = rf"\d{{4}}-\d\d-\d\d[T ]{CLOCK}"
ISO = rf"{SECOND}(?:[.,]\d{{1,9}})?(?: ?(?:Z|UTC|[+-]\d\d:?\d\d))?"
"""Parts without groups, for patterns that have a time in them."""

FORMS = tuple(
    TimeForm(name, re.compile(pattern), lru_cache(maxsize=64)(parse), "(?P<z>" in pattern)
    for name, pattern, parse in (
        # ISO 8601, Python's logging, Go's log, nginx, journalctl's short-full
        ("iso", rf"{_WEEKDAY}(?P<s>\d{{4}}([-/.])\d\d\2\d\d[T _]{CLOCK}){_FRACTION}{_ZONE}", _numbers),
        # syslog (RFC 3164), journalctl, Render
        (
            "syslog",
            rf"(?P<s>{MONTH} [ \d]?\d {CLOCK}(?: [AP]M)?)(?! ?\d{{4}}){_FRACTION}{_ZONE}(?! \d{{4}}\b)",
            _yearless,
        ),
        # access logs, Tomcat, PHP
        (
            "access",
            rf"(?P<s>\d\d([/-]){MONTH}\2\d{{4}}[: ]{CLOCK}){_FRACTION}{_ZONE}",
            _format("%d/%b/%Y:%H:%M:%S", "%d/%b/%Y %H:%M:%S", "%d-%b-%Y %H:%M:%S"),
        ),
        # NestJS and others with a locale
        (
            "us",
            r"(?P<s>\d{1,2}/\d{1,2}/\d{4},? \d{1,2}:\d\d:\d\d(?: [AP]M)?)",
            _format("%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y %H:%M:%S"),
        ),
        # Unix seconds, milliseconds, microseconds, nanoseconds
        ("epoch", r"(?P<s>1\d{9}(?:\.\d{1,9}|\d{3}|\d{6}|\d{9})?)(?![\w:.-])", lambda _: 0),
        # Erlang, Serilog, logback: no date
        ("clock", rf"(?P<s>{CLOCK}){_FRACTION}(?![\d:])", _undated),
        ("clock12", r"(?P<s>\d{1,2}:\d\d(?:AM|PM))(?=\s)", _undated),
        # tornado
        ("tornado", rf"(?P<s>\d{{6}} {CLOCK})(?![\d:])", _format("%y%m%d %H:%M:%S")),
    )
)
"""The forms, the most frequent first."""

_APACHE = re.compile(rf"{_WEEKDAY}({MONTH} [ \d]?\d {CLOCK})(?:\.\d{{1,9}})? (\d{{4}})")
_BY_LETTER = dict.fromkeys("0123456789", FORMS) | dict.fromkeys("MTWFSJADNO", FORMS[:2])
BEGIN_TIMES = frozenset(_BY_LETTER)
"""Characters with which a time may begin."""


_AFTER_SECOND = re.compile(_FRACTION + _ZONE)
_SECOND = 19
"""Characters of `YYYY-MM-DD HH:MM:SS`."""


class FoundTime(NamedTuple):
    """A time in a text: its form, where it ends, Unix nanoseconds (None without a date), and its zone."""

    form: str
    end: int
    at_ns: int | None
    zoned: bool


def time_at(text: str, position: int = 0) -> FoundTime | None:
    """Return the time that begins at this place of a text; None if none does."""
    second = _LATELY.get(text[position : position + _SECOND])
    if second is not None:
        return _within_second(second, text, position + _SECOND)
    forms = _BY_LETTER.get(text[position : position + 1])
    if forms is None:
        return None
    for form in forms:
        found = form.pattern.match(text, position)
        if found is not None:
            return _found(form, found)
    apache = _APACHE.match(text, position)
    if apache is None:
        return None
    second = _month_first(f"{apache[1]} {apache[2]}")
    return FoundTime("apache", apache.end(), second * SECOND_NS if second else None, zoned=False)


@lru_cache(maxsize=64)
def _month_first(text: str) -> int | None:
    try:
        return _format("%b %d %H:%M:%S %Y")(text)
    except ValueError:
        return None


_LATELY: dict[str, int] = {}
"""Seconds of the form `iso` by how they are written. What begins with one is of this form."""

_MAX_LATELY = 64


def _within_second(second: int, text: str, position: int) -> FoundTime:
    """Return the time of which the second ends at this place of a text."""
    found = _AFTER_SECOND.match(text, position)
    assert found is not None  # it may be empty
    fraction, zone = found.groups()
    at_ns = (second if zone is None else second - _east_s(zone)) * SECOND_NS
    at_ns += int(fraction) * 10 ** (9 - len(fraction)) if fraction else 0
    return FoundTime("iso", found.end(), at_ns, zone is not None)


def _found(form: TimeForm, found: re.Match[str]) -> FoundTime:
    if form.name == "epoch":
        number = float(found["s"]) if "." in found["s"] else int(found["s"])
        return FoundTime(form.name, found.end(), number_time(number), zoned=True)
    try:
        second = form.parse(found["s"])
    except (ValueError, OverflowError):
        return FoundTime(form.name, found.end(), None, zoned=False)
    if form.name == "iso" and found.start("s") == found.start():
        if len(_LATELY) >= _MAX_LATELY:
            _LATELY.clear()
        _LATELY[found["s"]] = second
    zone, fraction = (found["z"], found["f"]) if form.subtle else (None, None)
    at_ns = (second if zone is None else second - _east_s(zone)) * SECOND_NS
    at_ns += int(fraction) * 10 ** (9 - len(fraction)) if fraction else 0
    return FoundTime(form.name, found.end(), at_ns, zone is not None)


def _east_s(zone: str | None) -> int:
    if zone is None or zone[0] not in "+-":
        return 0
    east_s = int(zone[1:3]) * 3_600 + int(zone[-2:]) * 60
    return -east_s if zone[0] == "-" else east_s


def parse_time(text: str) -> int | None:
    """Return a written time in Unix nanoseconds, UTC if it has no zone; None if it is malformed."""
    found = time_at(text)
    return found.at_ns if found is not None and found.end == len(text) else None


def number_time(value: float) -> int | None:
    """Return a number of seconds, milliseconds, microseconds or nanoseconds since 1970 in Unix nanoseconds.

    The size tells the unit: 1e11 seconds is the year 5138, 1e11 milliseconds is 1973. Floats are rounded to
    the microsecond, beyond which they have no digits. Returns None for numbers that are not a time: zero,
    negative or too large.
    """
    if not 0 < value < 1e19:
        return None
    for below, factor in ((1e11, 1_000_000_000), (1e14, 1_000_000), (1e17, 1_000)):
        if value < below:
            return value * factor if isinstance(value, int) else round(value * (factor // 1_000)) * 1_000
    return int(value)


def plausible(at_ns: int | None) -> int | None:
    """Return a log's time; None if it is so far from today's that it cannot be one."""
    return at_ns if at_ns is not None and EARLIEST_NS <= at_ns < LATEST_NS else None


def parse_since(text: str, now_ns: int) -> int:
    """Return the time given by `--since` in Unix nanoseconds: `90s`, `10m`, `1h`, `2d` before now, or a time.

    Raises:
        InvalidSetting: the text is neither an age nor a time.

    """
    ago = _AGO.fullmatch(text.strip())
    if ago:
        return now_ns - int(ago[1]) * _UNIT_S[ago[2]] * SECOND_NS
    moment = parse_time(text.strip()) or parse_time(f"{text.strip()}T00:00:00")
    if moment is None:
        problem = "must be an age such as 10m, 1h or 2d, or a time such as 2026-11-23T14:00:00Z"
        raise InvalidSetting("--since", text, problem)
    return moment


def iso(at_ns: int) -> str:
    """Return a time as ISO 8601 in UTC, to the millisecond; empty if it is out of the calendar's range."""
    try:
        moment = datetime.fromtimestamp(at_ns / SECOND_NS, UTC)
    except (ValueError, OverflowError, OSError):
        return ""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
