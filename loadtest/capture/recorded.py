"""A recording: connections, and the messages on them. Pure."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from loadtest.events import Data


@dataclass(frozen=True, slots=True)
class Frame:
    """A message on a connection.

    Args:
        sent: whether the client sent it.
        data: the message.
        at_s: Unix time in seconds; None if not recorded.
    """

    sent: bool
    data: Data
    at_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """A recorded WebSocket connection.

    Args:
        number: its place among the connections of the recording, from 1.
        url: as requested, secrets included.
        frames: its messages in the order of the recording.
        headers: of the request, by lower-case name.
        answered: headers of the response, by lower-case name.
        errors: errors of the connection, as reported by the browser.
    """

    number: int
    url: str
    frames: tuple[Frame, ...]
    headers: tuple[tuple[str, str], ...] = ()
    answered: tuple[tuple[str, str], ...] = ()
    errors: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """Path and query, from the first slash on."""
        parts = urlsplit(self.url)
        return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    @property
    def endpoint(self) -> tuple[str, str]:
        """Server and path without query, which identify an endpoint."""
        parts = urlsplit(self.url)
        return parts.netloc.rpartition("@")[2], parts.path

    def header(self, name: str) -> str | None:
        """Return a header of the request; None if it has none."""
        return next((value for said, value in self.headers if said == name), None)

    @property
    def duration_s(self) -> float:
        """Seconds from the first message to the last; 0 if the recording has no times."""
        times = [frame.at_s for frame in self.frames if frame.at_s is not None]
        return max(times) - min(times) if times else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A recording.

    Args:
        connections: all WebSocket connections, also those without messages.
        creator: the program that wrote it.
        secrets: credentials sent or received on any connection or request.
    """

    connections: tuple[Connection, ...]
    creator: str = ""
    secrets: frozenset[str] = frozenset()
