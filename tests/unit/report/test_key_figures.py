"""The verdict in a sentence, the key figures, and the ledger as a table."""

import json
from pathlib import Path
from typing import Any

import pytest

from loadtest.report.judged_run import JudgedRun
from loadtest.report.key_figures import headline, key_figures
from loadtest.report.message_table import message_table
from loadtest.report.summary_json import summary_json
from loadtest.report.tab_state import tab_state
from loadtest.results.data import RunData
from loadtest.ruling import Ruling
from loadtest.session.recorder import COUNTS, Lifecycle
from loadtest.verdict.run import judge
from tests.support.live_runs import under_way
from tests.support.runs import SOUND_COUNTS, gathered, interval, manifest, plan, sound


def judged(run: RunData) -> JudgedRun:
    """Return a run with its verdict."""
    return JudgedRun(path=Path("results/x"), results=Path("results"), run=run, verdict=judge(run))


def figures(run: RunData) -> dict[str, tuple[str, str, bool]]:
    """Return the key figures by name."""
    return {one.name: (one.value, one.beside, one.bad) for one in key_figures(judged(run))}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "All 5 judged items passed; "),
        ({"messaging.answered": -7, "messaging.lost": 7}, "Messaging failed; "),
        (
            {"messaging.answered": -7, "messaging.lost": 7, "persistence.missing": 1},
            "Messaging and persistence failed; ",
        ),
    ],
)
def test_the_headline_names_what_failed(changes: dict[str, int], said: str) -> None:
    """Failures first; what could not be judged, and what was not, after them."""
    run = sound()
    changed = {name: run.count(name) + count for name, count in changes.items()}
    assert headline(judged(sound(changed))).startswith(said)


def test_nothing_failed_is_no_pass() -> None:
    """Without data, nothing is said to have passed."""
    said = headline(judged(gathered([interval(0)])))
    assert said.startswith("0 of 8 items passed; inconclusive: connect")


def test_figures_are_bad_only_where_their_item_failed() -> None:
    """A number alone is no verdict."""
    good = figures(sound())
    assert good["messages"] == ("5,000", "97.8% answered, 2.2% cut off", False)
    assert good["lost or failed"] == ("0", "messages", False)
    bad = figures(sound({"messaging.answered": 4883, "messaging.lost": 7}))
    assert bad["lost or failed"] == ("7", "messages", True)
    assert not bad["connections lost"][2]


@pytest.mark.parametrize("name", [name for name in COUNTS if name.startswith("messaging.")])
def test_what_fails_a_message_is_one_thing_everywhere(name: str) -> None:
    """The tile, summary.json, the progress and the tab count what fails the item, and nothing else."""
    run = sound({name: SOUND_COUNTS.get(name, 0) + 1})
    fails = int(judge(run).item("messaging").verdict is Ruling.FAIL)
    assert figures(run)["lost or failed"] == (str(fails), "messages", bool(fails))
    summary = json.loads(summary_json(judged(run)))
    assert summary["failed"] + summary["lost_messages"] == fails
    live = under_way([interval(0, counts={name: 1})])
    assert live.progress.lost_or_failed == fails
    shown = {figure.name: figure.value for figure in tab_state(live, has_report=False).figures}
    assert shown["messages lost or failed"] == str(fails)


@pytest.mark.parametrize(("drops", "beside"), [({"close": 1.0}, "none made"), ({}, "none planned")])
def test_drops_that_were_not_made(drops: dict[str, float], beside: str) -> None:
    """A run that ended before its first drop had planned some."""
    of = manifest(run_plan=plan(drop_every_s=60.0, drops=drops))
    assert figures(gathered([interval(0)], of))["drops"] == ("0", beside, False)


def test_times_have_the_tails_that_their_samples_carry() -> None:
    """Ten outages have a median and a maximum, no p95."""
    run = gathered([interval(6, samples_us={"outage": range(1000, 11000, 1000), "service": [5000]})])
    found = figures(run)
    assert found["outage p50"] == ("5 ms", "max 10 ms", False)
    assert found["round trip"] == ("5 ms", "max 5 ms", False)


def test_a_time_says_how_many_messages_it_lacks() -> None:
    """Those whose reply came too late, or not at all, are in no latency."""
    counts = {"messaging.late": 104, "messaging.lost": 61, "messaging.broken_off": 1}
    found = figures(gathered([interval(6, samples_us={"service": [5000]}, counts=counts)]))
    assert found["round trip"] == ("5 ms", "max 5 ms; 166 late or lost messages not included", False)


def test_returns_beside_drops_are_those_after_drops() -> None:
    """A return after a loss is no answer to a drop."""

    def lived(event: str, session: str, **fields: Any) -> Lifecycle:
        return Lifecycle(at_ns=1, event=event, session=session, **fields)

    resumed = {"outage_ns": 900, "wait_ns": 900}
    events = [lived("dropped", "a", kind="fin"), lived("resumed", "a", **resumed)]
    events += [lived("lost", "b", cause="1011"), lived("resumed", "b", **resumed)]
    counts = {"drops.fin": 1, "losses.1011": 1, "reconnect.resumed": 2, "reconnect.outages": 2}
    found = figures(gathered([interval(6, lifecycle=events, counts=counts)]))
    assert found["drops"] == ("1", "1 return", False)


def test_the_ledger_adds_up_and_says_what_each_outcome_is() -> None:
    """Every request has one outcome; what fails besides is in the note."""
    table = message_table(
        sound({"messaging.duplicated": 2, "messaging.answered": 4880, "messaging.lost": 10})
    )
    rows = {row[0]: tuple(row[1:]) for row in table.rows}
    assert rows["answered"][:2] == ("4,880", "97.6%")
    assert rows["lost"] == ("10", "0.2%", "fails messaging", "requests without reply on a healthy connection")
    assert rows["lost in outage"][2] == "explained"
    assert rows["sent"][0] == "5,000"
    assert table.note == "The outcomes add up to the requests sent. Besides: 2 answered twice."


def test_books_that_do_not_balance_are_told() -> None:
    """Five requests without an outcome."""
    assert message_table(sound({"messaging.answered": 4885})).note == (
        "The outcomes do not add up: 5 requests are unaccounted for."
    )
    assert not message_table(gathered([interval(0)]))
