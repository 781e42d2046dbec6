"""What is wrong in an item that failed: its defects by name, with how often each occurred.

Two runs that fail an item may fail it in different ways: one late message is not a server that loses every
second one. A comparison must not take the second for the first. Every way to fail an item has a name here;
where a failure has none, two of them cannot be taken for the same. No rule of an item is here: the evidence
says what it allows. The margins of `latency` are a comparison of their own, so they are left out.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from loadtest import text
from loadtest.ruling import Ruling
from loadtest.session.count_words import count_words
from loadtest.session.recorder import OWN_LIMITS
from loadtest.statistics.exact_test import more_events
from loadtest.verdict.allowances import parse_allowances, rule_for
from loadtest.verdict.drill_rules import turns_away
from loadtest.verdict.evidence import (
    CleanupEvidence,
    ConnectEvidence,
    CountedEvidence,
    HealthEvidence,
    LatencyEvidence,
    LimitedEvidence,
    MessagingEvidence,
    PersistenceEvidence,
    ReconnectEvidence,
)
from loadtest.verdict.log_evidence import LogLine, ServerLogEvidence
from loadtest.verdict.loss_evidence import StabilityEvidence
from loadtest.verdict.silence import silent

MUCH_MORE_FACTOR, MUCH_MORE_CHANCE_RATIO = 3, 0.01
"""A defect occurs much more often if there are over three times as many a run, and if two Poisson counts with
one rate differ so much in 1 of 100 comparisons or fewer. The test alone is not enough: it takes failures for
independent, but they come in clusters (one lost connection takes many messages along), so the counts of one
server vary between runs by more than it expects, though seldom threefold. Together they call one server worse
than itself in under 1 of 100 comparisons, and in under 7 if its failures come ten at a time."""

MUCH_LONGER_FACTOR = 2
"""A time over its limit is a worse failure if it is over twice as long."""

_NAME_LENGTH = 80
_SHOWN = 3

_ITEMS: Mapping[type[CountedEvidence], str] = {
    ConnectEvidence: "connect",
    MessagingEvidence: "messaging",
    ReconnectEvidence: "reconnect",
    PersistenceEvidence: "persistence",
    CleanupEvidence: "cleanup",
}
"""The items whose counts these hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Defects:
    """The defects of an item in the runs of one side.

    Args:
        runs: how many runs there are, those without a failure among them.
        counts: how often each defect occurred, by name.
        times_ms: times over their limit, the longest of the runs, by name.
        unnamed: whether a run fails the item in a way that has no name.
    """

    runs: int
    counts: Mapping[str, int] = field(default_factory=dict)
    times_ms: Mapping[str, float] = field(default_factory=dict)
    unnamed: bool = False


def defects_over(failed: Iterable[object], *, runs: int) -> Defects:
    """Return the defects of an item over several runs.

    Args:
        failed: evidence of the item in the runs that fail it.
        runs: how many runs there are.

    Raises:
        InvalidSetting: a verdict.json has a rule for losses that cannot be read.
    """
    counts: Counter[str] = Counter()
    times_ms: dict[str, float] = {}
    unnamed = False
    for evidence in failed:
        found, broken = _counts(evidence), _limits_broken(evidence)
        unnamed |= not (found or broken)
        counts.update(found)
        for name, value_ms in broken.items():
            times_ms[name] = max(value_ms, times_ms.get(name, 0.0))
    return Defects(runs=runs, counts=counts, times_ms=times_ms, unnamed=unnamed)


