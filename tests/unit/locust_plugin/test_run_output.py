"""Where a run tells how it goes."""

from __future__ import annotations

import io
import logging
import sys
from argparse import Namespace
from dataclasses import replace

import pytest

from loadtest.locust_plugin.run_output import (
    LineOutput,
    LiveOutput,
    line_pause_s,
    log_output,
    output_for,
    plain_output,
)
from loadtest.report.live_view import View
from tests.unit.locust_plugin.test_live_screen import Terminal
from tests.unit.report.test_progress_line import progress

HEADLESS = {"headless": True, "skip_log_setup": False, "logfile": None}
TERMINAL = {"TERM": "xterm"}


@pytest.mark.parametrize(
    ("options", "environment", "logger"),
    [
        (HEADLESS, TERMINAL, None),
        (HEADLESS, {"TERM": "dumb"}, "loadtest.progress"),
        (HEADLESS, {**TERMINAL, "CI": "true"}, "loadtest.progress"),
        ({**HEADLESS, "headless": False}, TERMINAL, "loadtest"),
        ({**HEADLESS, "skip_log_setup": True}, TERMINAL, "loadtest"),
        ({"headless": True}, TERMINAL, "loadtest"),
    ],
    ids=["terminal", "dumb", "CI", "web UI", "own logging", "library"],
)
def test_it_depends_on_who_watches(
    options: dict[str, object],
    environment: dict[str, str],
    logger: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A live view for people, plain lines for pipes, records for the web UI and for loggers of the user's."""
    monkeypatch.setattr(sys, "stderr", Terminal())
    output = output_for(Namespace(**options), environment)
    assert isinstance(output, LiveOutput if logger is None else LineOutput)
    assert not isinstance(output, LineOutput) or output.logger.name == logger


def test_plain_lines_have_no_time_of_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are short enough for any terminal; a problem says that it is one."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    log = logging.getLogger("loadtest.progress")
    monkeypatch.setattr(log, "level", logging.INFO)
    log._cache.clear()  # type: ignore[attr-defined]  # else a level found before counts
    output = plain_output(to_log_file=False)
    output.show(View(now=progress(), log_errors=1))
    output.info(12.3, "drill 1 ended connections: 1012 (2)")
    output.warn(13.9, "1 connection lost: RST (1)")
    assert stream.getvalue().splitlines() == [
        "00:10  0 up, 0 out, 0 drops, 0 losses, 1 log error",
        "00:12  drill 1 ended connections: 1012 (2)",
        "00:13  WARNING: 1 connection lost: RST (1)",
    ]


def test_a_log_file_has_them_too(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Locust's `--logfile` holds what the terminal shows."""
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with caplog.at_level(logging.INFO):
        plain_output(to_log_file=True).warn(1.0, "in both")
        plain_output(to_log_file=False).warn(1.0, "on the terminal only")
    assert [record.getMessage() for record in caplog.records] == ["00:01  WARNING: in both"]


def test_records_have_their_level(caplog: pytest.LogCaptureFixture) -> None:
    """The web UI's log tab shows them with it."""
    output = log_output()
    with caplog.at_level(logging.INFO):
        output.show(View(now=progress()))
        output.warn(3.0, "1 connection lost: RST (1)")
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", "00:10  0 up, 0 out, 0 drops, 0 losses"),
        ("WARNING", "00:03  1 connection lost: RST (1)"),
    ]


def test_the_line_that_stays_is_what_was_shown_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the run after its sessions were ended, as if none had been up."""
    terminal, stream = Terminal(), io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    log = logging.getLogger("loadtest.progress")
    monkeypatch.setattr(log, "level", logging.INFO)
    log._cache.clear()  # type: ignore[attr-defined]  # else a level found before counts
    output = LiveOutput(plain_output(to_log_file=False), terminal, coloured=False)
    output.show(View(now=replace(progress(), up=97)))
    output.end(View(now=replace(progress(), up=0)))
    assert stream.getvalue().splitlines() == ["00:10  97 up, 0 out, 0 drops, 0 losses"]
    output.end(View(now=replace(progress(), up=3)))
    assert "3 up" in stream.getvalue().splitlines()[-1]


def test_the_log_of_a_long_run_stays_readable() -> None:
    """An hour has some 170 lines."""
    at_s, times = 0.0, []
    while at_s < 3600:
        at_s += line_pause_s(at_s)
        times.append(at_s)
    assert times[:4] == [5, 10, 20, 30]
    assert len(times) < 180
