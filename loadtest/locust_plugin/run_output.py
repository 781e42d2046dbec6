"""Shows the progress and problems of a run, in the process that records it.

    a terminal, headless      a live view (`live_screen`), with problems above it
    a pipe or CI, headless    a plain progress line every few seconds, and problems
    the web UI, a library     the same lines as log records: the web UI shows its process's log

Lines go to standard error, as the log does; standard output is for the verdict, or for Locust's `--json`.
With `--skip-log-setup` lines are log records, too, and your own logging setup decides where they go.
"""

import logging
import os
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from loadtest import text
from loadtest.locust_plugin.live_screen import LiveScreen, is_live, size_of
from loadtest.report.live_view import Terminal, View, live_lines
from loadtest.report.progress_line import progress_line

DRAW_EVERY_S = 1.0
"""Seconds between two redraws: intervals come once a second."""


_LEAST_COLUMNS = 30


def line_pause_s(elapsed_s: float) -> float:
    """Return the seconds until the next progress line, growing so that the log of an hour stays readable.

    Args:
        elapsed_s: seconds since the run's start.
    """
    return 5.0 if elapsed_s < 9 else 10.0 if elapsed_s < 600 else 30.0


class RunOutput(Protocol):
    """Shows progress and problems of a run.

    Attributes:
        detailed: whether it shows more than progress and problems.
    """

    detailed: ClassVar[bool]

    def pause_s(self, elapsed_s: float) -> float:
        """Return the seconds until the next update."""

    def begin(self) -> None:
        """Start the output."""

    def show(self, view: View) -> None:
        """Show the current state of the run."""

    def info(self, now_s: float, line: str) -> None:
        """Show a message at once."""

    def warn(self, now_s: float, line: str) -> None:
        """Show a problem at once."""

    def end(self, view: View) -> None:
        """End the output with the last state of the run."""


@dataclass(frozen=True, slots=True)
class LineOutput:
    """Writes a run's progress and problems as lines.

    Args:
        logger: writes them.
        warning: prefix of each problem; empty if the log's level shows it.
    """

    logger: logging.Logger
    warning: str = ""
    detailed: ClassVar[bool] = False

    def pause_s(self, elapsed_s: float) -> float:
        """Return the seconds until the next line."""
        return line_pause_s(elapsed_s)

    def begin(self) -> None:
        """Do nothing."""

    def show(self, view: View) -> None:
        """Write the progress line."""
        line = progress_line(view.now, log_errors=view.log_errors, other_failed=view.other_failed)
        self.logger.info("%s", line)

    def info(self, now_s: float, line: str) -> None:
        """Write a message at once."""
        self.logger.info("%s  %s", text.clock(now_s), line)

    def warn(self, now_s: float, line: str) -> None:
        """Write a problem at once."""
        self.logger.warning("%s  %s%s", text.clock(now_s), self.warning, line)

    def end(self, view: View) -> None:
        """Do nothing: the verdict follows."""


class _FoldedLines(logging.Formatter):
    """Breaks lines between words to fit the terminal; in a pipe each line stays unbroken."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines of a record."""
        line = super().format(record)
        if not sys.stderr.isatty():
            return line
        width, _ = size_of(sys.stderr)
        return textwrap.fill(
            line,
            max(width - 1, _LEAST_COLUMNS),
            subsequent_indent=" " * 7,
            break_long_words=False,
            break_on_hyphens=False,
            replace_whitespace=False,
            drop_whitespace=True,
        )


def log_output() -> LineOutput:
    """Return an output that writes log records."""
    return LineOutput(logging.getLogger("loadtest"))


def plain_output(*, to_log_file: bool) -> LineOutput:
    """Return an output that writes plain lines, without the time and origin of log records.

    Args:
        to_log_file: whether the lines are also written to Locust's `--logfile`.
    """
    plain = logging.getLogger("loadtest.progress")
    handler = logging.StreamHandler()
    handler.setFormatter(_FoldedLines("%(message)s"))
    plain.handlers[:] = [handler]
    plain.propagate = to_log_file
    return LineOutput(plain, "WARNING: ")


class LiveOutput:
    """Shows a live view, with problems as plain lines above it.

    Args:
        lines: prints those lines.
        stream: the terminal.
        coloured: whether colours may be used.
    """

    detailed: ClassVar[bool] = True

    def __init__(self, lines: LineOutput, stream: Any, *, coloured: bool) -> None:
        self.info, self.warn = lines.info, lines.warn
        self._lines = lines
        self._screen = LiveScreen(stream)
        self._stream = stream
        self._coloured = coloured
        self._shown: View | None = None

    def pause_s(self, elapsed_s: float) -> float:
        """Return the seconds until the next redraw."""
        return DRAW_EVERY_S

    def begin(self) -> None:
        """Start printing all other output above the view."""
        self._screen.capture()

    def show(self, view: View) -> None:
        """Draw the view."""
        self._shown = view
        width, height = size_of(self._stream)
        encoding = getattr(self._stream, "encoding", None) or "ascii"
        terminal = Terminal(width=width, height=height, encoding=encoding, coloured=self._coloured)
        self._screen.draw(live_lines(view, terminal))

    def end(self, view: View) -> None:
        """Erase the view and print its last progress line."""
        self._screen.end()
        self._lines.show(self._shown or view)  # `view` has no sessions up any more
        self._shown = None


def output_for(options: Any, environment: Mapping[str, str] = os.environ) -> RunOutput:
    """Return the output of a run with these options of Locust.

    Args:
        options: Locust's parsed options; a library's have few of them.
        environment: this process's environment variables.
    """
    own_log = getattr(options, "skip_log_setup", True)
    if own_log or not options.headless:
        return log_output()
    lines = plain_output(to_log_file=bool(options.logfile))
    stream = sys.stderr
    if not is_live(stream, environment):
        return lines
    return LiveOutput(lines, stream, coloured=not environment.get("NO_COLOR"))
