"""The progress line of a run, every few seconds where no live view can be: in pipes, CI and log files.

    00:10  97 up, 3 out, 52 drops, 0 losses, p50 0.7 ms, p99 2.1 ms

Counts that are usually zero are shown only when they are not. Pure; `run_output` prints it.
"""

from collections.abc import Iterator

from loadtest import text
from loadtest.metrics.live_run import Progress


def progress_line(now: Progress, *, log_errors: int = 0, other_failed: int = 0) -> str:
    """Return the progress line, without a line end.

    Args:
        now: the run's progress.
        log_errors: errors in the server's log so far.
        other_failed: failed requests of other users, an HttpUser's for example.
    """
    told = [
        *_sessions(now),
        text.counted(now.drops, "drop"),
        text.counted(now.losses, "loss", "losses"),
        *_some(now.lost_or_failed, "lost or failed message"),
        *_some(now.failed_attempts, "failed attempt"),
        *_some(log_errors, "log error"),
        *_some(other_failed, "failed other request"),
        *_times(now),
    ]
    return f"{text.clock(now.elapsed_s)}  {', '.join(told)}"


def _sessions(now: Progress) -> Iterator[str]:
    yield f"{text.count(now.up)} up"
    if now.connecting > 0:
        yield f"{text.count(now.connecting)} connecting"
    yield f"{text.count(now.in_outage)} out"


def _some(number: int, noun: str) -> Iterator[str]:
    if number:
        yield text.counted(number, noun)


def _times(now: Progress) -> Iterator[str]:
    for name, us in (("p50", now.p50_us), ("p99", now.p99_us)):
        if us is not None:
            yield f"{name} {text.span(us)}"
