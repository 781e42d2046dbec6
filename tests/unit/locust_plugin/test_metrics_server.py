"""Who is answered by the metrics server."""

from collections.abc import Iterable
from typing import Any

import pytest

from loadtest.locust_plugin.metrics_server import guarded


def page(_environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """The page behind the guard."""
    start_response("200 OK", [])
    return [b"metrics"]


@pytest.mark.parametrize(
    ("method", "path", "host", "status"),
    [
        ("GET", "/metrics", "127.0.0.1:9100", "200"),
        ("HEAD", "/metrics", "localhost:9100", "200"),
        ("GET", "/metrics", "evil.example.org:9100", "421"),
        ("GET", "/metrics", "", "421"),
        ("POST", "/metrics", "127.0.0.1:9100", "405"),
        ("GET", "/", "127.0.0.1:9100", "404"),
        ("GET", "/metrics/../etc/passwd", "127.0.0.1:9100", "404"),
    ],
)
def test_who_is_answered(method: str, path: str, host: str, status: str) -> None:
    """Reading the one page, asked for by an address or as localhost."""
    said: list[str] = []
    environ = {"REQUEST_METHOD": method, "PATH_INFO": path, "HTTP_HOST": host, "SERVER_PORT": "9100"}
    body = b"".join(guarded(page)(environ, lambda line, _headers: said.append(line)))
    assert said[0].startswith(status)
    assert (body == b"metrics") == (status == "200")
