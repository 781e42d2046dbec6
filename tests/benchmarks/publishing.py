"""CPU of publishing an hour's run with a baseline: reading both, judging, and writing all reports.

    python -m tests.benchmarks.publishing [--seconds 3600] [--sessions 100 2000] [--profile FILE]

`loadtest report` is measured as a process, including its start. The end of a Locust run does the same work
without the imports, which the run has already done.
"""

import argparse
import cProfile
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from loadtest.results.environment import utc_text
from loadtest.results.manifest import Manifest
from loadtest.runs.publish import publish
from loadtest.session.schedule import NS_PER_S
from tests.support.long_runs import write_long_run
from tests.support.runs import manifest, plan

HOUR_S = 3_600
_USERS = 5


def _of(number: int, *, seconds: int, sessions: int) -> Manifest:
    """Return the manifest of the first run, the second, and so on, each with a different revision."""
    usual = manifest(
        run_plan=plan(users=_USERS, sessions_per_user=sessions // _USERS, duration_s=float(seconds))
    )
    started_ns = usual.started_unix_ns + number * 2 * seconds * NS_PER_S
    return manifest(
        run_id=f"{number:08x}",
        revision=f"v1.{number}",
        run_plan=usual.plan,
        started_unix_ns=started_ns,
        started_at=utc_text(started_ns),
    )


def publishing(
    _port: int = 0, *, sessions: int, seconds: int = HOUR_S, profile: str = ""
) -> dict[str, float]:
    """Return the CPU seconds of publishing a run, in a separate process and at the end of a run.

    Args:
        sessions: sessions of the run; each sends a message a second and is dropped every 20 s.
        seconds: the run's duration.
        profile: file for a cProfile of the end of the run; empty for none.
    """
    with TemporaryDirectory() as folder:
        results = Path(folder)
        for number in range(2):
            of = _of(number, seconds=seconds, sessions=sessions)
            path = write_long_run(results, seconds=seconds, sessions=sessions, of=of, seed=number)
            if not number:
                publish(path, results=results)  # as its own run did
        short = write_long_run(results / "short", seconds=2, sessions=sessions)
        publish(short, results=results / "short")  # imports what only publishing does
        at_end_s = _cpu_of_end(path, results, profile)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = (sys.executable, "-m", "loadtest", "report", str(path), "--results", str(results))
        done = subprocess.run(command, capture_output=True, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert b"v1.0" in done.stdout, f"no baseline: {done.stdout.decode()}{done.stderr.decode()}"
    process_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    size = f"{seconds / 60:.0f} min, {sessions:,} sessions, with baseline"
    return {
        f"CPU of loadtest report, s, {size}": process_s,
        f"CPU of the end of a run, s, {size}": at_end_s,
    }


def _cpu_of_end(path: Path, results: Path, profile: str) -> float:
    began_s = time.process_time()
    if profile:
        with cProfile.Profile() as profiler:
            publish(path, results=results)
        profiler.dump_stats(profile)
    else:
        publish(path, results=results)
    return time.process_time() - began_s


def main() -> None:
    """Measure and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.publishing", description=__doc__)
    parser.add_argument("--seconds", type=int, default=HOUR_S)
    parser.add_argument("--sessions", type=int, nargs="+", default=[100, 2_000])
    parser.add_argument("--profile", default="", help="file for a profile of the end of a run")
    arguments = parser.parse_args()
    for sessions in arguments.sessions:
        figures = publishing(sessions=sessions, seconds=arguments.seconds, profile=arguments.profile)
        for figure, value in figures.items():
            print(f"{value:7.2f}  {figure}", flush=True)


if __name__ == "__main__":
    main()
