"""Two logs compared by rate."""

import json
from pathlib import Path

import pytest

from loadtest.runs.check_log import LogReport, check
from loadtest.runs.log_changes import LogChange, LogChanges, compare_logs
from loadtest.runs.log_tables import check_sheet
from loadtest.serverlog.records import Level
from loadtest.serverlog.rules import LogClass, load_rules

TABLE = load_rules()
START_S = 14 * 3_600


def log(path: Path, hours: float, counts: dict[str, int], *, times: bool = True) -> LogReport:
    """A log of this duration with so many records of each text, spread over it, in any order."""
    records = [(text, n / max(1, count)) for text, count in counts.items() for n in range(count)]
    records += [("INFO - ready", 0), ("INFO - ready", 0.999999)]
    lines = []
    for text, part in sorted(records, key=lambda one: one[1]):
        second = START_S + part * hours * 3_600
        clock = f"{int(second // 3600):02}:{int(second // 60 % 60):02}:{int(second % 60):02}"
        lines.append(f"2026-11-23 {clock},000 - a - {text}" if times else text.replace(" - ", ":     "))
    path.write_text("\n".join(lines) + "\n")
    return check([path], rules=TABLE)


def compared(before: LogReport, after: LogReport) -> LogChanges:
    """Return the comparison of logs that have records."""
    changes = compare_logs(before, after)
    assert changes is not None
    return changes


def of(changes: LogChanges, text: str) -> LogChange:
    """Return the change of the shape with this text."""
    (found,) = (change for change in changes.shapes if text in change.text)
    return found


def test_rates_are_compared_not_counts(tmp_path: Path) -> None:
    """The same rate in a log of eight hours and one of an hour is no change, whatever the counts."""
    before = log(tmp_path / "before.log", 8, {"WARNING - slow query": 160, "ERROR - disk full": 80})
    after = log(tmp_path / "after.log", 1, {"WARNING - slow query": 20, "ERROR - disk full": 60})
    changes = compared(before, after)
    assert changes.unit == "hour"
    slow, full = of(changes, "slow query"), of(changes, "disk full")
    assert (slow.before, slow.after, slow.change) == (160, 20, "")
    assert slow.before_rate == pytest.approx(slow.after_rate, rel=0.01)
    assert full.before_rate == pytest.approx(10, rel=0.01)
    assert full.after_rate == pytest.approx(60, rel=0.01)
    assert full.change == "more frequent"
    assert full.chance < 1e-9
    assert of(compared(after, before), "disk full").change == "less frequent"


def test_what_is_new_and_what_is_gone(tmp_path: Path) -> None:
    """Each is named, the new first; how far chance explains it is told beside it."""
    before = log(tmp_path / "before.log", 1, {"ERROR - disk full": 30, "WARNING - cache cold": 1})
    after = log(tmp_path / "after.log", 1, {"ERROR - queue lost": 30, "WARNING - cache warm": 1})
    changes = compared(before, after)
    assert [(change.text, change.change) for change in changes.shapes] == [
        ("queue lost", "new"),
        ("cache warm", "new"),
        ("disk full", "gone"),
        ("cache cold", "gone"),
    ]
    assert of(changes, "queue lost").chance < 1e-8
    assert of(changes, "cache warm").chance == pytest.approx(0.5, abs=0.01)


def test_chance_explains_small_differences(tmp_path: Path) -> None:
    """Equal rates give three against seven in one test of six: that is no change."""
    before = log(tmp_path / "before.log", 1, {"ERROR - disk full": 3})
    after = log(tmp_path / "after.log", 1, {"ERROR - disk full": 7})
    (change,) = compared(before, after).shapes
    # Ten tosses of a coin give seven heads or more in 176 of 1,024 cases.
    assert change.chance == pytest.approx(176 / 1_024, rel=0.01)
    assert change.change == ""


def test_many_shapes_need_stronger_evidence(tmp_path: Path) -> None:
    """Of a hundred counts some differ by chance: what would do alone does not do among them."""
    words = [f"{a}{b} broke" for a in "abcdefghij" for b in "klmnopqrst"]
    noise = {f"WARNING - {word}": 5 for word in words}
    counts = {"ERROR - disk full": 2}, {"ERROR - disk full": 14}
    alone = [log(tmp_path / f"alone-{n}.log", 1, one) for n, one in enumerate(counts)]
    among = [log(tmp_path / f"among-{n}.log", 1, noise | one) for n, one in enumerate(counts)]
    assert of(compared(*alone), "disk full").change == "more frequent"
    assert of(compared(*among), "disk full").change == ""


def test_logs_without_times_are_compared_by_records(tmp_path: Path) -> None:
    """Without hours there is no rate an hour; records stand in for them, and the unit says so."""
    before = log(tmp_path / "before.log", 1, {"INFO - hello": 998, "ERROR - disk full": 10}, times=False)
    after = log(tmp_path / "after.log", 1, {"INFO - hello": 998, "ERROR - disk full": 60})
    changes = compared(before, after)
    assert changes.unit == "1,000 records"
    assert of(changes, "disk full").change == "more frequent"


def test_classes_are_compared_too(tmp_path: Path) -> None:
    """The hotfix: disconnects move from ERROR to INFO, and all errors together are fewer."""
    before = log(tmp_path / "before.log", 1, {"ERROR - Send error (session s-1) -> cleanup: ": 40})
    after = log(
        tmp_path / "after.log", 1, {"INFO - Client disconnected during send (session=s-1, code=1006)": 40}
    )
    changes = {(change.log_class, change.level): change.change for change in compared(before, after).classes}
    assert changes[None, Level.ERROR] == "gone"
    assert changes[LogClass.SEND_TO_GONE_CLIENT, Level.ERROR] == "gone"
    assert changes[LogClass.SEND_TO_GONE_CLIENT, Level.INFO] == "new"


def test_an_empty_log_is_not_compared(tmp_path: Path) -> None:
    """There is nothing to compare with."""
    (tmp_path / "empty.log").write_text("")
    empty = check([tmp_path / "empty.log"], rules=TABLE)
    full = log(tmp_path / "full.log", 1, {"ERROR - disk full": 1})
    assert compare_logs(empty, full) is None
    assert len(check_sheet([empty, full], None).tables) == 3


def test_it_is_shown_and_is_json(tmp_path: Path) -> None:
    """The tables have rates, counts and the change; the document has the same."""
    before = log(tmp_path / "before.log", 2, {"ERROR - disk full": 4})
    after = log(tmp_path / "after.log", 1, {"ERROR - disk full": 40})
    _, classes, shapes, *_ = check_sheet([before, after], compare_logs(before, after)).tables
    assert shapes.title == "Warnings and errors per hour, before and after"
    assert list(shapes.rows) == [("ERROR", "2 (4)", "40 (40)", "<0.01%", "more frequent", "disk full")]
    assert ("all", "ERROR", "2 (4)", "40 (40)", "<0.01%", "more frequent") in list(classes.rows)
    document = json.loads(json.dumps(compared(before, after).to_json()))
    assert document["rates_per"] == "hour"
    assert document["shapes"][0]["before"] == 4
    assert document["shapes"][0]["change"] == "more frequent"
