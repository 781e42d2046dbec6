"""How losses are shown: in the tables of files, and as lines of a terminal and of JUnit."""

from __future__ import annotations

from loadtest.report.losses import loss_lines, loss_table
from loadtest.report.tables import Untrusted
from loadtest.results.uptime import Away
from loadtest.ruling import Ruling
from loadtest.verdict.items import AnyItem, Item
from loadtest.verdict.loss_evidence import LossesSeen, StabilityEvidence


def stability(groups: int = 1, **evidence: object) -> AnyItem:
    """Return an item with this many groups of losses."""
    losses = [
        LossesSeen(
            cause="reset",
            code=1006,
            reason=f"reason {number}",
            count=1200,
            allowed="2/h",
            first_at_s=61,
            last_at_s=75,
            sessions=["a", "b"],
            per_session_hour=7.06,
        )
        for number in range(groups)
    ]
    found = StabilityEvidence(losses=losses, session_hours=1.7, **evidence)  # type: ignore[arg-type]  # by name
    return Item(item="stability", verdict=Ruling.FAIL, summary="", evidence=found)


def test_the_table_has_a_row_for_each_group() -> None:
    """With the rule that covers it; what comes from outside is marked as such."""
    table = loss_table(stability())
    assert table.rows == [
        ("1,200", "RST", "1006", "reason 0", "7.06", "2/h", "01:01", "01:15", "a, b"),
    ]
    assert {table.header[at] for at, cell in enumerate(table.rows[0]) if isinstance(cell, Untrusted)} == {
        *("cause", "reason", "allowed", "sessions")
    }
    assert table.note == "Over 1.7 session-hours. An hour is a session-hour."


def test_without_losses_there_is_nothing() -> None:
    """Neither a table nor lines; another item has none anyway."""
    other: AnyItem = Item(item="connect", verdict=Ruling.PASS, summary="")
    for item in (stability(0), other):
        assert not loss_table(item)
        assert list(loss_lines(item)) == []


def test_lines_are_few() -> None:
    """Ten groups, and how many more there are."""
    lines = list(loss_lines(stability(12)))
    assert lines[:2] == ["1,200 x RST 'reason 0'", "    first at 01:01, last at 01:15, sessions a, b"]
    assert len(lines) == 21
    assert lines[-1] == "and 2 more groups"


def test_times_away_are_told_in_both() -> None:
    """From when to when, and how many more."""
    away = [Away(from_s=12, until_s=15), Away(from_s=3600)]
    item = stability(away=away, more_away=1)
    told = "The server was away from 00:12 until 00:15, from 1:00:00 until the end, and once more."
    assert list(loss_lines(item))[-1] == told
    assert loss_table(item).note.endswith(told)


def test_a_server_cannot_break_a_line() -> None:
    """Its reason is escaped and cut."""
    losses = [LossesSeen(cause="x\x1b[2J", reason="\n" + "y" * 300, count=1, sessions=["\r"])]
    item: AnyItem = Item(
        item="stability", verdict=Ruling.FAIL, summary="", evidence=StabilityEvidence(losses=losses)
    )
    assert all(line.isprintable() and len(line) < 150 for line in loss_lines(item))
