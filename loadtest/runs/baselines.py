"""Choose the baseline of a run: the run it is compared with, and why.

A run's first report chooses by rule (`choose_baseline`): the baseline that you give, else the run pinned for
the plan, else the newest sound run of another revision with the same plan and script, preferably on the same
machine; never an unnamed one, unless you give it. `loadtest.runs.suitability` defines which runs are sound
and which are barred: in a series of releases, each is compared with the last good one. If no run is sound,
the newest of the best that are not barred is used. If all earlier runs are barred by their latency, there is
no baseline, and latency is INCONCLUSIVE until you pin one. Runs that were not chosen are recorded with the
reason.

The runs of a duel were judged in pairs, not individually. Those of its candidate are never chosen, whatever
the duel's verdict: the next release must not be compared with a candidate that FAILed. Those of its baseline
are used if there is no other run.

A later report keeps the baseline of the last verdict unless you give another one: its verdict must not change
because newer runs exist. An unreadable baseline is an error if you gave it, otherwise a note.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto
from itertools import islice, takewhile
from pathlib import Path

from loadtest.errors import RunUnreadable
from loadtest.results.data import RunData
from loadtest.results.manifest import Manifest
from loadtest.results.reader import read_run
from loadtest.ruling import Ruling
from loadtest.runs.find import Catalogue, FoundRun, MadeBy, find_runs, resolve
from loadtest.runs.suitability import NONE_ASKED, NONE_GOOD, Suitability, barred, is_good, suitability
from loadtest.runs.verdict_file import readable_verdict
from loadtest.verdict.differences import machine_differences, script_differences
from loadtest.verdict.evidence import BaselineEvidence, PassedOver
from loadtest.verdict.items import Verdict
from loadtest.verdict.latency import BaselineSearch

NO_BASELINE = "none"

MAX_READ = 5
"""Maximum number of runs to read, damaged ones included, in search of a sound baseline. After them, as many
are read whose verdict says that they are good: poor runs must not hide the last good one."""

MAX_PASSED_OVER = 20
"""Maximum number of runs to list as not chosen: incomplete runs are not read, so `MAX_READ` does not limit
them."""

MAX_EXAMINED = 300
"""Maximum number of runs whose verdict is looked at: a year of daily releases."""


class Rule(StrEnum):
    """The rule that chose a baseline; verdict.json holds the text."""

    ASKED = "chosen with --ws-baseline"
    PINNED = "pinned for this plan"
    NEWEST = "the newest complete run of another revision with the same plan"
    FITTEST = "newer runs of other revisions with this plan are less suitable"


@dataclass(frozen=True, slots=True)
class Baseline:
    """The run directory to compare with, and the rule that chose it.

    Args:
        data: the content of its files, if they were read to choose it; None otherwise.
    """

    path: Path
    rule: Rule
    data: RunData | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class BaselineChoice:
    """The baseline, None for no comparison, and the newest `MAX_PASSED_OVER` runs that were not chosen.

    Args:
        none_good: whether there is none because all runs are barred by their latency.
    """

    baseline: Baseline | None = None
    passed_over: tuple[PassedOver, ...] = ()
    none_good: bool = False


class _Later(Enum):
    """Why a run is considered later. The first kind is examined first."""

    DUEL = auto()
    UNLIKE = auto()  # of another machine, or of another script


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """A run of another revision with the plan, and the duel that made it, if one did."""

    run: FoundRun
    duel: MadeBy | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Examined:
    """A run that may become the baseline.

    Args:
        found: how suitable it is, None if it is unusable.
        why: its problem as a baseline, empty if there is none.
        latency: whether the problem is its own latency, or that of its duel.
        later: why it is considered only if there is no better one; None if it is considered at once.
        data: the content of its files, if it is sound; of the others, only one is read a second time.
    """

    candidate: _Candidate
    found: Suitability | None
    why: str
    latency: bool = False
    later: _Later | None = None
    data: RunData | None = None

    @property
    def run(self) -> FoundRun:
        return self.candidate.run


def _baseline_by_rule(catalogue: Catalogue, of: Manifest) -> BaselineChoice:
    """Return the baseline of a run if none was given."""
    others = [run for run in catalogue.of_plan(of.comparability_hash) if run.manifest.run_id != of.run_id]
    pinned = next(
        (run for run in others if run.pinned and run.manifest.complete and run.manifest.named), None
    )
    if pinned is not None:
        return BaselineChoice(Baseline(pinned.path, Rule.PINNED))
    candidates = [
        _Candidate(run=run, duel=catalogue.duels.get(run.path.resolve()))
        for run in others
        if run.manifest.revision != of.revision
    ]
    return _fittest(candidates, of)


def _fittest(candidates: Sequence[_Candidate], of: Manifest) -> BaselineChoice:
    """Return the newest sound candidate on the same machine, else the newest of the best, else of any.

    Args:
        candidates: newest first.
        of: the run to judge.
    """
    examined = list(_examined(candidates, of))
    for later in _Later:
        if _best(examined) is None:
            put_off = [one.candidate for one in examined if one.later is later]
            again = {one.run.path: one for one in _examined(put_off, of, later)}
            examined = [again.get(one.run.path, one) for one in examined]
    best = _best(examined)
    if best is None:
        by_latency = any(one.latency for one in examined)
        return BaselineChoice(None, _passed_over(examined), none_good=by_latency)
    newer = list(takewhile(lambda one: one is not best, examined))
    chosen_first = all(one.found is None for one in newer)
    rule = Rule.NEWEST if chosen_first else Rule.FITTEST
    return BaselineChoice(Baseline(best.run.path, rule, best.data), _passed_over(newer))


def _best(examined: Iterable[_Examined]) -> _Examined | None:
    """Return the newest of the best runs that are not barred."""
    usable = [one for one in examined if one.found is not None and not one.found.bar]
    return min(usable, key=lambda one: one.found.rank if one.found else (), default=None)


def _passed_over(examined: Iterable[_Examined]) -> tuple[PassedOver, ...]:
    """Return the newest runs that were not chosen; of a duel, only one per side."""
    listed = {one.candidate.duel or one.run.path: one for one in reversed(list(examined))}
    return tuple(
        PassedOver(
            revision=one.run.manifest.revision,
            run_id=one.run.manifest.run_id,
            path=str(one.run.path),
            why=one.why,
        )
        for one in islice(reversed(listed.values()), MAX_PASSED_OVER)
    )


def _examined(
    candidates: Iterable[_Candidate], of: Manifest, later: _Later | None = None
) -> Iterator[_Examined]:
    """Yield runs up to the first sound one, each with its suitability and its problems.

    Args:
        candidates: newest first.
        of: the run to judge.
        later: the kind of postponed runs to examine as well.
    """
    looked_at = read = 0
    for one in candidates:
        examined = _at_a_glance(one, of, later)
        if examined is None:
            looked_at += 1
            verdict = readable_verdict(one.run.path)
            if looked_at > MAX_EXAMINED or read == 2 * MAX_READ:
                return
            if why := barred(verdict):
                examined = _Examined(candidate=one, found=Suitability(bar=why), why=why, latency=True)
            elif read < MAX_READ or is_good(verdict):
                read += 1
                examined = _by_its_data(one, verdict)
            else:
                continue
        yield examined
        if examined.found is not None and examined.found.sound:
            return


def _at_a_glance(one: _Candidate, of: Manifest, later: _Later | None) -> _Examined | None:
    """Return a run that cannot be the baseline, or not yet, for a reason outside its verdict; else None."""
    manifest, duel = one.run.manifest, one.duel
    if not manifest.complete:
        return _Examined(candidate=one, found=None, why="it did not finish, or is still running")
    if not manifest.named:
        return _Examined(candidate=one, found=None, why="the version of its server is unknown")
    if duel is not None and not duel.is_baseline:
        why = f"it is a run of the candidate of duel {duel.duel}"
        return _Examined(candidate=one, found=Suitability(bar=why), why=why, latency=True)
    if later is not _Later.UNLIKE and (differ := machine_differences([manifest], [of])):
        why = f"it was made on another machine: {', '.join(map(str, differ))}"
        return _Examined(candidate=one, found=Suitability(bar=why), why=why, later=_Later.UNLIKE)
    if later is not _Later.UNLIKE and (edited := script_differences([manifest], [of])):
        why = f"it ran another script: {', '.join(map(str, edited))}"
        return _Examined(candidate=one, found=Suitability(bar=why), why=why, later=_Later.UNLIKE)
    if duel is not None and later is None:
        why = f"it is a run of the baseline of duel {duel.duel}, which was compared only in pairs"
        return _Examined(candidate=one, found=Suitability(bar=why), why=why, later=_Later.DUEL)
    return None


def _by_its_data(one: _Candidate, verdict: Verdict | None) -> _Examined:
    try:
        data = read_run(one.run.path)
    except RunUnreadable as problem:
        return _Examined(candidate=one, found=None, why=f"it cannot be read: {problem}")
    found = suitability(data, verdict)
    kept = data if found.sound else None
    return _Examined(candidate=one, found=found, why="; ".join(found.problems), data=kept)


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


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """The result of a search for a baseline.

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
        return _none(choice.passed_over, rule=NONE_GOOD if choice.none_good else None)
    try:
        return _read(choice.baseline, choice.passed_over)
    except RunUnreadable as problem:
        if wanted:
            raise
        return _unreadable(problem, choice.passed_over)


