"""Whether pushes came at the expected rate; a part of `messaging`.

`loadtest.session.pushes` counts how many pushes were expected and how many of these arrived. Both are exact
for a server that pushes periodically, up to its jitter. By the limits below a server that loses 3% of its
pushes fails, and one that loses none passes.
"""

from loadtest import text
from loadtest.results.data import RunData
from loadtest.ruling import Ruling
from loadtest.session.pushes import SILENT_PERIODS
from loadtest.verdict.generator import stalled

MAX_SHORT_RATIO = 0.01
"""Share of the expected pushes that may be missing: timers that are set anew after each push run slow by up
to this much, and 3% lost pushes stand out from it."""

JITTER_S = 0.05
"""Time by which the distance of a stretch's first push from its last may be wrong: the first was early, or
the last late. A shortfall that this explains is not a failing."""

MIN_EXPECTED = 150
"""Expected pushes needed for PASS: of so many or more, a server that loses 3% stays within 1% in at most 1 of
17 runs (binomial distribution)."""

LEAST_MISSING = 2
"""Missing pushes needed for FAIL: one is within rounding."""


def limits(run: RunData) -> dict[str, float]:
    """Return the limits of the rule, by name; none if no rate was expected."""
    per_s = run.manifest.pushes_per_s
    if not per_s:
        return {}
    return {"pushes_per_s": per_s, "pushes_short_ratio": MAX_SHORT_RATIO, "least_pushes": MIN_EXPECTED}


def ruling(run: RunData) -> tuple[Ruling, str] | None:
    """Judge the rate of pushes; None if none was expected."""
    per_s = run.manifest.pushes_per_s
    if not per_s:
        return None
    expected, arrived = run.count("messaging.pushes_expected"), run.count("messaging.pushes_arrived")
    missing = expected - arrived
    jitter = JITTER_S * per_s * run.count("messaging.push_stretches")
    told = _told(run, per_s)
    silences = run.count("messaging.push_silences")
    if silences and run.count("messaging.pushes"):
        told += f", {text.counted(silences, 'gap')} of {SILENT_PERIODS} periods or more"
    if missing >= LEAST_MISSING and missing > MAX_SHORT_RATIO * expected + jitter:
        return Ruling.FAIL, told
    if silences and stalled(run):
        return Ruling.INCONCLUSIVE, f"{told}, but the load generator stalled for a while"
    if silences:
        return Ruling.FAIL, told
    if expected < MIN_EXPECTED:
        return Ruling.INCONCLUSIVE, (
            f"{text.only(expected, 'push', 'pushes')} expected on undisturbed connections, "
            f"{MIN_EXPECTED} are needed: run longer, or with more sessions"
        )
    if missing > MAX_SHORT_RATIO * expected:
        return Ruling.INCONCLUSIVE, f"{told}, which may be jitter: run longer, or drop less often"
    return Ruling.PASS, told


def _told(run: RunData, per_s: float) -> str:
    """Return how many pushes came, as a rate beside the expected one."""
    expected, arrived = run.count("messaging.pushes_expected"), run.count("messaging.pushes_arrived")
    if not run.count("messaging.pushes"):
        return f"no pushes were received ({per_s:g} per second per session expected)"
    if not expected:
        return f"{text.counted(run.count('messaging.pushes'), 'push', 'pushes')} received"
    rate = f"pushes came at {per_s * arrived / expected:.4g} per second per session"
    missing = expected - arrived
    short = f"{text.count(missing)} of {text.count(expected)} missing" if missing > 0 else "none missing"
    return f"{rate} ({per_s:g} expected, {short})"
