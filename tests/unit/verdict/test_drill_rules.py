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
BACK = [resumed(22 + number / 10, number, 1.0 + number / 10) for number in range(SESSIONS)]
UP = [event(1, "connected", number) for number in range(SESSIONS)]


def judged(
    *events: Lifecycle, drill: DrillRun = DRILL, counts: dict[str, int] | None = None, **changes: Any
) -> Verdict:
    """Return the verdict on a run of a minute with a drill and these events; books balance unless changed."""
    found = [*UP, *events]
    kinds = [one.event for one in found]
    usual = {
        "reconnect.outages": 200 + kinds.count("lost"),
        "reconnect.resumed": 190 + kinds.count("resumed"),
        "reconnect.attempts": 200 + kinds.count("failed") + kinds.count("resumed"),
        "reconnect.failed": kinds.count("failed"),
        "losses.1012": kinds.count("lost"),
    }
    of = manifest(drills=(drill,), drill_window_s=10.0, **changes)
    one = interval(
        0, seconds=60, counts=SOUND_COUNTS | usual | (counts or {}), gauges=SOUND_GAUGES, lifecycle=found
    )
    return judge(gathered([one], of))


def failing(verdict: Verdict) -> list[str]:
    """Return the items that are FAIL or INCONCLUSIVE."""
    return [item.item for item in verdict.items if item.verdict in (Ruling.FAIL, Ruling.INCONCLUSIVE)]


def test_a_drained_restart_passes() -> None:
    """All lost with 1012, all back, no attempt failed."""
    verdict = judged(*LOSSES, *BACK)
    assert failing(verdict) == []
    assert verdict.item("stability").summary.endswith("; 20 more in drills, judged by reconnect")
    assert verdict.item("stability").evidence.in_drills == SESSIONS
    assert verdict.item("reconnect").summary.endswith(
        "; the drill at 20 s ended 20 connections (20 x 1012): 95% back after 3.8 s, all after 3.9 s"
    )
    (drill,) = verdict.item("reconnect").evidence.drills
    assert (drill.lost, drill.back, drill.back_p100_s, drill.exit_status) == (20, 20, pytest.approx(3.9), 0)


def test_a_loss_outside_the_window_fails_stability() -> None:
    """A drill excuses nothing else."""
    verdict = judged(*LOSSES, *BACK, lost(50, 3), resumed(51, 3, 1.0))
    assert failing(verdict) == ["stability"]
    assert verdict.item("stability").summary.startswith("1 connection lost in")


def test_a_server_that_is_away_for_a_while_fails_reconnect_only() -> None:
    """Attempts that find nobody are a gap in the deploy; outside a drill losses would explain them."""
    refused = [event(21.5, "failed", number, cause="refused", phase="tcp") for number in range(SESSIONS)]
    verdict = judged(*LOSSES, *refused, *BACK)
    assert failing(verdict) == ["reconnect"]
    assert "20 of 240 attempts failed, all of them during a drill" in verdict.item("reconnect").summary
    events = [*UP, *LOSSES, *refused, *BACK]
    one = interval(0, seconds=60, counts=SOUND_COUNTS, gauges=SOUND_GAUGES, lifecycle=events)
    without = judge(gathered([one]))
    assert without.item("reconnect").verdict is Ruling.PASS


def test_few_refused_attempts_are_allowed() -> None:
    """As outside a drill: a backlog may overflow once."""
    refused = [event(21.5, "failed", 0, cause="refused", phase="tcp")]
    assert failing(judged(*LOSSES, *refused, *BACK)) == []


def test_first_connections_in_the_gap_do_not_fail_twice() -> None:
    """The gap fails reconnect; a session that connects for the first time meanwhile adds nothing."""
    refused = [event(21.5, "failed", number, cause="refused", phase="tcp") for number in range(SESSIONS)]
    late = [event(21.5, "failed", 77, cause="refused", phase="tcp")]
    verdict = judged(
        *LOSSES,
        *refused,
        *late,
        *BACK,
        counts={"connect.attempts": 101, "connect.failed": 1, "reconnect.failed": SESSIONS},
    )
    assert failing(verdict) == ["reconnect"]


def test_sessions_that_a_drill_bars() -> None:
    """A new revision that does not know the tokens turns everybody away for good."""
    barred = [lost(21, number, 4401, final=True) for number in range(3)]
    verdict = judged(*barred, counts={"reconnect.outages": 200, "stability.barred": 3})
    assert failing(verdict) == ["reconnect"]
    assert "3 sessions barred from reconnecting by a drill's close code" in verdict.item("reconnect").summary


def test_sessions_that_stay_away() -> None:
    """The usual rule: three failed attempts or more by the run's end."""
    verdict = judged(*LOSSES, counts={"reconnect.overdue": SESSIONS})
    assert failing(verdict) == ["reconnect"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"exit_status": 3, "last_words": "no such service"}, "failed with exit status 3 (no such service)"),
        ({"exit_status": -15, "stopped": True}, "was still running when the run ended: run longer"),
        ({"ended_s": None, "exit_status": None}, "was still running when the run ended: run longer"),
        (
            {"started_s": None, "ended_s": None, "exit_status": None},
            "the command of the drill at 20 s was never started: the run ended before",
        ),
        (
            {
                "started_s": None,
                "ended_s": None,
                "exit_status": None,
                "last_words": "cannot be started: not found",
            },
            "the command of the drill at 20 s cannot be started: not found",
        ),
    ],
)
@pytest.mark.parametrize("dropping", [True, False])
def test_a_drill_that_shows_nothing(changes: dict[str, Any], why: str, dropping: bool) -> None:
    """A command that failed, or had not ended, is no deploy: nothing passes, nothing fails."""
    drill = msgspec.structs.replace(DRILL, **changes)
    no_drops: dict[str, Any] = {
        "run_plan": plan(drop_every_s=0.0),
        "counts": {name: 0 for name in SOUND_COUNTS if name.startswith("reconnect.")},
    }
    verdict = judged(drill=drill, **({} if dropping else no_drops))
    assert failing(verdict) == ["reconnect"]
    assert verdict.verdict is Ruling.INCONCLUSIVE
    assert why in verdict.item("reconnect").summary


def test_a_drill_that_ended_no_connection() -> None:
    """Some platforms leave connections on the old revision: that is good, and said."""
    assert judged().item("reconnect").summary.endswith("; the drill at 20 s ended no connection")
    counts = {name: 0 for name in SOUND_COUNTS if name.startswith("reconnect.")}
    item = judged(run_plan=plan(drop_every_s=0.0), counts=counts).item("reconnect")
    assert item.verdict is Ruling.NOT_JUDGED
    assert item.summary == "no outages are planned and no connection was lost, not even in the drill"


def test_lost_histories_fail_persistence() -> None:
    """What a deploy forgets is judged as always."""
    verdict = judged(*LOSSES, *BACK, counts={"persistence.missing": 4})
    assert failing(verdict) == ["persistence"]


def test_books_of_losses() -> None:
    """A loss of a drill has its record like any other."""
    verdict = judged(*LOSSES, *BACK, counts={"losses.1012": SESSIONS + 2})
    assert failing(verdict) == ["stability"]
    assert "2 of 2 losses have no record" in verdict.item("stability").summary
