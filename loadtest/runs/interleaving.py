"""Checks that the runs of several pairs alternate: only then is each pair an independent measurement.

If all runs of one revision were made before those of the other, any change in between (the time of day,
another load on the host, a warm cache) is in every pair, and the spread of the pairs does not show it.
"""

from collections.abc import Sequence

from loadtest.errors import UsageError
from loadtest.results.manifest import Manifest
from loadtest.text import one_line

_RUNS_NAMED = 8
"""Runs that the error names, in order: enough to see what was not in turn."""


def check_interleaved(pairs: Sequence[tuple[Manifest, Manifest]]) -> None:
    """Refuse pairs of runs that do not alternate; a single pair is always accepted.

    Args:
        pairs: manifests of the baseline's and the candidate's run of each pair.

    Raises:
        UsageError: sorted by start, the runs are not one pair after the other.
    """
    runs = sorted(
        ((run.started_unix_ns, number, run) for number, pair in enumerate(pairs) for run in pair),
        key=lambda one: one[:2],
    )
    if all(one[1] == other[1] for one, other in zip(runs[::2], runs[1::2], strict=True)):
        return
    named = ", ".join(f"{run.revision} ({run.run_id})" for _, _, run in runs[:_RUNS_NAMED])
    more = f" and {len(runs) - _RUNS_NAMED} more" if len(runs) > _RUNS_NAMED else ""
    raise UsageError(
        "the runs were not made in turn, so what changed with time would look like a change of the server: "
        f"{one_line(named, 400)}{more}, in order of start. Several pairs must follow each other, with a run "
        "of each revision. To make such pairs, use 'loadtest duel'; or compare one pair, without --all and "
        "--pair"
    )
