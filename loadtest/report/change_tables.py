"""What changed against a baseline, and what else differs, as tables for any output format.

One line an item, so that a person can search for it in any report: `server_log FAIL → PASS (fixed)`.
"""

from collections.abc import Iterator, Sequence

from loadtest.report.tables import Table, Untrusted, bounded
from loadtest.verdict.differences import Difference
from loadtest.verdict.item_changes import Change, ItemChange, outcome_line

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


def explanations(changes: Sequence[ItemChange]) -> Iterator[str]:
    """Yield why items changed, or why that is unclear; not of `latency`, which has a line of its own."""
    for change in changes:
        if change.item == "latency":
            continue
        if change.change is Change.FIXED:
            yield f"{change.item} {change.change}, before: {change.summary_before}"
        elif change.change in _EXPLAINED:
            yield f"{change.item} {change.change}: {change.summary_after}"


def difference_table(differences: Sequence[Difference] | None) -> Table:
    """Return what differs between the runs besides the server, empty if nothing does."""
    rows = (
        (Untrusted(one.what), Untrusted(one.baseline), Untrusted(one.candidate)) for one in differences or ()
    )
    return bounded("What differs", ("what differs", "baseline", "candidate"), "lll", rows)
