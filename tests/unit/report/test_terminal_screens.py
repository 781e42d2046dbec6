"""What people see on terminals of 60, 80 and 120 columns, as golden files: tests/data/golden/terminal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtest.metrics.verdict_so_far import ItemSoFar, Standing
from loadtest.report.judged_run import JudgedRun
from loadtest.report.live_view import Terminal, View, live_lines
from loadtest.report.terminal import print_verdict
from loadtest.runs.publish import publish
from tests.support.golden import Golden
from tests.support.golden_runs import write_runs
from tests.support.rundirs import HOSTILE, write_run, write_server_log
from tests.support.runs import manifest
from tests.unit.report.test_progress_line import progress

WIDTHS = (60, 80, 120)
NAMES = ("failed", "unlike", "killed", "overloaded", "empty", "passed")


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, JudgedRun]]:
    """The golden runs with their verdicts, and one that passes; paths are relative."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("screens"))
        results, alone = Path("results"), Path("alone")
        found = {name: publish(path, results=results) for name, path in write_runs(results).items()}
        passed = write_run(alone, of=manifest(run_id="passed"), seconds=30)
        write_server_log(passed)
        yield {**found, "passed": publish(passed, results=alone)}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", NAMES)
def test_the_verdict_reads_well(
    judged: dict[str, JudgedRun],
    name: str,
    width: int,
    golden: Golden,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing is wider but what is to be copied, no word is broken, the verdict stands first and last."""
    monkeypatch.setenv("COLUMNS", str(width))
    for variable in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(variable, raising=False)
    print_verdict(judged[name])
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    golden(f"terminal/{name}-{width}.txt", "\n".join([*lines, ""]))
    copied = ("results ", "report ", "again ", "loadtest duel")
    assert all(len(line) <= width for line in lines if not line.startswith(copied))
    ruling = str(judged[name].verdict.verdict)
    assert lines[0].startswith("verdict of ")
    assert lines[0].endswith(f": {ruling}")
    last = next(number for number, line in enumerate(lines) if line.startswith("verdict  "))
    assert lines[last].startswith(f"verdict  {ruling}")
    assert [line.split()[0] for line in lines if line.startswith(copied[:3])] == [
        "results",
        "report",
        "again",
    ]
    assert_whole_words(" ".join(lines), judged[name])


def assert_whole_words(shown: str, judged: JudgedRun) -> None:
    """Assert that each word of the items' summaries stands whole on the screen."""
    words = set(shown.split())
    for item in judged.items:
        assert set(item.summary.split()) <= words, item.item


def test_a_sound_run_fits_on_a_screen(
    judged: dict[str, JudgedRun], capsys: pytest.CaptureFixture[str]
) -> None:
    """With the log lines and the progress of 30 seconds it stays under 40 lines."""
    print_verdict(judged["passed"])
    assert len(capsys.readouterr().out.splitlines()) <= 26


def test_each_inconclusive_row_says_why(judged: dict[str, JudgedRun]) -> None:
    """Also the gates whose values stand in a table."""
    for of in judged.values():
        assert all(item.summary for item in of.items if item.verdict == "INCONCLUSIVE")


VIEW = View(
    now=progress(
        elapsed_s=12.2,
        up=1897,
        in_outage=103,
        connecting=2,
        sent=55011,
        sent_per_s=1145.2,
        lost_or_failed=3,
        losses=12,
        drops=2157,
        drops_by_kind={
            "fin": 400,
            "close": 390,
            "reset": 381,
            "tab_close": 350,
            "half_open": 330,
            "mid_reply": 306,
        },
        p50_us=700,
        p90_us=1250,
        p99_us=2100,
        failed_attempts=7,
        outage_p50_us=1_120_000,
        outage_p95_us=2_670_000,
    ),
    planned_s=30,
    log_errors=2,
    other_failed=4,
    problems=[
        "12 connections lost: 1011 (9), RST (3)",
        "7 reconnects failed: upgrade: http_503 (7)",
        "3 problems with messages: no reply in time (3)",
        "2 errors in the server's log: KeyError: 'größe' in session # (2)",
        "load generator overloaded: the event loop was more than 5 ms late, the engine used more than 80% "
        "of a core",
        "1 connection left open: not closed (close) (1)",
        HOSTILE,
    ],
    so_far=[
        ItemSoFar(item="stability", standing=Standing.FAIL),
        ItemSoFar(item="messaging", standing=Standing.FAIL),
        ItemSoFar(item="reconnect", standing=Standing.FAILING),
        ItemSoFar(item="latency", standing=Standing.AT_END),
    ],
)
QUIET = View(now=progress(elapsed_s=3725, up=100))


@pytest.mark.parametrize("width", WIDTHS)
def test_the_live_view_reads_well(width: int, golden: Golden) -> None:
    """With everything that can go wrong, and of a run without an end in which nothing happens."""
    lines = [*live_lines(VIEW, Terminal(width=width)), "", *live_lines(QUIET, Terminal(width=width)), ""]
    golden(f"terminal/live-{width}.txt", "\n".join(lines))
    assert max(map(len, lines)) < width


def test_a_terminal_without_unicode_gets_ascii() -> None:
    """Its bar is of signs that it has, and a letter that it lacks is an escape within the line's width."""
    lines = live_lines(VIEW, Terminal(width=70, encoding="ascii"))
    assert all(line.isascii() and len(line) < 70 for line in lines)
    assert lines[0].startswith("00:12 ####")
    assert any("gr\\xf6\\xdfe" in line for line in lines)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (5, 3), (20, 5), (37, 10), (300, 12)])
def test_a_small_terminal_gets_what_fits(width: int, height: int) -> None:
    """Whatever its size: a line that wraps, or a block that scrolls, could not be erased."""
    lines = live_lines(VIEW, Terminal(width=width, height=height))
    assert len(lines) <= max(height - 2, 1)
    assert all(len(line) < max(width, 2) for line in lines)


def test_colours_are_used_only_where_they_may() -> None:
    """NO_COLOR leaves the text as it is."""
    assert not any("\x1b" in line for line in live_lines(VIEW, Terminal()))
    coloured = live_lines(VIEW, Terminal(coloured=True))
    assert any("\x1b[1;31mFAIL" in line for line in coloured)
    assert not any("\x1b[2J" in line for line in coloured)
