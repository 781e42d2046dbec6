"""The block at the bottom of a terminal, as a terminal emulator shows it."""

from __future__ import annotations

import io
import logging
import sys
import threading
from typing import Any

import pyte
import pytest

from loadtest.locust_plugin.live_screen import MAX_KEPT, LiveScreen, is_live, size_of


class Terminal(io.StringIO):
    """A terminal of so many columns and lines, which may take nothing for a while."""

    encoding = "utf-8"

    def __init__(self, columns: int = 40, lines: int = 8, patch: pytest.MonkeyPatch | None = None) -> None:
        super().__init__()
        self.patch = patch or pytest.MonkeyPatch()
        self.screen = pyte.HistoryScreen(columns, lines, history=5000)
        self.screen.set_mode(pyte.modes.LNM)  # the line discipline writes CR before LF
        self._stream = pyte.Stream(self.screen)
        self.takes = True

    def isatty(self) -> bool:
        """Return that it is one."""
        return True

    def write(self, text: str) -> int:
        """Show text."""
        assert self.takes, "it would wait"
        self._stream.feed(text)
        return len(text)

    @property
    def shown(self) -> list[str]:
        """The lines that are not empty, those above the screen among them."""
        above = [
            "".join(line[at].data for at in range(self.screen.columns)) for line in self.screen.history.top
        ]
        return [line.rstrip() for line in [*above, *self.screen.display] if line.strip()]

    @property
    def below(self) -> list[str]:
        """The screen's lines from the cursor on, without empty ones at the end."""
        return (
            "\n".join(line.rstrip() for line in self.screen.display[self.screen.cursor.y :])
            .rstrip()
            .split("\n")
        )


class Pipe(io.StringIO):
    """No terminal."""


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal, to be this process's standard output and error in the test itself."""
    return Terminal(patch=monkeypatch)


def screen_on(terminal: Terminal, stdout: io.StringIO | None = None) -> LiveScreen:
    """Return a live screen on a terminal that is standard error, and standard output unless one is given."""
    terminal.patch.setattr(sys, "stdout", stdout or terminal)
    terminal.patch.setattr(sys, "stderr", terminal)
    screen = LiveScreen(terminal, ready=lambda stream: bool(stream.takes))
    screen.capture()
    return screen


def test_each_block_takes_the_place_of_the_one_before(terminal: Terminal) -> None:
    """Whether it is longer or shorter; the cursor waits in the empty line above it."""
    screen = screen_on(terminal)
    screen.draw(["one", "two", "three"])
    assert terminal.below == ["", "one", "two", "three"]
    screen.draw(["four"])
    assert terminal.shown == ["four"]
    screen.draw(["five", "six"])
    assert terminal.shown == ["five", "six"]
    screen.end()
    assert terminal.shown == []


def test_what_is_printed_stands_above(terminal: Terminal) -> None:
    """Log lines, prints and prints in pieces, in their order, whole, also when the terminal scrolls."""
    handler = logging.StreamHandler(terminal)
    logger = logging.getLogger("test_live_screen")
    logger.addHandler(handler)
    try:
        screen = screen_on(terminal)
        screen.draw(["block"])
        for number in range(20):
            logger.warning("log %d", number)
            print("print", number, file=sys.stdout)
        print("a piece", end="")
        assert terminal.shown[-1] == "block"
        print(" of a line")
        print("no end", end="")
        screen.end()
        logger.warning("after")
    finally:
        logger.removeHandler(handler)
    pairs = [line for number in range(20) for line in (f"log {number}", f"print {number}")]
    assert terminal.shown == [*pairs, "a piece of a line", "no end", "after"]
    assert sys.stdout is sys.stderr is terminal
    assert handler.stream is terminal


def test_what_another_process_writes_leaves_no_trace_in_the_block(terminal: Terminal) -> None:
    """A forked worker shares the terminal: its line begins in the empty one, and stays."""
    screen = screen_on(terminal)
    screen.draw(["one", "two"])
    terminal.write("from a worker\n")
    screen.draw(["one", "two"])
    assert terminal.shown == ["from a worker", "one", "two"]


def test_a_terminal_that_becomes_narrower_keeps_no_rest(terminal: Terminal) -> None:
    """What was drawn may have been wrapped: all of it is below the cursor."""
    screen = screen_on(terminal)
    screen.draw(["x" * 39, "y" * 39])
    terminal.screen.resize(lines=8, columns=20)
    terminal.screen.cursor.y = 0
    screen.draw(["x" * 19])
    assert terminal.shown == ["x" * 19]


def test_a_terminal_that_takes_nothing_is_not_waited_for(terminal: Terminal) -> None:
    """Ctrl-S stops no run: lines are kept, the block is not drawn; both come once it takes text again."""
    screen = screen_on(terminal)
    screen.draw(["old"])
    terminal.takes = False
    print("kept")
    screen.draw(["new"])
    terminal.takes = True
    assert terminal.shown == ["old"]
    screen.draw(["newer"])
    assert terminal.shown == ["kept", "newer"]


def test_memory_is_bounded_while_it_takes_nothing(terminal: Terminal) -> None:
    """After many lines, printing waits as it does in any program."""
    screen_on(terminal)
    terminal.takes = False
    for number in range(MAX_KEPT):
        print(number)
    with pytest.raises(AssertionError, match="it would wait"):
        print("one more")


def test_another_threads_lines_come_with_the_next_redraw(terminal: Terminal) -> None:
    """Two threads must not write into each other's escape sequences."""
    screen = screen_on(terminal)
    screen.draw(["block"])
    thread = threading.Thread(target=print, args=("from a thread",))
    thread.start()
    thread.join()
    assert terminal.shown == ["block"]
    screen.draw(["block"])
    assert terminal.shown == ["from a thread", "block"]


def test_a_pipe_beside_the_terminal_is_left_alone(terminal: Terminal) -> None:
    """`locust … > verdict.txt` keeps the view on standard error, and its file free of it."""
    pipe = Pipe()
    screen = screen_on(terminal, stdout=pipe)
    screen.draw(["block"])
    print("to the pipe")
    screen.end()
    assert pipe.getvalue() == "to the pipe\n"
    assert terminal.shown == []


@pytest.mark.parametrize(
    ("stream", "environment", "live"),
    [
        (Terminal(), {"TERM": "xterm-256color"}, True),
        (Terminal(), {"TERM": "xterm-256color", "CI": "false"}, True),
        (Terminal(), {"TERM": "xterm-256color", "NO_COLOR": "1"}, True),
        (Terminal(), {"TERM": "xterm-256color", "CI": "true"}, False),
        (Terminal(), {"TERM": "dumb"}, False),
        (Terminal(), {}, False),
        (Pipe(), {"TERM": "xterm-256color"}, False),
        (None, {"TERM": "xterm-256color"}, False),
    ],
)
def test_only_a_terminal_that_people_watch_is_live(
    stream: Any, environment: dict[str, str], live: bool
) -> None:
    """CI may give a job a terminal, whose log nobody could read."""
    assert is_live(stream, environment) is live


def test_a_terminal_that_tells_no_size_has_80_columns() -> None:
    """As rich assumes, too."""
    assert size_of(Pipe()) == (80, 24)
