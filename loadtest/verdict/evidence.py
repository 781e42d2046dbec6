"""The evidence of each item: what verdict.json, duel.json and `compare --json` hold as `evidence`.

The JSON is a contract: programs read it by field name, reports by attribute. A verdict.json may come from
another version or from anybody, so every field has a default, unknown fields are ignored, and a value of
another type makes the file unreadable. In a Struct with `omit_defaults`, None means "not written"; a field
that is always written gets its default from a factory, which msgspec does not omit. Rules and texts do not
belong here.
"""

from typing import Any, Generic, Self, TypeVar

from msgspec import Struct, field

from loadtest.results.manifest import Manifest
from loadtest.ruling import Ruling
from loadtest.serverlog.records import Counts

_Evidence = TypeVar("_Evidence")

Percentiles = dict[str, dict[str, int | float]]
"""{"service": {"samples": 1200, "p50_ms": 0.9, …}}, by tag or by phase."""


def _empty() -> dict[Any, Any]:
    """Return the default of a mapping that is written even if it is empty, unlike that of `dict` itself."""
    return {}


class ErrorSeen(Struct, frozen=True, kw_only=True):
    """An error of one shape.

    Args:
        error: its shape.
        count: how often it occurred.
        example, session, at_s: text, session and second of the first occurrence.
    """

    error: str = ""
    count: int = 0
    example: str = ""
    session: str = ""
    at_s: float = 0.0


class CountedEvidence(Struct, frozen=True, kw_only=True):
    """The part that the items judged by counting have in common.

    Args:
        counts: by the names of `loadtest.session.recorder.COUNTS` without the item's; no zeros.
        errors: the three commonest, the commonest first.
        limits: what was allowed or needed.
    """

    counts: dict[str, int] = {}
    errors: list[ErrorSeen] = []
    limits: dict[str, int | float] = {}


class ConnectEvidence(CountedEvidence, frozen=True, kw_only=True):
    """Evidence of `connect`.

    Args:
        unaccounted: attempts without an outcome.
        sessions_planned: users times sessions per user.
        percentiles: of connecting, in milliseconds.
    """

    unaccounted: int = 0
    sessions_planned: int = 0
    percentiles: Percentiles = {}


class MessagingEvidence(CountedEvidence, frozen=True, kw_only=True):
    """Evidence of `messaging`.

    Args:
        unaccounted: requests without an outcome.
        percentiles: of round trips and push delays, in milliseconds.
    """

    unaccounted: int = 0
    percentiles: Percentiles = {}


class OutagesOfKind(Struct, frozen=True, kw_only=True):
    """Outages with the same cause.

    Args:
        trigger: `drop` or `loss`.
        name: kind of the drop, or cause of the loss.
        begun, resumed: how many.
        p50_ms, p95_ms, max_ms: length of those that were resumed.
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
        at_s, share_ratio, kind: as planned: second of the run, share of all sessions, kind of the drop.
        dropped: sessions that it met.
        back: of these, that came back.
        back_p50_s, back_p95_s, back_p100_s: until so many of them were back, None if they never were.
        attempts_peak_per_s: connection attempts in the busiest second until then.
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


class ReconnectEvidence(CountedEvidence, frozen=True, kw_only=True):
    """Evidence of `reconnect`.

    Args:
        unaccounted: outages without an outcome.
        drops, losses: how many, by kind and by cause.
        outages: by cause.
        storms: in the order of the plan.
        percentiles: of outages and resumes, in milliseconds.
        herd_peak_per_s, herd_peak_at_s: the most connection attempts in one second, and when.
        phases: of the outages that ended, by phase.
    """

    unaccounted: int = 0
    drops: dict[str, int] = {}
    losses: dict[str, int] = {}
    outages: list[OutagesOfKind] = []
    herd_peak_per_s: int = 0
    herd_peak_at_s: int | None = None
    storms: list[StormEvidence] = []
    percentiles: Percentiles = {}
    phases: Percentiles = {}


class PersistenceEvidence(CountedEvidence, frozen=True, kw_only=True):
    """Evidence of `persistence`.

    Args:
        judged_by: identity alone, or the history too if the server keeps one.
    """

    judged_by: str = ""


class RunNamed(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A run that was compared.

    Args:
        revision, run_id, started_at: from its manifest.
        complete: whether it ended in good order.
    """

    revision: str = field(default_factory=str)
    run_id: str = field(default_factory=str)
    started_at: str = field(default_factory=str)
    complete: bool = field(default_factory=bool)

    @classmethod
    def of(cls, manifest: Manifest, **more: Any) -> Self:
        """Return a run by its manifest."""
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
        path: its directory.
        rule: by which it was chosen.
        percentiles: by tag, in milliseconds.
    """

    path: str | None = None
    rule: str | None = None
    percentiles: Percentiles = field(default_factory=_empty)


class PassedOver(Struct, frozen=True, kw_only=True):
    """A run that the rule did not choose as the baseline.

    Args:
        revision, run_id, path: which run.
        why: it was not chosen.
    """

    revision: str = ""
    run_id: str = ""
    path: str = ""
    why: str = ""


class PairEvidence(Struct, frozen=True, kw_only=True):
    """A pair of runs.

    Args:
        pair: its number, from 1.
        fit: whether it counts: the load generator kept up in both runs.
        change_ratios: by gate, how much the quantile changed from baseline to candidate.
    """

    pair: int = 0
    fit: bool = False
    baseline: RunNamed = field(default_factory=RunNamed)
    candidate: RunNamed = field(default_factory=RunNamed)
    change_ratios: dict[str, float | None] = {}


class GateResult(Struct, frozen=True, kw_only=True):
    """A gated quantile, compared (`loadtest.statistics.comparison.Comparison`).

    Args:
        gate: its name, "service p50".
        tag, quantile: what the name says: histogram, and a quantile from 0 to 1.
        reason: for the decision.
        baseline_us, candidate_us: the quantile on both sides.
        change_ratio: how much it changed, 0.05 for 5% slower.
        low_ratio, high_ratio: interval of the change.
        more_pairs: how many more pairs of runs would settle it, None if unknown.
        baseline_samples, candidate_samples: in the histograms.
        margin_ratio: the margin in force, as a share of the baseline.
        relative_margin_ratio, absolute_margin_us: what it comes from: the larger of both.
    """

    gate: str = ""
    tag: str = ""
    quantile: float = 0.0
    decision: Ruling = Ruling.INCONCLUSIVE
    reason: str = ""
    baseline_us: float | None = None
    candidate_us: float | None = None
    change_ratio: float | None = None
    low_ratio: float | None = None
    high_ratio: float | None = None
    margin_ratio: float | None = None
    relative_margin_ratio: float | None = None
    absolute_margin_us: float | None = None
    more_pairs: int | None = None
    baseline_samples: int = 0
    candidate_samples: int = 0

    @property
    def absolute(self) -> bool:
        """Whether the margin in force is the absolute one."""
        if self.margin_ratio is None or self.relative_margin_ratio is None:
            return False
        return self.margin_ratio > self.relative_margin_ratio


class LatencyEvidence(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Evidence of `latency`.

    Args:
        percentiles: of the run, by tag, in milliseconds.
        passed_over: runs that the rule did not choose as the baseline.
        rule: why there is no baseline; empty if no run was suitable.
        baseline: the run it was compared with.
        runs: each pair, if there are several.
        pairs, spoiled: how many pairs count, and why others do not.
        gates, left_out: quantiles that were compared, and those that could not be.
        noise: by gate, how much runs differ that should be alike.
    """

    percentiles: Percentiles | None = None
    passed_over: list[PassedOver] | None = None
    rule: str | None = None
    baseline: BaselineEvidence | None = None
    runs: list[PairEvidence] | None = None
    pairs: int | None = None
    spoiled: list[str] | None = None
    gates: list[GateResult] | None = None
    left_out: list[str] | None = None
    noise: dict[str, str] | None = None


