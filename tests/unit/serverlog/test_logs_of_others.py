"""Logs that others keep: of many loggers, by many carriers, with the right figures beside each."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from loadtest.runs.check_log import LogReport, check
from loadtest.serverlog.rules import LogClass, load_rules
from loadtest.serverlog.times import iso
from loadtest.verdict.log_summary import MAX_UNREAD_RATIO
from tests.support.places import SERVER_LOGS

RULES = load_rules()
FIGURES = sorted(SERVER_LOGS.glob("*.figures"))


def figures_of(report: LogReport) -> dict[str, Any]:
    """All figures that a `.figures` file may name."""
    levels: Counter[str] = Counter()
    for log_class in LogClass:
        levels.update(report.levels(log_class))
    ratio = report.disconnect_info_ratio
    return {
        "records": report.records,
        "classes": {str(one): found for one in LogClass if (found := report.levels(one))},
        "levels": dict(levels),
        "disconnects": report.disconnects,
        "disconnect_errors": report.disconnect_errors,
        "real_errors": report.real_errors,
        "info_ratio": None if ratio is None else round(ratio, 4),
        "status": report.status,
        "exit_code": report.exit_code,
        "from": None if report.first_ns is None else iso(report.first_ns),
        "to": None if report.last_ns is None else iso(report.last_ns),
        "doubted": report.reading.unlevelled_ratio() > MAX_UNREAD_RATIO,
        **report.reading.as_dict(),
    }


@pytest.mark.parametrize("path", FIGURES, ids=lambda path: path.stem)
def test_logs_of_others_are_read_as_they_mean(path: Path) -> None:
    """Records, levels, times and classes of each log are the right ones, and nothing is unreadable."""
    expected = json.loads(path.read_text())
    never = expected.pop("never", [])
    found = figures_of(check([path.with_suffix("")], rules=RULES))
    assert {name: found[name] for name in expected} == expected
    assert found["status"] not in never
    assert (found["broken"], found["cut"], found["undecodable"]) == (0, 0, 0)


def test_every_log_has_its_figures() -> None:
    """No log is forgotten."""
    logs = {path.name for path in SERVER_LOGS.iterdir() if path.suffix != ".figures"}
    assert logs == {path.stem for path in FIGURES}
    assert len(logs) >= 44
