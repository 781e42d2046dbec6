"""Limits on times (`--ws-limit`): whether each holds, and what that means for its item.

A limit is judged by the value of the run at its quantile, the same value that reports show. With too few
samples for the quantile it is INCONCLUSIVE, unless so many lie above the limit that chance does not explain
it. Values that the histogram cannot tell from the limit, 0.1% apart, meet it.

An overloaded load generator makes latency INCONCLUSIVE, and nothing else: a few milliseconds of its own do
not explain a late connect, reconnect or push. Even latency is the server's if it is over its limit by more
than the generator's longest delay. If the generator only sent fewer messages than planned, because replies
were slow and `--ws-in-flight` held others back, what was late under less load stays late.

A broken limit fails its item, whatever else is known of it. Which limits exist does not belong here, see
`loadtest.statistics.time_limits`.
"""

from collections.abc import Sequence
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from loadtest import histograms, text
from loadtest.histograms import Histogram
from loadtest.results.data import STEADY_TAGS, RunData
from loadtest.ruling import Ruling, worst
from loadtest.session.recorder import name_tag
from loadtest.statistics.time_limits import TimeLimit
from loadtest.verdict.evidence import LimitResult
from loadtest.verdict.generator import longest_delay_ms
from loadtest.verdict.items import Generator, Item

_Evidence = TypeVar("_Evidence", bound=Struct)

_NO_SAMPLES = {
    "connect": "no session was established",
    "resume": "no outage ended",
    "outage": "no outage ended",
    "service": "no request was answered after the warm-up",
    "response": "no request was answered after the warm-up",
    "first_part": "no streamed reply began after the warm-up",
    "push_gap": "no pushes were received",
}
"""Why a tag has no samples."""

_MORE = {
    "connect": "use more sessions",
    "resume": "run longer, or drop more often",
    "outage": "run longer, or drop more often",
}
"""How to get more samples of a tag, if not by a longer run."""


def judge_limits(run: RunData, item: str, generator: Generator) -> list[LimitResult]:
    """Judge the limits of an item that the run was made with, in the order in which they were given."""
    return [_judged(limit, run, generator) for limit in run.manifest.time_limits if limit.item == item]


def _judged(limit: TimeLimit, run: RunData, generator: Generator) -> LimitResult:
    histogram = run.histograms.get(name_tag(limit.of) if limit.of else limit.tag)
    if histogram is None:
        none = f"no request named {limit.of} was answered after the warm-up" if limit.of else ""
        said = f"{limit.label} not judged: {none or _NO_SAMPLES[limit.tag]}{_option(limit)}"
        return _result(limit, Ruling.INCONCLUSIVE, said)
    percent = 100 * limit.quantile
    value_us = histograms.percentiles_us(histogram, (percent,))[percent]
    samples, above = _samples(histogram, limit)
    verdict, reason = _ruling(
        limit, value_us=value_us, samples=samples, above=above, after=_after(limit, run)
    )
    doubtful = limit.item == "latency" and not generator.valid
    excess_ms = value_us / 1000 - limit.limit_ms
    if doubtful and not (verdict is Ruling.FAIL and _is_the_servers(excess_ms, run, generator)):
        verdict, reason = Ruling.INCONCLUSIVE, f"not judged, because the load generator was {generator.state}"
    said = f"{limit.label} {_shown(value_us, limit)}, limit {text.span(limit.limit_us)}"
    if verdict is not Ruling.PASS:
        said += _option(limit)
    if reason:
        said += f": {reason}"
    return _result(limit, verdict, said, value_ms=value_us / 1000, samples=samples)


def _is_the_servers(excess_ms: float, run: RunData, generator: Generator) -> bool:
    """Whether the load generator, though not fit, does not explain a time so far over its limit."""
    only_held_back = generator.exceeded.keys() == {"achieved_ratio"} and len(generator.problems) == 1
    return only_held_back or excess_ms > longest_delay_ms(run, generator)


def _samples(histogram: Histogram, limit: TimeLimit) -> tuple[int, int]:
    """Return the number of samples, and how many of them are above the limit."""
    highest_us = histograms.highest_equivalent_us(limit.limit_us)
    counts = histograms.buckets(histogram)
    return sum(counts.values()), sum(count for value_us, count in counts.items() if value_us > highest_us)


def _after(limit: TimeLimit, run: RunData) -> str:
    """Return that samples of the warm-up are left out, where they are; Locust's table has them."""
    warmup_s = run.manifest.plan.warmup_s
    steady = limit.of or limit.tag in STEADY_TAGS
    return f" after the warm-up of {warmup_s:g} s" if steady and warmup_s else ""


def _ruling(limit: TimeLimit, *, value_us: int, samples: int, above: int, after: str) -> tuple[Ruling, str]:
    """Return the ruling, with its reason unless the value alone is one."""
    broken = value_us > histograms.highest_equivalent_us(limit.limit_us)
    if samples >= limit.least_samples:
        return Ruling.FAIL if broken else Ruling.PASS, ""
    if broken and limit.broken_beyond_chance(above, samples):
        return Ruling.FAIL, f"{above} of {samples} samples are above the limit"
    more = _MORE.get(limit.tag, "run longer")
    return Ruling.INCONCLUSIVE, f"only {samples} samples{after}, {limit.least_samples} are needed: {more}"


def _option(limit: TimeLimit) -> str:
    return f" (--ws-limit {limit})"


def _shown(value_us: int, limit: TimeLimit) -> str:
    """Return a value as text, with a fourth figure where three are those of the limit."""
    shown = text.span(value_us)
    return shown if shown != text.span(limit.limit_us) else f"{value_us / 1000:.4g} ms"


def _result(
    limit: TimeLimit, verdict: Ruling, reason: str, *, value_ms: float | None = None, samples: int = 0
) -> LimitResult:
    return LimitResult(
        name=limit.name,
        limit_ms=limit.limit_ms,
        value_ms=value_ms,
        samples=samples,
        verdict=verdict,
        reason=reason,
    )


def over_runs(results: Sequence[Sequence[LimitResult]]) -> list[LimitResult]:
    """Return one result for each limit of several runs: the first of the worst, and how many are like it.

    Args:
        results: by run; a limit need not be in each.
    """
    by_name: dict[str, list[LimitResult]] = {}
    for of_run in results:
        for one in of_run:
            by_name.setdefault(one.name, []).append(one)
    return [_worst(alike) if len(alike) > 1 else alike[0] for alike in by_name.values()]


def _worst(alike: Sequence[LimitResult]) -> LimitResult:
    ruling = worst(one.verdict for one in alike)
    found = [one for one in alike if one.verdict is ruling]
    return replace(found[0], reason=f"in {len(found)} of {len(alike)} runs: {found[0].reason}")


def with_limits(item: Item[_Evidence], results: Sequence[LimitResult]) -> Item[_Evidence]:
    """Return an item judged by its limits too; unchanged without limits.

    The summary begins with what decides the verdict.
    """
    if not results:
        return item
    ruling = worst([item.verdict, *(one.verdict for one in results)])
    decisive = [one.reason for one in results if one.verdict is ruling]
    told = [item.summary, *decisive] if item.verdict is ruling else [*decisive, item.summary]
    evidence = replace(item.evidence, time_limits=list(results))
    return replace(item, verdict=ruling, summary="; ".join(told), evidence=evidence)
