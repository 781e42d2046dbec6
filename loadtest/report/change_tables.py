"""What changed against a baseline, and what else differs, as tables for any output format.

One line an item, so that a person can search for it in any report: `server_log FAIL → PASS (fixed)`.
"""

from collections.abc import Iterator, Sequence

from loadtest.report.tables import Table, Untrusted, bounded
from loadtest.verdict.differences import Difference
from loadtest.verdict.item_changes import Change, ItemChange, outcome_line

_BARS = "latency not compared"

_EXPLAINED = frozenset({Change.BROKEN, Change.FAILS, Change.UNCLEAR, Change.NO_LONGER_JUDGED})
"""Changes that the candidate's summary explains; the baseline's explains what was fixed."""


def change_lines(changes: Sequence[ItemChange] | None) -> list[str]:
    """Return the changes, one line an item, then the outcome; empty if nothing was compared."""
    return [*map(str, changes), outcome_line(changes)] if changes else []


def change_table(changes: Sequence[ItemChange] | None) -> Table:
    """Return the changes, one row an item, with the outcome as the note; empty if nothing was compared."""
    rows = [(str(change),) for change in changes or ()]
    return Table(
        ("item, from baseline to candidate",), "l", rows, "Changes", note=outcome_line(changes or ())
    )


def item_changes(changes: Sequence[ItemChange] | None) -> Table:
    """Return the changes with a column for each verdict; empty if nothing was compared."""
    rows = [
        (
            one.item,
            str(one.before),
            str(one.after),
            f"{one.change}: {one.remark}" if one.remark else str(one.change),
        )
        for one in changes or ()
    ]
    return Table(("item", "baseline", "candidate", "change"), "llll", rows, "Changes")


def explanations(changes: Sequence[ItemChange]) -> Iterator[str]:
    """Yield why items changed, or why that is unclear; except `latency`, which has its own line."""
    for change in changes:
        if change.item == "latency":
            continue
        if change.change is Change.FIXED:
            yield f"{change.item} {change.change}, before: {change.summary_before}"
        elif change.change in _EXPLAINED:
            yield f"{change.item} {change.change}: {change.summary_after}"


def difference_table(
    differences: Sequence[Difference] | None, unlike: Sequence[Difference] | None = None
) -> Table:
    """Return what differs between the runs besides the server, empty if nothing does.

    Args:
        differences: what differs.
        unlike: the part of it for which latency is not compared; it may hold more, the runs' lengths.
    """
    names = {one.what for one in unlike or ()}
    found = [*(unlike or ()), *(one for one in differences or () if one.what not in names)]
    effects = ["runs not comparable" if one.in_plan else _BARS * (one.what in names) for one in found]
    rows = (
        (*map(Untrusted, (one.what, one.baseline, one.candidate)), *([effect] if any(effects) else []))
        for one, effect in zip(found, effects, strict=True)
    )
    header = ("setting", "baseline", "candidate", *(["effect"] if any(effects) else []))
    return bounded("What differs", header, "l" * len(header), rows)
