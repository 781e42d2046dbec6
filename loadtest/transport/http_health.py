"""One HTTP request to a server's health endpoint. It blocks, so never call it on the engine's loop."""

import http.client
import time

from msgspec import Struct

from loadtest.errors import InvalidSetting
from loadtest.text import one_line, public_path
from loadtest.transport.target import Target

_TIMEOUT_S = 10.0


class Health(Struct, frozen=True, kw_only=True):
    """Response of a health endpoint.

    Args:
        url: URL requested, without the values in its query.
        path: its path, likewise.
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
    """Check that a path is one.

    Raises:
        InvalidSetting: it does not begin with a slash.
    """
    if not path.startswith("/"):
        raise InvalidSetting("--health-path", public_path(path), "must begin with a slash: /PATH")


def ask_health(target: Target, path: str) -> Health:
    """Send one GET request, without following redirects or reading the body."""
    connection = _connection(target)
    started_ns = time.monotonic_ns()
    status, problem = None, ""
    try:
        connection.request("GET", path)
        status = connection.getresponse().status
    except http.client.InvalidURL:  # its text quotes the path, which may hold a secret
        problem = "the path has characters that a URL must not have"
    except (OSError, UnicodeError, http.client.HTTPException) as error:
        problem = one_line(f"{type(error).__name__}: {error}")
    finally:
        connection.close()
    took_ms = round((time.monotonic_ns() - started_ns) / 1e6, 1)
    shown = public_path(path)
    return Health(
        url=f"{target.http_url}{shown}", path=shown, status=status, took_ms=took_ms, problem=problem
    )


def _connection(target: Target) -> http.client.HTTPConnection:
    if target.tls is None:
        return http.client.HTTPConnection(target.host, target.port, timeout=_TIMEOUT_S)
    return http.client.HTTPSConnection(target.host, target.port, timeout=_TIMEOUT_S, context=target.tls)
