"""Servers and networks that end connections unasked: each fails `stability` and nothing else."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from loadtest.dialects.base import Dialect
from loadtest.dialects.echo import Echo
from loadtest.results.data import RunData
from loadtest.ruling import Ruling
from loadtest.session.schedule import Pace
from loadtest.verdict.items import Verdict
from loadtest.verdict.run import judge
from tests.support.engine_run import running, settings
from tests.support.examples import stranger
from tests.support.runs import gathered, manifest, plan
from tests.support.serverclient import wait_for

SESSIONS = 20
ENOUGH = 150
"""Answers with which messaging is judged."""

FAULTS = {
    "1000": 1000,
    "1011": 1011,
    "1012": 1012,
    "4408": 4408,
    "rst": 1006,
    "fin": 1006,
    "idle": 1006,
    "masked": 1002,
    "malformed": 1002,
    "invalid_utf8": 1007,
    "too_big": 1009,
}
"""The close code that each counts as."""

CAUSES = {
    "rst": "reset",
    "fin": "eof",
    "idle": "eof",
    "masked": "protocol_error",
    "malformed": "protocol_error",
    "invalid_utf8": "invalid_utf8",
    "too_big": "1009",
}


CROSSED = {"fin": {"reset"}, "idle": {"reset"}}
"""What else is seen where a request crosses the server's FIN: a closed socket answers with RST."""


class Barring(Echo):
    """Echo with close codes after which a client must not come back."""

    name = "barring"
    forbidding_close_codes = frozenset({1008, 4401, 4408})


def _size(_session: int, sequence: int) -> int:
    """Return the size of a request's text: each 20th is large."""
    return 64 if sequence % 20 != 19 else 12_000


def run_against(
    fault: str | None, least: int, *, dialect: Dialect | None = None, rate: float = 10
) -> RunData:
    """Run sessions against a server with this fault until so many connections are lost."""
    with stranger("unstable", fault) as url:
        made = settings(int(url.rpartition(":")[2]), dialect=dialect, pace=Pace(rate))
        with running(replace(made, config=replace(made.config, size_of=_size))) as run:
            numbers = run.add(SESSIONS)
            run.await_count("connect.established", SESSIONS)
            wait_for(lambda: len(run.lived("lost")) >= least, what=f"{least} losses")
            run.await_count("messaging.answered", ENOUGH)
            run.engine.call(run.engine.begin_ending)
            run.stop(numbers)
            run.ask(run.engine.flush)
            intervals = tuple(run.intervals)
    calm = plan(
        users=1, sessions_per_user=SESSIONS, drop_every_s=0.0, drops={}, dialect="echo", duration_s=None
    )
    return gathered(intervals, manifest(run_plan=calm))


def rulings(run: RunData, *allowed: str) -> tuple[Verdict, dict[str, Ruling]]:
    """Return the verdict if these losses are allowed, and those of its items that were judged."""
    changed = msgspec.structs.replace(run.manifest, allowed_losses=allowed)
    verdict = judge(replace(run, manifest=changed))
    judged: dict[str, Ruling] = {
        item.item: item.verdict for item in verdict.items if item.verdict is not Ruling.NOT_JUDGED
    }
    return verdict, judged


def test_a_sound_server_passes() -> None:
    """Nothing is lost, not even by the end of the run."""
    run = run_against(None, 0)
    verdict, judged = rulings(run)
    assert judged == dict.fromkeys(("connect", "stability", "messaging"), Ruling.PASS)
    assert verdict.item("stability").summary.startswith("0 losses in ")


@pytest.mark.parametrize(("fault", "code"), FAULTS.items())
def test_a_lost_connection_fails_stability_and_nothing_else(fault: str, code: int) -> None:
    """However it ends, unless its close code is allowed."""
    run = run_against(fault, 20, rate=0.6 if fault == "idle" else 10)
    items = ("connect", "stability", "messaging", "reconnect")
    verdict, judged = rulings(run)
    assert judged == dict.fromkeys(items, Ruling.PASS) | {"stability": Ruling.FAIL}
    item = verdict.item("stability")
    causes = {losses.cause for losses in item.evidence.losses}
    assert causes - CROSSED.get(fault, set()) == {CAUSES.get(fault, fault)}
    assert item.evidence.unaccounted == 0
    without = {name: count for name, count in run.counts.items() if not name.startswith("losses.")}
    assert (verdict.notes, verdict.generator) == ([], judge(replace(run, counts=without)).generator)
    assert rulings(run, f"{code}=any")[1] == dict.fromkeys(items, Ruling.PASS)
    assert rulings(run, f"{code + 1}=any")[1]["stability"] is Ruling.FAIL


@pytest.mark.parametrize("code", [1008, 4401, 4408])
def test_a_session_that_is_barred_fails_stability_and_nothing_else(code: int) -> None:
    """It does not come back, and has no outage."""
    run = run_against(f"{code}_of_some", 5, dialect=Barring())
    verdict, judged = rulings(run)
    assert judged == dict.fromkeys(("connect", "messaging"), Ruling.PASS) | {"stability": Ruling.FAIL}
    evidence = verdict.item("stability").evidence
    assert evidence.barred == evidence.lost == run.count("stability.barred") >= 5
    assert rulings(run, f"{code}=any")[1]["stability"] is Ruling.PASS
