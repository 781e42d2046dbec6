"""Heads of lines without a named format."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.serverlog.heads import Heads

TIME = "2026-11-24 14:20:35,100 "


def read(*lines: str) -> tuple[object, str, str]:
    """Level, logger and message of the last of some lines that one reader reads."""
    heads = Heads()
    entries = [heads.of(line) for line in lines]
    entry = entries[-1]
    assert entry is not None
    return entry.level, entry.logger, entry.message


@pytest.mark.parametrize(
    "line", ["INFO\t" * 1_500, TIME + "INFO\t" * 800, TIME * 170, (TIME + "INFO ") * 140], ids=str.__len__
)
def test_levels_and_times_in_a_row_are_read_once(line: str) -> None:
    """A line of nothing but levels or times ends the reading as little as any other."""
    assert Heads().of(line) is not None


PREFIXES = st.sampled_from(
    [
        *(
            "INFO app: ",
            "INFO [app] ",
            "INFO app - ",
            "[INFO] app: ",
            "INFO a.b: ",
            "app INFO ",
            "- app - INFO - ",
        ),
        *(
            "INFO 12 --- [main] c.A : ",
            "| INFO | app:f:1 - ",
            "INFO:app:",
            "[12] [INFO] app: ",
            "INFO in app: ",
        ),
    ]
)
TEXTS = st.sampled_from(
    [
        *(
            "x",
            "Client left",
            "- b",
            "b - c",
            "c.d: y",
            "[app] x",
            "a=1 ERROR x",
            "ERROR boom",
            "[x] ERROR b",
            ": ",
        ),
        *(
            "2026-11-24 x",
            "2026-11-24 14:20:36,100 ERROR boom",
            "x: y",
            "DEFAULT x",
            "| y",
            "12 ERROR x",
            "\tx",
        ),
        *("Error: x", "warning: x", "app.ERROR: x", "in app: x", "level=error x"),
    ]
) | st.text(alphabet="aB1 .:-|[]=\t", min_size=1, max_size=12)


@given(PREFIXES, TEXTS, PREFIXES, TEXTS)
def test_a_line_reads_the_same_after_any_other(before: str, text: str, prefix: str, own: str) -> None:
    """What was read before does not change how a line is read."""
    assert read(TIME + before + text, TIME + before + own) == read(TIME + before + own)
    assert read(TIME + before + text, TIME + prefix + own) == read(TIME + prefix + own)


@pytest.mark.parametrize(
    ("line", "logger", "message"),
    [
        ("WARNING Client - disconnected", "", "Client - disconnected"),
        ("WARNING chat - disconnected", "chat", "disconnected"),
        ("ERROR chat.Client - disconnected", "chat.Client", "disconnected"),
        ("ERROR in views: no answer", "views", "no answer"),
    ],
)
def test_a_word_of_the_text_is_no_logger(line: str, logger: str, message: str) -> None:
    """A capitalised word before a dash begins a sentence; a class has its package."""
    assert read(TIME + line)[1:] == (logger, message)


def test_a_remembered_prefix_does_not_hide_an_access_log() -> None:
    """An access log's line that begins like an application's keeps its status."""
    line = TIME + 'INFO app: Client [24/Nov/2026:14:20:35 +0000] "GET / HTTP/1.1" 500 1'
    assert read(TIME + "INFO app: Client left", line) == read(line)