def _as_before(before: Verdict, results: Path) -> Found:
    """Return the baseline of an earlier verdict."""
    latency = before.latency.evidence
    passed_over = latency.passed_over or ()
    if before.baseline is None:
        return _none(passed_over, rule=latency.rule if latency.rule in (NONE_ASKED, NONE_GOOD) else None)
    compared = latency.baseline or BaselineEvidence()
    path = next((run.path for run in find_runs(results).runs if run.manifest.run_id == compared.run_id), None)
    if path is None:
        return _none(passed_over, "the baseline of the last verdict no longer exists")
    try:
        return _found(path, read_run(path), compared.rule or "", passed_over)
    except RunUnreadable as problem:
        return _unreadable(problem, passed_over)


def _read(chosen: Baseline, passed_over: Sequence[PassedOver]) -> Found:
    run = read_run(chosen.path) if chosen.data is None else chosen.data
    return _found(chosen.path, run, str(chosen.rule), passed_over)


def _found(path: Path, run: RunData, rule: str, passed_over: Sequence[PassedOver]) -> Found:
    found = suitability(run, readable_verdict(path))
    is_accepted = rule in (Rule.ASKED, Rule.PINNED)  # by the user
    problems = [found.bar, found.unfit, found.lack, *found.failings, "" if is_accepted else found.uncompared]
    notes = [f"baseline {run.manifest.revision} is weak: {problem}" for problem in filter(None, problems)]
    return Found(BaselineSearch(path=str(path), rule=rule, passed_over=passed_over), run, notes)


def _unreadable(problem: RunUnreadable, passed_over: Sequence[PassedOver]) -> Found:
    return _none(passed_over, f"the baseline could not be read: {problem}")


def _none(passed_over: Sequence[PassedOver] = (), *notes: str, rule: str | None = None) -> Found:
    ruling = Ruling.INCONCLUSIVE if rule == NONE_GOOD else Ruling.NOT_JUDGED
    return Found(BaselineSearch(rule=rule, passed_over=passed_over, ruling=ruling), notes=notes)


def readable(paths: Iterable[Path]) -> Iterator[RunData]:
    """Yield the data of runs, one at a time, skipping damaged ones."""
    for path in paths:
        with suppress(RunUnreadable):
            yield read_run(path)
