"""Output of a duel: lines for each run and look while it runs, tables at its end."""

import math
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from loadtest import text
from loadtest.duel.expectation import Expected, PlannedLoad, expected, more_resumes, resumes
from loadtest.duel.judging import DuelPair, DuelRecord, DuelRun, earlier_timings
from loadtest.duel.locust_options import WARMUP
from loadtest.duel.settings import OF_LOAD, DuelSettings, Order, Side
from loadtest.duel.stopping import End, next_look
from loadtest.options import SETTINGS
from loadtest.report.advice import shown_items
from loadtest.report.change_tables import change_table
from loadtest.report.tables import Sheet, gate_table, gates, limit_table, pair_table, verdict_table
from loadtest.results.manifest import Plan
from loadtest.ruling import Ruling
from loadtest.runs.baselines import readable
from loadtest.runs.find import FoundRun, find_runs, once
from loadtest.statistics.comparison import ASSUMED_RATIO, MIN_RUNS
from loadtest.statistics.margins import GATES, Gate
from loadtest.statistics.power import Power
from loadtest.verdict.evidence import LatencyEvidence
from loadtest.verdict.items import AnyItem, Item
from loadtest.verdict.latency import (
    OPTIONAL_TAGS,
    Timing,
    changes,
    lack,
    noise_floors,
    resolvable,
    spoiling,
    timing,
)
from loadtest.verdict.reconnect import MIN_RESUMED
from loadtest.verdict.side_changes import fails_in_both

_SECONDS_BESIDE = 5
"""Seconds that Locust takes beyond a run's duration: starting, closing sessions, writing reports."""


def opening_lines(settings: DuelSettings) -> Iterator[str]:
    """Yield the lines printed first: what is compared, how often, and how long it takes at most."""
    a, b = (f"{_named(side)} ({_where(side.url)})" for side in settings.sides)
    runs = settings.pairs * (1 if settings.order is Order.PARALLEL else 2)
    most_s = runs * (settings.duration_s + _SECONDS_BESIDE)
    pairs = text.counted(settings.pairs, "pair")
    looks, each = ", ".join(map(str, settings.looks)), text.clock(settings.duration_s)
    yield f"{b} against {a}"
    yield (
        f"at most {pairs} of runs of {each}, {settings.order}, looked at after {looks}: "
        f"at most {text.clock(most_s)}"
    )


def _named(side: Side) -> str:
    return side.role if side.revision == side.role else f"{side.role}, {side.revision}"


def _where(url: str) -> str:
    return text.public_url(url) if url else "from its command"


def turn_line(settings: DuelSettings, number: int, roles: Sequence[str]) -> str:
    """Return the line printed when runs start."""
    names = " and ".join(_named(side) for side in settings.sides if side.role in roles)
    verb = "runs" if len(roles) == 1 else "run at once"
    return f"pair {number} of {settings.pairs}: {names} {verb} for {text.clock(settings.duration_s)}"


_HOW_TO_RELIEVE = {
    Order.ABBA: "options for Locust go after --, as in: -- --processes 2 --ws-rate 0.5",
    Order.PARALLEL: "runs in turn (--order abba) do not share the host; options for Locust go after --",
}
"""How to follow the advice on an overloaded load generator in a duel."""


def pair_lines(number: int, pair: DuelPair, order: Order) -> Iterator[str]:
    """Yield the results of each run of a pair, and why the pair does not count for latency, if so."""
    for role, run in (("a", pair.a), ("b", pair.b)):
        quantiles = ", ".join(f"{name} {_of_run(run, name)}" for name in ("p50", "p90", "p99"))
        yield f"pair {number}, {role}: {_rulings(run)}; service {quantiles}; {run.path}"
        if why := spoiling(run.timing):
            yield f"pair {number} does not count for latency: {role}: {why}"
    if not all(run.timing.generator.valid for run in (pair.a, pair.b)):
        yield f"if the load generator was overloaded: {_HOW_TO_RELIEVE[order]}"
    for missing in pair.lacks:
        yield f"pair {number}: too little to judge, {missing}"


def _of_run(run: DuelRun, name: str) -> str:
    in_ms = run.timing.percentiles.get("service", {}).get(f"{name}_ms")
    return text.span(None if in_ms is None else 1000 * in_ms)


