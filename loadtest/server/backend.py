"""What all connections of one server share: its settings, its database, its faults, its counts."""

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from loadtest.server.counters import Counters
from loadtest.server.faults import Faults
from loadtest.server.handling import Handling
from loadtest.server.settings import ServerSettings
from loadtest.server.storage import Storage

if TYPE_CHECKING:
    from loadtest.server.connection import Connection


@dataclass(slots=True, kw_only=True)
class Backend:
    """One running server, without its sockets."""

    settings: ServerSettings
    storage: Storage
    faults: Faults
    handling: Handling
    counters: Counters
    database_up_at_s: float
    """On the event loop's clock: the end of the fault `database_down`."""
    live: dict[str, "Connection"] = field(default_factory=dict)
    """The newest open connection of each session."""

    def database_is_up(self) -> bool:
        """Whether the fault `database_down` is over, or was never asked for."""
        return asyncio.get_running_loop().time() >= self.database_up_at_s
