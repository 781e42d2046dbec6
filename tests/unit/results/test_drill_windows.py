"""The times that belong to drills."""

from __future__ import annotations

import msgspec
import pytest

from loadtest.results.drill_windows import NO_WINDOWS, Windows
from loadtest.results.manifest import DrillRun
from loadtest.session.schedule import NS_PER_S
from tests.support.runs import manifest

DRILLS = (
    DrillRun(at_s=10.0, command="a", started_s=10.0, ended_s=15.0, exit_status=0),
    DrillRun(at_s=16.0, command="b", started_s=16.0, ended_s=17.0, exit_status=1),
    DrillRun(at_s=50.0, command="c", started_s=50.0),
    DrillRun(at_s=90.0, command="d"),
)


@pytest.mark.parametrize(
    ("at_s", "number"),
    [(9.999, None), (10, 0), (15, 0), (15.999, 0), (16, 1), (20, 1), (22.001, None), (50, 2), (1e6, 2)],
)
def test_a_window_is_from_the_start_until_after_the_end(at_s: float, number: int | None) -> None:
    """Of two windows the later counts. One whose command has not ended has no end."""
    windows = Windows.of(manifest(drills=DRILLS, drill_window_s=5.0))
    assert windows.at(int(at_s * NS_PER_S)) == number


def test_a_run_without_drills_has_no_windows() -> None:
    """And nothing belongs to one."""
    assert Windows.of(manifest()) == NO_WINDOWS
    assert NO_WINDOWS.at(0) is None


def test_windows_can_be_sent() -> None:
    """To workers, as JSON, to the nanosecond."""
    windows = Windows.around(DRILLS, 5.0)
    assert msgspec.json.decode(msgspec.json.encode(windows), type=Windows) == windows
