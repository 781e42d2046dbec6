"""Protocols that many speak are recognised in recordings of real clients, and named in the locustfile."""

from __future__ import annotations

import pytest

from loadtest.capture.conversion import converted
from loadtest.capture.known_protocols import KNOWN, KnownProtocol, recognised
from loadtest.dialects.base import Dialect
from tests.support.recorded_clients import RECORDINGS

FILES = {
    "socketio": "socketio.har",
    "signalr": "signalr.devtools.har",
    "graphql": "graphql.devtools.har",
    "jsonrpc": "jsonrpc.har",
    "llm": "llm.devtools.har",
}


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.dialect)
def test_each_is_recognised_by_what_its_client_says(known: KnownProtocol) -> None:
    """Its own row only: the first that recognises a conversation names it."""
    conversion = converted(RECORDINGS / FILES[known.dialect])
    found = recognised(conversion.inferred)
    assert found is not None
    assert found[0] is known
    assert f"# This looks like {found[0].title}, judging by {found[1]}." in conversion.source


@pytest.mark.parametrize("file", ["phoenix", "ocpp", "game", "stomp", "login"])
def test_others_are_not(file: str) -> None:
    """They are converted all the same."""
    assert recognised(converted(RECORDINGS / f"{file}.devtools.har").inferred) is None


def test_a_dialect_that_comes_with_the_tool_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The seam: once a dialect has the name of a row, the file says so."""
    monkeypatch.setitem(Dialect.dialects, "jsonrpc", Dialect)
    source = converted(RECORDINGS / "jsonrpc.har").source
    assert 'The tool has a dialect for it: dialect = "jsonrpc".' in source.replace("\n#  ", "")
