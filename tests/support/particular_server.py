"""An echo server that is particular about who connects, run in a thread beside a real run.

It may want a client certificate, a name in TLS, an Origin, headers, a subprotocol, compression, or the cookie
that it gave out last; who lacks one is refused, and told why. It may redirect everybody, or answer with a
bomb.
"""

from __future__ import annotations

import itertools
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus

from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from tests.support.background_loop import running
from tests.support.ports import free_port


@dataclass
class ParticularServer:
    """What the server wants, and what it has seen.

    Args:
        host: address that it listens on.
        tls: its TLS context, None for none.
        origin: the Origin that it wants, None for any.
        headers: (name, value) pairs that each request must have.
        subprotocols: those that it speaks, empty for any.
        compresses: whether it agrees to compress messages.
        gives_cookies: whether each connection must bring the cookie that the session's last one was given.
        redirects_to: where it redirects everybody; empty for nowhere.
        bomb_bytes: size of the message of zeros with which it answers, 0 to return what it gets.

    Attributes:
        refused: why requests were refused.
        pings: how many pings came.
        came_back: how many connections brought a cookie.
    """

    host: str = "127.0.0.1"
    tls: ssl.SSLContext | None = None
    origin: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    subprotocols: tuple[str, ...] = ()
    compresses: bool = True
    gives_cookies: bool = False
    redirects_to: str = ""
    bomb_bytes: int = 0
    port: int = 0
    refused: list[str] = field(default_factory=list)
    came_back: int = 0
    given: set[str] = field(default_factory=set)
    number: Iterator[int] = field(default_factory=itertools.count)

    @property
    def url(self) -> str:
        """Where it listens."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'wss' if self.tls else 'ws'}://{host}:{self.port}"

    async def handle(self, connection: ServerConnection) -> None:
        """Return what is sent, or a bomb."""
        async for message in connection:
            await connection.send(b"\0" * self.bomb_bytes if self.bomb_bytes else message)

    def check(self, _connection: ServerConnection, request: Request) -> Response | None:
        """Refuse a request that lacks something."""
        if self.redirects_to:
            headers = Headers([("Location", self.redirects_to), ("Content-Length", "0")])
            return Response(HTTPStatus.FOUND.value, "Found", headers)
        sent = [(name.lower(), value) for name, value in request.headers.raw_items()]
        lacking = [f"no {name}: {value}" for name, value in self.headers if (name.lower(), value) not in sent]
        origins = request.headers.get_all("Origin")
        if self.origin is not None and origins != [self.origin]:
            lacking.append(f"Origin {origins}")
        lacking += self._cookie_problem(request)
        self.refused += lacking
        if not lacking:
            return None
        body = "; ".join(lacking).encode()
        return Response(HTTPStatus.FORBIDDEN.value, "No", Headers([("Content-Length", str(len(body)))]), body)

    def _cookie_problem(self, request: Request) -> list[str]:
        cookies = request.headers.get_all("Cookie")
        if not (self.gives_cookies and cookies):
            return []
        self.came_back += 1
        (name, _, value) = cookies[0].partition("=")
        if len(cookies) == 1 and name == "seat" and value in self.given:
            self.given.remove(value)
            return []
        return [f"Cookie {cookies}"]

    def greet(self, _connection: ServerConnection, _request: Request, response: Response) -> None:
        """Give a cookie, a new one each time."""
        if self.gives_cookies and response.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
            seat = f"seat-number-{next(self.number)}"
            self.given.add(seat)
            response.headers["Set-Cookie"] = f"seat={seat}; Path=/"


@contextmanager
def particular(server: ParticularServer) -> Iterator[ParticularServer]:
    """Run the server until the block ends."""
    server.port = free_port()
    with running(
        lambda: serve(
            server.handle,
            server.host,
            server.port,
            ssl=server.tls,
            process_request=server.check,
            process_response=server.greet,
            subprotocols=[Subprotocol(name) for name in server.subprotocols] or None,
            compression="deflate" if server.compresses else None,
            ping_interval=None,
        )
    ):
        yield server
