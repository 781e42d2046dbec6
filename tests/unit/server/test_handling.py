"""How a connection's end is told from the error that ended it."""

import errno

import pytest
from starlette.websockets import WebSocketDisconnect
from uvicorn.protocols.utils import ClientDisconnected

from loadtest.server.handling import Ending, close_code_of, ending_of

AFTER_CLOSE = 'WebSocket is not connected. Need to call "accept" first.'


@pytest.mark.parametrize(
    ("error", "ending", "code"),
    [
        (WebSocketDisconnect(1001), Ending.DISCONNECTED, 1001),
        (RuntimeError(AFTER_CLOSE), Ending.AFTER_CLOSE, 1006),
        (RuntimeError('Cannot call "send" once a close message has been sent.'), Ending.AFTER_CLOSE, 1006),
        (RuntimeError("Unexpected ASGI message 'websocket.send', after sending"), Ending.AFTER_CLOSE, 1006),
        (ClientDisconnected(), Ending.GONE, 1006),
        (ConnectionResetError(errno.ECONNRESET, "reset"), Ending.GONE, 1006),
        (BrokenPipeError(), Ending.GONE, 1006),
        (TimeoutError(errno.ETIMEDOUT, "timed out"), Ending.GONE, 1006),
        (TimeoutError(), Ending.FAULT, 1011),
        (OSError(errno.ENOSPC, "disk full"), Ending.FAULT, 1011),
        (RuntimeError("dictionary changed size during iteration"), Ending.FAULT, 1011),
        (RecursionError("maximum recursion depth exceeded"), Ending.FAULT, 1011),
        (KeyError("payload"), Ending.FAULT, 1011),
    ],
    ids=repr,
)
def test_endings_are_told_apart(error: Exception, ending: Ending, code: int) -> None:
    """Only what a client can cause by leaving counts as leaving."""
    assert ending_of(error) is ending
    assert close_code_of(error) == code
