"""One HTTP request to the server under test, for its health and revision.

It blocks, so never call it on the engine's loop.
"""

import http.client
import time
from collections.abc import Sequence
from dataclasses import dataclass

from msgspec import Struct

from loadtest.errors import InvalidSetting
from loadtest.text import one_line, public_path
from loadtest.transport.bounded_http import bounded_connection
from loadtest.transport.proxies import Proxy, ProxyRefused
from loadtest.transport.target import Target

TIME_LIMIT_S = 10.0
SIZE_LIMIT = 2**17
"""Bytes of an answer: a health endpoint's has a few hundred."""


class Health(Struct, frozen=True, kw_only=True):
    """Response of a health endpoint.

    Args:
        url: URL requested, without the values of its query.
        path: its path and query, also without values.
        status: HTTP status, None without a response.
        took_ms: milliseconds until the response or the failure.
        problem: why there was no response; empty otherwise.
    """

    url: str = ""
    path: str = ""
    status: int | None = None
    took_ms: float = 0.0
    problem: str = ""

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx."""
        return self.status is not None and 200 <= self.status < 300

    def __str__(self) -> str:
        answer = self.problem or f"HTTP {self.status}"
        return f"GET {self.path}: {answer} after {self.took_ms:.0f} ms"


def check_health_path(path: str) -> None:
    """Check that a health path is valid.

    Raises:
        InvalidSetting: it does not begin with a slash.
    """
    if not path.startswith("/"):
        raise InvalidSetting("--health-path", public_path(path), "must begin with a slash: /PATH")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer to one GET request.

    Args:
        health: status and time.
        headers: in the order received; empty without an answer.
        body: empty if it is incomplete, too large or too slow.
    """

    health: Health
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def values(self, name: str) -> list[str]:
        """Return the values of a header in the order received."""
        return [value for one, value in self.headers if one.lower() == name.lower()]


def ask(
    target: Target, path: str, headers: Sequence[tuple[str, str]] = (), proxy: Proxy | None = None
) -> Answer:
    """Send one GET request, without following redirects.

    Args:
        target: the server.
        path: path and query.
        headers: headers to send, the same as in each session's upgrade request.
        proxy: the proxy to send the request through, None for none.
    """
    connection = bounded_connection(
        target.host,
        target.port,
        target.tls,
        time_limit_s=TIME_LIMIT_S,
        size_limit=SIZE_LIMIT,
        server_name=target.server_name,
        proxy=proxy,
    )
    started_ns = time.monotonic_ns()
    try:
        connection.putrequest("GET", path, skip_host=any(name.lower() == "host" for name, _ in headers))
        for name, value in (("Accept", "*/*"), ("Connection", "close"), *headers):
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        health = _health(target, path, started_ns, status=response.status)
        return Answer(health=health, headers=tuple(response.getheaders()), body=_body(response))
    except http.client.InvalidURL:  # its text quotes the path, which may hold a secret
        problem = "the path contains characters that are not allowed in a URL"
    except ProxyRefused as refused:
        problem = one_line(f"the proxy refused the request: {refused.detail}")
    except (OSError, ValueError, http.client.HTTPException) as error:
        problem = one_line(f"{type(error).__name__}: {error}")
    finally:
        connection.close()
    return Answer(health=_health(target, path, started_ns, problem=problem))


def _health(
    target: Target, path: str, started_ns: int, *, status: int | None = None, problem: str = ""
) -> Health:
    took_ms = round((time.monotonic_ns() - started_ns) / 1e6, 1)
    shown = public_path(path)
    return Health(
        url=f"{target.http_url}{shown}", path=shown, status=status, took_ms=took_ms, problem=problem
    )


def _body(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read()
    except (OSError, ValueError, http.client.HTTPException):  # the head has said how the server is
        return b""
