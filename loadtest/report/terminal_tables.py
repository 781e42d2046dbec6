"""Tables and text on a terminal of any width.

A table keeps its words whole: columns become narrower until their longest words fill them. If that is still
too wide, each row becomes a paragraph: its name, then its values with the names of their columns. Text is
never parsed as markup: everything is a `Text` that went through `one_line`, so that a server cannot colour,
clear or fake the terminal.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import IO, Any, Literal, cast

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from loadtest.report.tables import Table
from loadtest.ruling import Ruling
from loadtest.text import one_line, without_commands

TEXT_LIMIT = 1000

_STYLES = {
    Ruling.PASS: "green",
    Ruling.FAIL: "bold red",
    Ruling.INCONCLUSIVE: "yellow",
    Ruling.NOT_JUDGED: "dim",
}
_UNBROKEN = frozenset({"item", "verdict", "started", "started (UTC)", "complete", "gate", "bounds"})
"""Columns that are never wrapped; others become narrower instead."""

_OBVIOUS = frozenset({"gate", "item", "limit", "request"})
"""Columns whose cells need no column name."""

_WHOLE_WORDS = (60, 24)
"""Characters of a word that are not broken: a path if there is room, else a word. Longer ones are foreign."""

_GAPS = (2, 1)
"""Columns between two columns of a table; the smaller where the larger would break lines."""

_PROSE, _LEAST_PROSE = 40, 20
"""From so many columns on, text is taken for prose, and gets so many at least: its lines must be readable."""

_VERDICT = "verdict"


def new_console(*, to_stderr: bool = False) -> Console:
    """Return a console for standard output or standard error that replaces what it cannot encode.

    rich omits colours if the output is not a terminal or NO_COLOR is set, and uses 80 columns if the width is
    unknown.
    """
    stream = sys.stderr if to_stderr else sys.stdout
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
    return Console(file=cast("IO[str]", _WithoutCommands(stream)), markup=False, emoji=False, highlight=False)


class _WithoutCommands:
    """A text stream that writes whole lines without what a CI job would take for a command."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, lines: str) -> int:
        """Write lines; return the length of what was given."""
        self._stream.write(without_commands(lines))
        return len(lines)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def plain(text: str, limit: int = 200) -> Text:
    """Return text that is shown as it is."""
    return Text(one_line(text, limit))


def shown_ruling(ruling: Ruling) -> Text:
    """Return a ruling in its colour."""
    return Text(str(ruling), _STYLES[ruling])


def indented(console: Console, text: Text, columns: int = 2) -> None:
    """Print text as an indented paragraph."""
    for line in text.wrap(console, max(console.width - columns, 1)):
        line.rstrip()
        console.print(Text(" " * columns) + line)


def hanging(console: Console, text: Text, columns: int = 2) -> None:
    """Print text as a paragraph of which all lines but the first are indented."""
    lines = text.wrap(console, console.width)
    first = lines[0]
    first.rstrip()
    console.print(first)
    if len(lines) > 1:
        rest = text.plain[len(first) :]
        indented(console, text[len(text) - len(rest.lstrip()) :], columns)


def _print_trimmed(console: Console, drawn: RichTable) -> None:
    """Print a table without the spaces that rich pads its lines with: in a pipe they end up in files."""
    for segments in console.render_lines(drawn, pad=False):
        line = Text.assemble(*((segment.text, segment.style or "") for segment in segments))
        line.rstrip()
        console.print(line, soft_wrap=True)


def print_table(console: Console, table: Table) -> None:
    """Print a table, with coloured verdicts."""
    fitting = layout(table, console.width)
    if fitting is None:
        _print_paragraphs(console, table)
    else:
        _print_trimmed(console, _drawn(table, fitting))
    if table.more:
        console.print(plain(f"... and {table.more} more"))
    if table.note:
        console.print(plain(table.note, TEXT_LIMIT))


@dataclass(frozen=True, slots=True)
class Layout:
    """How wide a table's columns are.

    Args:
        widths: of each column.
        gap: between two of them.
    """

    widths: Sequence[int]
    gap: int


def layout(table: Table, width: int) -> Layout | None:
    """Return how a table fits into so many columns, None if it does not with its words whole."""
    columns = list(zip(table.header, *table.rows, strict=True))
    natural = [max(map(cell_len, column)) for column in columns]
    for gap in _GAPS:
        if sum(natural) + gap * (len(columns) - 1) <= width:
            return Layout(natural, gap)
    for whole_word, gap in product(_WHOLE_WORDS, _GAPS):
        least = [
            most if column[0] in _UNBROKEN else _least_width(column, most, whole_word)
            for column, most in zip(columns, natural, strict=True)
        ]
        room = width - gap * (len(columns) - 1)
        if sum(least) <= room:
            return Layout(_filled(least, natural, room), gap)
    return None


def _least_width(column: Sequence[str], natural: int, whole_word: int) -> int:
    words = [word for cell in column for word in cell.split()]
    longest = max((min(cell_len(word), whole_word) for word in words), default=0)
    return max(longest, _LEAST_PROSE if natural > _PROSE else 0)


def _filled(least: Sequence[int], natural: Sequence[int], room: int) -> Sequence[int]:
    """Return widths from the least to the natural ones that use the room: more where most is lacking."""
    widths = list(least)
    for _ in range(room - sum(widths)):
        lacking = [most / own if own < most else 0.0 for own, most in zip(widths, natural, strict=True)]
        if not any(lacking):
            break
        widths[lacking.index(max(lacking))] += 1
    return widths


def _drawn(table: Table, fitting: Layout) -> RichTable:
    """Return the table for rich, whose own space between two columns is one."""
    padding = (0, fitting.gap - 1, 0, 0)
    drawn = RichTable(box=SIMPLE_HEAD, padding=padding, pad_edge=False, header_style="bold", show_edge=False)
    for name, align, width in zip(table.header, table.aligns, fitting.widths, strict=True):
        justify: Literal["right", "left"] = "right" if align == "r" else "left"
        drawn.add_column(Text(name), justify=justify, overflow="fold", width=max(width, 1))
    for row in table.rows:
        drawn.add_row(*map(_cell, row))
    return drawn


def print_rows(console: Console, rows: Sequence[Sequence[str]]) -> None:
    """Print rows without a header, whose last column is running text."""
    widths = [max(cell_len(row[at]) for row in rows) for at in range(len(rows[0]) - 1)]
    drawn = RichTable.grid(padding=(0, 2, 0, 0))
    for width in widths:
        drawn.add_column(width=width, no_wrap=True)
    drawn.add_column(overflow="fold")
    for row in rows:
        drawn.add_row(*map(_cell, row))
    _print_trimmed(console, drawn)


def _cell(text: str) -> Text:
    try:
        return shown_ruling(Ruling(text))
    except ValueError:
        return plain(text, TEXT_LIMIT)


def _print_paragraphs(console: Console, table: Table) -> None:
    """Print each row as a paragraph: its name with its verdict, then its values with their columns' names."""
    for row in table.rows:
        cells = dict(zip(table.header, row, strict=True))
        name = next(iter(cells))
        of_what = "" if name in _OBVIOUS else f"{name} "
        head = [plain(f"{of_what}{cells.pop(name)}", TEXT_LIMIT)]
        if _VERDICT in cells:
            head.append(_cell(cells.pop(_VERDICT)))
        console.print(Text("  ").join(head))
        values = ", ".join(f"{column} {cell}" for column, cell in cells.items() if cell)
        indented(console, plain(values, TEXT_LIMIT))
