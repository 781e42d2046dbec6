"""The Retry-After header of a refused upgrade: how long the server asks clients to wait."""

import math
import time
from email.utils import parsedate_to_datetime

from websockets.datastructures import Headers

STATUSES = (429, 503)
"""Too Many Requests (RFC 6585, section 4) and Service Unavailable (RFC 9110, section 15.6.4)."""

LONGEST_S = 60.0
"""A server may ask for hours; a run waits no longer than this."""


def retry_after_s(status: int, headers: Headers) -> float:
    """Return the seconds that a refusal asks to wait, at most `LONGEST_S`; 0 if it does not ask.

    Args:
        status: status of the response.
        headers: headers of the response; a date is relative to the server's clock if it sends Date.
    """
    text = _first(headers, "Retry-After") if status in STATUSES else ""
    if text.isascii() and text.isdigit():
        return min(float(text), LONGEST_S)
    until_s, now_s = _seconds(text), _seconds(_first(headers, "Date"))
    if until_s is None:
        return 0.0
    return min(max(0.0, until_s - (time.time() if now_s is None else now_s)), LONGEST_S)


def _first(headers: Headers, name: str) -> str:
    """Return the first header with this name, empty if there is none."""
    return next(iter(headers.get_all(name)), "").strip()


def _seconds(date: str) -> float | None:
    """Return an HTTP date (RFC 9110, section 5.6.7) as Unix time, None if malformed."""
    try:
        found = parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None
