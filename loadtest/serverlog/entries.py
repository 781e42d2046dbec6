"""An entry: a record while it is being read, before the lines under its head are known."""

from msgspec import Struct

from loadtest.serverlog.records import Level
from loadtest.serverlog.tracebacks import Tail

CARRIER = "carrier"
"""Stamp of a line whose time a carrier wrote: the line may be a part of a record."""


class Entry(Struct, kw_only=True, gc=False):
    """A record being read: its head and the lines under it so far.

    Args:
        raw: a line of text that a carrier wrapped: the next entry may continue it.
        bare: a line of text with neither time nor level.
        stamp: the form of the time before a line of text.
        source: which of several streams in one log it came by: a pod, a container.
        tail: the lines under the head.
        frame: the JSON object that it was read from.
    """

    message: str
    level: Level | None = None
    at_ns: int | None = None
    logger: str = ""
    session: str = ""
    revision: str = ""
    service: str = ""
    source: str = ""
    line: int = 0
    arrival: bool = False
    raw: bool = False
    bare: bool = False
    stamp: str = ""
    tail: Tail | None = None
    frame: bytes = b""
