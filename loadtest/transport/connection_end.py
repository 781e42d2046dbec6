"""How a connection ended: by a close frame, by a violation of RFC 6455, or without a close frame."""

import ssl

from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.frames import Close

from loadtest.events import ABNORMAL_CLOSURE, Lost
from loadtest.text import one_line

_REASON_LENGTH = 120


def by_close_frame(close: Close | None) -> Lost:
    """Return the end by the server's close frame, None if it could not be read."""
    close = close or Close(ABNORMAL_CLOSURE, "")
    return Lost(code=int(close.code), reason=close.reason, cause=str(int(close.code)))


def by_violation(error: Exception) -> Lost:
    """Return the end by a violation of the protocol by the server."""
    if isinstance(error, PayloadTooBig):
        cause = "message_too_big"
    elif isinstance(error, ProtocolError):
        cause = "protocol_error"
    else:
        cause = "invalid_utf8" if isinstance(error, UnicodeDecodeError) else "eof"
    return without_close_frame(cause, one_line(str(error), _REASON_LENGTH))


def close_for(error: Exception) -> tuple[int, str]:
    """Return the close code and reason for a server's violation (RFC 6455, 7.4.1)."""
    if isinstance(error, UnicodeDecodeError):
        return 1007, "invalid UTF-8"
    if isinstance(error, PayloadTooBig):
        return 1009, "the message is too big"
    return 1002, "the message cannot be decompressed"


def by_tcp(error: Exception | None) -> Lost:
    """Return the end of the socket with this error; None means FIN."""
    return without_close_frame(
        "eof" if error is None else "tls" if isinstance(error, ssl.SSLError) else "reset"
    )


def without_close_frame(cause: str, reason: str = "") -> Lost:
    """Return an end without a close frame."""
    return Lost(code=ABNORMAL_CLOSURE, reason=reason, cause=cause)
