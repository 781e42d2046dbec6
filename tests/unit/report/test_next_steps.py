"""What to do next about an item whose evidence makes a difference."""

from __future__ import annotations

import pytest

from loadtest.report.advice import next_step
from loadtest.ruling import Ruling
from loadtest.verdict.evidence import ErrorSeen, ReconnectEvidence
from loadtest.verdict.items import Item
from loadtest.verdict.loss_evidence import DrillEvidence
from tests.unit.report.test_advice import verdict_of
from tests.unit.verdict.test_drill_rules import BACK, LOSSES, REFUSED, judged


def step_after(drill: DrillEvidence, *, error: str = "tcp: refused") -> str:
    """Return the next step of a run whose reconnect FAILs, after this drill."""
    errors = [ErrorSeen(error=error, count=drill.refused, at_s=16.0, session="s-1", example="")]
    item = Item(
        item="reconnect",
        verdict=Ruling.FAIL,
        summary="",
        evidence=ReconnectEvidence(drills=[drill], errors=errors),
    )
    return next_step(item, verdict_of(reconnect=item).items)


@pytest.mark.parametrize(
    ("until_s", "when"), [(18.6, "from 00:16 to 00:18"), (16.9, "at 00:16")], ids=["seconds", "one"]
)
def test_a_drill_in_which_nothing_listened(until_s: float, when: str) -> None:
    """The server was there before and afterwards: its host and its port are right."""
    drill = DrillEvidence(
        sessions=9, back=9, attempts=20, refused=9, nobody=8, nobody_from_s=16.4, nobody_until_s=until_s
    )
    assert step_after(drill) == (
        f"no server was listening {when}, during the drill: start the new server before the old one stops, "
        "or let the load balancer hold connections"
    )


@pytest.mark.parametrize(
    "drill",
    [
        DrillEvidence(sessions=9, back=0, attempts=9, refused=9, nobody=9, nobody_from_s=16.0),
        DrillEvidence(sessions=9, back=9, attempts=900, refused=9, nobody=9, nobody_from_s=16.0),
        DrillEvidence(sessions=9, back=9, attempts=20, refused=9, nobody=1, nobody_from_s=16.0),
    ],
    ids=["nobody came back", "fails nothing", "failed otherwise"],
)
def test_other_drills_have_the_step_of_their_cause(drill: DrillEvidence) -> None:
    """A server that stays away may be gone for good."""
    assert step_after(drill).startswith("nothing listens on this port: is the server up?")


def test_the_step_follows_from_the_events_of_a_run() -> None:
    """Attempts that found nothing in the drill's time."""
    verdict = judged(*LOSSES, *REFUSED, *BACK)
    step = next_step(verdict.item("reconnect"), verdict.items)
    assert step.startswith("no server was listening at 00:21, during the drill: ")
