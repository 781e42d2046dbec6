"""Problems while a run goes on: told at once, by cause, and never too often."""

from __future__ import annotations

from typing import Any

import pytest

from loadtest.locust_plugin.problems import MAX_LINES, Problems
from loadtest.results.drill_windows import NO_WINDOWS, Windows
from loadtest.results.interval import PackedInterval, pack
from loadtest.serverlog.extract import KeptRecord
from loadtest.serverlog.records import Level
from loadtest.serverlog.rules import LogClass
from loadtest.session.recorder import Lifecycle
from tests.support.rundirs import HOSTILE
from tests.support.runs import interval, tally


def losing(*causes: str, event: str = "lost") -> PackedInterval:
    """Return an interval in which connections were lost."""
    return pack(
        interval(0, lifecycle=[Lifecycle(at_ns=0, event=event, session="s", cause=one) for one in causes])
    )


def told(packed: PackedInterval, now_s: float = 12.3, of: Problems | None = None) -> list[str]:
    """Return the lines to write after an interval."""
    problems = of or Problems(warmup_s=0)
    problems.interval(packed, NO_WINDOWS)
    return list(problems.lines(now_s))


def test_losses_are_told_at_once_by_cause() -> None:
    """With their number and the most frequent cause first; what is no loss is not told."""
    assert told(losing("reset", *["1011"] * 9)) == ["10 connections lost: 1011 (9), RST (1)"]
    assert told(losing("1011", event="ended")) == []


def test_lines_of_a_topic_become_fewer() -> None:
    """What comes in between stands in the next line: after 1 s, 2 s, 4 s …"""
    problems = Problems(warmup_s=0)
    assert told(losing("eof"), 5.0, problems) == ["1 connection lost: FIN (1)"]
    assert told(losing("eof"), 5.9, problems) == []
    assert told(losing("reset"), 6.0, problems) == ["2 connections lost: FIN (1), RST (1)"]
    assert told(losing("eof"), 7.9, problems) == []
    assert told(losing(), 8.0, problems) == ["1 connection lost: FIN (1)"]
    assert told(losing(), 30.0, problems) == []
    assert problems.summary() == ["4 connections lost: FIN (3), RST (1)"]


def test_the_log_is_not_filled() -> None:
    """Ten lines of a topic, however long the run; few causes in each, each of them short."""
    problems = Problems(warmup_s=0)
    lines = [line for second in range(3000) for line in told(losing("eof"), second, problems)]
    assert len(lines) == MAX_LINES
    assert lines[-1].endswith("; further lines on this are left out")
    (many,) = told(losing(*map(str, range(3000, 3010))))
    assert many.endswith("3004 (1), others (5)")
    (long,) = told(losing("x\n" * 500))
    assert long.isprintable()
    assert len(long) < 150


def test_memory_is_bounded_however_many_causes_there_are() -> None:
    """A server can send any number of them."""
    problems = Problems(warmup_s=0)
    for number in range(1000):
        told(losing(f"cause {number}"), number, problems)
    (summary,) = problems.summary()
    assert summary.startswith("1,000 connections lost: others (900), ")


@pytest.mark.parametrize(
    ("item", "line"),
    [
        ("connect", "3 first attempts failed: upgrade: http_503 (2), refused (1)"),
        ("reconnect", "3 reconnects failed: upgrade: http_503 (2), refused (1)"),
        ("messaging", "3 problems with messages: upgrade: http_503 (2), refused (1)"),
        ("persistence", "3 problems with restored sessions: upgrade: http_503 (2), refused (1)"),
        ("cleanup", "3 connections left open: upgrade: http_503 (2), refused (1)"),
        ("generator", "3 delays by the user class's own code: upgrade: http_503 (2), refused (1)"),
    ],
)
def test_errors_are_told_by_item(item: str, line: str) -> None:
    """Each kind in its own line."""
    errors = [tally(item, "refused", 1), tally(item, "upgrade: http_503", 2)]
    assert told(pack(interval(0, errors=errors))) == [line]


def test_attempts_that_fail_in_a_drill_are_expected() -> None:
    """A deploy turns clients away; a message that is lost meanwhile is told all the same."""
    windows = Windows({0: (0, 10**10)})
    problems = Problems(warmup_s=0)
    errors = [tally(item, "refused", 4, at_s=3) for item in ("connect", "reconnect", "messaging")]
    problems.interval(pack(interval(3, errors=errors)), windows)
    assert problems.lines(4) == ["4 problems with messages: refused (4)"]