def worsened(before: Defects, after: Defects) -> str:
    """Return how a failure of both sides differs or got worse; empty if it is the same."""
    if before.unnamed or after.unnamed:
        return "it may fail for another reason"
    found = [
        f"{text.one_line(name, _NAME_LENGTH)} {text.count(before.counts.get(name, 0))} → {text.count(count)}"
        for name, count in after.counts.items()
        if _much_more(before.counts.get(name, 0), count, before, after)
    ]
    found += [
        f"{text.one_line(name, _NAME_LENGTH)} {_time(before.times_ms.get(name))} → {_time(value_ms)}"
        for name, value_ms in after.times_ms.items()
        if value_ms > MUCH_LONGER_FACTOR * before.times_ms.get(name, 0.0)
    ]
    more = [f"and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
    return ", ".join([*found[:_SHOWN], *more])


def _much_more(count_before: int, count_after: int, before: Defects, after: Defects) -> bool:
    if not count_before:
        return True
    if count_after * before.runs <= MUCH_MORE_FACTOR * count_before * after.runs:
        return False
    chance_ratio = more_events(
        before=count_before, runs_before=before.runs, after=count_after, runs_after=after.runs
    )
    return chance_ratio <= MUCH_MORE_CHANCE_RATIO


def _time(value_ms: float | None) -> str:
    return "kept" if value_ms is None else text.span(1000 * value_ms)


def _limits_broken(evidence: object) -> Mapping[str, float]:
    """Return the times over a limit (`--ws-limit`), in milliseconds by name."""
    limited = evidence.time_limits if isinstance(evidence, LimitedEvidence | LatencyEvidence) else None
    return {
        f"limit {one.name}": one.value_ms or one.limit_ms
        for one in limited or ()
        if one.verdict is Ruling.FAIL
    }


def _counts(evidence: object) -> Mapping[str, int]:
    """Return how often each defect of a failed item occurred, limits on times aside."""
    found: Mapping[str, int]
    match evidence:
        case StabilityEvidence():
            found = _losses(evidence)
        case ServerLogEvidence():
            found = _logged(evidence)
        case CleanupEvidence():
            found = _kept_open(evidence)
        case MessagingEvidence():
            found = _messages(evidence)
        case ConnectEvidence():
            leaked = evidence.counts.get("id_of_another", 0)
            found = {**_forbidden(evidence), "failed": _refused(evidence, "failed_ratio")}
            found = {**found, "sessions with another session's id": leaked}
        case ReconnectEvidence():
            found = {**_forbidden(evidence), **_in_drills(evidence)}
            in_drills = sum(drill.refused for drill in evidence.drills)
            found = {**found, "refused": _refused(evidence, "refused_ratio", in_drills)}
        case CountedEvidence():
            found = _forbidden(evidence)
        case HealthEvidence():
            found = {"no response" if evidence.status is None else f"status {evidence.status}": 1}
        case _:
            found = {}
    return {name: count for name, count in found.items() if count > 0}


def _forbidden(evidence: CountedEvidence, apart: str = "") -> Mapping[str, int]:
    """Return the counts of which none are allowed, by their words; no names that begin with `apart`."""
    item = _ITEMS.get(type(evidence), "")
    return {
        count_words(item, name): evidence.counts.get(name, 0)
        for name, limit in evidence.limits.items()
        if limit == 0 and not (apart and name.startswith(apart))
    }


def _in_drills(evidence: ReconnectEvidence) -> Mapping[str, int]:
    return {
        "barred by a drill's close code": sum(drill.barred for drill in evidence.drills),
        "failed during a drill": sum(drill.refused for drill in evidence.drills if turns_away(drill)),
    }


def _refused(evidence: ConnectEvidence | ReconnectEvidence, limit: str, in_drills: int = 0) -> int:
    """Return how many attempts the server turned down, 0 if these are few enough; not those in drills."""
    counts = evidence.counts
    own = sum(counts.get(cause, 0) for cause in OWN_LIMITS)
    refused = counts.get("failed", 0) - own - evidence.explained_by_losses - in_drills
    return refused if refused > evidence.limits.get(limit, 0) * counts.get("attempts", 0) else 0


def _messages(evidence: MessagingEvidence) -> Mapping[str, int]:
    counts, limits = evidence.counts, evidence.limits
    asked = counts.get("sent", 0) - counts.get("unanswerable", 0)
    found = {**_forbidden(evidence), "messages without a reply": asked if silent(counts) else 0}
    if "pushes_per_s" in limits:
        expected = counts.get("pushes_expected", 0)
        missing = expected - counts.get("pushes_arrived", 0)
        is_short = missing > limits.get("pushes_short_ratio", 0) * expected
        found["pushes below the expected rate"] = missing if is_short else 0
        found["gaps between pushes"] = counts.get("push_silences", 0)
    return found


def _kept_open(evidence: CleanupEvidence) -> Mapping[str, int]:
    judged = _forbidden(evidence, apart="half_open" if evidence.cleanup_s is None else "")
    gauge = evidence.gauge
    left = 0.0 if gauge is None or gauge.after is None else gauge.after - gauge.before
    return {**judged, "connections left on the server's gauge": math.ceil(left)}


def _losses(evidence: StabilityEvidence) -> Mapping[str, int]:
    """Return the losses by cause; what a rule allows is taken off the causes it covers, in proportion."""
    rules = parse_allowances(evidence.allowed, option="allowed in verdict.json")
    ruled = [(rule_for(one.code or 0, rules), one) for one in evidence.losses]
    lost = Counter[object]()
    for rule, one in ruled:
        lost[rule] += one.count
    found: Counter[str] = Counter()
    for rule, one in ruled:
        most = rule.most_in(evidence.session_hours)
        found[f"lost with {one.cause}"] += _beyond(one.count, of=lost[rule], most=most)
    return found


def _logged(evidence: ServerLogEvidence) -> Mapping[str, int]:
    """Return the wrong records by shape; the shapes that the evidence does not show are one group."""
    wrong = _by_shape(evidence.first_disconnect_errors, evidence.disconnect_errors, "disconnect")
    real = _by_shape(evidence.first_real_errors, evidence.real_errors, "real error")
    most = evidence.allowed_errors
    beyond = {name: _beyond(count, of=evidence.real_errors, most=most) for name, count in real.items()}
    return {**wrong, **beyond, "disconnects logged above INFO": _above_info(evidence)}


def _by_shape(lines: Iterable[LogLine], records: int, kind: str) -> Mapping[str, int]:
    found: Counter[str] = Counter()
    for line in lines:
        found[f"{kind} {line.level} {line.shape or line.text}"] += line.count
    return {**found, f"other {kind}s": records - found.total()}


def _above_info(evidence: ServerLogEvidence) -> int:
    """Return how many disconnects were logged above INFO, but not as errors; 0 if these are few enough."""
    ratio = 1.0 if evidence.info_ratio is None else evidence.info_ratio
    if ratio >= evidence.least_info_ratio:
        return 0
    return round((1 - ratio) * evidence.departures) - evidence.wrong_departures


def _beyond(count: int, *, of: int, most: float) -> int:
    """Return the part of a count that is beyond what is allowed of all of them, rounded up."""
    return math.ceil(count * max(0.0, of - most) / of) if of else 0
