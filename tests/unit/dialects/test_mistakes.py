"""Mistakes in a dialect that show before the first connection."""

from __future__ import annotations

from typing import Any

import pytest

from loadtest.dialects.base import Dialect, Reply
from loadtest.dialects.dialect_session import DialectSession
from loadtest.dialects.mistakes import check_form, new_dialect
from loadtest.errors import DialectMistake
from loadtest.events import Data


class Sound(Dialect):
    """A dialect of the right form; without a name of its own, so it is not registered."""

    name = "echo"
    heartbeat_s = 1

    def __init_subclass__(cls) -> None:
        """Register nothing."""

    async def login(self, session: DialectSession) -> None:
        session.token = "token"

    def request(self, session: DialectSession, sequence: int) -> str:
        return session.text(sequence)

    def heartbeat(self, session: DialectSession) -> str:
        return "beat"

    def read(self, session: DialectSession, data: Data) -> Reply:
        return Reply(None)


def _with(**attributes: Any) -> Dialect:
    dialect: Dialect = type("Chat", (Sound,), attributes)()
    return dialect


def _silent(self: Dialect, session: DialectSession) -> None:
    """Not async, as a login must be."""


async def _waiting(self: Dialect, session: DialectSession, data: Data) -> None:
    """Async, as `read` must not be."""


def test_a_constructor_with_other_arguments() -> None:
    """What it must take is said, with what it raised instead."""

    class Chat(Sound):
        def __init__(self, *, path: str | None = None, message_bytes: int = 64) -> None:
            super().__init__(path=path, message_bytes=message_bytes)  # type: ignore[call-arg]  # what the test is about

    told = r"Chat\.__init__ must take \(self, \*, path=None\); it raised TypeError: .*; see docs/dialects\.md"
    with pytest.raises(DialectMistake, match=told):
        new_dialect(Chat, "/chat")
    assert new_dialect(Sound, "/chat").path == "/chat"


def test_a_dialect_of_the_right_form() -> None:
    """Nothing is said of it; arguments may have other names and defaults."""
    check_form(Sound())
    check_form(_with(read=lambda self, client, message, extra=None: None, history_window=20))


@pytest.mark.parametrize(
    ("attributes", "told"),
    [
        (
            {"read": lambda self, data: []},
            r"Chat\.read must take \(self, session, data\); see docs/dialects\.md",
        ),
        ({"request": lambda self: ""}, r"Chat\.request must take \(self, session, sequence\)"),
        ({"endpoint": lambda self, identity, token: ""}, r"Chat\.endpoint must take \(self, session\)"),
        ({"read": Dialect.read}, r"Chat\.read is missing"),
        ({"heartbeat": Dialect.heartbeat}, r"Chat\.heartbeat is missing, but heartbeat_s is set"),
        ({"login": _silent}, r"Chat\.login must be async"),
        ({"read": _waiting}, r"Chat\.read must not be async"),
        ({"identifies": True}, r"Chat\.identifies needs establishes = True"),
        ({"heartbeat_s": 0}, r"Chat\.heartbeat_s must be None or a number above 0, not 0"),
        ({"cleanup_s": "10"}, r"Chat\.cleanup_s must be None or a number above 0, not '10'"),
        ({"heartbeat_s": float("inf")}, r"Chat\.heartbeat_s must be None or a number above 0, not inf"),
        ({"forbidding_close_codes": 1008}, r"Chat\.forbidding_close_codes must be a set of numbers"),
        ({"subprotocols": "chat"}, r"Chat\.subprotocols must be a tuple of strings"),
        ({"default_path": "chat"}, r"Chat\.path must be a path that begins with a slash"),
        ({"shares_history": "yes"}, r"Chat\.shares_history must be True, False or None, not 'yes'"),
        ({"history_window": True}, r"Chat\.history_window must be None or a number above 0, not True"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_a_dialect_of_the_wrong_form(attributes: dict[str, Any], told: str) -> None:
    """Class, method and what it must be are named; no connection is needed for that."""
    with pytest.raises(DialectMistake, match=f"^mistake in the dialect: {told}"):
        check_form(_with(**attributes))
