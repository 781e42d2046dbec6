"""The headers of an upgrade request: from the run, the dialect and the session, in this order.

Headers with the same name are all sent, in order. For headers allowed only once, the last one wins: a
session's Authorization replaces the run's.
"""

from collections.abc import Iterable
from typing import Final

from loadtest.transport.cookies import in_one_header

ONCE: Final = frozenset(("host", "origin", "user-agent", "authorization", "proxy-authorization", "referer"))
"""Headers that a request has once, in lower case."""

RESERVED: Final = {
    "sec-websocket-key": "is made for each connection",
    "sec-websocket-version": "is always 13 (RFC 6455)",
    "sec-websocket-extensions": "is made from --ws-compression",
    "sec-websocket-protocol": "is made from --ws-subprotocol and the dialect's subprotocols",
}
"""Headers of the handshake itself, with the reason why they cannot be given."""


def merged(headers: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Return the headers to send: each of `ONCE` once, and all cookies in one Cookie header."""
    given = list(headers)
    last = {name.lower(): at for at, (name, _) in enumerate(given)}
    sent = (pair for at, pair in enumerate(given) if _is_sent(pair[0].lower(), at, last))
    return in_one_header(sent)


def _is_sent(name: str, at: int, last: dict[str, int]) -> bool:
    return name not in ONCE or last[name] == at
