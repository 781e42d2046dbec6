"""Does memory grow? A whole Locust process for a quarter of an hour, its sessions dropped all the time.

    python -m tests.benchmarks.soak [--minutes 15] [--sessions 200]

The reference server on the first core, Locust on the second; every default kind of drop, each session
dropped every 4 s on average and back after 0.3 s, two messages a second each. Prints resident memory over
time and the line fitted through it after a quarter of the time: caches and the allocator's pools have filled
by then. Growth a reconnect, 1,000 messages and interval is that line's, each as if it alone were to blame.
"""

import argparse
import os
import time
from collections import Counter
from dataclasses import dataclass

import numpy as np

from loadtest.server.server_process import ServerProcess
from tests.benchmarks.locust_process import Measured, core, measured

EVERY_S = 5.0
SHOWN_EVERY = 12

FLAT_KIB_PER_MINUTE = 64.0
"""Below this, growth counts as none: a run of a day would grow by less than 100 MB."""

BRISK = (
    *("--ws-dialect", "emergence", "--ws-rate", "2"),
    *("--ws-drop-every", "4", "--ws-backoff", "constant(0.3)"),
)


@dataclass(frozen=True, slots=True)
class Sample:
    """The process at one moment since the soak began."""

    at_s: float
    resident_kib: float
    answered: int
    resumed: int


@dataclass(frozen=True, slots=True)
class Growth:
    """The line through the samples."""

    kib_per_minute: float
    error_kib_per_minute: float
    kib_per_1000_messages: float
    bytes_per_reconnect: float
    flat: bool


def soak(minutes: float, sessions: int) -> list[Sample]:
    """Run, print a line a minute, and return all samples."""
    samples: list[Sample] = []
    with ServerProcess() as server:
        os.sched_setaffinity(server.pid, {core(0)})
        with measured(server.port, sessions, *BRISK) as process:
            process.wait_for_interval(0)
            began_s = time.monotonic()
            while time.monotonic() - began_s < minutes * 60:
                time.sleep(EVERY_S)
                samples.append(_sample(process, time.monotonic() - began_s))
                if len(samples) % SHOWN_EVERY == 0:
                    _show(samples[-1])
    return samples


def _sample(process: Measured, at_s: float) -> Sample:
    counts: Counter[str] = Counter()
    for interval in process.intervals():
        counts.update(interval.get("counts", {}))
    return Sample(at_s, process.resident_kib, counts["messaging.answered"], counts["reconnect.resumed"])


def _show(sample: Sample) -> None:
    print(
        f"{sample.at_s / 60:>6.1f} min {sample.resident_kib:>10.0f} KiB {sample.answered:>10} messages"
        f" {sample.resumed:>8} reconnects",
        flush=True,
    )


def growth(samples: list[Sample]) -> Growth:
    """Fit a line through the samples after the first quarter."""
    fitted = samples[len(samples) // 4 :]
    minutes = np.array([sample.at_s / 60 for sample in fitted])
    resident = np.array([sample.resident_kib for sample in fitted])
    (slope, _), covariance = np.polyfit(minutes, resident, 1, cov=True)
    grown_kib = slope * (minutes[-1] - minutes[0])
    messages, reconnects = (
        getattr(fitted[-1], name) - getattr(fitted[0], name) for name in ("answered", "resumed")
    )
    return Growth(
        kib_per_minute=float(slope),
        error_kib_per_minute=float(np.sqrt(covariance[0, 0])),
        kib_per_1000_messages=float(grown_kib * 1000 / messages),
        bytes_per_reconnect=float(grown_kib * 1024 / reconnects),
        flat=bool(slope < FLAT_KIB_PER_MINUTE),
    )


def main() -> None:
    """Run the soak and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--sessions", type=int, default=200)
    arguments = parser.parse_args()
    found = growth(soak(arguments.minutes, arguments.sessions))
    print(
        f"{'flat' if found.flat else 'NOT FLAT'}: "
        f"{found.kib_per_minute:+.1f} ± {found.error_kib_per_minute:.1f} KiB a minute, "
        f"{found.kib_per_1000_messages:+.2f} KiB for 1,000 messages, "
        f"{found.bytes_per_reconnect:+.0f} bytes a reconnect"
    )


if __name__ == "__main__":
    main()
