"""What is wrong in an item that failed: the defects by name, with how often each occurred.

Two runs that fail an item may fail it in different ways: one late message is not a server that loses every
second one. A comparison must not take the second for the first. The counts are of runs with one plan, so they
can be compared as they are. No rule of an item is here: the evidence says what it allows.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

from loadtest import text
from loadtest.ruling import Ruling
from loadtest.verdict.evidence import CountedEvidence, LatencyEvidence, LimitedEvidence
from loadtest.verdict.log_evidence import ServerLogEvidence
from loadtest.verdict.loss_evidence import StabilityEvidence

MUCH_MORE_FACTOR, MUCH_MORE = 2, 10
"""A defect occurs much more often if there are over twice as many, and over ten more: counts of failures vary
between runs of one server, often by half."""


def defects_of(evidence: object) -> Mapping[str, int]:
    """Return how often each defect of a failed item occurred; empty if its evidence does not name any."""
    match evidence:
        case StabilityEvidence():
            return _losses(evidence)
        case ServerLogEvidence():
            found = {
                "disconnects logged above INFO": _above_info(evidence),
                "disconnects logged as errors": evidence.disconnect_errors,
                "real errors": max(0, evidence.real_errors - evidence.allowed_errors),
            }
            return {name: count for name, count in found.items() if count}
        case CountedEvidence():
            return {**_forbidden(evidence), **_limits_broken(evidence)}
        case LatencyEvidence():
            return _limits_broken(evidence)
    return {}


def _losses(evidence: StabilityEvidence) -> Counter[str]:
    found: Counter[str] = Counter()
    for one in evidence.losses:
        found[f"lost by {one.cause}"] += 0 if one.allowed == "any" else one.count
    return +found


def _above_info(evidence: ServerLogEvidence) -> int:
    """Return how many disconnects were logged above INFO, but not as errors."""
    ratio = 1.0 if evidence.info_ratio is None else evidence.info_ratio
    return max(0, round((1 - ratio) * evidence.disconnect_records) - evidence.disconnect_errors)


def _forbidden(evidence: CountedEvidence) -> dict[str, int]:
    """Return the counts of which none are allowed, and failed attempts, of which a small share is."""
    limits, counts = evidence.limits, evidence.counts
    names = [name for name, limit in limits.items() if limit == 0]
    names += ["failed"] if "failed_ratio" in limits else []
    return {name: counts[name] for name in names if counts.get(name)}


def _limits_broken(evidence: LimitedEvidence | LatencyEvidence | CountedEvidence) -> dict[str, int]:
    limited = evidence.time_limits if isinstance(evidence, LimitedEvidence | LatencyEvidence) else None
    return {f"limit {one.name}": 1 for one in limited or () if one.verdict is Ruling.FAIL}


def summed(evidence: Iterable[object]) -> Mapping[str, int]:
    """Return the defects over several runs."""
    total: Counter[str] = Counter()
    for one in evidence:
        total.update(defects_of(one))
    return total


def worsened(before: Mapping[str, int], after: Mapping[str, int]) -> str:
    """Return in which ways a failure is another or a worse one, empty if it is the same.

    Args:
        before, after: defects of the baseline and of the candidate, over as many runs.
    """
    if before and not after:
        return "in another way"
    return ", ".join(
        f"{name} {text.count(before.get(name, 0))} → {text.count(count)}"
        for name, count in after.items()
        if name not in before or count > max(MUCH_MORE_FACTOR * before[name], before[name] + MUCH_MORE)
    )
