"""The power forecast of a duel: the changes that its pairs of runs can detect.

It is based on an earlier run under the same load, or on the plan alone, and again on the first pair that
counts.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from loadtest import text
from loadtest.duel.expectation import Expected, PlannedLoad, expected, more_resumes, resumes
from loadtest.duel.locust_options import WARMUP
from loadtest.duel.settings import OF_LOAD, DuelSettings
from loadtest.options import SETTINGS
from loadtest.results.manifest import Plan
from loadtest.runs.baselines import readable
from loadtest.runs.find import FoundRun, find_runs, once
from loadtest.runs.past_runs import history
from loadtest.statistics.margins import OF_MESSAGES, Gate, GateKind
from loadtest.statistics.noise import MIN_RUNS, noise_of
from loadtest.statistics.power import Power, detectable, power_of_gates
from loadtest.statistics.sufficiency import lack_of_runs, least_samples
from loadtest.verdict.reconnect import MIN_RESUMED
from loadtest.verdict.timing import Timing, timing

_MOST_READ = 5
"""Earlier runs that are read for one that an overloaded load generator has not spoiled."""


class Forecast:
    """Power forecast of a duel, printed before the first run and again after the first pair that counts.

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
            users, duration = (
                text.counted(self._settings.users, "user"),
                text.clock(self._settings.duration_s),
            )
            yield from self._lines(
                None, f"based on the plan: there is no earlier run with {users} for {duration}"
            )
        else:
            manifest = self._like.manifest
            yield from self._lines(self._like, f"based on run {manifest.run_id} of {manifest.revision}")

    def after(self, first: Timing) -> Iterator[str]:
        """Yield the forecast based on the baseline's first run; nothing if `before` used the same plan."""
        hash_before = None if self._like is None else self._like.manifest.comparability_hash
        if first.manifest.comparability_hash != hash_before:
            yield from self._lines(first, "based on the first pair that counts")

    def _lines(self, like: Timing | None, source: str) -> Iterator[str]:
        planned = self._settings.load
        hoped = None if like is not None or planned is None else expected(planned)
        lacks = {gate.name: lack for gate in self._gates if (lack := self._lack(gate, like, hoped))}
        found = [one for one in self._forecasts(like) if one.gate.name not in lacks]
        unproven = _unproven(planned)
        yield f"forecast: {self._detected(found)}"
        yield f"  {source}{_noise(found)}"
        if open_ := [one for one in found if not one.feasible]:
            names = ", ".join(map(_short, open_))
            yield f"  too few samples to show that these are unchanged: {names}{self._remedy(open_)}"
        if hoped is not None:
            trips, outages = text.count(hoped.round_trips), text.counted(hoped.outages, "outage")
            yield f"  each run should have about {trips} round trips, without its warm-up and its {outages}"
        if lacks:
            yield f"  cannot be judged: {', '.join(f'{name} ({lack})' for name, lack in lacks.items())}"
        if unproven:
            yield f"  cannot be judged: reconnect, persistence ({unproven})"

    def _detected(self, found: Sequence[Power]) -> str:
        """Return what changes these settings can detect, in one line."""
        pairs = text.counted(self._settings.pairs, "pair")
        nothing = "no change of latency can be detected"
        if self._silent:
            nothing = "no messages are planned at rate 0: judged by connects, outages and losses"
        return f"{pairs}: {detectable(found) or nothing}"

    @property
    def _silent(self) -> bool:
        return bool(self._settings.known(SETTINGS["rate"]) == 0)

    @property
    def _gates(self) -> Sequence[Gate]:
        """The gates to forecast; without messages, those on replies are left out."""
        return [gate for gate in self._settings.gates if not (self._silent and gate.tag in OF_MESSAGES)]

    def _remedy(self, few: Sequence[Power]) -> str:
        """Return what would be enough for these gates, empty if unknown."""
        pairs = [one.pairs_needed for one in few if one.pairs_needed is not None]
        times_s = [one.duration_s_needed for one in few if one.duration_s_needed is not None]
        per_unit, ways = self._settings.pairs_per_unit, []
        if len(pairs) == len(few):
            ways.append(f"{max(pairs) * per_unit} pairs")
        if len(times_s) == len(few):
            ways.append(f"runs of {math.ceil(max(times_s) / per_unit)} s after the warm-up")
        return f"; use {' or '.join(ways)}" if ways else ""

    def _forecasts(self, like: Timing | None) -> Sequence[Power]:
        settings = self._settings
        if like is None:
            known_s, noise = settings.known(WARMUP), {}
            warmup_s = WARMUP.default if known_s is None else known_s
        else:
            warmup_s = like.manifest.plan.warmup_s
            noise = noise_of(history(settings.results, like.manifest, before_unix_ns=self._started_unix_ns))
        # A unit is like one pair of longer runs; its instances are drawn once.
        measured_s = settings.pairs_per_unit * max(1.0, settings.duration_s - warmup_s)
        return power_of_gates(
            self._gates,
            pairs=settings.units,
            duration_s=measured_s,
            baseline=None if like is None else like.measured,
            noise=noise,
        )

    def _lack(self, gate: Gate, like: Timing | None, hoped: Expected | None) -> str:
        """Return why the runs have too few samples for a quantile, empty if enough or unknown."""
        pairs, units = self._settings.pairs, self._settings.units
        if like is not None:
            return lack_of_runs(gate, [like.measured], pairs=pairs, units=units)
        least = least_samples(gate, pairs=pairs, units=units)
        if gate.kind is not GateKind.QUANTILE:
            return ""
        if hoped is None or gate.tag != "service" or hoped.round_trips >= least:
            return ""
        over = f"over {text.counted(pairs, 'pair')}" if pairs > 1 else "in one pair"
        return (
            f"about {text.count(hoped.round_trips)} round trips per run; {text.count(least)} are needed "
            f"{over}"
        )


def _short(one: Power) -> str:
    """Return a gate with its margin, and its absolute margin if the baseline is unknown."""
    name, margin = one.gate.name.removeprefix("service "), one.gate.margin
    if one.gate.kind.counted:
        return name
    least = f" or {text.span(margin.absolute_us)}" if one.baseline_us is None and margin.absolute_us else ""
    return f"{name} (margin {text.share(one.margin)}{least})"


def _unproven(planned: PlannedLoad | None) -> str:
    """Return why a run will have too few outages to judge reconnecting, with advice; empty if not."""
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
    about = f"about {text.counted(hoped, 'outage')} per run" if hoped else "no outage ends within a run"
    return f"{about}; {MIN_RESUMED} are needed: use {' or '.join(advice) or 'more sessions'}"


def _noise(found: Sequence[Power]) -> str:
    """Return the run-to-run noise of the gates that are always judged, measured or assumed."""
    required = [one for one in found if one.gate.required]
    noises = " / ".join(text.share(math.sqrt(one.noise.of_pair(same_day=True).variance)) for one in required)
    if not required:
        return ""
    if any(one.assumed for one in required):
        return f"; run-to-run noise of {noises} is assumed until there are {MIN_RUNS} earlier runs"
    return f"; run-to-run noise of {noises}, measured over {required[0].noise.runs} runs"


def _similar_run(settings: DuelSettings) -> Timing | None:
    """Return the newest complete run under the same load, preferring the baseline's revision."""
    runs = [run for run in once(find_runs(settings.results).runs) if _is_similar(run, settings)]
    runs.sort(key=lambda run: run.manifest.revision != settings.a.revision)
    found = map(timing, readable(run.path for run in runs[:_MOST_READ]))
    return next((run for run in found if not run.problems), None)


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
