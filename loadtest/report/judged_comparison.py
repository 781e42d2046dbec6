"""A comparison of a candidate with a baseline, judged: the input of every report on it.

`loadtest compare` makes one of two runs or several pairs, `loadtest duel` of the pairs that it ran. What is
drawn of the runs themselves is in `loadtest.report.pair_sums`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from loadtest.report.change_tables import explanations
from loadtest.report.pair_sums import First, PairSums
from loadtest.ruling import Ruling
from loadtest.verdict.differences import Difference
from loadtest.verdict.evidence import LatencyEvidence
from loadtest.verdict.item_changes import ItemChange
from loadtest.verdict.items import Item


@dataclass(frozen=True, slots=True, kw_only=True)
class PairMade:
    """The runs of a pair.

    Args:
        baseline, candidate: their run directories.
        first: which of them was made first.
    """

    baseline: Path
    candidate: Path
    first: First


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JudgedComparison:
    """A comparison, its verdict, and what its charts draw.

    Args:
        made_by: the command that compared: `compare` or `duel`.
        verdict: the verdict on the comparison.
        baseline, candidate: their revisions.
        started_at: when the first run started, ISO 8601 in UTC.
        headline: which revisions were compared, and over how many pairs.
        remarks: how it was made and what to keep in mind, a sentence each.
        commands: commands that tell more, to be copied.
        latency: the item `latency` over all pairs.
        changes: what changed in each item.
        differences: what differs between the runs besides the server.
        pairs: the pairs, in order.
        drawn: what is drawn of their runs.
        next_step: what to do if the comparison is INCONCLUSIVE, empty if that is not known.
    """

    made_by: str
    verdict: Ruling
    baseline: str
    candidate: str
    started_at: str
    headline: str
    remarks: Sequence[str]
    commands: Sequence[str]
    latency: Item[LatencyEvidence]
    changes: Sequence[ItemChange]
    differences: Sequence[Difference]
    pairs: Sequence[PairMade]
    drawn: PairSums
    next_step: str = ""

    @property
    def why(self) -> Iterator[str]:
        """The sentences that explain the verdict: each item that changed, then latency."""
        yield from explanations(self.changes)
        yield f"latency {self.latency.verdict}: {self.latency.summary}"
