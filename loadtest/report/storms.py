"""A run's storms as people see them: a row each, and a mark each in a chart over time.

What a sentence names is bounded; what a storm did is known from `loadtest.evidence`.
"""

from collections.abc import Sequence
from dataclasses import replace

from loadtest.drops import Storm
from loadtest.evidence import Evidence, StormRecovery
from loadtest.report import figures
from loadtest.report.geometry import Mark, Scale, marks
from loadtest.report.tables import Foreign, Table, bounded

_TOLD = 5
"""Storms that a sentence names."""


def storm_table(evidence: Evidence) -> Table:
    """Return how each storm went, empty where none was planned."""
    header = ("storm at", "kind", "planned", "dropped", "back", "50 % back", "95 %", "100 %", "peak/s")
    note = (
        "Times count from the storm's moment, and shares are of those dropped; a dash stands where so many "
        "never came back. The peak is of all attempts to connect in one second until they were back."
    )
    return replace(bounded("Storms", header, "rlrrrrrrr", map(_row, evidence.storms)), note=note)


def _row(one: StormRecovery) -> tuple[str, ...]:
    times = (None if after_s is None else 1e6 * after_s for after_s in one.back_after_s.values())
    return (
        _moment(one.storm),
        Foreign(one.storm.kind),
        figures.share(one.storm.share_ratio),
        figures.count(one.met),
        figures.count(one.back) if one.disconnects else "stayed up",
        *map(figures.span, times),
        figures.count(one.peak_per_s) if one.disconnects else figures.UNKNOWN,
    )


def storm_marks(evidence: Evidence, x: Scale) -> list[Mark]:
    """Return a mark for each storm that came before the run's end."""
    return marks([(storm.at_s, f"storm {figures.share(storm.share_ratio)}") for storm in _come(evidence)], x)


def storm_sentence(evidence: Evidence) -> str:
    """Return which storms came, empty where none did."""
    come = _come(evidence)
    if not come:
        return ""
    told = [f"{figures.share(storm.share_ratio)} of them at {_moment(storm)}" for storm in come[:_TOLD]]
    more = f" and {len(come) - _TOLD} more" if len(come) > _TOLD else ""
    return f"Storms were to drop {', '.join(told)}{more}."


def _come(evidence: Evidence) -> Sequence[Storm]:
    return [one.storm for one in evidence.storms if one.storm.at_s <= evidence.length_s]


def _moment(storm: Storm) -> str:
    return f"{storm.at_s:g} s"