def _rulings(run: DuelRun) -> str:
    """Return the items that failed and those that are INCONCLUSIVE; the run's verdict if there are none."""
    items = run.verdict.items
    failed = [f"{item.item} ({item.summary})" for item in items if item.verdict is Ruling.FAIL]
    inconclusive = [item.item for item in items if item.verdict is Ruling.INCONCLUSIVE]
    found = ((Ruling.FAIL, failed), (Ruling.INCONCLUSIVE, inconclusive))
    return " · ".join(f"{ruling} {', '.join(some)}" for ruling, some in found if some) or str(
        run.verdict.verdict
    )


def both_lines(items: Sequence[AnyItem]) -> Iterator[str]:
    """Yield a line with the items that both sides fail alike, if there are any."""
    if names := fails_in_both(items):
        yield f"fails in both so far, so it is no regression: {', '.join(names)}"


def standing_line(
    fit: Sequence[DuelPair], look: AnyItem | None, *, looks: Sequence[int], end: str = ""
) -> str:
    """Return the state after a pair: the result of the look, or the mean changes so far.

    Args:
        fit: the pairs that count.
        look: the item judged at this look, None if no look was due.
        looks: the numbers of pairs at which the duel looks.
        end: why this is the last pair, empty if it is not.
    """
    counted = text.counted(len(fit), "pair")
    if look is not None:
        return f"look at {counted}: {look.verdict}: {look.summary}"
    names = [str(gate) for gate in GATES if gate.tag not in OPTIONAL_TAGS]
    means = ", ".join(f"{name} {text.change(_mean(fit, name))}" for name in names)
    upcoming = next_look(len(fit), looks)
    missing = "no look is left" if upcoming is None else f"{upcoming - len(fit)} more until the next look"
    return f"so far {counted}: {means}; {end or missing}"


def end_text(end: End, certain: Sequence[AnyItem]) -> str:
    """Return why a duel ends after a pair; `certain` are the items in which the candidate regressed."""
    if end is End.SETTLED and certain:
        return f"settled: the candidate fails {', '.join(item.item for item in certain)}"
    return f"ended: {end}"


def _mean(pairs: Sequence[DuelPair], gate: str) -> float | None:
    """Return the geometric mean of the change over the pairs in which it is known."""
    found = [changes(pair.timings)[gate] for pair in pairs]
    known = [math.log1p(ratio) for ratio in found if ratio is not None]
    return math.expm1(math.fsum(known) / len(known)) if known else None


def duel_sheet(record: DuelRecord, folder: Path) -> Sheet:
    """Return the verdict of a duel with its tables."""
    latency: Item[LatencyEvidence] = record.item("latency")
    return Sheet(
        headline=f"verdict of {record.b} against {record.a}",
        ruling=record.verdict,
        lines=[
            f"{len(record.pairs)} of {text.counted(record.pairs_planned, 'pair')} of runs of "
            f"{text.clock(record.duration_s)} ({record.order}): {record.end}",
            *record.notes,
            *(latency.evidence.spoiled or ()),
        ],
        tables=[
            change_table(record.changes),
            verdict_table(shown_items(record.items)),
            limit_table([latency]),
            gate_table(gates(latency)),
            pair_table(latency.evidence.runs or ()),
        ],
        again=f"loadtest report {shlex.quote(str(folder))}",
    )


