"""What a drill did: which losses are its own, when their sessions were back, and what happened meanwhile."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from loadtest.results.data import RunData
from loadtest.results.drill_recovery import DrillRecovery
from loadtest.results.drill_windows import Windows
from loadtest.results.manifest import DrillRun, Manifest
from loadtest.session.recorder import Lifecycle
from loadtest.session.schedule import NS_PER_S
from tests.support.runs import gathered, interval, manifest

DRILL = DrillRun(at_s=20.0, command="deploy v2", started_s=20.0, ended_s=24.0, exit_status=0)
"""Its window of ten seconds is over at 34 s."""


def event(at_s: float, name: str, session: int, **fields: Any) -> Lifecycle:
    """Return a lifecycle event of one of the sessions s-0, s-1 …"""
    return Lifecycle(at_ns=int(at_s * NS_PER_S), event=name, session=f"s-{session}", **fields)


def lost(at_s: float, session: int, code: int = 1012, **fields: Any) -> Lifecycle:
    """Return the loss of a connection."""
    return event(at_s, "lost", session, cause=str(code), code=code, **fields)


def resumed(at_s: float, session: int, outage_s: float) -> Lifecycle:
    """Return a resume."""
    return event(at_s, "resumed", session, outage_ns=int(outage_s * NS_PER_S))


def of(*drills: DrillRun, window_s: float = 10.0) -> Manifest:
    """Return the manifest of a run with these drills."""
    return manifest(drills=drills, drill_window_s=window_s)


def data(
    *events: Lifecycle, run: Manifest | None = None, counts: dict[int, dict[str, int]] | None = None
) -> RunData:
    """Return the data of a run of a minute with these events, and counts by second."""
    seconds = [interval(second, counts=(counts or {}).get(second)) for second in range(60)]
    seconds[0].lifecycle = list(events)
    return gathered(seconds, run or of(DRILL))


def recovery(*events: Lifecycle, **changes: Any) -> DrillRecovery:
    """Return how the drill of a run with these events went."""
    (one,) = data(*events, **changes).drills
    return one


@pytest.mark.parametrize(
    ("at_s", "belongs"),
    [(19.99, False), (20.0, True), (24.0, True), (33.9, True), (34.1, False)],
)
def test_whose_a_loss_is(at_s: float, belongs: bool) -> None:
    """From the command's start until the window after its end a loss is the drill's, else the server's."""
    run = data(lost(at_s, 0))
    assert (run.drills[0].lost, run.uptime.lost) == ((1, 0) if belongs else (0, 1))


def test_a_command_that_was_never_started_explains_nothing() -> None:
    """A run may end before its drill."""
    run = data(lost(21, 0), run=of(DrillRun(at_s=20.0, command="deploy")))
    assert (run.drills[0].lost, run.uptime.lost) == (0, 1)


def test_a_command_that_had_not_ended_explains_all_until_the_end() -> None:
    """A killed run, or a command that hangs."""
    run = data(lost(59, 0), run=of(DrillRun(at_s=20.0, command="deploy", started_s=20.0)))
    assert (run.drills[0].lost, run.uptime.lost) == (1, 0)


def test_of_two_windows_the_later_drill_counts() -> None:
    """A second deploy may begin within the first one's window."""
    second = DrillRun(at_s=30.0, command="deploy v3", started_s=30.0, ended_s=31.0, exit_status=0)
    run = data(lost(29, 0), lost(30, 1), lost(40, 2), run=of(DRILL, second))
    assert [one.lost for one in run.drills] == [1, 2]
    windows = Windows.of(of(DRILL, second))
    assert [windows.at(at_s * NS_PER_S) for at_s in (19, 29, 33, 41, 42)] == [None, 0, 1, 1, None]


def test_losses_by_code() -> None:
    """A drained restart sends 1012; what it did not drain ends without a close frame."""
    one = recovery(*(lost(21, number) for number in range(3)), event(22, "lost", 3, cause="reset"))
    assert [(group.cause, group.code, group.count) for group in one.losses] == [
        ("1012", 1012, 3),
        ("reset", 1006, 1),
    ]
    assert (one.sessions, one.barred) == (4, 0)


def test_when_its_sessions_were_back() -> None:
    """Times count from the command's start; outages from each loss."""
    losses = [lost(21, number) for number in range(4)]
    one = recovery(*losses, *(resumed(22 + number, number, 1.0 + number) for number in range(4)))
    assert (one.back, dict(one.back_after_s)) == (4, {0.5: 3.0, 0.95: 5.0, 1.0: 5.0})
    assert one.outage_us[100] == pytest.approx(4e6, rel=0.01)
    assert one.outage_us[50] == pytest.approx(2e6, rel=0.01)


