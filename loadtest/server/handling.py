"""How the application handled and logged the end of a connection, before and after its hotfix.

A WebSocket handler ends in one of four ways. The hotfix made the application distinguish them:

    DISCONNECTED   starlette's WebSocketDisconnect: the client closed, vanished, or was found gone by a send
    AFTER_CLOSE    RuntimeError of starlette or uvicorn: the handler used a socket that was already closed
    GONE           OSError of the transport: uvicorn's ClientDisconnected (websockets' ConnectionClosed is
                   its cause), ConnectionResetError, BrokenPipeError, a TCP timeout
    FAULT          anything else: a real error, the only one that deserves ERROR and a traceback

Before the hotfix, a failed send was an ERROR, and so was the RuntimeError that followed when the handler went
on to receive on the socket that the failed send had closed: two ERROR lines for one client that lost its
network while a reply was on its way. After the hotfix, the first three are INFO. Cancellation, which is not
an Exception, comes from a shutdown and is never swallowed here. The log texts are contracts: `loadtest
check-log` reads them.
"""

import enum
import errno
import logging
from collections.abc import Mapping
from typing import Protocol

from starlette.websockets import WebSocketDisconnect
from uvicorn.protocols.utils import ClientDisconnected

LOG = logging.getLogger("loadtest.server")

# starlette 0.40 to 1.10 (websockets.py) and uvicorn 0.30 to 0.54 (websockets_impl.py, wsproto_impl.py). Newer
# versions of starlette raise a subclass of RuntimeError, but all versions share the text.
_AFTER_CLOSE_TEXTS = ("WebSocket is not connected", 'Cannot call "', "Unexpected ASGI message")


class Ending(enum.Enum):
    """Why a handler ended."""

    DISCONNECTED = enum.auto()
    AFTER_CLOSE = enum.auto()
    GONE = enum.auto()
    FAULT = enum.auto()


def ending_of(error: Exception) -> Ending:
    """Return how a handler that raised this error ended."""
    match error:
        case WebSocketDisconnect():
            return Ending.DISCONNECTED
        case RuntimeError() if str(error).startswith(_AFTER_CLOSE_TEXTS):
            return Ending.AFTER_CLOSE
        case ClientDisconnected() | ConnectionError() | OSError(errno=errno.ETIMEDOUT):
            return Ending.GONE
    return Ending.FAULT


def close_code_of(error: Exception) -> int:
    """Return the close code that corresponds to the error (RFC 6455, section 7.4.1)."""
    match error:
        case WebSocketDisconnect(code=code):
            return code
    return 1011 if ending_of(error) is Ending.FAULT else 1006


class Handling(Protocol):
    """How a version of the application logs the exceptions it catches."""

    def send_failed(self, session: str, error: Exception) -> None:
        """Log a send that raised; the handler then goes on to its next receive."""

    def ended(self, session: str, error: Exception) -> None:
        """Log the exception that ended the handler."""

    def cancelled(self, session: str) -> None:
        """Log that a shutdown cancelled the handler."""


class HandlingBefore:
    """Before the hotfix: a disconnect is an ERROR unless a receive detects it."""

    def send_failed(self, session: str, error: Exception) -> None:
        """Log any failed send as ERROR."""
        LOG.error("Send error (session %s) -> cleanup: %s", session, error, extra=_tagged(session))

    def ended(self, session: str, error: Exception) -> None:
        """Log everything except a WebSocketDisconnect as ERROR, without a traceback."""
        match error:
            case WebSocketDisconnect():
                return
            case RuntimeError():
                LOG.error("WS RuntimeError session=%s: %s", session, error, extra=_tagged(session))
            case _:
                LOG.error("WS Exception session=%s: %s", session, error, extra=_tagged(session))

    def cancelled(self, session: str) -> None:
        """Log nothing: `except Exception` does not see a cancellation."""


class HandlingAfter:
    """After the hotfix: every disconnect by the client is INFO."""

    def send_failed(self, session: str, error: Exception) -> None:
        """Log a client that is gone as INFO, a real fault as ERROR."""
        match ending_of(error):
            case Ending.DISCONNECTED | Ending.GONE:
                LOG.info(
                    "Client disconnected during send (session=%s, code=%d)",
                    session,
                    close_code_of(error),
                    extra=_tagged(session),
                )
            case Ending.AFTER_CLOSE:
                _abrupt(session, error)
            case Ending.FAULT:
                _unexpected(session, error)

    def ended(self, session: str, error: Exception) -> None:
        """Log a client that is gone as INFO, a real fault as ERROR with its traceback."""
        match ending_of(error):
            case Ending.DISCONNECTED:
                LOG.info(
                    "Client disconnected gracefully (session=%s, code=%d)",
                    session,
                    close_code_of(error),
                    extra=_tagged(session),
                )
            case Ending.AFTER_CLOSE | Ending.GONE:
                _abrupt(session, error)
            case Ending.FAULT:
                _unexpected(session, error)

    def cancelled(self, session: str) -> None:
        """Log that the shutdown, not the client, ended the connection."""
        LOG.info("WebSocket cancelled at shutdown (session=%s)", session, extra=_tagged(session))


HANDLINGS: Mapping[str, type[Handling]] = {"before": HandlingBefore, "after": HandlingAfter}


def log_no_database(session: str, error: Exception) -> None:
    """Log that a session could not be opened without its database, in both versions."""
    LOG.error("Session could not be opened (session=%s)", session, exc_info=error, extra=_tagged(session))


def _abrupt(session: str, error: Exception) -> None:
    what = str(error) or type(error).__name__
    LOG.info("Client disconnected abruptly (session=%s): %s", session, what, extra=_tagged(session))


def _unexpected(session: str, error: Exception) -> None:
    LOG.error(
        "Unexpected WebSocket error (session=%s): %s", session, error, exc_info=error, extra=_tagged(session)
    )


def _tagged(session: str) -> dict[str, str]:
    return {"session": session}
