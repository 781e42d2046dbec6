"""Heads of text lines, told by the format that wrote them."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.serverlog.formats import KNOWN_FORMATS, TextFormat, by_fitness, known_formats
from loadtest.serverlog.records import Level

CREATED = 1_795_443_815.123
CREATED_NS = 1_795_443_815_123_000_000


def written(template: str, level: int, message: str) -> str:
    """What Python's logging itself writes with a format, in UTC."""
    record = logging.LogRecord("app.ws", level, "ws.py", 42, message, None, None, "handle")
    record.created, record.msecs = CREATED, 123.0
    record.levelprefix = f"{record.levelname}:".ljust(9)
    formatter = logging.Formatter(template)
    formatter.converter = logging.time.gmtime  # type: ignore[attr-defined]
    return formatter.format(record)


@pytest.mark.parametrize("template", KNOWN_FORMATS.values(), ids=KNOWN_FORMATS.keys())
@pytest.mark.parametrize("level", Level)
def test_known_formats_read_what_logging_writes(template: str, level: Level) -> None:
    """Each known format gives back level, message, and where it has them, logger and time."""
    entry = TextFormat(template).parse(
        written(template, level, "Client disconnected (session=s-1, code=1000)")
    )
    assert entry is not None
    assert entry.level == level
    assert entry.message == "Client disconnected (session=s-1, code=1000)"
    assert entry.logger == ("app.ws" if "%(name)s" in template else "")
    assert entry.at_ns == (CREATED_NS if "asctime" in template else None)


@pytest.mark.parametrize("template", KNOWN_FORMATS.values(), ids=KNOWN_FORMATS.keys())
def test_the_fittest_format_is_found(template: str) -> None:
    """Of all known formats the one tried first reads a log's lines as the one that wrote them does."""
    lines = [written(template, level, f"message {level}") for level in Level]
    first = by_fitness(known_formats(), lines)[0]
    own = TextFormat(template)
    for line in lines:
        theirs, ours = first.parse(line), own.parse(line)
        assert theirs is not None
        assert ours is not None
        assert (theirs.level, theirs.at_ns) == (ours.level, ours.at_ns)
        assert theirs.message.endswith(ours.message)


def test_a_format_of_ones_own() -> None:
    """Any fields in any order are read, a session's among them, milliseconds added to the time."""
    known = TextFormat(
        "%(process)d %(asctime)s.%(msecs)03d <%(levelname)s> s=%(session)s %(message)s [%(lineno)d]"
    )
    entry = known.parse("77 2026-11-23 14:23:35.123 <WARNING> s=abc-1 it rains [42]")
    assert entry is not None
    assert (entry.message, entry.level, entry.session) == ("it rains", Level.WARNING, "abc-1")
    assert entry.at_ns == CREATED_NS


def test_created_is_a_time() -> None:
    """A number of seconds is a time too."""
    entry = TextFormat("%(created)f %(levelname)s %(message)s").parse("1795443815.123 INFO hello")
    assert entry is not None
    assert entry.at_ns == CREATED_NS


def test_a_time_without_date_is_none() -> None:
    """A clock time alone makes a head, whose moment is unknown."""
    entry = TextFormat("%(asctime)s %(levelname)s %(message)s").parse("14:23:35 INFO hello")
    assert entry is not None
    assert entry.at_ns is None


@pytest.mark.parametrize(
    "line", ["", "hello", "2026-11-23 14:23:35 HELLO world", "NOTALEVEL: x", '  File "x"']
)
def test_other_lines_are_no_heads(line: str) -> None:
    """A line without a level that exists begins no record."""
    assert all(known.parse(line) is None for known in known_formats())


@pytest.mark.parametrize(
    "template",
    [
        "%(asctime)s",
        "hello",
        "%(message)s %(message)s",
        "%(levelname)s %(levelno)s %(message)s",
        "%(name)s%(thread)d %(message)s",
    ],
)
def test_bad_formats_are_refused(template: str) -> None:
    """A format without message, with a field twice, or with fields that run together is refused."""
    with pytest.raises(ValueError, match=r"^must have "):
        TextFormat(template)


@given(st.text(alphabet="-: |[]%.aA0/\t", max_size=5_000))
def test_no_line_takes_long_or_raises(line: str) -> None:
    """Lines made of what separates fields neither raise nor backtrack without end."""
    for known in known_formats():
        known.parse(line)
    for prefix in ("2026-11-23 14:23:35 ", "[2026-11-23 14:23:35] ", "INFO:"):
        for known in known_formats():
            known.parse(prefix + line * 10)
