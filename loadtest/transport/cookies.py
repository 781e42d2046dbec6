"""A session's cookies: set by responses to its upgrade requests, sent with its next upgrade requests.

The parser follows RFC 6265, section 5.2, and never fails. `http.cookies` is not suitable: before Python 3.14
it drops cookies with the attribute Partitioned, it reads unknown attributes as cookies, and it removes the
quotes that browsers send back.

A session talks to one endpoint, so Domain, Path, Secure and SameSite are ignored: every cookie that a
response sets is sent back until a response deletes it or the session ends. Later expiry is ignored.
"""

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime

MAX_COOKIES = 50
"""Cookies that a session keeps (RFC 6265, section 6.1); further new ones are ignored."""

MAX_LENGTH = 4096
"""Characters of name and value together (RFC 6265, section 6.1); a longer cookie is ignored."""

_NAME = re.compile(r"[!-:<>-~]+")
_VALUE = re.compile(r"[ -:<-~]*")
"""Printable ASCII without what ends a name or a value: anything else could end the header or break it."""

_AGE = re.compile(r"(-)?([0-9]+)")


def updated(
    cookies: Mapping[str, str], set_cookies: Sequence[str], *, clock: Callable[[], float] = time.time
) -> dict[str, str]:
    """Return the cookies after a response.

    Args:
        cookies: values by name before the response; not modified.
        set_cookies: values of the Set-Cookie headers, in order; malformed ones are ignored.
        clock: returns the time in Unix seconds; only called for a cookie with an Expires.
    """
    kept = dict(cookies)
    for line in set_cookies:
        pair, *attributes = line.split(";")
        name, equals, value = (part.strip(" \t") for part in pair.partition("="))
        if not (equals and _can_be_sent(name, value)):
            continue
        if _is_over(attributes, clock):
            kept.pop(name, None)
        elif name in kept or len(kept) < MAX_COOKIES:
            kept[name] = value
    return kept


def header(cookies: Mapping[str, str]) -> str | None:
    """Return the value of the Cookie header, without invalid cookies; None if there are none."""
    pairs = [f"{name}={value}" for name, value in cookies.items() if _can_be_sent(name, value)]
    return "; ".join(pairs) or None


def in_one_header(headers: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Return headers with all their cookies in one Cookie header (RFC 6265, section 5.4), which comes last.

    Of two cookies with the same name, the later one is sent: the server's value replaces the configured one.
    """
    others: list[tuple[str, str]] = []
    cookies: dict[str, str] = {}
    for name, value in headers:
        if name.lower() != "cookie":
            others.append((name, value))
            continue
        pairs = filter(None, (pair.strip(" \t") for pair in value.split(";")))
        cookies |= {pair.partition("=")[0]: pair for pair in pairs}
    if cookies:
        others.append(("Cookie", "; ".join(cookies.values())))
    return tuple(others)


def _can_be_sent(name: str, value: str) -> bool:
    if len(name) + len(value) > MAX_LENGTH:
        return False
    return _NAME.fullmatch(name) is not None and _VALUE.fullmatch(value) is not None


def _is_over(attributes: Iterable[str], clock: Callable[[], float]) -> bool:
    """Return whether a cookie has expired; Max-Age overrides Expires (RFC 6265, section 5.3)."""
    over_by_age: bool | None = None
    over_by_date = False
    for attribute in attributes:
        name, _, value = (part.strip(" \t") for part in attribute.partition("="))
        if name.lower() == "max-age" and (age := _AGE.fullmatch(value)):
            over_by_age = age[1] is not None or not age[2].strip("0")  # int() refuses thousands of digits
        elif name.lower() == "expires" and (at_s := _date_s(value)) is not None:
            over_by_date = at_s <= clock()
    return over_by_date if over_by_age is None else over_by_age


def _date_s(text: str) -> float | None:
    """Return a date in Unix seconds; None if malformed. The parser raises more than it documents."""
    try:
        date = parsedate_to_datetime(text)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
