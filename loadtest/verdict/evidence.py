"""The evidence of each item: the field `evidence` in verdict.json, duel.json and `compare --json`.

The JSON is a contract: programs read it by field name, reports by attribute. A verdict.json may come from
another version or an untrusted source, so every field has a default, unknown fields are ignored, and a value
of the wrong type makes the file unreadable. In a Struct with `omit_defaults`, None means "not written"; a
field that must always be written gets its default from a factory, which msgspec does not omit. Rules and
texts never belong here.
"""

from typing import Any, Generic, Self, TypeVar

from msgspec import Struct, field

from loadtest.results.manifest import Manifest, ServerGauge
from loadtest.ruling import Ruling
from loadtest.verdict.differences import Difference
from loadtest.verdict.gate_evidence import ErrorLevels, GateResult
from loadtest.verdict.loss_evidence import DrillEvidence

_Evidence = TypeVar("_Evidence")

Percentiles = dict[str, dict[str, int | float]]
"""{"service": {"samples": 1200, "p50_ms": 0.9, …}}, by tag or by phase."""


def _empty() -> dict[Any, Any]:
    """Default factory of a mapping that is written even if empty; msgspec omits that of `dict` itself."""
    return {}


class ErrorSeen(Struct, frozen=True, kw_only=True):
    """Errors of the same kind.

    Args:
        error: the error, without the parts that vary.
        count: number of occurrences.
        example: full text of the first occurrence.
        session: session of the first occurrence.
        at_s: time of the first occurrence, in seconds since the run's start.
    """

    error: str = ""
    count: int = 0
    example: str = ""
    session: str = ""
    at_s: float = 0.0


class CountedEvidence(Struct, frozen=True, kw_only=True):
    """Fields shared by the items that are judged by counting.

    Args:
        counts: by the names of `loadtest.session.recorder.COUNTS` without the item's prefix; no zeros.
        errors: the three most frequent errors, most frequent first.
        limits: limits of the rule, by name: what was allowed or needed.
    """

    counts: dict[str, int] = {}
    errors: list[ErrorSeen] = []
    limits: dict[str, int | float] = {}


class HealthEvidence(Struct, frozen=True, kw_only=True):
    """Evidence of `health`, which only probes have.

    Args:
        url: URL requested, without secrets; empty if there is no health endpoint.
        status: HTTP status, null without a response.
        took_ms: milliseconds until the response or the failure.
        problem: why there was no response; empty otherwise.
    """

    url: str = ""
    status: int | None = None
    took_ms: float = 0.0
    problem: str = ""


class LimitResult(Struct, frozen=True, kw_only=True):
    """How a limit on a time was met (`--ws-limit`).

    Args:
        name: name of the limit, such as "resume.p95".
        limit_ms: the longest time allowed, in milliseconds.
        value_ms: the time of the run, in milliseconds; null without samples.
        samples: number of samples.
        verdict: verdict on this limit.
        reason: value and limit, with the reason for the verdict, in words.
    """

    name: str = ""
    limit_ms: float = 0.0
    value_ms: float | None = None
    samples: int = 0
    verdict: Ruling = Ruling.INCONCLUSIVE
    reason: str = ""


class LimitedEvidence(CountedEvidence, frozen=True, kw_only=True):
    """Fields shared by the counted items on which limits on times may be set.

    Args:
        time_limits: how the limits given with `--ws-limit` were met, in the order in which they were given.
    """

    time_limits: list[LimitResult] = []


class ConnectEvidence(LimitedEvidence, frozen=True, kw_only=True):
    """Evidence of `connect`.

    Args:
        unaccounted: number of attempts without an outcome; negative if some have more than one.
        explained_by_losses: failed attempts that do not count, as lost connections explain them.
        sessions_planned: users times sessions per user.
        percentiles: time to connect, in milliseconds.
    """

    unaccounted: int = 0
    explained_by_losses: int = 0
    sessions_planned: int = 0
    percentiles: Percentiles = {}


class MessagingEvidence(LimitedEvidence, frozen=True, kw_only=True):
    """Evidence of `messaging`.

    Args:
        unaccounted: number of requests without an outcome; negative if some have more than one.
        percentiles: round trips and push delays, in milliseconds.
    """

    unaccounted: int = 0
    percentiles: Percentiles = {}


