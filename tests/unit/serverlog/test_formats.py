"""Heads of text lines, told by the format that wrote them."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.serverlog.formats import KNOWN_FORMATS, TextFormat
from loadtest.serverlog.heads import Heads
from loadtest.serverlog.log_reader import LogReader
from loadtest.serverlog.records import Level

UNNAMED = (
    "%(levelprefix)s %(message)s",
    "%(levelname)s:%(name)s:%(message)s",
    "%(asctime)s | %(levelname)-8s | %(name)s:%(funcName)s:%(lineno)d - %(message)s",
    "%(asctime)s | %(levelname)s | %(name)s | %(message)s",
    "%(asctime)s - %(name)s - %(levelname)s - %(message)s",
    "%(asctime)s [%(levelname)s] %(name)s: %(message)s",
    "%(asctime)s %(levelprefix)s %(message)s",
    "%(asctime)s - %(levelprefix)s %(message)s",
    "%(asctime)s:%(levelname)s:%(name)s:%(message)s",
    "%(asctime)s %(levelname)s %(name)s: %(message)s",
    "%(asctime)s %(name)s %(levelname)s %(message)s",
)
"""Formats that `auto` reads as well as a format string does, so that they have no name."""

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


@pytest.mark.parametrize("template", [*KNOWN_FORMATS.values(), *UNNAMED])
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
def test_known_formats_need_no_name(template: str) -> None:
    """Without a format, a line's time, level and text are those that its format reads."""
    for level in Level:
        line = written(template, level, "Client disconnected (session=s-1, code=1000)")
        found, named = Heads().of(line), TextFormat(template).parse(line)
        assert found is not None
        assert named is not None
        assert (found.level, found.at_ns) == (named.level, named.at_ns)
        assert found.message.endswith(named.message)


@pytest.mark.parametrize("template", UNNAMED)
@pytest.mark.parametrize("message", ["Client disconnected (session=s-1, code=1000)", "boom: x failed"])
def test_formats_without_a_name_need_none(template: str, message: str) -> None:
    """A format that cannot be named is read to the last field without its name."""
    for level in Level:
        line = written(template, level, message)
        reader, named = LogReader(), TextFormat(template).parse(line)
        assert named is not None
        (found,) = reader.feed(line.encode() + b"\n") + reader.finish()
        fields = (found.level, found.at_ns, found.logger.partition(":")[0], found.message)
        assert fields == (named.level, named.at_ns, named.logger, named.message)


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
    assert all(TextFormat(known).parse(line) is None for known in KNOWN_FORMATS.values())
    found = Heads().of(line)
    assert found is None or found.level is None


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
    formats = [TextFormat(template) for template in KNOWN_FORMATS.values()]
    for text in (
        line,
        *(prefix + line * 10 for prefix in ("2026-11-23 14:23:35 ", "[2026-11-23 14:23:35] ", "INFO:")),
    ):
        Heads().of(text)
        for known in formats:
            known.parse(text)


@pytest.mark.parametrize(
    "text",
    ["2026-11-23 14:23:35,123 client said ERROR", "2026/11/23 14:23:35 it is an ERROR: no", "no ERROR here"],
)
def test_a_level_within_a_text_is_none(text: str) -> None:
    """Only what a logger writes stands before a level: more than one plain word is a message."""
    found = Heads().of(text)
    assert found is None or found.level is None
