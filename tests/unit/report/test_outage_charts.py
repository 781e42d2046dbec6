"""The charts of outages by kind: of a run, and of both sides of a comparison over each other."""

from collections.abc import Mapping

from loadtest.report.chart import Boxes
from loadtest.report.outage_charts import phase_charts
from loadtest.report.outage_phases import OutagePhases


def mean(kind: str, outages: int, phases_ms: Mapping[str, float]) -> OutagePhases:
    """Return outages after drops of this kind."""
    return OutagePhases(trigger="drop", kind=kind, outages=outages, phases_ms=phases_ms)


def test_outages_stand_above_each_other() -> None:
    """The baseline's above the candidate's; phases begin where the one before ends, the client's apart."""
    server, client = phase_charts(
        {
            "baseline": [mean("fin", 4, {"wait": 1000.0, "tcp": 2.0, "resume": 3.0})],
            "candidate": [mean("fin", 5, {"wait": 1000.0, "tcp": 2.0, "resume": 9.0})],
        }
    )
    assert server.y.names == ["fin, baseline: 5 ms", "fin, candidate: 11 ms"]
    assert client.y.names == ["fin, baseline: 1 s", "fin, candidate: 1 s"]
    boxes = {mark.name: mark.boxes for mark in server.marks if isinstance(mark, Boxes)}
    assert [(box.x0, box.x1) for box in boxes["tcp"]] == [(0.0, 2.0), (0.0, 2.0)]
    assert [(box.x0, box.x1) for box in boxes["resume"]] == [(2.0, 5.0), (2.0, 11.0)]
    assert server.table.rows[1] == ["fin", "dropped", "candidate", "5", "2 ms", "9 ms", "11 ms"]


def test_a_kind_that_one_side_has_stands_alone() -> None:
    """As a cause of losses that is new."""
    (server,) = phase_charts(
        {"baseline": [mean("fin", 1, {"tcp": 2.0})], "candidate": [mean("reset", 1, {"tcp": 3.0})]}
    )
    assert server.y.names == ["fin, baseline: 2 ms", "reset, candidate: 3 ms"]


def test_kinds_are_bounded() -> None:
    """Those with the most outages are shown, in a run, too, and the others counted."""
    (server,) = phase_charts(
        {"": [mean(f"kind{number:02}", 1 + number, {"tcp": 1.0}) for number in range(20)]}
    )
    assert server.y.names is not None
    assert (len(server.y.names), server.y.names[0]) == (12, "kind08: 1 ms")
    assert server.note == "8 more kinds had fewer outages."
