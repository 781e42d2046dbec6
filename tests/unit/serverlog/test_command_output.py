"""What a command wrote last on standard error is held back until it is known whose words it is."""

import pytest

from loadtest.serverlog import command_output as module
from loadtest.serverlog.command_output import LAST_WORDS_NS, LastWords

NOW_NS = 1_795_443_815_000_000_000


def test_lines_that_come_together_stay_held() -> None:
    """The lines of one reason are released together."""
    words = LastWords()
    assert words.add(b"a\n", NOW_NS) == []
    assert words.add(b"b\n", NOW_NS + LAST_WORDS_NS) == []
    assert words.release() == [(b"a\n", NOW_NS), (b"b\n", NOW_NS + LAST_WORDS_NS)]
    assert words.release() == []


def test_later_lines_release_earlier_ones() -> None:
    """A line after which another came later is not the last; it keeps the time when it was read."""
    words = LastWords()
    words.add(b"a\n", NOW_NS)
    assert words.add(b"b\n", NOW_NS + LAST_WORDS_NS + 1) == [(b"a\n", NOW_NS)]


def test_what_is_held_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that writes much on standard error is not held in memory."""
    monkeypatch.setattr(module, "MAX_HELD", 3)
    words = LastWords()
    words.add(b"a\n", NOW_NS)
    assert words.add(b"b\n", NOW_NS) == [(b"a\n", NOW_NS)]
    assert words.release() == [(b"b\n", NOW_NS)]
