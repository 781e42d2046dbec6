"""What the reference server logs of requests: their paths, without what their queries hold."""

import logging

import pytest

from loadtest.server.service import configure_log


@pytest.mark.parametrize(
    ("name", "logged", "shown"),
    [
        ("uvicorn.error", "/ws/s-1?thread_id=t-1&key=s3cret&TOKEN", "/ws/s-1?thread_id=t-1&key=***&***"),
        ("uvicorn.access", "/api/health?token=s3cret", "/api/health?token=***"),
        ("chat", "/a?b=c", "/a?b=c"),
    ],
)
def test_a_query_is_not_logged(name: str, logged: str, shown: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Its server's log belongs to a run; a token may stand in a query."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        configure_log("text")
        logging.getLogger(name).info('%s - "WebSocket %s" [accepted]', "127.0.0.1:1", logged)
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    assert f'"WebSocket {shown}" [accepted]' in capfd.readouterr().err
