"""How drills are shown: a row each, what happened across them, and their marks in charts."""

from __future__ import annotations

import msgspec

from loadtest.report.drill_table import drill_moments, drill_table
from loadtest.report.tables import Untrusted
from loadtest.results.manifest import DrillRun
from tests.unit.results.test_drill_recovery import DRILL, data, event, lost, of, resumed


def test_a_row_for_each_drill() -> None:
    """What was run, what it did, and how long until its sessions were back."""
    second = DrillRun(
        at_s=40.0, command="deploy v3", started_s=40.0, ended_s=41.0, exit_status=-15, stopped=True
    )
    events = [*(lost(21, number) for number in range(2)), event(22, "lost", 2, cause="reset")]
    back = [resumed(23 + number, number, 2.0) for number in range(3)]
    attempts = [event(22.5, "attempt", number) for number in range(2)]
    table = drill_table(data(*events, *attempts, *back, run=of(DRILL, second)))
    assert table.rows == [
        ("20 s", "0", "4 s", "3", "2 x 1012, 1 x RST", "3 of 3", "4 s", "5 s", "5 s", "2"),
        ("40 s", "stopped", "1 s", "0", "", "0 of 0", "-", "-", "-", "0"),
    ]
    untrusted = {table.header[at] for at, cell in enumerate(table.rows[0]) if isinstance(cell, Untrusted)}
    assert untrusted == {"by"}
    assert table.note.startswith("At 20 s: deploy v2. At 40 s: deploy v3. Lost are ")


def test_a_command_that_never_ran() -> None:
    """Dashes instead of a status and a duration."""
    never = DrillRun(at_s=20.0, command="deploy")
    (row,) = drill_table(data(run=of(never))).rows
    assert row[1:4] == ("-", "-", "0")


def test_messages_and_histories_in_the_note() -> None:
    """Only what happened is said."""
    counts = {25: {"messaging.lost_in_outage": 2, "persistence.histories": 14}}
    note = drill_table(data(lost(21, 0), counts=counts)).note
    assert note.endswith(
        "From 20 s on: 2 messages were lost with their connection, 14 restored histories were compared."
    )
    assert "From" not in drill_table(data(lost(21, 0))).note


def test_without_drills_there_is_nothing() -> None:
    """Neither a table nor marks."""
    run = data(run=of())
    assert not drill_table(run)
    assert drill_moments(run) == []


def test_marks_stand_where_commands_started() -> None:
    """One that never started has none."""
    never = msgspec.structs.replace(DRILL, started_s=None)
    late = msgspec.structs.replace(DRILL, started_s=20.4)
    assert drill_moments(data(run=of(late, never))) == [(20.4, "drill")]
