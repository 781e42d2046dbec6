"""Cost of reading a run of an hour, and of reducing it to the data of the reports.

    python -m tests.benchmarks.reading [--seconds 3600] [--sessions 100]

Prints CPU seconds and peak memory of reading, seconds of the timeline and of series.csv, and the results'
sizes.
"""

import argparse
import resource
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from loadtest.report.series_csv import series_csv
from loadtest.report.timeline import timeline
from loadtest.results.reader import read_run
from tests.support.long_runs import write_long_run

_Result = TypeVar("_Result")


def timed(what: str, do: Callable[[], _Result]) -> _Result:
    """Call a function, print its CPU time and the process's peak memory so far, and return its result."""
    began = time.process_time()
    result = do()
    took_s, peak_mib = (
        time.process_time() - began,
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    )
    print(f"{what:<10} {took_s:6.2f} s CPU, peak {peak_mib:,.0f} MiB")
    return result


def main() -> None:
    """Write a run, read it, and print the cost."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.reading", description=__doc__)
    parser.add_argument("--seconds", type=int, default=3600)
    parser.add_argument("--sessions", type=int, default=100)
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder:
        path = write_long_run(Path(folder), seconds=arguments.seconds, sessions=arguments.sessions)
        run = timed("reading", lambda: read_run(path))
        reduced = timed("timeline", lambda: timeline(run))
        series = timed("series.csv", lambda: series_csv(run))
    print(f"series.csv {len(series) / 1024:,.0f} KiB, {len(reduced.at_s)} bins")


if __name__ == "__main__":
    main()
