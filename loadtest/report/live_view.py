"""The live view of a run on a terminal: the lines below the log, redrawn every second.

    00:10 ━━━━━━━━━━━━━━━━━━━━──────────────────────────── 00:30
    sessions  97 up, 3 out
    drops     52: close 12, fin 11, reset 10, tab_close 8
    …

Pure: numbers in, text out. rich lays it out and knows how wide a character is, so that no line is wider than
the terminal. `loadtest.locust_plugin.live_screen` puts it there.
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from loadtest import text
from loadtest.metrics.live_run import Progress
from loadtest.metrics.verdict_so_far import ItemSoFar, Standing
from loadtest.text import one_line

_PROBLEMS_SHOWN = 5
_MIN_BAR = 10
_PROBLEM_LENGTH = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What is known of a run under way.

    Args:
        now: its progress.
        planned_s: how long it is to last, in seconds; None if until someone stops it.
        log_errors: errors in the server's log so far.
        other_failed: failed requests of other users, an HttpUser's for example.
        problems: a line for each kind of problem.
        so_far: how the items of the verdict stand.
    """

    now: Progress
    planned_s: float | None = None
    log_errors: int = 0
    other_failed: int = 0
    problems: Sequence[str] = ()
    so_far: Sequence[ItemSoFar] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminal:
    """What a terminal can show.

    Args:
        width: its columns.
        height: its lines.
        encoding: of what is written to it.
        coloured: whether colours may be used.
    """

    width: int = 80
    height: int = 24
    encoding: str = "utf-8"
    coloured: bool = False

    @property
    def is_unicode(self) -> bool:
        """Whether it can show more than ASCII."""
        return self.encoding.lower().replace("-", "").startswith("utf")


def live_lines(view: View, terminal: Terminal) -> list[str]:
    """Return the view as lines, none wider and all not higher than the terminal."""
    console = Console(
        file=io.StringIO(),
        width=max(terminal.width - 1, 1),  # the last column may wrap
        force_terminal=terminal.coloured,
        color_system="standard" if terminal.coloured else None,
        no_color=not terminal.coloured,
        markup=False,
        emoji=False,
        highlight=False,
    )
    grid = RichTable.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for label, value in _rows(view, terminal):
        grid.add_row(label, value)
    with console.capture() as captured:
        console.print(_bar(view, terminal, console.width), no_wrap=True, overflow="crop")
        console.print(grid)
    lines = [line.rstrip() for line in captured.get().splitlines()]
    return lines[: max(terminal.height - 2, 1)]


def _bar(view: View, terminal: Terminal, width: int) -> Text:
    """Return the time, with how much of the run it is."""
    elapsed = text.clock(view.now.elapsed_s)
    if view.planned_s is None:
        return Text(f"{elapsed}  until stopped")
    planned = text.clock(view.planned_s)
    length = max(width - len(elapsed) - len(planned) - 2, _MIN_BAR)
    done = min(length, int(length * view.now.elapsed_s / view.planned_s)) if view.planned_s else length
    full, empty = ("━", "─") if terminal.is_unicode else ("#", "-")
    return Text.assemble(
        f"{elapsed} ", (full * done, "cyan"), (empty * (length - done), "dim"), f" {planned}"
    )


def _rows(view: View, terminal: Terminal) -> Iterator[tuple[str, Text]]:
    now = view.now
    yield "sessions", Text(_sessions(now))
    if now.drops:
        kinds = ", ".join(f"{one_line(kind)} {text.count(n)}" for kind, n in now.drops_by_kind.items())
        yield "drops", Text(f"{text.count(now.drops)}: {kinds}" if kinds else text.count(now.drops))
    yield "losses", _bad(now.losses)
    yield "messages", Text(_messages(now))
    if times := _percentiles(p50=now.p50_us, p90=now.p90_us, p99=now.p99_us):
        yield "latency", Text(f"{times} (last 5 s)")
    if times := _percentiles(p50=now.outage_p50_us, p95=now.outage_p95_us):
        yield "outages", Text(times)
    if view.other_failed:
        yield "others", Text(text.counted(view.other_failed, "failed request"), "red")
    yield from _problems(view, terminal)
    yield "so far", _so_far(view.so_far)


def _so_far(items: Sequence[ItemSoFar]) -> Text:
    """Return which items fail, and which would if the run ended now."""
    found = []
    for standing, style in ((Standing.FAIL, "bold red"), (Standing.FAILING, "red")):
        names = [one.item for one in items if one.standing is standing]
        if names:
            found.append(Text(f"{standing}: {', '.join(names)}", style))
    return Text("; ").join(found) if found else Text(str(Standing.NO_FAILURE), "green")


def _sessions(now: Progress) -> str:
    connecting = f"{text.count(now.connecting)} connecting, " if now.connecting > 0 else ""
    failed = f", {text.counted(now.failed_attempts, 'failed attempt')}" if now.failed_attempts else ""
    return f"{text.count(now.up)} up, {connecting}{text.count(now.in_outage)} out{failed}"


def _messages(now: Progress) -> str:
    failed = f"{text.count(now.lost_or_failed)} lost or failed"
    return f"{text.count(now.sent)} sent, {text.figures(now.sent_per_s)}/s, {failed}"


def _percentiles(**times_us: float | None) -> str:
    return ", ".join(f"{name} {text.span(us)}" for name, us in times_us.items() if us is not None)


def _bad(number: int) -> Text:
    return Text(text.count(number), "red" if number else "")


def _problems(view: View, terminal: Terminal) -> Iterator[tuple[str, Text]]:
    """Yield a line for each kind of problem, cut to the terminal's width."""
    shown = view.problems[:_PROBLEMS_SHOWN]
    for number, problem in enumerate(shown):
        printable = one_line(problem, _PROBLEM_LENGTH).encode(terminal.encoding, "backslashreplace")
        line = Text(printable.decode(terminal.encoding), "yellow", no_wrap=True)
        line.overflow = "ellipsis" if terminal.is_unicode else "crop"
        yield "" if number else "problems", line
    if left := len(view.problems) - len(shown):
        yield "", Text(f"and {left} more", "yellow")
