"""What a release is judged by (`GATES`), and how much each value may change before it matters.

A margin is relative or absolute, whichever is larger: 5% of a 0.4 ms median is 20 µs, which no user and
hardly any machine notices. Times are compared in logarithms, where a margin is ln(1 + margin / baseline);
shares and rates by their difference.

The gates are fixed; each team can set its own margins. `GATES` has the default margins; to use others, pass a
comparison the same gates with other margins. Files store margins by gate. You name a gate as reports do, with
enough words to identify it: `p99`, `outage`, `first reply`, `service p50`.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Annotated, Final

from msgspec import Meta, Struct, structs

from loadtest.errors import InvalidSetting

_OPTION: Final = "--ws-margin"

MAX_RATIO: Final = 1.0
"""Twice as slow, or twice as many: a larger margin must be a typing error."""

MAX_US: Final = 60_000_000.0
"""One minute, far above any sensible value of these quantiles: more must be a typing error too."""

MAX_PER_H: Final = 3600.0
"""One lost connection per second and session."""

_UNITS = {"%": ("relative_ratio", 0.01), "ms": ("absolute_us", 1e3), "s": ("absolute_us", 1e6)}
_UNITS |= {"pt": ("absolute_ratio", 0.01), "/h": ("absolute_per_h", 1.0)}
_DIGITS = 9
"""Decimals of a ratio or of microseconds: 57% is 0.57, not 57 times the binary 0.01."""
_AMOUNT = re.compile(r"(.+?)\s*(%|ms|s|pt|/h)")
_BETWEEN_AMOUNTS = re.compile(r"/(?!\s*h)")
_RANGE = f"must be 0–{MAX_RATIO:.0%}, 0–{MAX_US / 1e6:g} s, 0–100 pt and 0–{MAX_PER_H:g}/h"


class GateKind(StrEnum):
    """What a gate measures of a run (`loadtest.statistics.measured_run.value`)."""

    QUANTILE = "quantile"
    """A quantile of a tag's times."""
    DRIFT = "drift"
    """How much the quantile grew within the run: last third against first third."""
    SLOW = "slow"
    """Share of replies far slower than the baseline's slowest 1%."""
    LOSSES = "losses"
    """Lost connections per session-hour."""

    @property
    def counted(self) -> bool:
        """Whether events are counted: they come in clusters and are judged over pairs only."""
        return self in (GateKind.SLOW, GateKind.LOSSES)


