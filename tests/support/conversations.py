"""Recorded conversations for tests: HAR files and connections, written as what was sent and received."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from loadtest.capture.conversion import Conversion
from loadtest.capture.inference import infer
from loadtest.capture.locustfile_source import locustfile
from loadtest.capture.recorded import Connection, Frame
from loadtest.capture.redaction import Redactor
from loadtest.capture.replay import replayed

BEGAN_S = 1_700_000_000.0

Turn = tuple[str, Any]
"""`->` or `<-`, and a message: text or bytes as they are, anything else as JSON."""


def frames(*turns: Turn, every_s: float = 0.1) -> tuple[Frame, ...]:
    """Return messages, one every so many seconds."""
    return tuple(
        Frame(direction == "->", _data(said), BEGAN_S + every_s * place)
        for place, (direction, said) in enumerate(turns)
    )


def _data(said: Any) -> str | bytes:
    return said if isinstance(said, str | bytes) else json.dumps(said)


def connection(
    *turns: Turn,
    url: str = "ws://chat.example.org/chat",
    headers: Sequence[tuple[str, str]] = (),
    number: int = 1,
    every_s: float = 0.1,
) -> Connection:
    """Return a connection with these messages."""
    return Connection(number=number, url=url, frames=frames(*turns, every_s=every_s), headers=tuple(headers))


def converted(
    *turns: Turn, later: Sequence[Connection] = (), form: str = "auto", **options: Any
) -> Conversion:
    """Return what becomes of a connection with these messages."""
    recorded = connection(*turns, **options)
    inferred = infer(recorded, Redactor(frozenset()), wanted=form, later=later)
    written = locustfile(inferred, file="chat.har", creator="", others=len(later))
    return Conversion(inferred=inferred, locustfile=written, replay=replayed(inferred, written))


def message(kind: str, data: str, time: float = BEGAN_S, opcode: int = 1) -> dict[str, Any]:
    """Return a message as HAR files hold it."""
    return {"type": kind, "time": time, "opcode": opcode, "data": data}


def entry(messages: Any = None, url: str = "ws://chat.example.org/chat", **content: Any) -> dict[str, Any]:
    """Return the entry of a WebSocket."""
    made: dict[str, Any] = {
        "request": {"method": "GET", "url": url, "headers": []},
        "response": {"status": 101, "headers": [], "content": {"size": -1, "mimeType": "", **content}},
    }
    return made if messages is None else {**made, "_webSocketMessages": messages}


def har(*entries: Any, creator: str = "WebInspector") -> bytes:
    """Return a HAR file."""
    log = {"version": "1.2", "creator": {"name": creator, "version": "1"}, "entries": list(entries)}
    return json.dumps({"log": log}).encode()
