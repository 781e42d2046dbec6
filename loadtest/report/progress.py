"""The line that says, every few seconds, what a run is doing.

One line, always the same words in the same order, each `name=value` without spaces, so that `grep` and
`awk` can read a CI log. Pure: whoever measures hands the numbers in.
"""

from dataclasses import dataclass

from loadtest.report import figures


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a run stands.

    Args:
        up: sessions established now; `connecting` those on their first connection attempt, `in_outage`
            those dropped or lost and not yet back.
        sent: messages since the start; `sent_per_s` over the last seconds.
        lost: requests that no drop explains; `drops` made, both since the start.
        p50_us, p99_us: service time over the last seconds, None where there was no reply.
    """

    elapsed_s: float
    up: int
    connecting: int
    in_outage: int
    sent: int
    sent_per_s: float
    lost: int
    drops: int
    p50_us: float | None = None
    p99_us: float | None = None


def progress_line(now: Progress) -> str:
    """Return the line, without its line end."""
    return (
        f"{figures.clock(now.elapsed_s)} up={now.up} connecting={now.connecting} outage={now.in_outage} "
        f"sent={now.sent} rate={now.sent_per_s:.1f}/s lost={now.lost} drops={now.drops} "
        f"p50={_latency(now.p50_us)} p99={_latency(now.p99_us)}"
    )


def _latency(us: float | None) -> str:
    return figures.UNKNOWN if us is None else f"{us / 1000:.2f}ms"
