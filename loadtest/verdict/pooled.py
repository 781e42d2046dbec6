"""An item pooled over runs of two sides: did the candidate break what works in the baseline?

    baseline fails  candidate fails     verdict
    never           never               the worst of the candidate's runs
    never           ever                FAIL
    ever            never               the worst of the candidate's runs
    ever            not more often      NOT_JUDGED: a defect of both is no regression
    ever            not more often,     INCONCLUSIVE: a new defect, or one much more frequent (`defects`)
                    but worse
    ever            more often          INCONCLUSIVE: it may be chance
    ever            significantly more  FAIL

Where no run of the candidate was judged, but one of the baseline was, the item is INCONCLUSIVE, unless
nothing occurred in these runs that it could be judged by.

Runs that are INCONCLUSIVE may have failed or not. Whether the candidate fails more often is asked of the
worst case: those of the candidate failed and those of the baseline did not. Whether that is significant is
asked of the runs that were judged. Looked at after 4, 8 and 12 pairs, the test errs in under 4% of duels,
whatever share of their runs fails. Pure.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from loadtest import text
from loadtest.ruling import Ruling, worst
from loadtest.statistics.exact_test import SIGNIFICANT, more_frequent
from loadtest.verdict.defects import Defects, defects_over, worsened
from loadtest.verdict.evidence import ItemSeen, PersistenceEvidence, PooledEvidence, ReconnectEvidence
from loadtest.verdict.items import AnyItem, Item
from loadtest.verdict.log_evidence import ServerLogEvidence

_RUNS_SHOWN = 3


class ItemOfRun(NamedTuple):
    """The verdict on one item in one run; `run` is its directory."""

    run: str
    item: AnyItem


class _Side:
    """The verdicts on an item in the runs of one side, which has a name."""

    def __init__(self, name: str, of_runs: Sequence[ItemOfRun]) -> None:
        self.name = name
        self._of_runs = of_runs
        self.runs = len(of_runs)
        self.counts = Counter(of_run.item.verdict for of_run in of_runs)
        self.failed = self.counts[Ruling.FAIL]
        self.unclear = self.counts[Ruling.INCONCLUSIVE]
        self.judged = self.failed + self.counts[Ruling.PASS]

    @property
    def defects(self) -> Defects:
        return defects_over((one.item.evidence for one in self.having(Ruling.FAIL)), runs=self.runs)

    @property
    def had_nothing(self) -> bool:
        """Whether nothing occurred in any of its runs that the item could be judged by."""
        return bool(self._of_runs) and all(_had_nothing(one.item.evidence) for one in self._of_runs)

    def having(self, ruling: Ruling) -> list[ItemOfRun]:
        return [of_run for of_run in self._of_runs if of_run.item.verdict is ruling]


def _had_nothing(evidence: object) -> bool:
    match evidence:
        case ReconnectEvidence(counts=counts):
            return not counts.get("outages")
        case PersistenceEvidence(counts=counts):
            return not counts.get("checked")
        case ServerLogEvidence(records=records):  # a log without errors in a run without drops
            return records > 0
    return False


def pooled(
    name: str,
    *,
    baseline: Sequence[ItemOfRun],
    candidate: Sequence[ItemOfRun],
    sides: tuple[str, str] = ("a", "b"),
) -> Item[PooledEvidence[Any]]:
    """Judge an item over all runs of a comparison.

    Args:
        name: name of the item.
        baseline, candidate: the item's verdict in each run of that side.
        sides: what the summary calls baseline and candidate.

    Raises:
        InvalidSetting: a verdict.json has a rule for losses that cannot be read.
    """
    a, b = _Side(sides[0], baseline), _Side(sides[1], candidate)
    chance_ratio = _chance_ratio(a, b) if a.failed and b.failed else None
    if chance_ratio is None:
        worse, (ruling, summary) = "", _alone(a, b)
    else:
        worse = worsened(a.defects, b.defects)
        ruling, summary = _beside(a, b, chance_ratio, worse)
    shown = b.having(Ruling.FAIL) or b.having(Ruling.INCONCLUSIVE)
    evidence = PooledEvidence(
        runs=dict(b.counts),
        baseline_runs=dict(a.counts),
        chance_ratio=None if chance_ratio is None else round(chance_ratio, 6),
        worse=worse,
        seen=_seen(shown) or None,
        baseline_failed=_seen(a.having(Ruling.FAIL)) or None,
    )
    return Item(item=name, verdict=ruling, summary=summary, evidence=evidence)


def is_open(item: Item[PooledEvidence[Any]]) -> bool:
    """Whether more pairs may settle an item: both sides fail it, the candidate perhaps more often."""
    evidence = item.evidence
    both = item.verdict is Ruling.INCONCLUSIVE and evidence.chance_ratio is not None
    return both and _perhaps_more_often(evidence.baseline_runs, evidence.runs)


def is_certain(item: Item[PooledEvidence[Any]], *, at_look: bool) -> bool:
    """Whether the candidate regressed in an item, whatever more pairs show.

    If the baseline fails it too, only less often, this is asked at the looks alone: asked after each pair,
    chance would answer yes more often than the test allows. If the baseline was not judged yet, it may turn
    out to fail, too.
    """
    if item.verdict is not Ruling.FAIL:
        return False
    fails_too = item.evidence.chance_ratio is not None
    return at_look if fails_too else Ruling.PASS in item.evidence.baseline_runs


def is_fixed(item: Item[PooledEvidence[Any]]) -> bool:
    """Whether the candidate passes what the baseline fails, always or significantly more often."""
    before, after = item.evidence.baseline_runs, item.evidence.runs
    failed, passed = before.get(Ruling.FAIL, 0), after.get(Ruling.PASS, 0)
    if item.verdict is not Ruling.PASS or not failed:
        return False
    judged = failed + before.get(Ruling.PASS, 0)
    chance_ratio = more_frequent(before=0, of_before=passed, after=failed, of_after=judged)
    return failed == sum(before.values()) or chance_ratio <= SIGNIFICANT


def _chance_ratio(a: _Side, b: _Side) -> float:
    return more_frequent(before=a.failed, of_before=a.judged, after=b.failed, of_after=b.judged)


def _perhaps_more_often(before: Mapping[Ruling, int], after: Mapping[Ruling, int]) -> bool:
    """Whether the candidate fails in a larger share of its runs, if those that are INCONCLUSIVE failed."""
    most = after.get(Ruling.FAIL, 0) + after.get(Ruling.INCONCLUSIVE, 0)
    return most * sum(before.values()) > before.get(Ruling.FAIL, 0) * sum(after.values())


def _alone(a: _Side, b: _Side) -> tuple[Ruling, str]:
    """Return ruling and summary of an item that not both sides fail."""
    ruling = worst(b.counts)
    summary = _of_runs(ruling, b)
    if ruling is Ruling.NOT_JUDGED and a.judged and not b.had_nothing:
        ruling, summary = Ruling.INCONCLUSIVE, f"no longer judged: {summary}"
    if a.failed:
        summary += f"; the baseline fails it in {a.failed} of {a.runs} runs"
    return ruling, summary


def _beside(a: _Side, b: _Side, chance_ratio: float, worse: str) -> tuple[Ruling, str]:
    """Return ruling and summary of an item that both sides fail in some runs.

    Args:
        a, b: the sides.
        chance_ratio: the chance of b failing so much more often if both are alike.
        worse: in which ways b's failures are other or worse ones, empty if they are not.
    """
    (run, first), (_, first_of_a) = b.having(Ruling.FAIL)[0], a.having(Ruling.FAIL)[0]
    counted = f"{a.name}: {a.failed} of {a.runs} runs, {b.name}: {b.failed} of {b.runs}"
    seen = f"first {run}: {first.summary}"
    if chance_ratio <= SIGNIFICANT:
        chance = f"p = {text.share(chance_ratio)}"
        return Ruling.FAIL, f"fails more often in {b.name} ({counted}; {chance}), {seen}"
    if not _perhaps_more_often(a.counts, b.counts):
        if worse:
            return Ruling.INCONCLUSIVE, f"fails in both ({counted}), but worse in {b.name}: {worse}; {seen}"
        in_a = "" if first_of_a.summary == first.summary else f"; {a.name}: {first_of_a.summary}"
        return Ruling.NOT_JUDGED, f"fails in both ({counted}): {first.summary}{in_a}"
    unclear = f", and {b.unclear} of {b.name} could not be judged" if b.unclear else ""
    perhaps = "" if b.failed / b.runs > a.failed / a.runs else "perhaps "
    why = f"fails in both, {perhaps}more often in {b.name} ({counted}{unclear})"
    why += f", and worse: {worse}" if worse else ""
    return Ruling.INCONCLUSIVE, f"{why}: run more pairs to rule out chance; {seen}"


def _of_runs(ruling: Ruling, side: _Side) -> str:
    if not side.runs:
        return "no run was made"
    shown = side.having(ruling)
    if ruling in (Ruling.PASS, Ruling.NOT_JUDGED):
        return f"{_in_runs(shown, side.runs)}: {shown[0].item.summary}"
    return f"in {len(shown)} of {side.runs} runs, first {shown[0].run}: {shown[0].item.summary}"


def _in_runs(shown: Sequence[ItemOfRun], runs: int) -> str:
    """Return in how many runs, so that the counts of the first do not read as the sum of all."""
    if runs == 1:
        return "in 1 run"
    if len({one.item.summary for one in shown}) == 1:
        return f"in {len(shown)} of {runs} runs"
    return f"in {'each' if len(shown) == runs else len(shown)} of {runs} runs, the first"


def _seen(found: Sequence[ItemOfRun]) -> list[ItemSeen[Any]]:
    return [
        ItemSeen(run=of_run.run, summary=of_run.item.summary, evidence=of_run.item.evidence)
        for of_run in found[:_RUNS_SHOWN]
    ]
