"""WebSocket load and reconnection tests with honest verdicts.

In a locustfile:

    from loadtest import WebSocketUser

    class ChatUser(WebSocketUser):
        dialect = "emergence"

To test your own application, subclass `Dialect`. To add a kind of drop, subclass `DropKind`.
"""

from typing import TYPE_CHECKING, Any

from loadtest.dialects.base import (
    MALFORMED,
    AuthRequired,
    Dialect,
    Established,
    Failed,
    Incoming,
    Push,
    Reply,
    Request,
    Restored,
    StreamPart,
    Unreadable,
    unreadable,
)
from loadtest.dialects.dialect_session import DialectSession
from loadtest.drops.kinds import DETECTED, DropKind, Wire
from loadtest.errors import LoadtestError, LoginFailed
from loadtest.events import Data, Drop, Endpoint, Send
from loadtest.session.schedule import Backoff

if TYPE_CHECKING:
    from loadtest.locust_plugin.user import WebSocketUser

__all__ = [
    "DETECTED",
    "MALFORMED",
    "AuthRequired",
    "Backoff",
    "Data",
    "Dialect",
    "DialectSession",
    "Drop",
    "DropKind",
    "Endpoint",
    "Established",
    "Failed",
    "Incoming",
    "LoadtestError",
    "LoginFailed",
    "Push",
    "Reply",
    "Request",
    "Restored",
    "Send",
    "StreamPart",
    "Unreadable",
    "WebSocketUser",
    "Wire",
    "unreadable",
]


def __getattr__(name: str) -> Any:
    """Import the Locust adapter only on first use: importing Locust patches the standard library."""
    if name == "WebSocketUser":
        from loadtest.locust_plugin.user import WebSocketUser

        return WebSocketUser
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
