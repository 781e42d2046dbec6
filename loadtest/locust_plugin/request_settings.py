"""The headers of a run's upgrade requests, checked, and the secrets among a run's settings."""

import re
from collections.abc import Sequence
from urllib.parse import parse_qsl

from loadtest.engine.engine import EngineSettings
from loadtest.errors import NOT_SHOWN, InvalidSetting
from loadtest.scrubber import secrets_in
from loadtest.transport.request_headers import RESERVED
from loadtest.values import text_problem

Headers = tuple[tuple[str, str], ...]
"""(name, value) pairs."""

_PUBLIC_HEADERS = frozenset(
    (
        "accept",
        "accept-encoding",
        "accept-language",
        "cache-control",
        "connection",
        "content-type",
        "host",
        "origin",
        "pragma",
        "user-agent",
    )
)
"""Headers with public values: removing `keep-alive` or `application/json` would garble other text."""


def request_headers(headers: Headers, origin: str | None) -> Headers:
    """Return the headers that a run adds to each upgrade request.

    Args:
        headers: the headers of `--ws-header`.
        origin: the value of `--ws-origin`, None if it is not given.

    Raises:
        InvalidSetting: a header cannot be sent, or the two contradict each other.
    """
    _check_headers(headers)
    return (*headers, *_origin_header(origin, headers))


def _check_headers(headers: Headers) -> None:
    for name, value in headers:
        if not (name.isascii() and name.replace("-", "").replace("_", "").isalnum()):
            raise InvalidSetting("--ws-header", name, "name must be letters, digits, - and _")
        if problem := text_problem(value.replace("\t", " "), one_line=True):  # RFC 9110, section 5.5
            raise InvalidSetting("--ws-header", NOT_SHOWN, f"value of {name} {problem}")
        if reason := RESERVED.get(name.lower()):
            raise InvalidSetting("--ws-header", name, f"must not be a header of the handshake: it {reason}")


_ORIGIN = re.compile(r"null|[a-z][a-z0-9+.-]*://[^/?#\s]+")
"""As browsers serialize it (RFC 6454, section 6.2)."""


def _origin_header(origin: str | None, given: Headers) -> Headers:
    if origin is None:
        return ()
    if not _ORIGIN.fullmatch(origin):
        hint = "An origin has no path and no trailing slash"
        raise InvalidSetting("--ws-origin", origin, "must be SCHEME://HOST[:PORT] or null", hint)
    if any(name.lower() == "origin" for name, _ in given):
        raise InvalidSetting("--ws-origin", origin, "must not be given together with a header Origin")
    return (("Origin", origin),)


def secrets_of(token: object, engine: EngineSettings) -> Sequence[str]:
    """Return the token and other texts that might be quoted: words of headers, values of the path's query,
    the login of the proxy."""
    path = engine.config.dialect.path
    query = [value for _, value in parse_qsl(path.partition("?")[2]) if "{" not in value]
    hidden = (value for name, value in engine.headers if name.lower() not in _PUBLIC_HEADERS)
    of_proxy = () if engine.proxy is None else engine.proxy.secrets
    found = [*secrets_in(hidden, query), *of_proxy]
    return [*found, token] if isinstance(token, str) and token else found
