"""Choose the baseline of a run: the run it is compared with, and why.

A run's first report chooses by rule (`choose_baseline`): the baseline that you give, else the run pinned for
the plan, else the newest sound run of another revision with the same plan; never an unnamed one, unless you
give it. A run is sound if it is complete and has no problems as a baseline. If none is sound, the newest of
the best is used: without a baseline, latency would be NOT_JUDGED where it should be INCONCLUSIVE. Runs that
were not chosen are recorded with the reason.

A later report keeps the baseline of the last verdict unless you give another one: its verdict must not change
because newer runs exist. An unreadable baseline is an error if you gave it, else a note.
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
from loadtest.runs.find import Catalogue, FoundRun, find_runs, once, resolve
from loadtest.runs.verdict_file import readable_verdict
from loadtest.statistics.comparison import MIN_RUNS
from loadtest.statistics.margins import GATES
from loadtest.verdict import connect, messaging
from loadtest.verdict.evidence import BaselineEvidence, PassedOver
from loadtest.verdict.items import AnyItem, Verdict
from loadtest.verdict.latency import OPTIONAL_TAGS, BaselineSearch, Timing, lack, timing

NO_BASELINE = "none"

MAX_READ = 5
"""Maximum number of runs to read, damaged ones included, in search of a sound baseline: older runs say little
about the server just before the change."""

MAX_PASSED_OVER = 20
"""Maximum number of runs to list as not chosen: incomplete runs are not read, so `MAX_READ` does not limit
them."""

MAX_EARLIER = 20
"""Maximum number of runs to measure the run-to-run noise with."""

NONE_ASKED = "no comparison was asked for"


@dataclass(frozen=True, slots=True, kw_only=True)
class Suitability:
    """How suitable a run is as a baseline.

    Args:
        unjudged: number of gated quantiles that cannot be judged against it.
        lack: why they cannot be judged (the reason of the last one), empty if all can.
        failings: one sentence for each item that the run itself failed.
    """

    unjudged: int
    lack: str
    failings: Sequence[str]

    @property
    def rank(self) -> tuple[int, bool]:
        """Sort key: smaller is better."""
        return self.unjudged, bool(self.failings)

    @property
    def sound(self) -> bool:
        """Whether the run has no problems as a baseline."""
        return not any(self.rank)

    @property
    def problems(self) -> list[str]:
        """What makes the run a poor baseline, one sentence each."""
        return [*([self.lack] if self.lack else []), *self.failings]


def suitability(run: RunData, given: Verdict | None = None) -> Suitability:
    """Return how suitable a run is as a baseline.

    Args:
        run: the run's data; the items connect and messaging are judged from it.
        given: the verdict in its verdict.json. Only its item `latency` is used: the run's data alone cannot
            give it.
    """
    unjudged, why = _lack(timing(run))
    items: list[AnyItem] = [connect.judge(run), messaging.judge(run)]
    if given is not None:
        items.append(given.latency)
    failings = [f"it FAILed {item.item}: {item.summary}" for item in items if item.verdict is Ruling.FAIL]
    return Suitability(unjudged=unjudged, lack=why, failings=failings)


def _lack(run: Timing) -> tuple[int, str]:
    """Return the number of gated quantiles that cannot be judged, and why the last of them cannot."""
    gates = [gate for gate in GATES if gate.tag not in OPTIONAL_TAGS]
    if not run.manifest.plan.messages_planned:
        return 0, ""
    if run.problems:
        return len(gates), run.unfit
    if run.cut_short:
        return len(gates), run.cut_short
    lacks = [
        f"{gate} cannot be judged against it: {missing}" for gate in gates if (missing := lack(gate, [run]))
    ]
    return len(lacks), lacks[-1] if lacks else ""  # the last gate needs the most samples


class Rule(StrEnum):
    """The rule that chose a baseline; verdict.json holds the text."""

    ASKED = "it was asked for"
    PINNED = "it is pinned for this plan"
    NEWEST = "it is the newest complete run of another revision with this plan"
    FITTEST = "newer runs of other revisions with this plan are less fit to be compared with"


@dataclass(frozen=True, slots=True)
class Baseline:
    """The run directory to compare with, and the rule that chose it."""

    path: Path
    rule: Rule


@dataclass(frozen=True, slots=True)
class BaselineChoice:
    """The baseline, None for no comparison, and the newest `MAX_PASSED_OVER` runs that were not chosen."""

    baseline: Baseline | None = None
    passed_over: tuple[PassedOver, ...] = ()


def _baseline_by_rule(catalogue: Catalogue, of: Manifest) -> BaselineChoice:
    """Return the baseline of a run if none was given."""
    others = [run for run in catalogue.of_plan(of.comparability_hash) if run.manifest.run_id != of.run_id]
    pinned = next(
        (run for run in others if run.pinned and run.manifest.complete and run.manifest.named), None
    )
    if pinned is not None:
        return BaselineChoice(Baseline(pinned.path, Rule.PINNED))
    return _fittest(run for run in others if run.manifest.revision != of.revision)


def _fittest(candidates: Iterable[FoundRun]) -> BaselineChoice:
    """Return the newest sound candidate, else the newest of the best.

    Args:
        candidates: newest first.
    """
    examined = list(_examined(candidates))
    fit = [(run, found.rank) for run, found, _ in examined if found is not None]
    best, _ = min(fit, key=lambda one: one[1], default=(None, None))
    passed_over = tuple(
        PassedOver(revision=run.manifest.revision, run_id=run.manifest.run_id, path=str(run.path), why=why)
        for run, _, why in islice(takewhile(lambda one: one[0] is not best, examined), MAX_PASSED_OVER)
    )
    if best is None:
        return BaselineChoice(None, passed_over)
    rule = Rule.NEWEST if best is fit[0][0] else Rule.FITTEST
    return BaselineChoice(Baseline(best.path, rule), passed_over)


def _examined(candidates: Iterable[FoundRun]) -> Iterator[tuple[FoundRun, Suitability | None, str]]:
    """Yield runs up to the first sound one, each with its suitability (None if unusable) and its problems."""
    read = 0
    for run in candidates:
        if not run.manifest.complete:
            yield run, None, "it was not ended in good order"
            continue
        if not run.manifest.named:
            yield run, None, "the version of its server is not known"
            continue
        read += 1
        try:
            found = suitability(read_run(run.path), readable_verdict(run.path))
        except RunUnreadable as problem:
            yield run, None, f"it cannot be read: {problem}"
        else:
            yield run, found, "; ".join(found.problems)
            if found.sound:
                return
        if read == MAX_READ:
            return


def choose_baseline(results: Path, manifest: Manifest, wanted: str | None = None) -> BaselineChoice:
    """Return the baseline of a run, and why it was chosen.

    Args:
        results: the folder of all runs.
        manifest: manifest of the run to judge.
        wanted: a run as for `resolve`, or `none`; None or empty to choose by rule.

    Raises:
        RunNotFound: no run or revision has that name.
    """
    if wanted == NO_BASELINE:
        return BaselineChoice()
    if wanted:
        return BaselineChoice(Baseline(resolve(wanted, results, besides=manifest.run_id), Rule.ASKED))
    return _baseline_by_rule(find_runs(results), manifest)


def earlier_runs(results: Path, manifest: Manifest, *, before_unix_ns: int) -> Iterator[RunData]:
    """Yield other complete runs of this run's revision and plan, newest first, reading one at a time.

    They measure the run-to-run noise: the noise floor of a comparison. Fewer than `MIN_RUNS` cannot measure
    it, so then there are none; damaged runs are skipped. Unnamed runs may be of different servers, whose
    differences are no noise.

    Args:
        results: the folder of all runs.
        manifest: manifest of the run.
        before_unix_ns: yield only runs that started before; later ones must not change a verdict.
    """
    if not manifest.named:
        return
    found = [
        run.path
        for run in once(find_runs(results).complete_of_plan(manifest.comparability_hash))
        if run.manifest.revision == manifest.revision
        and run.manifest.run_id != manifest.run_id
        and run.manifest.started_unix_ns < before_unix_ns
    ]
    if len(found) >= MIN_RUNS:
        yield from readable(found[:MAX_EARLIER])


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """The result of looking for a baseline.

    Args:
        search: how the baseline was found, or why there is none.
        run: data of the baseline, None if there is none.
        notes: remarks to add to the verdict's notes.
    """

    search: BaselineSearch
    run: RunData | None = None
    notes: Sequence[str] = ()


def baseline_of(manifest: Manifest, results: Path, wanted: str | None, *, before: Verdict | None) -> Found:
    """Return the baseline of a run with its data, if it has one.

    Args:
        manifest: manifest of the run to judge.
        results: the folder of all runs.
        wanted: a run as for `resolve`, or `none`; None to choose by rule.
        before: the run's last verdict. Its baseline is kept unless `wanted` names another one.

    Raises:
        RunNotFound: no run or revision has the wanted name.
        RunUnreadable: the wanted run is damaged.
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
        for failing in suitability(run, readable_verdict(path)).failings
    ]
    return Found(BaselineSearch(path=str(path), rule=rule, passed_over=passed_over), run, notes)


def _unreadable(problem: RunUnreadable, passed_over: Sequence[PassedOver]) -> Found:
    return _none(passed_over, f"the baseline could not be read: {problem}")


def _none(passed_over: Sequence[PassedOver] = (), *notes: str, rule: str | None = None) -> Found:
    return Found(BaselineSearch(rule=rule, passed_over=passed_over), notes=notes)


def readable(paths: Iterable[Path]) -> Iterator[RunData]:
    """Yield the data of runs, one at a time, skipping damaged ones."""
    for path in paths:
        with suppress(RunUnreadable):
            yield read_run(path)
