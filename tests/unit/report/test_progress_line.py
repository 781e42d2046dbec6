"""The progress line."""

from __future__ import annotations

from typing import Any

from loadtest.metrics.live_run import Progress
from loadtest.report.progress_line import progress_line


def progress(**told: Any) -> Progress:
    """Return a run's progress; what is not told is nothing."""
    none = dict.fromkeys(
        ("up", "connecting", "in_outage", "sent", "sent_per_s", "lost_or_failed", "losses", "drops"), 0
    )
    return Progress(**{"elapsed_s": 10.4, **none, **told})


def test_a_sound_run_has_a_short_line() -> None:
    """As the documentation shows it."""
    now = progress(up=97, in_outage=3, sent=3312, drops=52, p50_us=700, p99_us=2100)
    assert progress_line(now) == "00:10  97 up, 3 out, 52 drops, 0 losses, p50 0.7 ms, p99 2.1 ms"


def test_what_is_wrong_is_told_when_it_is() -> None:
    """Each with its number and its noun, and the times last."""
    now = progress(
        up=1200, connecting=2, drops=1, losses=1, lost_or_failed=3, failed_attempts=1, p50_us=1_310_000
    )
    assert progress_line(now, log_errors=7, other_failed=2) == (
        "00:10  1,200 up, 2 connecting, 0 out, 1 drop, 1 loss, 3 lost or failed messages, 1 failed attempt, "
        "7 log errors, 2 failed other requests, p50 1.31 s"
    )


def test_there_is_no_time_without_a_reply() -> None:
    """Nor one that the replies do not carry."""
    assert progress_line(progress()) == "00:10  0 up, 0 out, 0 drops, 0 losses"
