"""WebSocket load and reconnection tests with honest verdicts.

In a locustfile:

    from loadtest import WebSocketUser

    class ChatUser(WebSocketUser):
        dialect = "emergence"

To test your own application, subclass `Dialect`. To add a kind of drop, subclass `DropKind`.
"""

from typing import TYPE_CHECKING, Any

from loadtest.dialects.base import (
    AuthRequired,
    Dialect,
    Established,
    Push,
    Reply,
    Restored,
    StreamPart,
    Unreadable,
)
from loadtest.drops.kinds import DETECTED, DropKind, Wire
from loadtest.errors import LoadtestError
from loadtest.events import Drop, Endpoint, Identity
from loadtest.session.schedule import Backoff

if TYPE_CHECKING:
    from loadtest.locust_plugin.user import WebSocketUser

__all__ = [
    "DETECTED",
    "AuthRequired",
    "Backoff",
    "Dialect",
    "Drop",
    "DropKind",
    "Endpoint",
    "Established",
    "Identity",
    "LoadtestError",
    "Push",
    "Reply",
    "Restored",
    "StreamPart",
    "Unreadable",
    "WebSocketUser",
    "Wire",
]


def __getattr__(name: str) -> Any:
    """Import the Locust adapter only on first use: importing Locust patches the standard library."""
    if name == "WebSocketUser":
        from loadtest.locust_plugin.user import WebSocketUser

        return WebSocketUser
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