class OutagesOfKind(Struct, frozen=True, kw_only=True):
    """Outages with the same trigger and cause.

    Args:
        trigger: `drop` or `loss`.
        name: kind of the drop, or cause of the loss.
        begun: number of outages.
        resumed: number of outages after which the session was established again.
        p50_ms, p95_ms, max_ms: duration of the resumed outages; null if there are none.
    """

    trigger: str = ""
    name: str = ""
    begun: int = 0
    resumed: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None
    max_ms: float | None = None


class StormEvidence(Struct, frozen=True, kw_only=True):
    """How a storm went.

    Args:
        at_s: planned time, in seconds since the run's start.
        share_ratio: planned share of all sessions.
        kind: kind of the drop.
        dropped: number of sessions dropped.
        back: how many of these came back.
        back_p50_s: seconds until 50% of them were back, null if they never were.
        back_p95_s: seconds until 95% of them were back, null if they never were.
        back_p100_s: seconds until all of them were back, null if they never were.
        attempts_peak_per_s: connection attempts in the busiest second until all were back.
    """

    at_s: float = 0.0
    share_ratio: float = 0.0
    kind: str = ""
    dropped: int = 0
    back: int = 0
    back_p50_s: float | None = None
    back_p95_s: float | None = None
    back_p100_s: float | None = None
    attempts_peak_per_s: int = 0


class ReconnectEvidence(LimitedEvidence, frozen=True, kw_only=True):
    """Evidence of `reconnect`.

    Args:
        unaccounted: number of outages without an outcome; negative if some have more than one.
        explained_by_losses: failed attempts that do not count, as lost connections explain them.
        drops: number of drops, by kind.
        losses: number of connections lost, by cause.
        closes: number of close frames that the client sent, by code, those at the run's end among them.
        outages: grouped by trigger and cause.
        storms: how each storm went, in the order of the plan.
        drills: how each drill went, in the order of the plan.
        percentiles: duration of outages and resumes, in milliseconds.
        herd_peak_per_s: the highest number of connection attempts in one second.
        herd_peak_at_s: the second of the run with that number, null without attempts.
        phases: duration of the phases of the outages that ended, by phase, in milliseconds.
    """

    unaccounted: int = 0
    explained_by_losses: int = 0
    drops: dict[str, int] = {}
    losses: dict[str, int] = {}
    closes: dict[str, int] = {}
    outages: list[OutagesOfKind] = []
    herd_peak_per_s: int = 0
    herd_peak_at_s: int | None = None
    storms: list[StormEvidence] = []
    drills: list[DrillEvidence] = []
    percentiles: Percentiles = {}
    phases: Percentiles = {}


class CleanupEvidence(CountedEvidence, frozen=True, kw_only=True):
    """Evidence of `cleanup`.

    Args:
        unaccounted: number of watched connections without an outcome; negative if some have more than one.
        cleanup_s: seconds within which half-open connections had to be closed, null if that was not judged.
        percentiles: time until the server ended TCP, in milliseconds.
        gauge: the server's own gauge of its connections, null if none was given.
    """

    unaccounted: int = 0
    cleanup_s: float | None = None
    percentiles: Percentiles = {}
    gauge: ServerGauge | None = None


class PersistenceEvidence(CountedEvidence, frozen=True, kw_only=True):
    """Evidence of `persistence`.

    Args:
        judged_by: `identity only`, or `identity and history` if the server keeps a history.
    """

    judged_by: str = ""


