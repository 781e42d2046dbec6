"""Bundled dialects: how they are named, listed and loaded, and that no message breaks one."""

from __future__ import annotations

import sys
from typing import get_args

import pytest
import socketio.packet  # noqa: F401  # here, as importing it opens a socket
from hypothesis import given
from hypothesis import strategies as st

from loadtest.dialects.base import EXCERPT_LENGTH, Dialect, Incoming
from loadtest.dialects.bundled import BUNDLED, described, dialect_named
from loadtest.dialects.calls import listed, wrong_field
from loadtest.dialects.mistakes import check_form, new_dialect
from loadtest.errors import InvalidSetting
from loadtest.events import Data
from tests.support.effort import effort
from tests.support.fake_link import dialect_session

NAMES = [name for name in BUNDLED if name != "template"]
"""Those that need no file."""

BOMBS: list[Data] = [
    *("", "0", "2", "3", "4", "40", "42", "43", "[]", "{}", "null", "{", "\x1e", "4" * 5_000),
    *("[" * 100_000, "42" + "[" * 100_000, '{"a":' * 20_000, "42" + '{"a":' * 20_000),
    *(
        '42["message"',
        "42[null]",
        '42[["message"]]',
        '43[{"text":7}]',
        "431",
        "431[null]",
        '44"no"',
        "44",
        "44[7]",
    ),
    *('431[{"error":{"message":{"a":1}}}]', "40[]", '40{"sid":7,"pid":[]}', "41", "47[]", "4²[]", "451-"),
    *('459999999-["message"]', '451-["message",{"_placeholder":true,"num":"x"}]', "x" * 100_000),
    *('{"type":1}\x1e', '{"type":3}\x1e', '{"type":"1"}\x1e', '{"type":2,"item":[]}\x1e', '{"type":7}\x1e'),
    *(b"", b"\xff\xfe\x00", b"x" * 100_000, b"\xc3\x28"),
]
"""Messages that no server should send, of several protocols."""


def read(dialect: Dialect, data: Data, session: object = None) -> list[Incoming]:
    """Read a message to its end, as the session does."""
    found = listed(dialect, dialect.read(session or dialect_session(), data), data)  # type: ignore[arg-type]
    assert all(isinstance(incoming, get_args(Incoming)) for incoming in found)
    assert wrong_field(dialect, found, data) is None
    for incoming in found:
        for name in ("excerpt", "detail"):
            assert len(getattr(incoming, name, "")) <= EXCERPT_LENGTH * 2
    return list(found)


@pytest.mark.parametrize("name", NAMES)
class TestEach:
    """Every bundled dialect."""

    def test_it_can_be_used(self, name: str) -> None:
        """It has the form that a run needs, and a request with the text of its session."""
        dialect = new_dialect(dialect_named(name), None)
        check_form(dialect)
        assert dialect.name == name
        assert dialect_session().text(3) in str(dialect.request(dialect_session(), 3))

    def test_bombs(self, name: str) -> None:
        """No message breaks the reader, nor do all of them, one after the other."""
        dialect = new_dialect(dialect_named(name), None)
        session = dialect_session()
        for data in BOMBS * 2:
            read(dialect, data)
            read(dialect, data, session)

    @given(data=st.text() | st.binary() | st.text('{}[]":,\n0123456789.-tfn\x1e', max_size=60))
    @effort(30)
    def test_any_message(self, name: str, data: Data) -> None:
        """Whatever the text or bytes, reading says something bounded of it."""
        read(new_dialect(dialect_named(name), None), data)

    def test_it_is_described(self, name: str) -> None:
        """Lists name what it speaks; each option has an attribute, help and an allowed default."""
        (found,) = [one for one in described() if one.name == name]
        assert found.speaks
        kind = dialect_named(name)
        for option in kind.options:
            assert option.kind.read(getattr(kind, option.attribute), "") == getattr(kind, option.attribute)
            assert option.help.endswith(".")


def test_a_missing_library_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line says what to install."""
    monkeypatch.setitem(sys.modules, "socketio.packet", None)
    with pytest.raises(InvalidSetting) as raised:
        new_dialect(dialect_named("socketio"), None)
    needs = "needs the library socketio.packet: pip install 'loadtest-ws[socketio]'"
    assert str(raised.value) == f"--ws-dialect {needs} (got 'socketio')"
