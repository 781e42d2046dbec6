"""Limits on a run's times: `p99=200ms`, `resume.p95=1s`, `push_gap=5s`.

A limit needs no baseline: it says what is too slow for your users. Each belongs to one item: `connect.pNN` to
connect, `resume.pNN` and `outage.pNN` to reconnect, `push_gap` (the longest one) to messaging, and `pNN`
(service time), `response.pNN` and `first_part.pNN` to latency. There are none by default.

For a quantile that is too far out for a run's samples, see `broken_beyond_chance`. Reading histograms does
not belong here; `loadtest.verdict.limits` judges.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from loadtest.errors import InvalidSetting

_OPTION: Final = "--ws-limit"

LEAST_MS: Final = 0.001
MOST_MS: Final = 3_600_000.0
"""The range of the histograms, 1 µs to one hour: values beyond it are clamped to its ends."""

MAX_CHANCE: Final = 0.001
"""How unlikely the late samples of a short run must be if the limit were met: one run in a thousand, because
late samples come in groups (one pause delays many), and the estimate takes them as independent."""

_ITEMS: Final = {
    "connect": "connect",
    "resume": "reconnect",
    "outage": "reconnect",
    "service": "latency",
    "response": "latency",
    "first_part": "latency",
    "push_gap": "messaging",
}
"""The item that a limit on a tag of the interval log belongs to."""

_QUANTILE = re.compile(
    r"(?:(connect|resume|outage|response|first_part)\.)?p(\d{1,2}(?:\.\d{1,4})?)", re.ASCII
)
_TIME = re.compile(r"(\d{1,12}(?:\.\d{1,12})?)\s*(us|ms|s)", re.ASCII)
_OTHER_UNIT = re.compile(r"\d+(?:\.\d+)?\s*[A-Za-z]+", re.ASCII)
_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}
_DIGITS = 9
"""Decimals of a time in milliseconds: 0.3 s is 300 ms, not 300 times a binary fraction."""

_EXAMPLE = "NAME=TIME with a unit, for example p99=200ms, 1.5s or 300us"
_NAMES = (
    "pNN, response.pNN, first_part.pNN, connect.pNN, resume.pNN, outage.pNN (0 < NN < 100), push_gap, or "
    "NAME:pNN for requests of one name"
)


@dataclass(frozen=True, slots=True)
class TimeLimit:
    """An upper limit on a quantile of a tag.

    Args:
        name: the name in options and files: `p99`, `resume.p95`, `push_gap`.
        limit_ms: in milliseconds.
        tag: tag in the interval log; for requests of one name, the tag of all round trips.
        quantile: in (0, 1); 1 for the maximum.
        of: name of the requests; empty for all.
    """

    name: str
    limit_ms: float
    tag: str
    quantile: float
    of: str = ""

    @property
    def item(self) -> str:
        """The item that fails if the limit is broken."""
        return _ITEMS[self.tag]

    @property
    def limit_us(self) -> float:
        """The limit in microseconds."""
        return round(self.limit_ms * 1000, _DIGITS)

    @property
    def label(self) -> str:
        """What is limited, in readable form: `service p99`, `resume p95`, `longest push gap`."""
        if self.quantile == 1:
            return "longest push gap"
        return f"{self.of or self.tag} p{100 * self.quantile:.6g}"

    @property
    def least_samples(self) -> int:
        """Samples a run needs: ten beyond the quantile, so that no single one decides; 1 for a maximum."""
        if self.quantile == 1:
            return 1
        return math.ceil(round(10 / min(self.quantile, 1 - self.quantile), 6))

    def broken_beyond_chance(self, above: int, samples: int) -> bool:
        """Whether a limit is certainly broken, although a run has too few samples for the quantile.

        If the quantile just meets its limit, a sample is above it with a probability of at most 1 - quantile.
        If at most one run in a thousand would then have this many samples above, the limit is broken: for
        example 3 of 3 samples of a p95, 10 of 10 of a p50.

        Args:
            above: samples above the limit.
            samples: all samples.
        """
        return (
            above > samples * (1 - self.quantile) and _tail(above, samples, 1 - self.quantile) <= MAX_CHANCE
        )

    def __str__(self) -> str:
        """Return the limit in the option's form."""
        return f"{self.name}={_time_text(self.limit_ms)}"


