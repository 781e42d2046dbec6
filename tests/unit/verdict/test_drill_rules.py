"""A drill: its losses fail nothing by themselves, what becomes of its sessions is judged by reconnect."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from loadtest.results.manifest import DrillRun
from loadtest.ruling import Ruling
from loadtest.session.recorder import Lifecycle
from loadtest.verdict.items import Verdict
from loadtest.verdict.run import judge
from tests.support.runs import SOUND_COUNTS, SOUND_GAUGES, gathered, interval, manifest, plan
from tests.unit.results.test_drill_recovery import DRILL, event, lost, resumed

SESSIONS = 20
LOSSES = [lost(21, number) for number in range(SESSIONS)]
BACK = [
    one
    for number in range(SESSIONS)
    for one in (
        event(21.9, "attempt", number),
        resumed(22 + number / 10, number, 1.0 + number / 10),
    )
]
REFUSED = [
    one
    for number in range(SESSIONS)
    for one in (
        event(21.4, "attempt", number),
        event(21.5, "failed", number, cause="refused", phase="tcp"),
    )
]
UP = [event(1, "connected", number) for number in range(SESSIONS)]


QUIET = {name: 0 for name in SOUND_COUNTS if name.startswith(("reconnect.", "persistence."))}
"""Counts of a run in which nothing but the drill ends connections."""


def judged(
    *events: Lifecycle,
    drill: DrillRun = DRILL,
    counts: dict[str, int] | None = None,
    quiet: bool = True,
    **changes: Any,
) -> Verdict:
    """Return the verdict on a run of a minute with a drill and these events; books balance unless changed.

    Args:
        events: after all sessions have connected.
        drill: the drill.
        counts: that differ from what the events say.
        quiet: whether no drops are planned; else the run has 200 sound outages besides.
        changes: of the manifest.
    """
    found = [*UP, *events]
    kinds = [one.event for one in found]
    before = QUIET if quiet else {}
    sound = SOUND_COUNTS | before
    barred = sum(one.final for one in events)
    usual = {
        "reconnect.outages": sound["reconnect.outages"] + kinds.count("lost") - barred,
        "reconnect.resumed": sound["reconnect.resumed"] + kinds.count("resumed"),
        "reconnect.cut_short": sound["reconnect.cut_short"]
        + kinds.count("lost")
        - barred
        - kinds.count("resumed"),
        "reconnect.attempts": sound["reconnect.attempts"] + kinds.count("attempt"),
        "reconnect.failed": kinds.count("failed"),
        "stability.barred": barred,
        "losses.1012": kinds.count("lost"),
    }
    of = manifest(
        run_plan=plan(drop_every_s=0.0 if quiet else 20.0),
        drills=(drill,),
        drill_window_s=10.0,
        **changes,
    )
    one = interval(0, seconds=60, counts=sound | usual | (counts or {}), gauges=SOUND_GAUGES, lifecycle=found)
    return judge(gathered([one], of))


def failing(verdict: Verdict) -> list[str]:
    """Return the items that are FAIL or INCONCLUSIVE."""
    return [item.item for item in verdict.items if item.verdict in (Ruling.FAIL, Ruling.INCONCLUSIVE)]


@pytest.mark.parametrize("quiet", [True, False])
def test_a_drained_restart_passes(quiet: bool) -> None:
    """All lost with 1012, all back, no attempt failed; with the run's own drops beside it or without."""
    verdict = judged(*LOSSES, *BACK, quiet=quiet, counts={"persistence.checked": SESSIONS})
    assert failing(verdict) == []
    assert verdict.item("stability").summary.endswith("; 20 more in drills, judged by reconnect")
    assert verdict.item("stability").evidence.in_drills == SESSIONS
    reconnect = verdict.item("reconnect")
    assert reconnect.verdict is Ruling.PASS
    assert reconnect.summary.endswith(
        "; the drill at 20 s ended 20 connections (20 x 1012): 95% back 3.8 s after the command's start, "
        "all 3.9 s"
    )
    (drill,) = reconnect.evidence.drills
    assert (drill.lost, drill.back, drill.attempts, drill.refused) == (20, 20, 20, 0)
    assert (drill.back_p100_s, drill.exit_status) == (pytest.approx(3.9), 0)


def test_a_loss_outside_the_window_fails_stability() -> None:
    """A drill excuses nothing else."""
    verdict = judged(*LOSSES, *BACK, lost(50, 3), resumed(51, 3, 1.0))
    assert failing(verdict) == ["stability"]
    assert verdict.item("stability").summary.startswith("1 connection lost in")


