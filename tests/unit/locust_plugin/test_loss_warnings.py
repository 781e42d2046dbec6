"""Warnings about losses: at once, and never too many."""

from __future__ import annotations

from loadtest.locust_plugin.loss_warnings import MAX_LINES, LossWarnings
from loadtest.results.interval import PackedInterval, pack
from loadtest.session.recorder import Lifecycle
from tests.support.runs import interval


def losing(*causes: str, event: str = "lost") -> PackedInterval:
    """Return an interval in which connections were lost."""
    return pack(
        interval(0, lifecycle=[Lifecycle(at_ns=0, event=event, session="s", cause=one) for one in causes])
    )


def test_losses_are_told_at_once_by_cause() -> None:
    """With the time, the number and the most frequent cause first; what is no loss is not told."""
    line = LossWarnings().line(losing("reset", *["1011"] * 9), 12.3)
    assert line == "00:12  10 connections lost: 1011 (9), RST (1)"
    assert LossWarnings().line(losing("1011", event="ended"), 12.3) == ""


def test_there_is_one_line_a_second_for_all_processes() -> None:
    """What others lose meanwhile stands in the next line."""
    warnings = LossWarnings()
    assert warnings.line(losing("eof"), 5.0) == "00:05  1 connection lost: FIN (1)"
    assert warnings.line(losing("eof"), 5.1) == ""
    assert warnings.line(losing("reset"), 5.9) == ""
    assert warnings.line(losing(), 6.0) == "00:06  2 connections lost: FIN (1), RST (1)"
    assert warnings.line(losing(), 7.0) == ""


def test_the_log_is_not_filled() -> None:
    """Ten lines, of which the last says where to look; and few causes in each."""
    warnings = LossWarnings()
    lines = [warnings.line(losing("eof"), second) for second in range(3 * MAX_LINES)]
    assert [bool(line) for line in lines] == [True] * MAX_LINES + [False] * 2 * MAX_LINES
    assert lines[MAX_LINES - 1].endswith(
        "; further warnings suppressed; see lost_connections= in the progress line"
    )
    many = LossWarnings().line(losing(*map(str, range(3000, 3010))), 0)
    assert many.endswith("3004 (1), others (5)")


def test_a_cause_is_one_short_line() -> None:
    """Whatever a worker of another version sends."""
    assert "\n" not in LossWarnings().line(losing("x\n" * 500), 0)
    assert len(LossWarnings().line(losing("x" * 500), 0)) < 150