class Margin(Struct, frozen=True, omit_defaults=True):
    """How much worse still counts as unchanged: the larger of a share of the baseline and a fixed amount.

    Args:
        relative_ratio: share of the baseline, from 0 to 1.
        absolute_us: time in microseconds, of gates on times.
        absolute_ratio: share of replies, of the gate on slow replies; 0.0002 is 0.02 points.
        absolute_per_h: losses per session-hour, of the gate on losses.

    Raises:
        ValueError: one of them is out of range.
    """

    relative_ratio: Annotated[float, Meta(ge=0, le=MAX_RATIO)]
    absolute_us: Annotated[float, Meta(ge=0, le=MAX_US)] = 0.0
    absolute_ratio: Annotated[float, Meta(ge=0, le=1)] = 0.0
    absolute_per_h: Annotated[float, Meta(ge=0, le=MAX_PER_H)] = 0.0

    def __post_init__(self) -> None:
        if not (
            0 <= self.relative_ratio <= MAX_RATIO
            and 0 <= self.absolute_us <= MAX_US
            and 0 <= self.absolute_ratio <= 1
            and 0 <= self.absolute_per_h <= MAX_PER_H
        ):
            raise ValueError(f"margin {_RANGE} (got {self})")

    def ratio(self, baseline_us: float) -> float:
        """Return the margin of a time as a share of this baseline."""
        return max(self.relative_ratio, self.absolute_us / max(baseline_us, 1.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A value that a run is judged by, and its margin.

    Args:
        name: name in reports, files and `--ws-margin`.
        kind: what is measured.
        tag: tag of the histogram; empty for losses, which have none.
        quantile: in (0, 1). For slow replies, the quantile of the baseline that defines "slow"; for losses
            0.5, unused.
        margin: how much worse still counts as unchanged.
        assumed_ratio: standard deviation of a run's ln value from run to run that is assumed until it is
            measured; 0 for gates that only pairs can judge.
        required: whether too few samples make it INCONCLUSIVE; otherwise they leave it out (NOT_JUDGED).

    Raises:
        ValueError: the quantile is out of range.
    """

    name: str
    kind: GateKind = GateKind.QUANTILE
    tag: str
    quantile: float
    margin: Margin
    assumed_ratio: float = 0.0
    required: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.quantile < 1:
            raise ValueError(f"quantile must be above 0 and below 1: p99 is 0.99 (got {self.quantile})")

    def __str__(self) -> str:
        return self.name

    @property
    def margin_text(self) -> str:
        """Its margin as `--ws-margin` takes it: `5%/0.2ms`, `100%/0.02pt`, `0%/1/h`."""
        share = f"{100 * self.margin.relative_ratio:.12g}%"
        if self.kind is GateKind.SLOW:
            return f"{share}/{100 * self.margin.absolute_ratio:.12g}pt"
        if self.kind is GateKind.LOSSES:
            return f"{share}/{self.margin.absolute_per_h:.12g}/h"
        return f"{share}/{self.margin.absolute_us / 1000:.12g}ms"

    @property
    def label(self) -> str:
        """Its quantile as `p99.9`; its name if it is not a quantile."""
        return f"p{100 * self.quantile:g}" if self.kind is GateKind.QUANTILE else self.name

    @property
    def least_samples(self) -> int:
        """Samples a run needs to be judged alone: ten beyond the quantile, so that no single one decides."""
        return math.ceil(round(10 / min(self.quantile, 1 - self.quantile), 6))

    @property
    def least_samples_of_many(self) -> int:
        """Samples each of many runs needs: one beyond the quantile."""
        return math.ceil(round(1 / min(self.quantile, 1 - self.quantile), 6))


def _quantile(
    name: str, tag: str, quantile: float, margin: Margin, assumed_ratio: float, *, required: bool = False
) -> Gate:
    return Gate(
        name=name, tag=tag, quantile=quantile, margin=margin, assumed_ratio=assumed_ratio, required=required
    )


GATES: Final = (
    _quantile("service p50", "service", 0.50, Margin(0.05, 200), 0.05, required=True),
    _quantile("service p90", "service", 0.90, Margin(0.10, 200), 0.08, required=True),
    _quantile("service p99", "service", 0.99, Margin(0.20, 200), 0.20, required=True),
    _quantile("service p99.9", "service", 0.999, Margin(0.30, 1_000), 0.20),
    _quantile("response p99", "response", 0.99, Margin(0.20, 1_000), 0.20),
    _quantile("connect p95", "connect", 0.95, Margin(0.20, 5_000), 0.10),
    _quantile("resume p95", "resume", 0.95, Margin(0.20, 5_000), 0.10),
    _quantile("outage p95", "outage", 0.95, Margin(0.20, 200), 0.10),
    _quantile("first reply p95", "after_resume", 0.95, Margin(0.20, 1_000), 0.20),
    Gate(
        name="drift",
        kind=GateKind.DRIFT,
        tag="service",
        quantile=0.50,
        margin=Margin(0.05, 200),
        assumed_ratio=0.05,
    ),
    Gate(
        name="slow replies",
        kind=GateKind.SLOW,
        tag="service",
        quantile=0.99,
        margin=Margin(1.0, absolute_ratio=0.0002),
    ),
    Gate(name="losses", kind=GateKind.LOSSES, tag="", quantile=0.5, margin=Margin(0.0, absolute_per_h=1.0)),
)

TAGS: Final = tuple(dict.fromkeys(gate.tag for gate in GATES if gate.tag))
"""Tags of the histograms that gates need (`loadtest.statistics.measured_run.MeasuredRun`)."""

OF_MESSAGES: Final = frozenset({"service", "response", "after_resume"})
"""Tags of times that only runs with messages have."""


def margins_of(gates: Iterable[Gate]) -> dict[str, Margin]:
    """Return the margins by gate, in the form in which files store them."""
    return {str(gate): gate.margin for gate in gates}


def gates_with(margins: Mapping[str, Margin]) -> tuple[Gate, ...]:
    """Return the gates with these margins; gates not named keep the default."""
    return tuple(replace(gate, margin=margins.get(str(gate), gate.margin)) for gate in GATES)


def parse_margins(
    texts: Iterable[str], gates: Sequence[Gate] = GATES, *, option: str = _OPTION
) -> tuple[Gate, ...]:
    """Return the gates with margins given as text: `p50=8%`, `outage=30%/50ms`, `losses=2/h`.

    Args:
        texts: each has one margin, several separated by commas, or none. A share alone leaves the
            amount unchanged, an amount alone the share; later margins win.
        gates: gates with the margins to start from.
        option: the option named in errors.

    Raises:
        InvalidSetting: a margin is malformed or out of range, or its gate is unknown.
    """
    margins = margins_of(gates)
    for part in (part.strip() for text in texts for part in text.split(",")):
        if part:
            name, _, amounts = part.partition("=")
            gate = _named(name, part, option)
            margins[gate.name] = _changed(gate, margins[gate.name], amounts, part=part, option=option)
    return gates_with(margins)


def _named(name: str, part: str, option: str) -> Gate:
    """Return the gate that has all these words; if there are several, the one of `service`."""
    words = set(name.lower().split())
    found = [gate for gate in GATES if words and words <= set(gate.name.split())]
    of_service = [gate for gate in found if gate.name.startswith("service ")]
    if len(found) > 1 and len(of_service) == 1:
        return of_service[0]
    if len(found) != 1:
        names = ", ".join(gate.name.removeprefix("service ") for gate in GATES)
        raise InvalidSetting(option, part, f"gate must be one of {names}")
    return found[0]


def _changed(gate: Gate, margin: Margin, amounts: str, *, part: str, option: str) -> Margin:
    """Return the margin with the given share, amount, or both."""
    changes: dict[str, float] = {}
    for amount in _BETWEEN_AMOUNTS.split(amounts):
        match = _AMOUNT.fullmatch(amount.strip())
        try:
            if match is None:
                raise ValueError
            field, scale = _UNITS[match[2]]
            value = round(float(match[1]) * scale, _DIGITS)
        except ValueError:
            raise InvalidSetting(option, part, _form(gate)) from None
        if field not in ("relative_ratio", _ABSOLUTE.get(gate.kind, "absolute_us")):
            raise InvalidSetting(option, part, _form(gate))
        if field in changes:
            raise InvalidSetting(option, part, "must have at most one share and one amount")
        changes[field] = value
    try:
        changed = structs.replace(margin, **changes)
    except ValueError:
        raise InvalidSetting(option, part, _RANGE) from None
    if changed == Margin(0.0):
        raise InvalidSetting(option, part, "must be above 0: without a margin nothing can pass")
    return changed


_ABSOLUTE = {GateKind.SLOW: "absolute_ratio", GateKind.LOSSES: "absolute_per_h"}


def _form(gate: Gate) -> str:
    """Return the syntax of this gate's margin."""
    if gate.kind is GateKind.SLOW:
        return "must be slow=SHARE%, slow=POINTSpt or both, for example slow=100%/0.02pt"
    if gate.kind is GateKind.LOSSES:
        return "must be losses=SHARE%, losses=NUMBER/h or both, for example losses=1/h"
    return "must be GATE=SHARE%, GATE=TIMEms or both, for example p50=8% or p99=15%/2ms"


def margins_text(gates: Iterable[Gate]) -> str:
    """Return the text from which `parse_margins` makes these margins; empty for the defaults."""
    return ",".join(f"{gate}={gate.margin_text}" for gate in gates if gate not in GATES)