@pytest.mark.parametrize("drops", [0, 100_000])
def test_a_server_that_is_away_for_a_while_fails_reconnect_only(drops: int) -> None:
    """Attempts that find nobody are a gap in the deploy, however often the run drops besides."""
    attempts = {"reconnect.attempts": drops + 2 * SESSIONS}
    verdict = judged(*LOSSES, *REFUSED, *BACK, counts=attempts)
    assert failing(verdict) == ["reconnect"]
    assert "20 of 40 attempts failed during the drill at 20 s" in verdict.item("reconnect").summary


def test_the_same_outside_a_drill_is_a_matter_of_stability() -> None:
    """There, losses explain the attempts that find nobody."""
    verdict = judged(*LOSSES, *REFUSED, *BACK, drill=DrillRun(at_s=50, command="", started_s=50, ended_s=50))
    assert "reconnect" not in failing(verdict)
    assert "stability" in failing(verdict)


@pytest.mark.parametrize(("sessions", "verdict"), [(1, Ruling.PASS), (2, Ruling.FAIL)])
def test_one_refused_attempt_is_allowed(sessions: int, verdict: Ruling) -> None:
    """A listener that closes resets what it has not accepted."""
    assert judged(*LOSSES, *REFUSED[: 2 * sessions], *BACK).item("reconnect").verdict is verdict


def test_a_new_process_that_turns_everybody_away() -> None:
    """It accepts, and closes at once: such attempts are refused, too, unless many losses explain them."""
    closed = [
        event(24 + number / 20, "failed", number, cause="1013", phase="working", code=1013)
        for number in range(SESSIONS)
    ]
    verdict = judged(*LOSSES, *closed, *BACK)
    assert failing(verdict) == ["reconnect"]
    assert "20 of 20 attempts failed during the drill" in verdict.item("reconnect").summary


def test_connections_that_went_down_before_they_had_worked() -> None:
    """Among many losses a few had just been opened: nobody turned these away."""
    early = [event(21, "failed", 90 + n, cause="1012", phase="working", code=1012) for n in range(3)]
    began = [event(20.9, "dropped", 90 + n, kind="reset") for n in range(3)]
    counts = {"reconnect.outages": SESSIONS + 3, "reconnect.cut_short": 3}
    up = [event(1, "connected", 90 + n) for n in range(3)]
    assert failing(judged(*up, *began, *LOSSES, *early, *BACK, counts=counts)) == []


def test_a_rolling_restart_may_drain_a_session_twice() -> None:
    """It goes to an instance that is restarted next, before its first reply: the server says so."""
    again = [
        event(22.5, "failed", number, cause="1012", phase="working", code=1012) for number in range(SESSIONS)
    ]
    back = [resumed(25, number, 4.0) for number in range(SESSIONS)]
    assert failing(judged(*LOSSES, *again, *back)) == []


def test_a_killed_server_takes_new_connections_with_it() -> None:
    """They end as the others do, without a close frame; with another code they would have been refused."""
    killed = [event(21, "lost", number, cause="reset") for number in range(SESSIONS)]
    counts = {"losses.1012": 0, "losses.reset": SESSIONS}
    began = [event(20.9, "dropped", 90, kind="reset")]
    for code, verdict in ((1006, Ruling.PASS), (1013, Ruling.FAIL)):
        early = [event(21, "failed", 90, cause="x", phase="working", code=code) for _ in range(3)]
        books = {"reconnect.outages": SESSIONS + 1, "reconnect.cut_short": 1}
        item = judged(*began, *killed, *early, *BACK, counts=counts | books).item("reconnect")
        assert item.verdict is verdict, item.summary


def test_a_deploy_that_never_settles() -> None:
    """The new process closes what it accepts, again and again, until the run ends."""
    turns = [
        one
        for at_s in range(21, 58, 3)
        for number in range(SESSIONS)
        for one in (lost(at_s, number), resumed(at_s + 1, number, 1.0))
    ]
    never = msgspec.structs.replace(DRILL, ended_s=55.0)
    item = judged(*turns, drill=never).item("reconnect")
    assert item.verdict is Ruling.INCONCLUSIVE
    assert item.summary == (
        "the drill at 20 s was still ending connections when the run ended: 260 losses of 20 sessions, "
        "the last at 00:57: run longer"
    )
    assert failing(judged(*turns[: 2 * SESSIONS * 8], drill=never)) == []


