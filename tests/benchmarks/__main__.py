"""All benchmarks, in one table.

    python -m tests.benchmarks [--quick] [--markdown] [NAME …]

The machine's noise is in every figure, so look at the ratios: each round measures everyone in turn, and the
table has the median of the rounds, the least and the most, and the ratio to this tool's median. Peers that
are not installed are named and left out: `pip install -e '.[bench]'`.
"""

import argparse
import os
import statistics
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from tests.benchmarks import round_trip, scripts
from tests.benchmarks.connects import connects
from tests.benchmarks.locust_process import echo_server
from tests.benchmarks.memory import memory
from tests.benchmarks.message_cost import message_cost
from tests.benchmarks.open_loop import growth, latency

OURS = "loadtest on Locust"
BARE = "websockets, sans-I/O"


@dataclass(frozen=True, slots=True)
class Step:
    """A measurement that every round repeats.

    Args:
        who: is measured.
        measure: takes the echo server's port and returns figures by name with unit.
    """

    who: str
    measure: Callable[[int], Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table: one figure of one client, a value for each round."""

    figure: str
    who: str
    values: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Of the rounds."""
        return statistics.median(self.values)


def _round_trip(quick: bool) -> Iterator[Step]:
    much = {"sessions": 100, "seconds": 3 if quick else 8}
    yield Step(OURS, partial(round_trip.ours, **much))
    for who in round_trip.PEERS:
        if who not in round_trip.missing():
            yield Step(who, partial(round_trip.peer, name=who, **much))


def _growth(quick: bool) -> Iterator[Step]:
    for sessions in (100, 1000, 2000 if quick else 10_000):
        much = {"sessions": sessions, "per_s": 10_000, "seconds": 3 if quick else 8}
        yield Step(OURS, partial(growth, who="ours", **much))
        yield Step(BARE, partial(growth, who="bare", **much))


def _memory(quick: bool) -> Iterator[Step]:
    yield Step(OURS, lambda port: memory(port, *((1000, 2000) if quick else (1000, 2000, 10_000))))


def _connects(quick: bool) -> Iterator[Step]:
    for sessions in (1000, 2000 if quick else 10_000):
        yield Step(OURS, partial(connects, sessions=sessions))


def _latency(quick: bool) -> Iterator[Step]:
    for per_s in (1000, 5000):
        yield Step(OURS, partial(latency, sessions=1000, per_s=per_s, seconds=3 if quick else 8))


def _scripts(quick: bool) -> Iterator[Step]:
    for kind in scripts.KINDS:
        who = OURS if kind.startswith("planned") else kind
        yield Step(who, partial(scripts.cost, kind=kind, sessions=100, seconds=3 if quick else 8))


def _compression(quick: bool) -> Iterator[Step]:
    for who, mode in ((OURS, "off"), ("the same, compressed", "on"), ("each by itself", "no-takeover")):
        yield Step(who, partial(message_cost, mode=mode, repeats=20 if quick else 100))


BENCHMARKS: Mapping[str, Callable[[bool], Iterable[Step]]] = {
    "round_trip": _round_trip,
    "growth": _growth,
    "memory": _memory,
    "connects": _connects,
    "latency": _latency,
    "scripts": _scripts,
    "compression": _compression,
}


def run(wanted: Sequence[Step], rounds: int) -> list[Row]:
    """Measure everyone in turn, so many times, and return the rows."""
    rows: dict[tuple[str, str], Row] = {}
    for number in range(1, rounds + 1):
        for step in wanted:
            print(f"round {number} of {rounds}: {step.who}", file=sys.stderr)
            with echo_server() as port:
                figures = step.measure(port)
            for figure, value in figures.items():
                rows.setdefault((figure, step.who), Row(figure, step.who)).values.append(value)
    return list(rows.values())


def table(rows: list[Row]) -> list[tuple[str, str, str, str, str]]:
    """Return the table's cells: figure, client, median, least to most, ratio to this tool."""
    ours = {row.figure: row.median for row in rows if row.who == OURS}
    order = {figure: number for number, figure in enumerate(dict.fromkeys(row.figure for row in rows))}
    return [
        (
            row.figure,
            row.who,
            _digits(row.median),
            f"{_digits(min(row.values))} to {_digits(max(row.values))}",
            "" if row.who == OURS else f"{row.median / ours[row.figure]:.2f}" if row.figure in ours else "",
        )
        for row in sorted(rows, key=lambda row: order[row.figure])
    ]


def _digits(value: float) -> str:
    """Three significant digits, as a person writes them."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


HEAD = ("figure", "client", "median", "least to most", "ratio")


def printed(cells: list[tuple[str, str, str, str, str]], *, markdown: bool) -> str:
    """Return the table as text or Markdown."""
    if markdown:
        lines = [HEAD, ("---", "---", "--:", "--:", "--:"), *cells]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)
    widths = [max(map(len, column)) for column in zip(HEAD, *cells, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if at < 2 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in (HEAD, *cells)
    )


def main() -> None:
    """Run what was asked for and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="one short round, no more than 2,000 sessions")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - BENCHMARKS.keys():
        parser.error(f"{', '.join(unknown)}: choose of {', '.join(BENCHMARKS)}")
    for name in round_trip.missing():
        print(f"{name} is not installed and left out: pip install -e '.[bench]'", file=sys.stderr)
    if len(os.sched_getaffinity(0)) < 2:
        print("one core only: client and server share it, and times tell little", file=sys.stderr)
    wanted = [step for name in arguments.names or BENCHMARKS for step in BENCHMARKS[name](arguments.quick)]
    rows = run(wanted, rounds=1 if arguments.quick else 3)
    print(printed(table(rows), markdown=arguments.markdown))


if __name__ == "__main__":
    main()
