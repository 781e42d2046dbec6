"""What a verdict rests on, item by item: each `evidence` of verdict.json, duel.json and `compare --json`.

Other programs read it by the names of the fields, reports by the attributes. A verdict.json may have been
written by another version, or by anybody: every field has a default, fields that are not known are passed
over, and a value of another type makes the file unreadable. The JSON is a contract. Where a structure omits
defaults, None stands for a field that is not written, and a field that is always written has a default from a
factory, which msgspec does not omit. Rules and texts do not belong here.
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
    """One error: how often it was met, and example, session and time of the first."""

    error: str = ""
    count: int = 0
    example: str = ""
    session: str = ""
    at_s: float = 0.0


class CountedEvidence(Struct, frozen=True, kw_only=True):
    """What the four items have that are judged by counting.

    Args:
        counts: by the names of `loadtest.session.recorder.COUNTS` without the item's; no zeros.
        errors: the three commonest, the commonest first.
        limits: what was allowed or needed.
    """

    counts: dict[str, int] = {}
    errors: list[ErrorSeen] = []
    limits: dict[str, int | float] = {}


class ConnectEvidence(CountedEvidence, frozen=True, kw_only=True):
    """Of `connect`; `unaccounted` attempts have no ending."""

    unaccounted: int = 0
    sessions_planned: int = 0
    percentiles: Percentiles = {}


class MessagingEvidence(CountedEvidence, frozen=True, kw_only=True):
    """Of `messaging`; `unaccounted` requests have no outcome."""

    unaccounted: int = 0
    percentiles: Percentiles = {}


class OutagesOfKind(Struct, frozen=True, kw_only=True):
    """Outages with the same beginning: `drop` and its kind, or `loss` and its cause."""

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
    """Of `reconnect`.

    Args:
        unaccounted: outages without an outcome.
        drops, losses: how many, by kind and by cause.
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
    """Of `persistence`; `judged_by` says whether the server keeps a history."""

    judged_by: str = ""


class RunNamed(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which run was compared."""

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
    """The run that latency was compared with; where it lies, and by which rule it was chosen."""

    path: str | None = None
    rule: str | None = None
    percentiles: Percentiles = field(default_factory=_empty)


class PassedOver(Struct, frozen=True, kw_only=True):
    """A run that the rule did not take for the baseline."""

    revision: str = ""
    run_id: str = ""
    path: str = ""
    why: str = ""


class PairEvidence(Struct, frozen=True, kw_only=True):
    """A pair of runs: whether it counts, and by gate how much the quantile changed."""

    pair: int = 0
    fit: bool = False
    baseline: RunNamed = field(default_factory=RunNamed)
    candidate: RunNamed = field(default_factory=RunNamed)
    change_ratios: dict[str, float | None] = {}


class GateResult(Struct, frozen=True, kw_only=True):
    """A gated quantile, compared; the figures are explained at `loadtest.statistics.comparison.Comparison`.

    Args:
        gate: its name, "service p50".
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
    """Of `latency`.

    Args:
        percentiles, passed_over: of a run.
        rule: by which there is no baseline; empty if there just was none.
        baseline: of a run that has one.
        runs: of several pairs, each of them.
        pairs, spoiled: how many count, and why others do not.
        gates, left_out: what was compared, and what could not be.
        noise: by gate, how much runs differ that should not.
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
    """A record of the server's log; `drop` is the kind of the drop that it belongs to, if any."""

    file: str = ""
    line: int = 0
    level: str = ""
    text: str = ""
    drop: str | None = None


class KindEvidence(Struct, frozen=True, kw_only=True):
    """What the server logged of one kind of drop; `levels` counts the records by level."""

    kind: str = ""
    drops: int = 0
    drops_with_record: int = 0
    records: int = 0
    levels: dict[str, int] = {}
    expected_errors: int = 0


class ServerLogEvidence(Struct, frozen=True, kw_only=True):
    """Of `server_log`, where a log was given.

    Args:
        disconnect_records: records that a client's leaving caused; of these:
        disconnect_levels, disconnect_errors, first_disconnect_errors: their levels; those at ERROR or worse.
        info_ratio: the share at INFO or below, None without any.
        real_errors, first_real_errors: errors that no client's leaving caused, and no drop was made to cause.
        expected_errors: those that a drop was made to cause.
        drops: that the run made.
        records: in the run's time; of these, `untimed_records` have no time.
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
    """What was found of an item in one run; `evidence` is that run's."""

    run: str
    summary: str
    evidence: _Evidence


class PooledEvidence(Struct, Generic[_Evidence], frozen=True, kw_only=True, omit_defaults=True):
    """Of an item over a duel's runs of the candidate.

    Args:
        runs: how many, by what was found in them.
        seen: the first runs in which the item failed or cannot be told, whichever decided.
        baseline_failed: the first runs of the baseline that fail the item, too.
    """

    runs: dict[Ruling, int] = field(default_factory=_empty)
    seen: list[ItemSeen[_Evidence]] | None = None
    baseline_failed: list[ItemSeen[_Evidence]] | None = None
