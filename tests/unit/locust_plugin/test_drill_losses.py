"""Losses that belong to drills: left out of warnings and failures, and one line each drill."""

from __future__ import annotations

from loadtest.locust_plugin.drill_losses import DrillLosses, split_losses
from loadtest.results.drill_windows import NO_WINDOWS, Windows
from loadtest.results.interval import PackedInterval, pack
from loadtest.session.recorder import Lifecycle
from loadtest.session.schedule import NS_PER_S
from tests.support.runs import interval

WINDOWS = Windows({0: (10 * NS_PER_S, 20 * NS_PER_S), 1: (30 * NS_PER_S, 2**62)})


def losing(*lost: tuple[float, str]) -> PackedInterval:
    """Return an interval with connections lost at these times for these causes, and with a drop."""
    counts = {"drops.reset": 1}
    for _, cause in lost:
        counts[f"losses.{cause}"] = counts.get(f"losses.{cause}", 0) + 1
    records = [
        Lifecycle(at_ns=int(at_s * NS_PER_S), event="lost", session=f"s-{number}", cause=cause)
        for number, (at_s, cause) in enumerate(lost)
    ]
    dropped = Lifecycle(at_ns=15 * NS_PER_S, event="dropped", session="s-0", kind="reset")
    return pack(interval(0, counts=counts, lifecycle=[dropped, *records]))


def test_losses_in_a_window_are_left_out() -> None:
    """Each from the events and from its count; others, and all else in the window, stay."""
    packed = losing((9, "1012"), (11, "1012"), (12, "1012"), (13, "eof"), (25, "reset"), (99, "1012"))
    by_drill, others = split_losses(packed, WINDOWS)
    assert {number: [record.cause for record in lost] for number, lost in by_drill.items()} == {
        0: ["1012", "1012", "eof"],
        1: ["1012"],
    }
    assert [(record.event, record.cause) for record in others.lifecycle] == [
        ("dropped", None),
        ("lost", "1012"),
        ("lost", "reset"),
    ]
    assert others.counts == {"drops.reset": 1, "losses.1012": 1, "losses.eof": 0, "losses.reset": 1}
    assert packed == losing((9, "1012"), (11, "1012"), (12, "1012"), (13, "eof"), (25, "reset"), (99, "1012"))


def test_without_a_window_nothing_is_left_out() -> None:
    """The interval is the same object: most runs have no drill."""
    packed = losing((11, "1012"))
    assert split_losses(packed, NO_WINDOWS) == ({}, packed)
    assert split_losses(packed, NO_WINDOWS)[1] is packed
    outside = losing((9, "1012"))
    assert split_losses(outside, WINDOWS)[1] is outside


def test_a_drill_gives_one_line() -> None:
    """At its first losses, by cause; later ones are only counted, those of another drill have their own."""
    losses = DrillLosses()

    def lines(*lost: tuple[float, str]) -> list[str]:
        return losses.lines(split_losses(losing(*lost), WINDOWS)[0])

    assert lines((9, "1012")) == []
    assert lines((11, "1012"), (11, "1012"), (12, "eof")) == ["drill 1 ended connections: 1012 (2), FIN (1)"]
    assert lines((13, "1012")) == []
    assert lines((14, "1012"), (31, "reset")) == ["drill 2 ended connections: RST (1)"]
