"""Common protocols: how to recognise one in a recording, and the bundled dialect for it.

This is a seam: one row per protocol. The locustfile names the protocol, and its dialect if the tool bundles
one (`bundled`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from loadtest.capture.inferred import Inferred
from loadtest.capture.trees import MISSING, at
from loadtest.dialects.base import Dialect


@dataclass(frozen=True, slots=True)
class KnownProtocol:
    """A protocol that is recognised.

    Args:
        dialect: name of the bundled dialect for it.
        title: name for people.
        recognises: returns the evidence for the protocol in a conversation; empty if there is none.
    """

    dialect: str
    title: str
    recognises: Callable[[Inferred], str]


def _socket_io(inferred: Inferred) -> str:
    return "its packets and EIO= in the path" if inferred.form.name == "Socket.IO" else ""


def _signalr(inferred: Inferred) -> str:
    first = next((record for record in inferred.records if record.sent), None)
    said = isinstance(first.tree, dict) and {"protocol", "version"} <= first.tree.keys() if first else False
    return "its handshake" if said and getattr(inferred.form, "separator", None) == "\x1e" else ""


def _graphql(inferred: Inferred) -> str:
    offered = inferred.connection.header("sec-websocket-protocol") or ""
    begins = _says(inferred, ("type",), "connection_init")
    return "connection_init" if begins else "its subprotocol" if "graphql-transport-ws" in offered else ""


def _json_rpc(inferred: Inferred) -> str:
    return '"jsonrpc": "2.0"' if _says(inferred, ("jsonrpc",), "2.0") else ""


def _llm(inferred: Inferred) -> str:
    return "response.create" if _says(inferred, ("type",), "response.create") else ""


def _says(inferred: Inferred, path: tuple[str, ...], value: str) -> bool:
    return any(
        record.sent
        and not record.plain
        and at(record.tree, path) not in (MISSING, None)
        and at(record.tree, path) == value
        for record in inferred.records
    )


KNOWN: Final = (
    KnownProtocol("socketio", "Socket.IO", _socket_io),
    KnownProtocol("signalr", "SignalR (JSON hub protocol)", _signalr),
    KnownProtocol("graphql", "GraphQL (graphql-transport-ws)", _graphql),
    KnownProtocol("jsonrpc", "JSON-RPC 2.0", _json_rpc),
    KnownProtocol("llm", "the Realtime API of a language model", _llm),
)
"""In the order in which they are tried."""


def recognised(inferred: Inferred) -> tuple[KnownProtocol, str] | None:
    """Return the protocol of a conversation with the evidence; None if it is none of these."""
    for known in KNOWN:
        shown_by = known.recognises(inferred)
        if shown_by:
            return known, shown_by
    return None


def bundled(known: KnownProtocol) -> bool:
    """Return whether the tool has a dialect for a protocol."""
    return known.dialect in Dialect.dialects
