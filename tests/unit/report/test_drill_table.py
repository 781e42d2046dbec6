"""How drills are shown: a row each, and what happened across them."""

from __future__ import annotations

import msgspec
import pytest
from rich.console import Console

from loadtest.report.drill_table import drill_table
from loadtest.report.tables import Untrusted
from loadtest.report.terminal_tables import print_table
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
        ("20 s", "0", "4 s", "3", "2 x 1012, 1 x RST", "all", "4 s", "5 s", "5 s", "2 s", "2"),
        ("40 s", "stopped", "1 s", "0", "", "-", "-", "-", "-", "-", "0"),
    ]
    untrusted = {table.header[at] for at, cell in enumerate(table.rows[0]) if isinstance(cell, Untrusted)}
    assert untrusted == {"by"}
    assert table.note.startswith("At 20 s: deploy v2. At 40 s: deploy v3. Lost: ")


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


def test_one_of_each_in_the_note() -> None:
    """In the singular, and each says what it counts."""
    counts = {25: {"messaging.lost_in_outage": 1, "messaging.released": 1, "persistence.histories": 1}}
    assert drill_table(data(lost(21, 0), counts=counts)).note.endswith(
        "From 20 s on: 1 message was lost with its connection, 1 message waited for the reconnect, "
        "1 restored history was compared."
    )


def test_a_usual_drill_fits_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """A hundred sessions and times with three figures: one line of 80 columns."""
    losses = [lost(21, number) for number in range(100)]
    back = [resumed(32.4 + number / 100, number, 11.4) for number in range(100)]
    long = msgspec.structs.replace(DRILL, at_s=60.0, ended_s=24.23)
    print_table(Console(width=80), drill_table(data(*losses, *back, run=of(long))))
    (row,) = [line for line in capsys.readouterr().out.splitlines() if "1012" in line]
    assert row.split() == [
        *("60", "s", "0", "4.23", "s", "100", "100", "x", "1012", "all"),
        *("12.9", "s", "13.3", "s", "13.4", "s", "11.4", "s", "0"),
    ]


def test_without_drills_there_is_nothing() -> None:
    """No table."""
    run = data(run=of())
    assert not drill_table(run)
