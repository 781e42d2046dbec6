"""Repetitions of a row, on all cores, and the printed table."""

import sys
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby
from multiprocessing import get_context

import numpy as np

from loadtest.ruling import Ruling
from tests.benchmarks.calibration.rows import Row, all_rows, standard_error

CHUNK = 20
"""Repetitions at a time: enough that starting them costs nothing, few enough that all cores end together."""


@dataclass(slots=True)
class Tally:
    """The results of a row's repetitions.

    Args:
        happened: how often each aim's event happened, in their order.
        counted: how often it could have happened.
        failed: how often each gate decided FAIL.
    """

    happened: list[int]
    counted: list[int]
    failed: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, row: Row) -> "Tally":
        """Return one without repetitions."""
        return cls([0] * len(row.aims), [0] * len(row.aims))

    def __iadd__(self, other: "Tally") -> "Tally":
        self.happened = [a + b for a, b in zip(self.happened, other.happened, strict=True)]
        self.counted = [a + b for a, b in zip(self.counted, other.counted, strict=True)]
        self.failed += other.failed
        return self

    def share(self, aim: int) -> float:
        """Return how often an aim's event happened."""
        return self.happened[aim] / max(self.counted[aim], 1)

    def error(self, aim: int) -> float:
        """Return the standard error of this share."""
        return standard_error(self.share(aim), max(self.counted[aim], 1))


def repeated(row: Row, repetitions: Sequence[int], *, seed: int) -> Tally:
    """Judge these repetitions of a row; each has its own stream of random numbers, whatever else runs."""
    tally = Tally.of(row)
    for repetition in repetitions:
        rng = np.random.default_rng([seed, zlib.crc32(f"{row.group}: {row.name}".encode()), repetition])
        outcome = row.judge(rng)
        for number, aim in enumerate(row.aims):
            happened = aim.event(outcome)
            tally.counted[number] += happened is not None
            tally.happened[number] += bool(happened)
        tally.failed.update(gate for gate, found in outcome.gates.items() if found.decision is Ruling.FAIL)
    return tally


def _chunk(row: int, repetitions: Sequence[int], seed: int) -> Tally:
    return repeated(all_rows()[row], repetitions, seed=seed)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the table: the results of a row.

    Args:
        row: what was simulated.
        tally: its repetitions.
    """

    row: Row
    tally: Tally

    @property
    def missed(self) -> int:
        """How many aims were missed."""
        return sum(map(self._is_missed, range(len(self.row.aims))))

    @property
    def cells(self) -> tuple[str, str]:
        """What was simulated, and how often each event happened, with its aim."""
        return self.row.name, ", ".join(map(self._found, range(len(self.row.aims))))

    def _is_missed(self, aim: int) -> bool:
        return self.row.aims[aim].missed(self.tally.share(aim), self.tally.error(aim))

    def _found(self, aim: int) -> str:
        share, error = 100 * self.tally.share(aim), 100 * self.tally.error(aim)
        missed = ", MISSED" * self._is_missed(aim)
        return f"{self.row.aims[aim].name} {share:.1f} ± {error:.1f}%{self.row.aims[aim].bound}{missed}"


def lines(wanted: Sequence[int], *, repeats: int, seed: int, processes: int) -> Iterator[Line]:
    """Yield the lines of these rows, each row's as soon as it is done.

    Args:
        wanted: indexes into `all_rows()`.
        repeats: repetitions of each row.
        seed: random seed.
        processes: how many processes share the work.
    """
    rows = all_rows()
    chunks = [range(start, min(start + CHUNK, repeats)) for start in range(0, repeats, CHUNK)]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        work = {at: [pool.submit(_chunk, at, chunk, seed) for chunk in chunks] for at in wanted}
        for at, futures in work.items():
            tally = Tally.of(rows[at])
            for future in futures:
                tally += future.result()
            yield Line(rows[at], tally)


def plain(found: Sequence[Line]) -> Iterator[str]:
    """Yield the table as text, group by group."""
    width = max(len(line.row.name) for line in found)
    for group, of_group in groupby(found, key=lambda line: line.row.group):
        yield group
        yield from (f"  {line.cells[0].ljust(width)}  {line.cells[1]}" for line in of_group)
        yield ""


def markdown(found: Sequence[Line]) -> Iterator[str]:
    """Yield the table as Markdown, a table for each group."""
    for group, of_group in groupby(found, key=lambda line: line.row.group):
        yield from (f"| {group} | how often (aim) |", "| --- | --- |")
        yield from (f"| {name} | {often} |" for name, often in (line.cells for line in of_group))
        yield ""


def told(line: Line) -> None:
    """Print a line on standard error as soon as it is known, with the gates that failed."""
    gates = ", ".join(f"{gate} {count}" for gate, count in line.tally.failed.most_common())
    print(*line.cells, f"[{gates}]" if gates else "", sep="  ", file=sys.stderr, flush=True)
