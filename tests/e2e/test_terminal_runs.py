"""What people see of a run: a live view on a terminal, lines in a pipe, and Locust's tables on request."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.locusts import BRISK, LOCUSTFILE
from tests.support.terminals import PROGRESS, TABLES, OnTerminal


def command(results: Path, *arguments: str) -> list[str]:
    """Return a headless Locust, without any option on output."""
    return [
        *(sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless", "-u", "2", "-r", "2"),
        *("--ws-results", str(results), "--ws-revision", "test", *BRISK, *arguments),
    ]


def shows_sessions(lines: list[str]) -> bool:
    """Whether the live view shows sessions that are up."""
    return any(re.match(r"sessions  [1-9]\d* up", line) for line in lines)


@pytest.fixture(scope="module")
def watched(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[OnTerminal, list[str], list[str], int]]:
    """A run on a terminal that becomes narrower: the screens before and after that, and the exit code.

    It ends when both have been seen.
    """
    with OnTerminal(command(tmp_path_factory.mktemp("live"), "-t", "60s", "--processes", "2")) as terminal:
        wide = terminal.wait_for(shows_sessions, "the live view")
        terminal.resize(60)
        narrow = terminal.wait_for(
            lambda lines: any(line.endswith("01:00") and 40 < len(line) < 60 for line in lines),
            "a narrower bar",
        )
        terminal.type("\x03")
        yield terminal, wide, narrow, terminal.wait()


def test_a_terminal_shows_the_run_as_it_goes(watched: tuple[OnTerminal, list[str], list[str], int]) -> None:
    """Time, sessions, messages and the verdict so far, once each, below the log lines."""
    _, wide, narrow, _ = watched
    for lines in (wide, narrow):
        for label in ("sessions  ", "losses  ", "messages  ", "so far  "):
            assert sum(line.startswith(label) for line in lines) == 1, lines
        assert sum(bool(re.match(r"\d\d:\d\d [━─]+ 01:00$", line)) for line in lines) == 1
    bar = next(at for at, line in enumerate(wide) if line.endswith("01:00"))
    assert any("loadtest: run " in line for line in wide[:bar])


def test_the_live_view_leaves_nothing_behind(watched: tuple[OnTerminal, list[str], list[str], int]) -> None:
    """The log, a last progress line and the verdict; the terminal is as it was before."""
    terminal, _, _, code = watched
    shown = terminal.everything
    assert code in (0, 4), shown
    assert "━" not in shown
    assert "so far" not in shown
    assert len(PROGRESS.findall(shown)) == 1
    assert shown.count("verdict of test: ") == 1
    assert re.search(r"^verdict  (PASS|INCONCLUSIVE)", shown, re.MULTILINE)
    assert terminal.modes == terminal.modes_before
    assert not re.search(r"\x1b\[\?(25|1049|7|1)[hl]", terminal.raw)
    assert not any(words in shown for words in TABLES)


def test_ctrl_c_ends_the_view_and_the_verdict_follows(tmp_path: Path) -> None:
    """Without colours where NO_COLOR says so."""
    with OnTerminal(command(tmp_path, "-t", "60s"), environment={"NO_COLOR": "1"}) as terminal:
        terminal.wait_for(shows_sessions, "the live view")
        terminal.type("\x03")
        code = terminal.wait()
        shown = terminal.everything
        assert code in (0, 4), shown
        assert "SIGINT: shutting down" in shown
        assert "verdict of test: " in shown
        assert "so far" not in shown
        assert terminal.modes == terminal.modes_before
        assert not re.search(r"\x1b\[(\d+;)*[34]\d", terminal.raw)