class RunNamed(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A run that was compared.

    Args:
        revision: version of the server under test.
        run_id: id of the run.
        started_at: start time, ISO 8601 in UTC.
        complete: whether the run ended normally.
    """

    revision: str = field(default_factory=str)
    run_id: str = field(default_factory=str)
    started_at: str = field(default_factory=str)
    complete: bool = field(default_factory=bool)

    @classmethod
    def of(cls, manifest: Manifest, **more: Any) -> Self:
        """Create it from a manifest."""
        return cls(
            revision=manifest.revision,
            run_id=manifest.run_id,
            started_at=manifest.started_at,
            complete=manifest.complete,
            **more,
        )


class BaselineEvidence(RunNamed, frozen=True, kw_only=True, omit_defaults=True):
    """The run that latency was compared with.

    Args:
        path: its run directory.
        rule: the rule that chose it.
        percentiles: its percentiles by tag, in milliseconds.
    """

    path: str | None = None
    rule: str | None = None
    percentiles: Percentiles = field(default_factory=_empty)


class PassedOver(Struct, frozen=True, kw_only=True):
    """A run that the rule did not choose as the baseline.

    Args:
        revision: version of the server under test.
        run_id: id of the run.
        path: its run directory.
        why: why it was not chosen.
    """

    revision: str = ""
    run_id: str = ""
    path: str = ""
    why: str = ""


class PairEvidence(Struct, frozen=True, kw_only=True):
    """A pair of runs.

    Args:
        pair: number of the pair, from 1.
        fit: whether the pair counts: both runs are complete, and the load generator kept up in both.
        baseline: the run of the baseline.
        candidate: the run of the candidate.
        change_ratios: by gate, the relative change of a time from baseline to candidate; null if unknown.
        losses_change_per_h: the change of losses per session-hour; null if unknown.
    """

    pair: int = 0
    fit: bool = False
    baseline: RunNamed = field(default_factory=RunNamed)
    candidate: RunNamed = field(default_factory=RunNamed)
    change_ratios: dict[str, float | None] = {}
    losses_change_per_h: float | None = None


class LatencyEvidence(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Evidence of `latency`.

    Args:
        percentiles: percentiles of the run by tag, in milliseconds.
        passed_over: runs that the rule did not choose as the baseline.
        rule: why there is no baseline; empty if no run was suitable.
        baseline: the run that this one was compared with.
        runs: each pair of runs, if pairs were compared.
        pairs: number of pairs that count.
        units: number of groups of these pairs that share instances of the servers.
        spoiled: pairs that do not count, with the reasons.
        gates: each gate, those that were left out among them.
        left_out: gates that were not judged, with the reasons; they do not prevent a PASS.
        noise: run-to-run noise by gate, as text.
        values: by gate, the value of the run that was judged: of quantiles in µs, of drift a ratio, of losses
            per session-hour. Gates with too few samples are left out.
        levels: the error levels at which the gates were judged.
        unlike: what differs between the runs, so that nothing can be concluded from the comparison: machine,
            versions, length.
        suspect: gates that look worse, which only a duel can show.
        duel_command: command of the duel that settles it, without secrets; null if a duel would not.
        time_limits: how the limits given with `--ws-limit` were met, in the order in which they were given.
    """

    percentiles: Percentiles | None = None
    passed_over: list[PassedOver] | None = None
    rule: str | None = None
    baseline: BaselineEvidence | None = None
    runs: list[PairEvidence] | None = None
    pairs: int | None = None
    units: int | None = None
    spoiled: list[str] | None = None
    gates: list[GateResult] | None = None
    left_out: list[str] | None = None
    noise: dict[str, str] | None = None
    values: dict[str, float] | None = None
    levels: ErrorLevels | None = None
    unlike: list[Difference] | None = None
    suspect: list[str] | None = None
    duel_command: str | None = None
    time_limits: list[LimitResult] | None = None


class ItemSeen(Struct, Generic[_Evidence], frozen=True, kw_only=True):
    """What one run showed of an item.

    Args:
        run: its run directory.
        summary: summary of the item in that run's verdict.
        evidence: evidence of the item in that run's verdict.
    """

    run: str
    summary: str
    evidence: _Evidence


class PooledEvidence(Struct, Generic[_Evidence], frozen=True, kw_only=True, omit_defaults=True):
    """Evidence of an item over the runs of a duel.

    Args:
        runs: number of the candidate's runs by verdict.
        baseline_runs: number of the baseline's runs by verdict.
        chance_ratio: if both sides fail the item, how often chance alone makes the candidate fail so much
            more often (one-sided p-value of Fisher's exact test).
        worse: if both sides fail the item, in which ways the candidate's failures are other or worse ones.
        seen: the candidate's first runs that failed, else its first that were INCONCLUSIVE.
        baseline_failed: the first runs of the baseline that failed the item.
    """

    runs: dict[Ruling, int] = field(default_factory=_empty)
    baseline_runs: dict[Ruling, int] = field(default_factory=_empty)
    chance_ratio: float | None = None
    worse: str = ""
    seen: list[ItemSeen[_Evidence]] | None = None
    baseline_failed: list[ItemSeen[_Evidence]] | None = None
