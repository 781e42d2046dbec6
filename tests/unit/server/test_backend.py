"""The ids that sessions are told."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import pytest

from loadtest.server.backend import Backend
from loadtest.server.faults import Faults


def backend(*faults: str) -> Backend:
    """Return a backend with these faults, and nothing else that works."""
    stub: Any = Mock()
    return Backend(
        settings=stub,
        storage=stub,
        faults=Faults(faults),
        alterations=stub,
        handling=stub,
        counters=stub,
        database_up_at_s=0.0,
    )


@pytest.mark.parametrize(
    ("faults", "remembered"), [((), 0), (("share_identity=0",), 2), (("forget_session",), 0)]
)
def test_ids_are_remembered_only_for_the_fault(faults: tuple[str, ...], remembered: int) -> None:
    """A server without it would keep an entry for each session for ever."""
    server = backend(*faults)
    assert [server.name_of(name, new=True) for name in ("a", "b")] == ["a", "b"]
    assert len(server.names) == remembered


def test_the_fault_tells_a_new_session_the_latest_id() -> None:
    """And the same id again when the session comes back."""
    server = backend("share_identity=1")
    assert [server.name_of(name, new=True) for name in ("a", "b")] == ["a", "a"]
    assert server.name_of("b", new=False) == "a"
