"""Prints the calibration table; exits with 1 if an aim was missed."""

import argparse
import os
import re
import sys
import time
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from tests.benchmarks.calibration import __doc__ as description
from tests.benchmarks.calibration.rows import all_rows
from tests.benchmarks.calibration.table import Line, lines, markdown, plain, told

MADE_BY = "<!-- Made by `python -m tests.benchmarks.calibration --write docs/calibration`. -->"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the requested rows, print the table and return the exit code."""
    parser = _parser()
    asked = parser.parse_args(arguments)
    names = [f"{row.group}: {row.name}" for row in all_rows()]
    wanted = [at for at, name in enumerate(names) if _matches(name, asked.rows)]
    if not wanted:
        parser.error(f"no row contains any of {', '.join(asked.rows)}")
    if asked.list:
        print(*(names[at] for at in wanted), sep="\n")
        return 0
    begun_s = time.monotonic()
    found = []
    for line in lines(wanted, repeats=asked.repeats, seed=asked.seed, processes=asked.processes):
        told(line)
        found.append(line)
    missed = sum(line.missed for line in found)
    how = f"{len(wanted)} rows, {asked.repeats} repetitions each, seed {asked.seed}; {missed} aims missed"
    minutes = (time.monotonic() - begun_s) / 60
    print(*plain(found), f"{how}; {minutes:.1f} minutes in {asked.processes} processes", sep="\n")
    if asked.write:
        _write(asked.write, found, how)
    return 1 if missed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.calibration",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--repeats", type=int, default=400, help="repetitions of each row (default: 400)")
    parser.add_argument("--rows", nargs="+", default=[], metavar="WORD", help="only rows that contain a WORD")
    parser.add_argument("--seed", type=int, default=1, help="random seed (default: 1)")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="default: one per core")
    parser.add_argument("--write", type=Path, metavar="FOLDER", help="also write a page for each group")
    parser.add_argument("--list", action="store_true", help="list the rows and exit")
    return parser


def _matches(name: str, words: Sequence[str]) -> bool:
    return not words or any(word in name for word in words)


def _write(folder: Path, found: Sequence[Line], how: str) -> None:
    """Write a page for each group of rows."""
    for group, of_group in groupby(found, key=lambda line: line.row.group):
        head = f"# Calibration: {group}", MADE_BY, "[What these rows are](README.md).", f"{how}."
        text = "\n\n".join((*head, "\n".join(markdown(list(of_group)))))
        (folder / page_name(group)).write_text(text, encoding="utf-8")


def page_name(group: str) -> str:
    """Return the name of a group's page."""
    return "-".join(re.findall("[a-z0-9]+", group.lower())) + ".md"


if __name__ == "__main__":
    sys.exit(main())
