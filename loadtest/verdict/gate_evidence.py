"""What a gate of `latency` found, as verdict.json has it: part of the item's evidence.

Field names are a contract, as in `loadtest.verdict.evidence`. What gates are is decided in
`loadtest.statistics.margins`, how they are judged in `loadtest.statistics.comparison`, how they are worded in
`loadtest.verdict.gate_words`.
"""

from msgspec import Struct

from loadtest.ruling import Ruling
from loadtest.statistics.margins import GateKind


class GateResult(Struct, frozen=True, kw_only=True):
    """The comparison of one gate (`loadtest.statistics.comparison.Comparison`).

    A quantile has times and relative changes, `drift` has ratios. `slow replies`, and a quantile between two
    groups of replies, have shares of all replies, and changes in shares: 0.001 is 0.1 points. `losses` are
    per session-hour. What does not apply or is not known is null.

    Args:
        gate: name of the gate, such as "service p50".
        kind: what it measures: quantile, drift, slow or losses.
        tag: tag of the histogram, empty for losses.
        quantile: quantile in [0, 1].
        decision: verdict on this gate; NOT_JUDGED if it was left out.
        reason: reason for the decision.
        suspect: whether it looks worse than the margin allows, which one pair of runs cannot show while the
            run-to-run noise is only assumed.
        baseline_us, candidate_us: value of the quantile.
        baseline_ratio, candidate_ratio: the trend within the run, or the share of replies.
        baseline_per_h, candidate_per_h: losses per session-hour.
        change_ratio: the change; 0.05 means 5% slower, or 5 points more.
        low_ratio: lower bound of the change, at the error level of a FAIL.
        high_ratio: upper bound of the change, at the error level of a PASS.
        change_per_h, low_per_h, high_per_h: the same for losses.
        more_pairs: how many more pairs of runs would settle it, null if unknown.
        baseline_samples: number of samples of the baseline; of losses, how many there were.
        candidate_samples: number of samples of the candidate.
        margin_ratio: the margin in force in the unit of the change: for times as a share of the baseline, the
            larger of the relative and the absolute margin.
        margin_per_h: the margin in force for losses.
        relative_margin_ratio: the relative margin, as a share of the baseline.
        absolute_margin_us: the absolute margin, a time.
        absolute_margin_ratio: the absolute margin for slow replies.
        absolute_margin_per_h: the absolute margin for losses.
        pass_level_ratio, fail_level_ratio: one-sided error levels of the upper and of the lower bound.
        slow_us: how long a reply took at least that counts as slow.
        between_us: the times on both sides of the gap, if the quantile lies between two groups of replies.
    """

    gate: str = ""
    kind: GateKind = GateKind.QUANTILE
    tag: str = ""
    quantile: float = 0.0
    decision: Ruling = Ruling.INCONCLUSIVE
    reason: str = ""
    suspect: bool = False
    baseline_us: float | None = None
    candidate_us: float | None = None
    baseline_ratio: float | None = None
    candidate_ratio: float | None = None
    baseline_per_h: float | None = None
    candidate_per_h: float | None = None
    change_ratio: float | None = None
    low_ratio: float | None = None
    high_ratio: float | None = None
    change_per_h: float | None = None
    low_per_h: float | None = None
    high_per_h: float | None = None
    margin_ratio: float | None = None
    margin_per_h: float | None = None
    relative_margin_ratio: float | None = None
    absolute_margin_us: float | None = None
    absolute_margin_ratio: float | None = None
    absolute_margin_per_h: float | None = None
    pass_level_ratio: float | None = None
    fail_level_ratio: float | None = None
    slow_us: float | None = None
    between_us: tuple[float, float] | None = None
    more_pairs: int | None = None
    baseline_samples: int = 0
    candidate_samples: int = 0

    @property
    def compared(self) -> bool:
        """Whether its change is known."""
        return self.change_ratio is not None or self.change_per_h is not None

    @property
    def in_points(self) -> bool:
        """Whether it compares shares of replies, whose change is in points.

        A quantile, or a drift, between two groups does so over four units or more.
        """
        between = self.between_us is not None and self.baseline_ratio is not None
        return self.kind is GateKind.SLOW or (self.kind in (GateKind.QUANTILE, GateKind.DRIFT) and between)

    @property
    def absolute(self) -> bool:
        """Whether the margin in force is a time."""
        timed = self.kind in (GateKind.QUANTILE, GateKind.DRIFT) and not self.in_points
        if not timed or self.margin_ratio is None or self.relative_margin_ratio is None:
            return False
        return self.margin_ratio > self.relative_margin_ratio


class ErrorLevels(Struct, frozen=True, kw_only=True):
    """How often chance alone decides, at most: the one-sided error levels of both bounds of a change.

    Args:
        pass_ratio: of a PASS, for each gate.
        fail_ratio: of a FAIL, for each gate; a gate that compares two groups of replies, or of another user
            class, may have a smaller one of its own.
        correction: how `fail_ratio` was made from 5% for all gates and looks together.
    """

    pass_ratio: float = 0.0
    fail_ratio: float = 0.0
    correction: str = ""
