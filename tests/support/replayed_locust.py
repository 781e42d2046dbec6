"""Stands in for Locust where a run is made already: takes its options, and leaves for CI what it would.

The run's directory is REPLAYED_RUN. Options that Locust would refuse are refused.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

from loadtest.options import SETTINGS
from loadtest.ruling import Ruling
from loadtest.runs.ci_output import CiOutput, run_report
from loadtest.runs.publish import judge_run
from loadtest.values import Flag


def parsed(arguments: list[str]) -> argparse.Namespace:
    """Return the options of Locust that our files use."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for names in (("-f",), ("-u", "--users"), ("-r", "--spawn-rate"), ("-t", "--run-time"), ("--host",)):
        parser.add_argument(*names, required=names != ("--host",))
    parser.add_argument("--headless", action="store_true", required=True)
    for row in SETTINGS.values():
        if isinstance(row.kind, Flag):
            parser.add_argument(row.option, dest=row.attribute, action="store_true")
        elif row.name:
            given = filter(None, (row.option, row.alias))
            parser.add_argument(*given, dest=row.attribute, type=row.read)
    return parser.parse_args(arguments)


def main() -> int:
    """Copy the run, write what CI gets, return Locust's exit code."""
    made, options = Path(os.environ["REPLAYED_RUN"]), parsed(sys.argv[1:])
    results = options.results or Path("results")
    output = CiOutput(github=options.github, summary_file=options.summary_file, junit_file=options.junit_file)
    output.check()
    path = results / (options.revision or "replayed") / made.name
    shutil.copytree(made, path)
    judged = judge_run(path, results=results)
    output.write(run_report(judged))
    ruling = judged.verdict.verdict
    asked = 4 if options.inconclusive_exit is None else options.inconclusive_exit
    return asked if ruling is Ruling.INCONCLUSIVE else ruling.exit_code


if __name__ == "__main__":
    sys.exit(main())