def parse_limits(given: Iterable[object], *, option: str = _OPTION) -> tuple[TimeLimit, ...]:
    """Return limits given as text, or as pairs of a name and a time.

    Args:
        given: each is text (`p99=200ms`, or several separated by commas) or a name with its time.
        option: the option named in errors.

    Raises:
        InvalidSetting: a limit is empty, malformed, out of range or given twice, or its name is unknown.
    """
    limits: dict[str, TimeLimit] = {}
    for part in _parts(given, option):
        limit = _limit(part, option)
        if limit.name in limits:
            raise InvalidSetting(option, part, f"must set {limit.name} only once")
        limits[limit.name] = limit
    return tuple(limits.values())


def _parts(given: Iterable[object], option: str) -> Iterator[str]:
    """Yield each limit in the option's form."""
    for one in given:
        text = "=".join(map(str, one)) if isinstance(one, tuple) else str(one)
        parts = list(filter(None, map(str.strip, text.split(","))))
        if not parts:  # an unset variable in a script must not pass for a limit
            raise InvalidSetting(option, text, f"must not be empty: {_EXAMPLE}")
        yield from parts


def _limit(part: str, option: str) -> TimeLimit:
    written, _, time = part.rpartition("=") if ":" in part else part.partition("=")
    if not written or ":" in time:  # the name of requests may have an equals sign, a time has no colon
        written, time = part, ""
    of, colon, quantile = written.strip().rpartition(":")
    name = of.strip() + colon + quantile.strip().lower()
    found = _named(name)
    if found is None:
        if name in _ITEMS:
            example = "p95" if name == "service" else f"{name}.p95"
            raise InvalidSetting(option, part, f"needs a quantile: {example}={time or '1s'}")
        raise InvalidSetting(option, part, f"name must be {_NAMES}")
    return TimeLimit(found[0], _time_ms(time.strip(), part, option), *found[1:])


def _named(name: str) -> tuple[str, str, float, str] | None:
    """Return a limit's normalised name, its tag, its quantile and the name of the requests.

    None for an unknown name.
    """
    if name == "push_gap":
        return name, name, 1.0, ""
    of, colon, quantile = name.rpartition(":")
    match = _QUANTILE.fullmatch(quantile)
    if match is None or not 0 < float(match[2]) < 100 or (colon and (match[1] or not of)):
        return None
    tag, percent = match[1], float(match[2])
    spelled = f"{tag}.p{percent:.6g}" if tag else f"{of}{colon}p{percent:.6g}"
    return spelled, tag or "service", round(percent / 100, 6), of


def _time_ms(time: str, part: str, option: str) -> float:
    match = _TIME.fullmatch(time)
    if match is None:
        if _OTHER_UNIT.fullmatch(time):
            raise InvalidSetting(option, part, "unit must be us, ms or s, in lower case")
        raise InvalidSetting(option, part, f"must be {_EXAMPLE}")
    time_ms = round(float(match[1]) * _UNITS[match[2]], _DIGITS)
    if not LEAST_MS <= time_ms <= MOST_MS:
        raise InvalidSetting(option, part, f"time must be 1us–{MOST_MS / 1000:g}s")
    return time_ms


def _time_text(time_ms: float) -> str:
    """Return a time in the option's form, in its largest unit with a value of at least 1."""
    unit = "s" if time_ms >= _UNITS["s"] else "ms" if time_ms >= 1 else "us"
    return f"{round(time_ms / _UNITS[unit], _DIGITS + 3):.15g}{unit}"


def _tail(least: int, trials: int, chance: float) -> float:
    """Return the probability of at least `least` successes, more than expected (binomial distribution).

    Plain arithmetic: all settings need this module, and importing scipy takes half a second.
    """
    ln_ways = math.lgamma(trials + 1) - math.lgamma(least + 1) - math.lgamma(trials - least + 1)
    term = math.exp(ln_ways + least * math.log(chance) + (trials - least) * math.log1p(-chance))
    total = 0.0
    for successes in range(least, trials + 1):
        total += term
        if term <= total * 1e-12:  # terms shrink from here on
            break
        term *= (trials - successes) / (successes + 1) * chance / (1 - chance)
    return total


def stored(limits: Iterable[TimeLimit]) -> dict[str, float]:
    """Return the limits in milliseconds by name, in the form in which files store them."""
    return {limit.name: limit.limit_ms for limit in limits}


def limits_of(stored_ms: Mapping[str, float]) -> tuple[TimeLimit, ...]:
    """Return stored limits.

    Raises:
        ValueError: a name is unknown or a time is out of range.
    """
    limits = []
    for name, limit_ms in stored_ms.items():
        found = _named(name)
        if found is None or not LEAST_MS <= limit_ms <= MOST_MS:
            raise ValueError(f"limit {name!r} of {limit_ms} ms is unknown")
        limits.append(TimeLimit(found[0], limit_ms, *found[1:]))
    return tuple(limits)
