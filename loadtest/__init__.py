"""WebSocket load and reconnection tests with honest verdicts.

In a locustfile:

    from loadtest import WebSocketUser

    class ChatUser(WebSocketUser):
        dialect = "emergence"

To test your own application, subclass `Dialect`. To add a kind of drop, subclass `DropKind`.
"""

import sys
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
from loadtest.dialects.templates import Template
from loadtest.drops.kinds import DETECTED, DropKind, Wire
from loadtest.errors import Dropped, LoadtestError, LoginFailed, ReplyTimeout, RequestFailed
from loadtest.events import Data, Drop, Endpoint, Send
from loadtest.output_streams import open_missing_streams
from loadtest.session.schedule import Backoff
from loadtest.session.script import Message
from loadtest.signals import exit_on_signals

if TYPE_CHECKING:
    from loadtest.engine.script_session import ScriptSession
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
    "Dropped",
    "Endpoint",
    "Established",
    "Failed",
    "Incoming",
    "LoadtestError",
    "LoginFailed",
    "Message",
    "Push",
    "Reply",
    "ReplyTimeout",
    "Request",
    "RequestFailed",
    "Restored",
    "ScriptSession",
    "Send",
    "StreamPart",
    "Template",
    "Unreadable",
    "WebSocketUser",
    "Wire",
    "unreadable",
]


def __getattr__(name: str) -> Any:
    """Import the engine and the Locust adapter only on first use: Locust patches the standard library."""
    if name == "ScriptSession":
        from loadtest.engine.script_session import ScriptSession

        return ScriptSession
    if name == "WebSocketUser":
        if "locust.main" in sys.modules:  # it has nothing to lose yet, and handles no signal
            open_missing_streams()
            exit_on_signals()
        from loadtest.locust_plugin.user import WebSocketUser

        return WebSocketUser
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
