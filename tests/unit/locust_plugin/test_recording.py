"""The progress line."""

import pytest

from loadtest.locust_plugin.recording import Progress, progress_line


@pytest.mark.parametrize(("us", "shown"), [(None, "-"), (452.0, "0.45ms"), (1_310_000.0, "1310.00ms")])
def test_the_progress_line_can_be_cut_by_words(us: float | None, shown: str) -> None:
    """One line, fixed order, a word each, whatever is not known is a dash."""
    now = Progress(
        elapsed_s=75.4,
        up=95,
        connecting=2,
        in_outage=3,
        sent=3312,
        sent_per_s=98.24,
        lost=1,
        losses=4,
        drops=41,
        p50_us=us,
        p99_us=us,
    )
    assert progress_line(now).split() == [
        *("01:15", "up=95", "connecting=2", "outage=3", "sent=3312", "rate=98.2/s", "lost_messages=1"),
        *("lost_connections=4", "drops=41", f"p50={shown}", f"p99={shown}"),
    ]