class LogLine(Struct, frozen=True, kw_only=True):
    """A record of the server's log.

    Args:
        file, line: where it begins.
        level, text: as logged; the text is bounded.
        drop: kind of the drop that it belongs to, None if it belongs to none.
    """

    file: str = ""
    line: int = 0
    level: str = ""
    text: str = ""
    drop: str | None = None


class KindEvidence(Struct, frozen=True, kw_only=True):
    """What the server logged about one kind of drop.

    Args:
        kind: of the drops.
        drops, drops_with_record: how many were made, and how many have a record in the log.
        records, levels: records about them, and their number by level.
        expected_errors: errors that these drops were made to cause.
    """

    kind: str = ""
    drops: int = 0
    drops_with_record: int = 0
    records: int = 0
    levels: dict[str, int] = {}
    expected_errors: int = 0


class ServerLogEvidence(Struct, frozen=True, kw_only=True):
    """Evidence of `server_log`, if a log was given.

    Args:
        by_kind: records by kind of drop.
        cancelled_at_shutdown_errors: errors of tasks that the server cancelled as it shut down.
        disconnect_records: records that a client's leaving caused; of these:
        disconnect_levels, disconnect_errors, first_disconnect_errors: their levels; those at ERROR or worse.
        info_ratio: the share at INFO or below, None without any.
        real_errors, first_real_errors: errors that no client's leaving caused, and no drop was made to cause.
        expected_errors: those that a drop was made to cause.
        drops: that the run made.
        records: in the run's time.
        untimed_records: of these, those without a time.
        unjudged_records: that were too many.
        clock_offset_s: how far the server's clock is ahead, None if unknown.
        covered_ratio: the share of drops near which the log has any record.
        matched_by: how many records were matched to drops by `session`, by `time`, by neither (`none`).
        files, reading, problems: what was read, and how that went.
        allowed_errors: how many real errors the run lets pass.
    """

    disconnect_records: int = 0
    disconnect_levels: dict[str, int] = {}
    disconnect_errors: int = 0
    first_disconnect_errors: list[LogLine] = []
    info_ratio: float | None = None
    real_errors: int = 0
    expected_errors: int = 0
    first_real_errors: list[LogLine] = []
    cancelled_at_shutdown_errors: int = 0
    by_kind: list[KindEvidence] = []
    drops: int = 0
    records: int = 0
    untimed_records: int = 0
    unjudged_records: int = 0
    clock_offset_s: float | None = None
    covered_ratio: float = 0.0
    matched_by: dict[str, int] = {}
    files: list[str] = []
    reading: Counts = field(default_factory=Counts)
    problems: list[str] = []
    allowed_errors: int = 0


class ItemSeen(Struct, Generic[_Evidence], frozen=True, kw_only=True):
    """What one run showed of an item.

    Args:
        run: its directory.
        summary, evidence: of the item in that run's verdict.
    """

    run: str
    summary: str
    evidence: _Evidence


class PooledEvidence(Struct, Generic[_Evidence], frozen=True, kw_only=True, omit_defaults=True):
    """Evidence of an item over the candidate's runs of a duel.

    Args:
        runs: how many, by verdict.
        seen: the first runs whose verdict on the item decided, FAIL or INCONCLUSIVE.
        baseline_failed: the first runs of the baseline that fail the item too.
    """

    runs: dict[Ruling, int] = field(default_factory=_empty)
    seen: list[ItemSeen[_Evidence]] | None = None
    baseline_failed: list[ItemSeen[_Evidence]] | None = None