def lagging(second: int, lag_ms: float, **more: Any) -> PackedInterval:
    """Return an interval of a load generator whose loop woke late."""
    return pack(interval(second, gauges={"loop_lag_max_ms": lag_ms}), **more)


def test_an_overloaded_generator_is_told_once() -> None:
    """After the warm-up, once over a fifth of the seconds and three of them were late: as in the verdict."""
    problems = Problems(warmup_s=2)
    lines = [told(lagging(second, 9.0), second, problems) for second in range(8)]
    late = "load generator overloaded so far: the event loop was more than 5 ms late"
    assert lines == [[], [], [], [], [late], [], [], []]
    assert told(lagging(9, 9.0, worker=4), 60, problems) == []
    assert told(lagging(10, 9.0, worker=4), 61, problems) == []
    assert told(lagging(11, 9.0, worker=4), 62, problems) == [f"{late} (worker 4)"]
    calm = Problems(warmup_s=0)
    assert [
        told(lagging(second, 9.0 if second in (1, 8, 15) else 1.0), second, calm) for second in range(20)
    ] == [[]] * 20


def test_a_generator_that_recovers_is_told_again() -> None:
    """Three of the first seconds are a fifth of few: the verdict judges the share of all."""
    problems = Problems(warmup_s=0)
    lags = [9.0] * 3 + [1.0] * 30
    lines = [line for second, lag in enumerate(lags) for line in told(lagging(second, lag), second, problems)]
    late = "the event loop was more than 5 ms late"
    assert lines == [
        f"load generator overloaded so far: {late}",
        f"load generator no longer overloaded: {late}",
    ]
    assert problems.summary() == []


def test_what_is_taken_back_is_told_no_more() -> None:
    """A reply that comes late was without a reply before: it is one problem, not two."""
    problems = Problems(warmup_s=0)
    lost, late = "no reply in time", "reply late"
    first = pack(interval(0, errors=[tally("messaging", lost, 3)]))
    assert told(first, 10, problems) == [f"3 problems with messages: {lost} (3)"]
    second = pack(interval(1, errors=[tally("messaging", lost, -3), tally("messaging", late, 3)]))
    assert told(second, 20, problems) == [f"3 problems with messages: {late} (3)"]
    assert problems.summary() == [f"3 problems with messages: {late} (3)"]
    assert told(pack(interval(2, errors=[tally("messaging", late, -3)])), 30, problems) == []
    assert problems.summary() == []


def logged(log_class: LogClass, level: Level | None, text: str, **more: Any) -> KeptRecord:
    """Return a record of the server's log."""
    return KeptRecord(level=level, log_class=log_class, text=text, **more)


def test_errors_of_the_servers_log_are_told_by_shape() -> None:
    """Those of one fault in one, whatever session they name; a disconnect at ERROR apart; nothing else."""
    problems = Problems(warmup_s=0)
    problems.logged(
        [
            logged(LogClass.REAL_ERROR, Level.ERROR, "KeyError: 'thread' in session 11"),
            logged(LogClass.REAL_ERROR, Level.ERROR, "KeyError: 'thread' in session 12"),
            logged(LogClass.GRACEFUL, Level.ERROR, "Send error (session 7)"),
            logged(LogClass.GRACEFUL, Level.INFO, ""),
            logged(LogClass.OTHER, Level.INFO, "", count=99),
            logged(LogClass.REAL_ERROR, None, "no level"),
        ]
    )
    assert problems.lines(1) == [
        "2 errors in the server's log: KeyError: 'thread' in session # (2)",
        "1 disconnect logged as ERROR: Send error (session #) (1)",
    ]
    assert problems.log_errors == 3


def test_hostile_text_stays_one_short_line() -> None:
    """From a server's errors as from its log."""
    problems = Problems(warmup_s=0)
    problems.logged([logged(LogClass.REAL_ERROR, Level.ERROR, HOSTILE[:200])])
    problems.interval(pack(interval(0, errors=[tally("messaging", HOSTILE, 1)])), NO_WINDOWS)
    for line in problems.lines(1):
        assert line.isprintable()
        assert len(line) < 200
