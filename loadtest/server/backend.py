"""State shared by all connections of one server: settings, database, faults and counters."""

import asyncio
import errno
import os
import sqlite3
from collections import Counter
from dataclasses import dataclass, field
from typing import Protocol

from loadtest.server.alterations import Alterations
from loadtest.server.faults import Faults
from loadtest.server.handling import Handling
from loadtest.server.server_settings import ServerSettings
from loadtest.server.storage import Storage


class LiveConnection(Protocol):
    """A session's newest open connection, with the operation that a newer connection needs."""

    def retire(self) -> None:
        """Start closing, because a newer connection of the session has taken over."""


@dataclass(slots=True, kw_only=True)
class Counters:
    """Counts since the process started. `connections_accepted` = `connections_open` + all `disconnects`."""

    connections_accepted: int = 0
    """Upgrades not refused: answered with 101 unless the client was already gone."""
    connections_open: int = 0
    """Accepted connections whose handler has not ended yet."""
    connections_refused: int = 0
    """Upgrades answered with an HTTP error by this application."""
    logins_refused: int = 0
    """Connections accepted, sent `ws:auth_required` and closed with 4401."""
    sessions_created: int = 0
    sessions_resumed: int = 0
    """Connections to a session already in the database."""
    takeovers: int = 0
    """Connections that replaced an older one of their session that was still open."""
    messages_received: int = 0
    """Text or binary messages received on any endpoint, whether readable or not."""
    messages_stored: int = 0
    """Messages committed to the database, the users' and the assistant's."""
    requests_refused: int = 0
    """Messages answered with `ws:error`."""
    replies_sent: int = 0
    """Replies sent on an open connection; a duplicated reply counts twice, a stream once."""
    pushes_sent: int = 0
    """Pushes sent on an open connection."""
    sends_failed: int = 0
    """Connections on which a send failed."""
    errors: int = 0
    """Handlers that ended with a real fault."""
    disconnects: Counter[str] = field(default_factory=Counter)
    """Ended connections by close code as the application saw it (1006: no close frame)."""
    faults: Counter[str] = field(default_factory=Counter)
    """How often each `--fault` struck; `database_down` is not counted."""


@dataclass(slots=True, kw_only=True)
class Backend:
    """The shared state of one running server, without its sockets."""

    settings: ServerSettings
    storage: Storage
    faults: Faults
    alterations: Alterations
    handling: Handling
    counters: Counters
    database_up_at_s: float
    """When the fault `database_down` ends, on the event loop's clock."""
    live: dict[str, LiveConnection] = field(default_factory=dict)
    """The newest open connection of each session."""
    names: dict[str, str] = field(default_factory=dict)
    """With the fault `share_identity`, the id sent to each session: its own, or another session's."""

    def name_of(self, session: str, *, new: bool) -> str:
        """Return the id to send to a session; `share_identity` may send a new one the latest session's."""
        if not self.faults.requested("share_identity"):
            return session
        if new and self.names and session not in self.names:
            latest = next(reversed(self.names.values()))
            self.names[session] = latest if self.faults.strikes("share_identity") else session
        return self.names.setdefault(session, session)

    def database_is_up(self) -> bool:
        """Whether the fault `database_down` is over or was not requested."""
        return asyncio.get_running_loop().time() >= self.database_up_at_s

    def require_database(self) -> None:
        """Check that the database is up.

        Raises:
            sqlite3.OperationalError: it is down; the cause is a refused connection, as of a remote database.
        """
        if not self.database_is_up():
            refused = ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
            raise sqlite3.OperationalError("the database is down") from refused
