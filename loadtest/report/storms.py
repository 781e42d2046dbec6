"""How storms are shown: their table, and those that the timeline names."""

from collections.abc import Sequence
from dataclasses import replace

from loadtest import text
from loadtest.drops.plan import Storm
from loadtest.report.tables import Table, Untrusted, bounded
from loadtest.results.data import RunData, StormRecovery


def storm_table(run: RunData) -> Table:
    """Return how each storm went; empty if none was planned."""
    header = ("storm at", "kind", "planned", "dropped", "back", "50% back", "95%", "100%", "peak/s")
    note = (
        "50%, 95%, 100%: time from the storm until this share of the dropped sessions was back ('-': "
        "never). Peak: the most connection attempts in one second during recovery."
    )
    return replace(bounded("Storms", header, "rlrrrrrrr", map(_row, run.storms)), note=note)


def _row(one: StormRecovery) -> tuple[str, ...]:
    times = (None if after_s is None else 1e6 * after_s for after_s in one.back_after_s.values())
    return (
        _moment(one.storm),
        Untrusted(one.storm.kind),
        text.share(one.storm.share_ratio),
        text.count(one.met),
        text.count(one.back) if one.disconnects else "stayed up",
        *map(text.span, times),
        text.count(one.peak_per_s) if one.disconnects else text.UNKNOWN,
    )


def storms_until_end(run: RunData) -> Sequence[Storm]:
    """Return the planned storms that came before the run's end."""
    return [one.storm for one in run.storms if one.storm.at_s <= run.length_s]


def _moment(storm: Storm) -> str:
    return f"{storm.at_s:g} s"
