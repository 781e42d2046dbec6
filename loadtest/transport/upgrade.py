"""The upgrade of a connection (RFC 6455, section 4): the request, and the check of a plain answer.

A plain answer accepts the upgrade in printable ASCII, with each handshake header once, and selects no
extension and no subprotocol. It is checked here in a few microseconds. Every other answer, such as a refusal,
goes to the websockets library, whose objects and parser take 40 µs. At log level DEBUG, all do: it logs them.
"""

import logging
import re
from collections.abc import Sequence
from typing import Final

from websockets.client import ClientProtocol
from websockets.extensions import ClientExtensionFactory, Extension
from websockets.headers import build_extension, build_host, build_subprotocol
from websockets.protocol import OPEN
from websockets.typing import Subprotocol
from websockets.uri import WebSocketURI, parse_uri
from websockets.utils import accept_key, generate_key

from loadtest.events import Endpoint
from loadtest.transport.target import Target

Headers = tuple[tuple[str, str], ...]

_LOGGER: Final = logging.getLogger("websockets.client")
"""The library's: requests are logged as if it had sent them."""

_MOST_BYTES: Final = 4096
"""Length of a plain answer: the library reads longer ones, up to its own limits."""

_PLAIN: Final = re.compile(rb"HTTP/1\.1 101 [ -~]*\r\n(?:[A-Za-z0-9-]+:[ -~]*\r\n){1,100}\r\n")

_NOT_PLAIN: Final = frozenset(
    ("sec-websocket-extensions", "sec-websocket-protocol", "content-length", "transfer-encoding")
)


_ANY_URI: Final = parse_uri("ws://localhost/")


def between_frames(max_message_bytes: int) -> ClientProtocol:
    """Return the library's protocol for an open connection, to take over between two frames."""
    return ClientProtocol(_ANY_URI, state=OPEN, max_size=max_message_bytes)


class Upgrades:
    """The upgrades of a run.

    Args:
        target: the server.
        subprotocols: offered in addition to the dialect's.
        extensions: extensions to offer.
        max_message_bytes: size of the largest message accepted.
    """

    def __init__(
        self,
        target: Target,
        *,
        subprotocols: Sequence[str],
        extensions: Sequence[ClientExtensionFactory] | None,
        max_message_bytes: int,
    ) -> None:
        self.max_message_bytes = max_message_bytes
        self.extensions = extensions
        self.address = build_host(target.host, target.port, target.tls is not None)
        self._target = target
        self._subprotocols = tuple(subprotocols)

    def of(self, endpoint: Endpoint) -> "Upgrade":
        """Return the upgrade of a new connection."""
        return Upgrade(self, endpoint.path, (*endpoint.subprotocols, *self._subprotocols))

    def uri(self, path: str) -> WebSocketURI:
        """Return the URI of a path and query, for the library."""
        target = self._target
        path, _, query = path.partition("?")
        return WebSocketURI(target.tls is not None, target.host, target.port, path, query)


class Upgrade:
    """The upgrade of one connection.

    Args:
        run: what all upgrades of the run have in common.
        path: path and query to request.
        subprotocols: subprotocols to offer.

    Attributes:
        subprotocol: the subprotocol selected by the server, if any.
    """

    __slots__ = ("_key", "_path", "_run", "subprotocol", "subprotocols")

    def __init__(self, run: Upgrades, path: str, subprotocols: Sequence[str]) -> None:
        self.subprotocols = subprotocols
        self.subprotocol: str | None = None
        self._run = run
        self._path = path
        self._key = generate_key()

    @property
    def max_message_bytes(self) -> int:
        """Size of the largest message accepted."""
        return self._run.max_message_bytes

    def request(self, headers: Headers) -> bytes:
        """Return the upgrade request; these headers replace its own of the same name."""
        given = {name.lower() for name, _ in headers}
        own = (pair for pair in self._headers() if pair[0].lower() not in given)
        path, mark, query = self._path.partition("?")
        wanted = path + mark + query if query else path
        lines = [f"GET {wanted} HTTP/1.1", *(f"{name}: {value}" for name, value in (*own, *headers))]
        if _LOGGER.isEnabledFor(logging.DEBUG):
            for line in lines:
                _LOGGER.debug("> %s", line)
        return "\r\n".join([*lines, "", ""]).encode("iso-8859-1")

    def _headers(self) -> Headers:
        extensions = self._run.extensions
        offered: Headers = ()
        if extensions is not None:
            offers = [(one.name, one.get_request_params()) for one in extensions]
            offered = (("Sec-WebSocket-Extensions", build_extension(offers)),)
        if self.subprotocols:
            names = [Subprotocol(name) for name in self.subprotocols]
            offered = (*offered, ("Sec-WebSocket-Protocol", build_subprotocol(names)))
        return (
            ("Host", self._run.address),
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", self._key),
            ("Sec-WebSocket-Version", "13"),
            *offered,
        )

    def plainly_accepted(self, answer: bytes) -> tuple[str, ...] | None:
        """Check whether an answer is plain and accepts the upgrade.

        Args:
            answer: the whole response header, including its blank line.

        Returns:
            The values of its Set-Cookie headers; None if the library must parse the answer.
        """
        if len(answer) > _MOST_BYTES or _PLAIN.fullmatch(answer) is None:
            return None
        if _LOGGER.isEnabledFor(logging.DEBUG):
            return None
        found: dict[str, str] = {}
        cookies = []
        for line in answer.decode("ascii").split("\r\n")[1:-2]:
            name, _, value = line.partition(":")
            name, value = name.lower(), value.strip(" ")
            if name == "set-cookie":
                cookies.append(value)
            elif name in found or name in _NOT_PLAIN:
                return None
            else:
                found[name] = value
        accepted = (
            found.get("upgrade", "").lower() == "websocket"
            and found.get("connection", "").lower() == "upgrade"
            and found.get("sec-websocket-accept") == accept_key(self._key)
        )
        return tuple(cookies) if accepted else None

    def library(self) -> ClientProtocol:
        """Return the library's protocol, waiting for the answer."""
        client = ClientProtocol(
            self._run.uri(self._path),
            extensions=self._run.extensions,
            subprotocols=[Subprotocol(name) for name in self.subprotocols] or None,
            max_size=self._run.max_message_bytes,
        )
        client.key = self._key
        return client

    def accepted_by(self, client: ClientProtocol) -> list[Extension]:
        """Record the answer as parsed by the library; return the extensions agreed on."""
        self.subprotocol = client.subprotocol
        client.parser.close()  # it and the protocol refer to each other: only a collection would free them
        return client.extensions
