"""HTTP requests that dialects make before they open a WebSocket. They block: use `session.blocking`.

Responses are untrusted: at most `LIMIT` bytes are read, and redirects are not followed.
"""

from dataclasses import dataclass
from typing import Final

from loadtest.dialects.dialect_session import DialectSession
from loadtest.text import one_line

LIMIT: Final = 2**20
"""Bytes read of an answer: far more than a handshake needs."""

OK: Final = 200

TIMEOUT_S: Final = 30.0
"""For each step; `--ws-open-timeout`, which ends the call, is mostly shorter."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP response.

    Args:
        status: the status code.
        text: the body.
    """

    status: int
    text: str

    def __str__(self) -> str:
        return f"HTTP {self.status}: {one_line(self.text)}" if self.text else f"HTTP {self.status}"


def ask(
    session: DialectSession,
    method: str,
    path: str,
    *,
    body: str | None = None,
    headers: dict[str, str] | None = None,
) -> Answer:
    """Send a request to the session's server with its headers and cookies; keep the response's cookies.

    Raises:
        OSError: there was no response.
    """
    import requests  # here, because importing it is slow and opens a socket

    with requests.request(
        method,
        session.http_url + path,
        data=None if body is None else body.encode(),
        headers={**session.headers, **(headers or {})},
        cookies=session.cookies,
        timeout=TIMEOUT_S,
        allow_redirects=False,
        stream=True,
    ) as response:
        content = response.raw.read(LIMIT, decode_content=True)
        set_now = {cookie.name: cookie.value or "" for cookie in response.cookies}
        session.cookies = {**session.cookies, **set_now}
        return Answer(response.status_code, content.decode(errors="replace"))
