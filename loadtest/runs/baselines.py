"""Which run another is compared with when its reports are made, and why.

It is the run that was asked for, else the one that the run was compared with before, else the one that the
rule chooses (`choose_baseline`): a report that is made again must not change because a later run exists. If
a baseline that nobody asked for cannot be read, a note says so and the report is made without it.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice, takewhile
from pathlib import Path

from loadtest.errors import RunUnreadable
from loadtest.results.data import RunData
from loadtest.results.manifest import Manifest
from loadtest.results.reader import read_run
from loadtest.ruling import Ruling
from loadtest.runs.find import Catalogue, FoundRun, find_runs, given_verdict, once, resolve
from loadtest.statistics.comparison import MIN_RUNS
from loadtest.statistics.margins import GATES
from loadtest.verdict import connect, messaging
from loadtest.verdict.evidence import BaselineEvidence, PassedOver
from loadtest.verdict.items import AnyItem, Verdict
from loadtest.verdict.latency import OPTIONAL_TAGS, BaselineSearch, Timing, lack, timing


@dataclass(frozen=True, slots=True, kw_only=True)
class Suitability:
    """What speaks against comparing with a run.

    Args:
        unjudged: how many gated quantiles cannot be judged against it.
        lack: why not, empty where all can.
        failings: what it failed itself, a sentence an item.
    """

    unjudged: int
    lack: str
    failings: Sequence[str]

    @property
    def rank(self) -> tuple[int, bool]:
        """The smaller, the better to compare with."""
        return self.unjudged, bool(self.failings)

    @property
    def sound(self) -> bool:
        """Whether nothing speaks against it."""
        return not any(self.rank)

    @property
    def problems(self) -> list[str]:
        """All that speaks against it."""
        return [*([self.lack] if self.lack else []), *self.failings]


def suitability(run: RunData, given: Verdict | None = None) -> Suitability:
    """Return how fit a run is to be compared with.

    Args:
        given: the verdict in its verdict.json, for its latency, which its data alone cannot tell.
    """
    unjudged, why = _lack(timing(run))
    items: list[AnyItem] = [connect.judge(run), messaging.judge(run)]
    if given is not None:
        items.append(given.latency)
    failings = [f"it FAILed {item.item}: {item.summary}" for item in items if item.verdict is Ruling.FAIL]
    return Suitability(unjudged=unjudged, lack=why, failings=failings)


def _lack(run: Timing) -> tuple[int, str]:
    """Return how many gated quantiles cannot be judged, and why."""
    gates = [gate for gate in GATES if gate.tag not in OPTIONAL_TAGS]
    if not run.manifest.plan.messages_planned:
        return 0, ""
    if run.problems:
        return len(gates), f"its load generator was not fit to measure: {'; '.join(run.problems)}"
    lacks = [
        f"{gate} cannot be judged against it: {missing}" for gate in gates if (missing := lack(gate, [run]))
    ]
    return len(lacks), lacks[-1] if lacks else ""  # the last needs the most


NO_BASELINE = "none"

MAX_READ = 5
"""Runs that are read in search of a sound baseline, damaged ones among them: older ones say little of how the
server was before."""

MAX_TOLD = 20
"""Runs that are told to have been passed over: any number may have been killed, for which none is read."""


class Rule(StrEnum):
    """By which rule a baseline was chosen."""

    ASKED = "it was asked for"
    PINNED = "it is pinned for this plan"
    NEWEST = "it is the newest complete run of another revision with this plan"
    FITTEST = "newer runs of other revisions with this plan are less fit to be compared with"


@dataclass(frozen=True, slots=True)
class Baseline:
    """The run directory to compare with, and why this one."""

    path: Path
    rule: Rule


@dataclass(frozen=True, slots=True)
class Choice:
    """The baseline, None for no comparison; and the `MAX_TOLD` newest of what was passed over for it."""

    baseline: Baseline | None = None
    passed_over: tuple[PassedOver, ...] = ()


def _baseline_by_rule(catalogue: Catalogue, of: Manifest) -> Choice:
    """Return the run pinned for the plan, else the fittest complete run of another revision with the plan."""
    others = [run for run in catalogue.with_plan(of.comparability_hash) if run.manifest.run_id != of.run_id]
    pinned = next((run for run in others if run.pinned and run.manifest.complete), None)
    if pinned is not None:
        return Choice(Baseline(pinned.path, Rule.PINNED))
    return _fittest(run for run in others if run.manifest.revision != of.revision)


def _fittest(candidates: Iterable[FoundRun]) -> Choice:
    """Return the newest sound run, else the newest of the best; candidates come newest first.

    A poor baseline is better than none: latency is then INCONCLUSIVE, where it would be NOT_JUDGED.
    """
    looked_at = list(_looked_at(candidates))
    fit = [(run, found.rank) for run, found, _ in looked_at if found is not None]
    best, _ = min(fit, key=lambda one: one[1], default=(None, None))
    passed_over = tuple(
        PassedOver(revision=run.manifest.revision, run_id=run.manifest.run_id, path=str(run.path), why=why)
        for run, _, why in islice(takewhile(lambda one: one[0] is not best, looked_at), MAX_TOLD)
    )
    if best is None:
        return Choice(None, passed_over)
    rule = Rule.NEWEST if best is fit[0][0] else Rule.FITTEST
    return Choice(Baseline(best.path, rule), passed_over)


def _looked_at(candidates: Iterable[FoundRun]) -> Iterator[tuple[FoundRun, Suitability | None, str]]:
    """Yield runs up to a sound one, how fit each is, None for not at all, and what speaks against it."""
    read = 0
    for run in candidates:
        if not run.manifest.complete:
            yield run, None, "it was not ended in good order"
            continue
        read += 1
        try:
            found = suitability(read_run(run.path), given_verdict(run.path))
        except RunUnreadable as problem:
            yield run, None, f"it cannot be read: {problem}"
        else:
            yield run, found, "; ".join(found.problems)
            if found.sound:
                return
        if read == MAX_READ:
            return


def choose_baseline(results: Path, manifest: Manifest, wanted: str | None = None) -> Choice:
    """Return the run to compare a run with and why.

    Args:
        manifest: of the run that is judged.
        wanted: a run directory, a revision, `none`; None or empty to choose by the rule.

    Raises:
        RunNotFound: what is wanted does not exist.
    """
    if wanted == NO_BASELINE:
        return Choice()
    if wanted:
        return Choice(Baseline(resolve(wanted, results, besides=manifest.run_id), Rule.ASKED))
    return _baseline_by_rule(find_runs(results), manifest)


def earlier_runs(
    results: Path, manifest: Manifest, *, before_unix_ns: int, least: int = MIN_RUNS, most: int = 20
) -> list[Path]:
    """Return complete runs of this run's revision and plan besides itself, the newest first.

    They tell how much runs differ that should not: the noise floor of a comparison.

    Args:
        before_unix_ns: when what is judged was made; what was run later must not change a verdict.
        least: where there are fewer, none are returned: they would be read for nothing.
        most: how many are enough.
    """
    found = [
        run.path
        for run in once(find_runs(results).of_plan(manifest.comparability_hash))
        if run.manifest.revision == manifest.revision
        and run.manifest.run_id != manifest.run_id
        and run.manifest.started_unix_ns < before_unix_ns
    ]
    return found[:most] if len(found) >= least else []


NONE_ASKED = "no comparison was asked for"


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """A baseline.

    Args:
        search: how it was found, or why there is none.
        run: its data, None without a baseline.
        notes: what a reader must know about it.
    """

    search: BaselineSearch
    run: RunData | None = None
    notes: Sequence[str] = ()


def baseline_of(manifest: Manifest, results: Path, wanted: str | None, *, before: Verdict | None) -> Found:
    """Return the baseline, if there is one.

    Args:
        manifest: of the run that is judged.
        results: the folder of all runs.
        wanted: a run directory, a revision, `none`, or None to leave the choice to the rule.
        before: an earlier verdict on the run, which is kept to unless another baseline is wanted.

    Raises:
        RunNotFound: what is wanted does not exist.
        RunUnreadable: what is wanted is damaged.
    """
    if before is not None and not wanted:
        return _as_before(before, results)
    if wanted == NO_BASELINE:
        return _none(rule=NONE_ASKED)
    choice = choose_baseline(results, manifest, wanted)
    if choice.baseline is None:
        return _none(choice.passed_over)
    try:
        return _read(choice.baseline.path, str(choice.baseline.rule), choice.passed_over)
    except RunUnreadable as problem:
        if wanted:
            raise
        return _unreadable(problem, choice.passed_over)


def _as_before(before: Verdict, results: Path) -> Found:
    """Return the baseline of an earlier verdict."""
    latency = before.latency.evidence
    passed_over = latency.passed_over or ()
    if before.baseline is None:
        return _none(passed_over, rule=NONE_ASKED if latency.rule == NONE_ASKED else None)
    compared = latency.baseline or BaselineEvidence()
    path = next((run.path for run in find_runs(results).runs if run.manifest.run_id == compared.run_id), None)
    if path is None:
        return _none(passed_over, "the run that this one was compared with is gone")
    try:
        return _read(path, compared.rule or "", passed_over)
    except RunUnreadable as problem:
        return _unreadable(problem, passed_over)


def _read(path: Path, rule: str, passed_over: Sequence[PassedOver]) -> Found:
    run = read_run(path)
    notes = [
        f"the baseline {run.manifest.revision} is a poor one: {failing}"
        for failing in suitability(run, given_verdict(path)).failings
    ]
    return Found(BaselineSearch(path=str(path), rule=rule, passed_over=passed_over), run, notes)


def _unreadable(problem: RunUnreadable, passed_over: Sequence[PassedOver]) -> Found:
    return _none(passed_over, f"the baseline could not be read: {problem}")


def _none(passed_over: Sequence[PassedOver] = (), *notes: str, rule: str | None = None) -> Found:
    return Found(BaselineSearch(rule=rule, passed_over=passed_over), notes=notes)


def readable(paths: Iterable[Path]) -> Iterator[RunData]:
    """Yield the data of runs, one at a time, passing over damaged ones."""
    for path in paths:
        with suppress(RunUnreadable):
            yield read_run(path)