def test_a_drill_that_met_no_session() -> None:
    """It came before the first was up: nothing is shown."""
    early = DrillRun(at_s=0.0, command="deploy", started_s=0.0, ended_s=0.5, exit_status=0)
    item = judged(drill=early).item("reconnect")
    assert (item.verdict, item.summary) == (
        Ruling.INCONCLUSIVE,
        "the drill at 0 s hit no session: schedule it while sessions are up",
    )


@pytest.mark.parametrize(("reconnecting", "connect"), [(True, Ruling.PASS), (False, Ruling.FAIL)])
def test_first_connections_fail_by_themselves_only(reconnecting: bool, connect: Ruling) -> None:
    """In a gap that sessions meet on their way back, one that connects for the first time adds nothing."""
    late = [event(21.5, "failed", 77, cause="refused", phase="tcp")]
    counts = {"connect.attempts": 101, "connect.failed": 1, "reconnect.failed": SESSIONS * reconnecting}
    verdict = judged(*LOSSES, *(REFUSED if reconnecting else ()), *late, *BACK, counts=counts)
    assert verdict.item("connect").verdict is connect
    assert failing(verdict) == ["reconnect" if reconnecting else "connect"]


@pytest.mark.parametrize("barred", [3, SESSIONS])
def test_sessions_that_a_drill_bars(barred: int) -> None:
    """A new revision that does not know the tokens turns everybody away for good: no outage begins."""
    verdict = judged(*(lost(21, number, 4401, final=True) for number in range(barred)))
    assert failing(verdict) == ["reconnect"]
    why = f"{barred} sessions barred from reconnecting by a drill's close code"
    assert verdict.item("reconnect").summary.startswith(why)


def test_sessions_that_stay_away() -> None:
    """After three failed attempts the usual rule fails the run; before that, a longer run would tell."""
    counts = {"reconnect.overdue": SESSIONS, "reconnect.cut_short": 0}
    assert judged(*LOSSES, counts=counts).item("reconnect").verdict is Ruling.FAIL
    item = judged(*LOSSES, *BACK[:10]).item("reconnect")
    assert (item.verdict, item.summary) == (
        Ruling.INCONCLUSIVE,
        "15 of 20 sessions dropped in the drill at 20 s were not back by the run's end: run longer",
    )


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"exit_status": 3, "last_words": "no such service"}, "failed with exit status 3 (no such service)"),
        ({"exit_status": -15, "stopped": True}, "was still running when the run ended: run longer"),
        ({"ended_s": None, "exit_status": None}, "was still running when the run ended: run longer"),
        (
            {"started_s": None, "ended_s": None, "exit_status": None},
            "the command of the drill at 20 s was never started: the run ended first",
        ),
        (
            {"started_s": None, "ended_s": None, "exit_status": None, "last_words": "cannot be started: x"},
            "the command of the drill at 20 s cannot be started: x",
        ),
    ],
)
@pytest.mark.parametrize("quiet", [True, False])
def test_a_drill_that_shows_nothing(changes: dict[str, Any], why: str, quiet: bool) -> None:
    """A command that failed, or had not ended, is no deploy: nothing passes, nothing fails."""
    verdict = judged(drill=msgspec.structs.replace(DRILL, **changes), quiet=quiet)
    assert failing(verdict) == ["reconnect"]
    assert verdict.verdict is Ruling.INCONCLUSIVE
    assert why in verdict.item("reconnect").summary


def test_a_drill_that_ended_no_connection() -> None:
    """Some platforms leave connections on the old revision: that is good, and said."""
    assert judged(quiet=False).item("reconnect").summary.endswith("; the drill at 20 s ended no connections")
    item = judged().item("reconnect")
    assert item.verdict is Ruling.NOT_JUDGED
    assert item.summary == "no outages are planned and no connection was lost, nor in the drill"


def test_lost_histories_fail_persistence() -> None:
    """What a deploy forgets is judged as always."""
    verdict = judged(*LOSSES, *BACK, counts={"persistence.checked": SESSIONS, "persistence.missing": 4})
    assert failing(verdict) == ["persistence"]


def test_books_of_losses() -> None:
    """A loss of a drill has its record like any other."""
    verdict = judged(*LOSSES, *BACK, counts={"losses.1012": SESSIONS + 2})
    assert failing(verdict) == ["stability"]
    assert "2 of 2 losses have no record" in verdict.item("stability").summary
