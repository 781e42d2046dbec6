"""How storms are shown: their table, and the sentence and moments that the charts name."""

from collections.abc import Sequence
from dataclasses import replace

from loadtest import text
from loadtest.drops.plan import Storm
from loadtest.report.tables import Table, Untrusted, bounded
from loadtest.results.data import RunData, StormRecovery

_STORMS_NAMED = 5
"""Maximum number of storms that a sentence names."""


def storm_table(run: RunData) -> Table:
    """Return how each storm went; empty if none was planned."""
    header = ("storm at", "kind", "planned", "dropped", "back", "50% back", "95%", "100%", "peak/s")
    note = (
        "Times count from the storm's moment, and shares are of those dropped; a dash stands where so many "
        "never came back. The peak is of all attempts to connect in one second until they were back."
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


def storm_sentence(run: RunData) -> str:
    """Return a sentence naming the storms that came before the run's end, empty if there were none."""
    come = storms_until_end(run)
    if not come:
        return ""
    named = [f"{text.share(storm.share_ratio)} of them at {_moment(storm)}" for storm in come[:_STORMS_NAMED]]
    more = f" and {len(come) - _STORMS_NAMED} more" if len(come) > _STORMS_NAMED else ""
    return f"Storms were to drop {', '.join(named)}{more}."


def storms_until_end(run: RunData) -> Sequence[Storm]:
    """Return the planned storms that came before the run's end."""
    return [one.storm for one in run.storms if one.storm.at_s <= run.length_s]


def _moment(storm: Storm) -> str:
    return f"{storm.at_s:g} s"