def test_a_session_that_is_lost_twice_is_back_after_the_second_time() -> None:
    """A rolling restart may send a session to an instance that is restarted next."""
    one = recovery(lost(21, 0), resumed(22, 0, 1.0), lost(25, 0), resumed(28, 0, 3.0))
    assert (one.lost, one.sessions, one.back, one.back_after_s[1.0]) == (2, 1, 1, 8.0)
    lost_for_good = recovery(lost(21, 0), resumed(22, 0, 1.0), lost(25, 0))
    assert (lost_for_good.back, lost_for_good.back_after_s[0.5]) == (0, None)


def test_a_session_that_never_comes_back() -> None:
    """The shares that were never back have no time."""
    one = recovery(lost(21, 0), lost(21, 1), resumed(23, 0, 2.0))
    assert (one.back, dict(one.back_after_s)) == (1, {0.5: 3.0, 0.95: None, 1.0: None})


def test_a_drop_hides_whether_a_session_was_back() -> None:
    """What the tool drops later is another outage; a session that was not known to be back is left out."""
    dropped, back = event(23, "dropped", 0, kind="reset"), resumed(40, 0, 17.0)
    assert recovery(lost(21, 0), resumed(22, 0, 1.0), dropped, back).back_after_s[1.0] == 2.0
    unknown = recovery(lost(21, 0), lost(21, 1), resumed(22, 1, 1.0), dropped, back)
    assert (unknown.lost, unknown.sessions, unknown.back) == (2, 1, 1)
    tunnel = event(23, "dropped", 0, kind="slow_reader")
    assert recovery(lost(21, 0), tunnel, resumed(24, 0, 3.0)).back == 1


def test_the_herd() -> None:
    """The busiest second from the start until all were back; what came later is not the drill's."""
    attempts = [event(at_s, "attempt", 0) for at_s in (19.5, *[22.5] * 3, *[50.0] * 9)]
    one = recovery(lost(21, 0), *attempts, resumed(23, 0, 2.0))
    assert one.peak_per_s == 3
    assert recovery(*attempts).peak_per_s == 0


def test_refused_attempts() -> None:
    """Attempts that fail in the window count, those of first connections and the tool's own limits do not."""
    events = [
        *(lost(21, number) for number in range(4)),
        event(21.4, "attempt", 0),
        event(21.5, "failed", 0, cause="refused", phase="tcp"),
        event(21.9, "attempt", 0),
        event(22, "failed", 0, cause="out_of_ports", phase="tcp"),
        event(22, "failed", 1, cause="1012", phase="working", code=1012),  # so many losses explain it
        event(26, "failed", 2, cause="1013", phase="working", code=1013),
        event(22, "attempt", 9),
        event(22, "failed", 9, cause="refused", phase="tcp"),
        event(49, "attempt", 0),
        event(50, "failed", 0, cause="refused", phase="tcp"),
    ]
    one = recovery(*events)
    assert (one.refused, one.attempts) == (2, 2)
    assert (one.nobody, one.nobody_from_s, one.nobody_until_s) == (1, 21.5, 21.5)


def test_when_nothing_listened() -> None:
    """From the first attempt that finds nothing to the last, whatever else fails."""
    events = [
        event(at_s, "failed", number, cause="refused", phase="tcp")
        for number, at_s in enumerate((23, 21.5, 22))
    ]
    others = [event(26, "failed", 3, cause="http_503", phase="upgrade")]
    one = recovery(*(lost(21, number) for number in range(4)), *events, *others)
    assert (one.refused, one.nobody, one.nobody_from_s, one.nobody_until_s) == (4, 3, 21.5, 23.0)
    never = recovery(lost(21, 0))
    assert (never.nobody, never.nobody_from_s, never.nobody_until_s) == (0, None, None)


def test_barred_sessions() -> None:
    """A close code may forbid reconnecting."""
    assert recovery(lost(21, 0, 4401, final=True)).barred == 1


def test_messages_and_histories_across_it() -> None:
    """Counts of the intervals that its window overlaps: a kill loses most in the second of the command."""
    second = {"messaging.lost_in_outage": 2, "persistence.histories": 1, "messaging.sent": 9}
    late = msgspec.structs.replace(DRILL, started_s=20.4)
    one = recovery(lost(21, 0), run=of(late), counts={10: second, 20: second, 25: second})
    assert one.counts == {"messaging.lost_in_outage": 4, "persistence.histories": 2}


def test_impossible_times() -> None:
    """A damaged file may hold any time."""
    one = recovery(lost(-5, 0), lost(21, 1), resumed(1e12, 1, 1e12))
    assert (one.lost, one.back) == (1, 1)
