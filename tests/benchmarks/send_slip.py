"""Send slip: the engine with its timerfd and with the loop's timers, in one run.

    python -m tests.benchmarks.send_slip [--sessions 1000] [--rate 1.0] [--seconds 10] [--rounds 2]

Prints p50, p99 and maximum of the send slip (between the planned and the actual send), once all sessions are
up. No test depends on it, because it includes the load of the machine.
"""

import argparse
import functools
import time
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from loadtest.engine import engine
from loadtest.engine.timers import LoopAlarm, TimerfdAlarm, Timers
from loadtest.session.schedule import Pace
from tests.benchmarks.locust_process import echo_server
from tests.support.engine_run import running, settings


def slips_us(
    port: int, alarm: type[TimerfdAlarm | LoopAlarm], arguments: argparse.Namespace
) -> NDArray[np.float64]:
    """Return the send slips of a run with this alarm, in microseconds."""
    with (
        patch.object(engine, "Timers", functools.partial(Timers, alarm=alarm)),
        running(settings(port, pace=Pace(arguments.rate, "poisson"))) as run,
    ):
        numbers = run.add(arguments.sessions)
        run.await_up(arguments.sessions)
        run.ask(run.engine.flush)
        warm = len(run.intervals)
        time.sleep(arguments.seconds)
        run.ask(run.engine.flush)
        measured = run.intervals[warm:]
        run.stop(numbers)
    samples = [np.array(interval.samples["send_slip"], dtype=np.float64) for interval in measured]
    return np.concatenate(samples) / 1000


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=1.0)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    print(f"{'round':>6} {'alarm':>13} {'messages':>9} {'p50':>9} {'p99':>9} {'max':>9}   µs")
    with echo_server() as port:
        for number in range(1, arguments.rounds + 1):
            for alarm in (TimerfdAlarm, LoopAlarm):
                slips = slips_us(port, alarm, arguments)
                shown = "".join(f"{figure:>10.1f}" for figure in np.percentile(slips, [50, 99, 100]))
                print(f"{number:>6} {alarm.__name__:>13} {len(slips):>9}{shown}", flush=True)


if __name__ == "__main__":
    main()
