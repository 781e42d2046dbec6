"""Parses the times in logs into Unix nanoseconds.

Accepts ISO 8601 as written by Python's logging (`2026-11-23 14:23:35,123`), JSON loggers and Cloud Logging
(`2026-11-23T14:23:35.123456789Z`), access logs' `23/Nov/2026:14:23:35 +0000`, and numbers since 1970.
Neighbouring lines share their seconds, so parsed seconds are cached: a time takes well under a microsecond.
A time without a zone is taken as UTC, the usual zone in containers; any difference shows up as clock offset.
No clock is read here.
"""

import re
from datetime import UTC, datetime
from functools import lru_cache

from loadtest.errors import InvalidSetting

SECOND_NS = 1_000_000_000
EARLIEST_NS = 631_152_000 * SECOND_NS
LATEST_NS = 4_102_444_800 * SECOND_NS
"""1990 and 2100: a time in a log that is not between them is none."""

_REST = re.compile(r"(?:[.,](\d{1,9})\d*)? ?(?:Z|([+-]\d\d):?(\d\d))?")
_AGO = re.compile(r"(\d{1,6})\s?(s|m|h|d)")
_UNIT_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


@lru_cache(maxsize=64)  # a log's lines are nearly in order
def _second(text: str) -> int | None:
    """Return the Unix time of `YYYY-MM-DD?HH:MM:SS`, taken as UTC; None if it is malformed."""
    try:
        return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())
    except (ValueError, OverflowError):
        return None


@lru_cache(maxsize=64)
def _access_second(text: str) -> int | None:
    """Return the Unix time of `23/Nov/2026:14:23:35`, taken as UTC; None if it is malformed."""
    try:
        moment = datetime.strptime(text.replace(" ", ":"), "%d/%b/%Y:%H:%M:%S")
        return int(moment.replace(tzinfo=UTC).timestamp())
    except (ValueError, OverflowError):
        return None


def parse_time(text: str) -> int | None:
    """Return a written time in Unix nanoseconds, UTC if it has no zone; None if it is malformed."""
    iso = text[4:5] == "-"
    length = 19 if iso else 20
    second = _second(text[:19]) if iso else _access_second(text[:20])
    rest = _REST.fullmatch(text, length) if second is not None else None
    if second is None or rest is None:
        return None
    fraction, hours, minutes = rest.groups()
    nanoseconds = int(fraction.ljust(9, "0")) if fraction else 0
    east_s = int(hours) * 3_600 + (-60 if hours[0] == "-" else 60) * int(minutes) if hours else 0
    return (second - east_s) * SECOND_NS + nanoseconds


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
    moment = parse_time(text.strip())
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
