"""Secrets in the requests of a HAR file: cookies, credentials, passwords of login forms. Pure.

"Sanitized" exports leave out cookies and the header Authorization, but neither URLs nor bodies.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec
from msgspec import Raw, Struct

from loadtest.capture.redaction import is_email_name, is_secret_name, secrets_of_headers, secrets_of_url
from loadtest.scrubber import SHORTEST_SECRET

MAX_BODY: Final = 2**18
"""Characters of a body that are searched for credentials: logins are short."""

_ISSUED: Final = re.compile(r"(?=\S*\d)\S{8,}|[^\s@]+@\S+")
"""What a server issues as a credential; its other words under such names are labels and texts."""

_DEPTH: Final = 20
_SHORT: Final = 4
_WORDS: Final = {"true", "false", "null", "none", "undefined", "bearer", "basic", "password", "token"}


class _Pair(Struct):
    name: str = ""
    value: str = ""


class _Body(Struct):
    text: str | None = None
    params: list[_Pair] = []


class _Request(Struct):
    url: str = ""
    headers: list[_Pair] = []
    cookies: list[_Pair] = []
    body: _Body | None = msgspec.field(default=None, name="postData")


class _Response(Struct):
    headers: list[_Pair] = []
    cookies: list[_Pair] = []
    content: _Body = msgspec.field(default_factory=_Body)


class _Entry(Struct):
    request: _Request | None = None
    response: _Response | None = None


def secrets_of(raw: Raw) -> set[str]:
    """Return the secrets in one entry of a HAR file; none if the entry is malformed."""
    try:
        entry = msgspec.json.decode(raw, type=_Entry)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return set()
    found = {value for value in _values(entry) if len(value) >= _SHORT}
    return {value for value in found if value.lower() not in _WORDS}


def _values(entry: _Entry) -> Iterator[str]:
    if (request := entry.request) is not None:
        yield from secrets_of_url(request.url)
        yield from _of_message(request.headers, request.cookies)
        if request.body is not None:
            yield from _named((pair.name, pair.value) for pair in request.body.params)
            yield from _of_body(request.body.text)
    if (response := entry.response) is not None:
        yield from _of_message(response.headers, response.cookies)
        said = _of_body(response.content.text)
        yield from (value for value in said if _ISSUED.fullmatch(value))  # not a form's label: "Password"


def _of_message(headers: list[_Pair], cookies: list[_Pair]) -> Iterator[str]:
    yield from secrets_of_headers([(pair.name, pair.value) for pair in headers])
    yield from (pair.value for pair in cookies if len(pair.value) >= SHORTEST_SECRET)


def _named(pairs: Iterator[tuple[str, str]]) -> Iterator[str]:
    yield from (value for name, value in pairs if is_secret_name(name) or is_email_name(name))


def _of_body(text: str | None) -> Iterator[str]:
    if not text or len(text) > MAX_BODY:
        return
    if text.lstrip()[:1] in ("{", "["):
        try:
            yield from _in_tree(json.loads(text), 0)
        except (ValueError, RecursionError):
            return
    elif "=" in text and "<" not in text:
        yield from _named(iter(parse_qsl(text)))


def _in_tree(tree: Any, depth: int) -> Iterator[str]:
    if depth > _DEPTH:
        return
    if isinstance(tree, dict):
        for name, value in tree.items():
            if isinstance(value, str):
                yield from _named(iter([(name, value)]))
            else:
                yield from _in_tree(value, depth + 1)
    elif isinstance(tree, list):
        for value in tree:
            yield from _in_tree(value, depth + 1)
