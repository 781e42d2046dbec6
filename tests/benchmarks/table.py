"""The table of the benchmarks: medians of the rounds with their spread, and ratios to this tool."""

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

HEAD = ("figure", "client", "median", "least to most", "ratio")
COMPARED = ("figure", "client", "before", "after", "after / before")

Line = tuple[str, str, str, str, str]


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table: one figure of one client, a value for each round."""

    figure: str
    who: str
    values: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Median of the rounds."""
        return statistics.median(self.values)

    @property
    def spread(self) -> str:
        """Minimum and maximum of the rounds."""
        return f"{_digits(min(self.values))} to {_digits(max(self.values))}"


def add(rows: list[Row], who: str, figures: Mapping[str, float]) -> None:
    """Add a round's figures of a client."""
    known = {(row.figure, row.who): row for row in rows}
    for figure, value in figures.items():
        if (row := known.get((figure, who))) is None:
            rows.append(row := Row(figure, who))
        row.values.append(value)


def table(rows: Sequence[Row], ours: str) -> list[Line]:
    """Return the table's cells: figure, client, median, minimum to maximum, ratio to `ours`."""
    medians = {row.figure: row.median for row in rows if row.who == ours}
    return [
        (
            row.figure,
            row.who,
            _digits(row.median),
            row.spread,
            "" if row.who == ours else _ratio(row.median, medians.get(row.figure)),
        )
        for row in _together(rows)
    ]


def compared(before: Sequence[Row], after: Sequence[Row]) -> list[Line]:
    """Return the cells of a comparison of the rows in both tables: medians with their spread."""
    earlier = {(row.figure, row.who): row for row in before}
    return [
        (
            row.figure,
            row.who,
            f"{_digits(old.median)} ({old.spread})",
            f"{_digits(row.median)} ({row.spread})",
            _ratio(row.median, old.median),
        )
        for row in _together(after)
        if (old := earlier.get((row.figure, row.who)))
    ]


def _together(rows: Sequence[Row]) -> list[Row]:
    """Return the rows grouped by figure, in the order of the figures' first rows."""
    order = {figure: number for number, figure in enumerate(dict.fromkeys(row.figure for row in rows))}
    return sorted(rows, key=lambda row: order[row.figure])


def _ratio(value: float, to: float | None) -> str:
    return f"{value / to:.2f}" if to else ""


def _digits(value: float) -> str:
    """Return a number with three significant digits, without an exponent."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def printed(head: Line, cells: Sequence[Line], *, markdown: bool) -> str:
    """Return the table as text or Markdown."""
    if markdown:
        lines = [head, ("---", "---", "--:", "--:", "--:"), *cells]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if at < 2 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in (head, *cells)
    )


def read(file: Path) -> list[Row]:
    """Return the rows from a file."""
    return [Row(**row) for row in json.loads(file.read_text(encoding="utf-8"))]


def write(file: Path, rows: Sequence[Row]) -> None:
    """Write the rows to a file, with the values of each round."""
    lines = ",\n".join(json.dumps(asdict(row), ensure_ascii=False) for row in rows)
    file.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