class Forecast:
    """Power forecast of a duel, printed before the first run and again after the first pair.

    Args:
        settings: settings of the duel.
        started_unix_ns: the duel's start in Unix time.
    """

    def __init__(self, settings: DuelSettings, started_unix_ns: int) -> None:
        self._settings = settings
        self._started_unix_ns = started_unix_ns
        self._like = _similar_run(settings)

    def before(self) -> Iterator[str]:
        """Yield the forecast before the first run, based on an earlier run if there is a similar one."""
        if self._like is None:
            users, duration = self._settings.users, text.clock(self._settings.duration_s)
            yield from self._lines(None, f"no earlier run of {users} users and {duration} is alike")
        else:
            manifest = self._like.manifest
            yield from self._lines(self._like, f"judging by run {manifest.run_id} of {manifest.revision}")

    def after(self, first: Timing) -> Iterator[str]:
        """Yield the forecast based on the baseline's first run; nothing if `before` used the same plan."""
        hash_before = None if self._like is None else self._like.manifest.comparability_hash
        if first.manifest.comparability_hash != hash_before:
            yield from self._lines(first, "judging by the first pair")

    def _lines(self, like: Timing | None, source: str) -> Iterator[str]:
        found, planned = self._forecasts(like), self._settings.load
        hoped = None if like is not None or planned is None else expected(planned)
        lacks = [_lack(one.gate, like, hoped) for one in found]
        unproven = _unproven(planned)
        enough = all(one.feasible for one in found) and not any(lacks) and not unproven
        pairs = text.counted(self._settings.pairs, "pair")
        verb = "should be enough" if enough else "may be too few"
        yield f"forecast: {pairs} {verb} to show that an unchanged server is unchanged"
        yield f"  {source}{_assumed(found)}"
        if hoped is not None:
            trips, outages = text.count(hoped.round_trips), text.counted(hoped.outages, "outage")
            yield f"  each run should have about {trips} round trips outside its warm-up and its {outages}"
        for one, missing in zip(found, lacks, strict=True):
            yield f"  {one.gate}: cannot be judged, {missing}" if missing else f"  {one}"
        if unproven:
            yield f"  reconnect, persistence: cannot be judged, {unproven}"

    def _forecasts(self, like: Timing | None) -> Sequence[Power]:
        if like is None:
            known_s, noise = self._settings.known(WARMUP), {}
            warmup_s = WARMUP.default if known_s is None else known_s
        else:
            warmup_s = like.manifest.plan.warmup_s
            noise = noise_floors(
                earlier_timings(like.manifest, self._settings.results, before_unix_ns=self._started_unix_ns)
            )
        left_s = max(1.0, self._settings.duration_s - warmup_s)
        return resolvable(
            like, noise, pairs=self._settings.pairs, duration_s=left_s, gates=self._settings.gates
        )


def _lack(gate: Gate, like: Timing | None, hoped: Expected | None) -> str:
    """Return why a run will have too few samples for a gate, empty if it has enough or that is unknown."""
    if like is not None:
        return lack(gate, [like])
    if hoped is None or hoped.round_trips >= gate.least_samples:
        return ""
    return f"about {text.count(hoped.round_trips)} round trips, {text.count(gate.least_samples)} are needed"


def _unproven(planned: PlannedLoad | None) -> str:
    """Return why a run will have too few outages to judge reconnecting, and what to do; empty if it has."""
    if planned is None or not planned.outages_planned:
        return ""
    hoped = resumes(planned)
    if hoped >= MIN_RESUMED:
        return ""
    longer, oftener = more_resumes(planned, least=MIN_RESUMED)
    advice = [
        *([f"--duration {longer}s"] if longer is not None else []),
        *([f"--ws-drop-every {oftener:g} after --"] if oftener is not None else []),
    ]
    about = f"about {text.counted(hoped, 'outage')} a run" if hoped else "no outage that ends in a run"
    return f"{about}, {MIN_RESUMED} are needed: {' or '.join(advice) or 'more sessions'}"


def _assumed(found: Sequence[Power]) -> str:
    if all(one.noise.measured for one in found):
        return ""
    noise = f"run-to-run noise of {text.share(ASSUMED_RATIO)}"
    return f"; {noise} is assumed until {MIN_RUNS} earlier runs tell it"


def _similar_run(settings: DuelSettings) -> Timing | None:
    """Return the newest complete run under the same load, preferring the baseline's revision."""
    runs = [run for run in once(find_runs(settings.results).runs) if _is_similar(run, settings)]
    runs.sort(key=lambda run: run.manifest.revision != settings.a.revision)
    return next(map(timing, readable(run.path for run in runs)), None)


def _is_similar(run: FoundRun, settings: DuelSettings) -> bool:
    """Whether a run was complete and under the same load, as far as the load of the duel's runs is known."""
    plan = run.manifest.plan
    return (
        run.manifest.complete
        and plan.users == settings.users
        and plan.duration_s == settings.duration_s
        and all(_has(plan, name, settings.known(SETTINGS[name])) for name in OF_LOAD)
    )


def _has(plan: Plan, name: str, value: Any) -> bool:
    """Whether a plan has this value of a setting, if it is known."""
    planned = getattr(plan, SETTINGS[name].plan_field)
    return value is None or OF_LOAD[name](value) == planned
