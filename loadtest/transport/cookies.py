"""A session's cookies: those of its upgrade responses, sent with its next upgrade requests."""

from collections.abc import Mapping, Sequence
from http.cookies import CookieError, SimpleCookie


def updated(cookies: Mapping[str, str], set_cookies: Sequence[str]) -> dict[str, str]:
    """Return the cookies after a response with these Set-Cookie headers."""
    now = dict(cookies)
    for line in set_cookies:
        try:
            now.update({name: morsel.value for name, morsel in SimpleCookie(line).items()})
        except CookieError:
            continue
    return now


def header(cookies: Mapping[str, str]) -> str | None:
    """Return the Cookie header, None without cookies."""
    return "; ".join(f"{name}={value}" for name, value in cookies.items()) or None
