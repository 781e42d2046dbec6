"""Which quantiles a release is judged by, and how much each may change before it matters.

A margin is relative or absolute, whichever is larger: 5% of a 0.4 ms median is 20 µs, which no user and
hardly any machine notices. Everything is compared in logarithms, where a margin is ln(1 + margin / baseline).

The quantiles are fixed; each team can set its own margins. `GATES` has the default margins; to judge by
others, pass a comparison the same gates with other margins. Files store margins by gate. You name a gate as
reports do, with enough words to identify it: `p99`, `outage`, `service p50`.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Final

from msgspec import Meta, Struct, structs

from loadtest.errors import InvalidSetting

_OPTION: Final = "--ws-margin"

MAX_RATIO: Final = 1.0
"""Twice as slow: a larger margin must be a typing error."""

MAX_US: Final = 60_000_000.0
"""One minute, far above any sensible value of these quantiles: more must be a typing error too."""

_RANGE = f"must be 0–{MAX_RATIO:.0%} and 0–{MAX_US / 1e6:g} s"
_FORM = "must be QUANTILE=SHARE%, QUANTILE=TIMEms or both, for example p50=8% or p99=15%/2ms"

_UNITS = {"%": ("relative_ratio", 0.01), "ms": ("absolute_us", 1e3), "s": ("absolute_us", 1e6)}
_DIGITS = 9
"""Decimals of a ratio or of microseconds: 57% is 0.57, not 57 times the binary 0.01."""
_AMOUNT = re.compile(r"(.+?)\s*(%|ms|s)")


class Margin(Struct, frozen=True):
    """How much slower still counts as unchanged: the larger of a share of the baseline and a fixed time.

    Args:
        relative_ratio: share of the baseline, from 0 to 1.
        absolute_us: time in microseconds.

    Raises:
        ValueError: share or time is out of range.
    """

    relative_ratio: Annotated[float, Meta(ge=0, le=MAX_RATIO)]
    absolute_us: Annotated[float, Meta(ge=0, le=MAX_US)] = 200.0

    def __post_init__(self) -> None:
        if not (0 <= self.relative_ratio <= MAX_RATIO and 0 <= self.absolute_us <= MAX_US):
            raise ValueError(f"margin {_RANGE} (got {self})")

    def __str__(self) -> str:
        return f"{100 * self.relative_ratio:.12g}%/{self.absolute_us / 1000:.12g}ms"

    def ratio(self, baseline_us: float) -> float:
        """Return the margin as a share of this baseline."""
        return max(self.relative_ratio, self.absolute_us / max(baseline_us, 1.0))


@dataclass(frozen=True, slots=True)
class Gate:
    """A latency quantile that is judged, and its margin.

    Args:
        tag: tag in the interval log, `service` or `outage`.
        quantile: in (0, 1).
        margin: how much slower still counts as unchanged.

    Raises:
        ValueError: the quantile is out of range.
    """

    tag: str
    quantile: float
    margin: Margin

    def __post_init__(self) -> None:
        if not 0 < self.quantile < 1:
            raise ValueError(f"quantile must be above 0 and below 1: p99 is 0.99 (got {self.quantile})")

    def __str__(self) -> str:
        return f"{self.tag} p{100 * self.quantile:g}"

    @property
    def least_samples(self) -> int:
        """Samples a run needs: ten beyond the quantile, so that no single sample decides it."""
        return math.ceil(round(10 / min(self.quantile, 1 - self.quantile), 6))


GATES: Final = (
    Gate("service", 0.50, Margin(0.05)),
    Gate("service", 0.90, Margin(0.10)),
    Gate("service", 0.99, Margin(0.20)),
    Gate("outage", 0.95, Margin(0.20)),
)


def margins_of(gates: Iterable[Gate]) -> dict[str, Margin]:
    """Return the margins by gate, as files store them."""
    return {str(gate): gate.margin for gate in gates}


def gates_with(margins: Mapping[str, Margin]) -> tuple[Gate, ...]:
    """Return the gates with these margins; gates not named keep the default."""
    return tuple(replace(gate, margin=margins.get(str(gate), gate.margin)) for gate in GATES)


def parse_margins(
    texts: Iterable[str], gates: Sequence[Gate] = GATES, *, option: str = _OPTION
) -> tuple[Gate, ...]:
    """Return the gates with margins given as text: `p50=8%`, `p99=2ms`, `outage=30%/50ms`.

    Args:
        texts: each has one margin, several separated by commas, or none. A share alone leaves the time
            unchanged, a time alone the share; later margins win.
        gates: gates with the margins to start from.
        option: the option named in errors.

    Raises:
        InvalidSetting: a margin is malformed or out of range, or its quantile is unknown.
    """
    margins = margins_of(gates)
    for part in (part.strip() for text in texts for part in text.split(",")):
        if part:
            name, _, amounts = part.partition("=")
            gate = _named(name, part, option)
            margins[gate] = _changed(margins[gate], amounts, part, option)
    return gates_with(margins)


def _named(name: str, part: str, option: str) -> str:
    """Return the name of the one gate that has all these words."""
    words = set(name.lower().split())
    found = [gate for gate in map(str, GATES) if words <= set(gate.split())]
    if len(found) != 1:
        raise InvalidSetting(option, part, "quantile must be p50, p90, p99 or outage")
    return found[0]


def _changed(margin: Margin, amounts: str, part: str, option: str) -> Margin:
    """Return the margin with the given share, time, or both."""
    changes: dict[str, float] = {}
    for amount in amounts.split("/"):
        match = _AMOUNT.fullmatch(amount.strip())
        try:
            if match is None:
                raise ValueError
            field, scale = _UNITS[match[2]]
            value = round(float(match[1]) * scale, _DIGITS)
        except ValueError:
            raise InvalidSetting(option, part, _FORM) from None
        if field in changes:
            raise InvalidSetting(option, part, "must have at most one share and one time")
        changes[field] = value
    try:
        changed = structs.replace(margin, **changes)
    except ValueError:
        raise InvalidSetting(option, part, _RANGE) from None
    if not (changed.relative_ratio or changed.absolute_us):
        raise InvalidSetting(option, part, "must be above 0: without a margin nothing can pass")
    return changed


def margins_text(gates: Iterable[Gate]) -> str:
    """Return the text from which `parse_margins` makes these margins; empty for the defaults."""
    return ",".join(f"{gate}={gate.margin}" for gate in gates if gate not in GATES)
