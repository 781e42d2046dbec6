"""A server's health endpoint, asked once over HTTP. It blocks: not for a loop that measures."""

import http.client
import time

from msgspec import Struct

from loadtest.text import one_line
from loadtest.transport.target import Target

_TIMEOUT_S = 10.0


class Health(Struct, frozen=True, kw_only=True):
    """What a health endpoint answered.

    Args:
        path: that was asked for.
        status: the HTTP status, None without an answer.
        took_ms: until the answer, or until there was none.
        problem: why there was no answer, else nothing.
    """

    path: str
    status: int | None
    took_ms: float
    problem: str = ""

    @property
    def ok(self) -> bool:
        """Whether the server says that it is well."""
        return self.status is not None and 200 <= self.status < 300

    def __str__(self) -> str:
        answer = self.problem or f"HTTP {self.status}"
        return f"GET {self.path}: {answer} after {self.took_ms:.0f} ms"


def ask_health(target: Target, path: str) -> Health:
    """Send one GET request; redirects are not followed, and the body is not read."""
    connection = _connection(target)
    started_ns = time.monotonic_ns()
    status, problem = None, ""
    try:
        connection.request("GET", path)
        status = connection.getresponse().status
    except (OSError, UnicodeError, http.client.HTTPException) as error:
        problem = one_line(f"{type(error).__name__}: {error}")
    finally:
        connection.close()
    took_ms = round((time.monotonic_ns() - started_ns) / 1e6, 1)
    return Health(path=path, status=status, took_ms=took_ms, problem=problem)


def _connection(target: Target) -> http.client.HTTPConnection:
    if target.tls is None:
        return http.client.HTTPConnection(target.host, target.port, timeout=_TIMEOUT_S)
    return http.client.HTTPSConnection(target.host, target.port, timeout=_TIMEOUT_S, context=target.tls)
