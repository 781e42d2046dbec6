"""Can a duel tell at all? Said before its first run, as far as earlier runs tell, and after its first pair.

Before the first run the plan is not known in full: what goes to Locust is Locust's to read. So an earlier run
that is alike as far as is known stands for it, and is named; the first pair then shows the plan itself, and
where that is another, or nothing was known before, it is said again.
"""

from collections.abc import Iterator, Sequence

from loadtest.duel.judging import earlier_timings
from loadtest.duel.settings import DuelSettings
from loadtest.duel.telling import pairs_of
from loadtest.report import figures
from loadtest.report.baselines import readable
from loadtest.run import FoundRun, find_runs, once
from loadtest.statistics import Feasibility
from loadtest.statistics.noise import ASSUMED_RATIO, LEAST_RUNS
from loadtest.verdict.timing import Timing, lack, noise_floors, resolvable, timing


class Prospect:
    """What is known of a duel's chances.

    Args:
        settings: of the duel.
        started_unix_ns: the wall clock at its start.
    """

    def __init__(self, settings: DuelSettings, started_unix_ns: int) -> None:
        self._settings = settings
        self._started_unix_ns = started_unix_ns
        self._like = _alike(settings)

    def before(self) -> Iterator[str]:
        """Yield what is to say before the first run."""
        if self._like is None:
            users, duration = self._settings.users, figures.clock(self._settings.duration_s)
            yield from self._told(None, f"no earlier run of {users} users and {duration} is known")
        else:
            manifest = self._like.manifest
            yield from self._told(self._like, f"judging by run {manifest.run_id} of {manifest.revision}")

    def after(self, first: Timing) -> Iterator[str]:
        """Yield what is to say once the baseline's first run has shown the plan; nothing that was said."""
        hash_before = None if self._like is None else self._like.manifest.comparability_hash
        if first.manifest.comparability_hash != hash_before:
            yield from self._told(first, "judging by the first pair")

    def _told(self, like: Timing | None, source: str) -> Iterator[str]:
        found = self._found(like)
        lacks = [like is not None and lack(one.gate, [like]) for one in found]
        enough = all(one.feasible for one in found) and not any(lacks)
        pairs, verb = pairs_of(self._settings.pairs), "should be enough" if enough else "may be too few"
        yield f"forecast: {pairs} {verb} to show that an unchanged server is unchanged"
        yield f"  {source}{_assumed(found)}"
        for one, missing in zip(found, lacks, strict=True):
            yield f"  {one.gate}: cannot be judged, {missing}" if missing else f"  {one}"

    def _found(self, like: Timing | None) -> Sequence[Feasibility]:
        if like is None:
            warmup_s, noise = self._settings.foreseen.warmup_s or 0.0, {}
        else:
            warmup_s = like.manifest.plan.warmup_s
            noise = noise_floors(
                earlier_timings(like.manifest, self._settings.results, before_unix_ns=self._started_unix_ns)
            )
        left_s = max(1.0, self._settings.duration_s - warmup_s)
        return resolvable(
            like, noise, pairs=self._settings.pairs, duration_s=left_s, gates=self._settings.gates
        )


def _assumed(found: Sequence[Feasibility]) -> str:
    if all(one.noise.measured for one in found):
        return ""
    noise = f"run-to-run noise of {figures.share(ASSUMED_RATIO)}"
    return f"; {noise} is assumed until {LEAST_RUNS} earlier runs tell it"


def _alike(settings: DuelSettings) -> Timing | None:
    """Return the newest complete run that is alike, of the baseline's revision if any is."""
    runs = [run for run in once(find_runs(settings.results).runs) if _is_alike(run, settings)]
    runs.sort(key=lambda run: run.manifest.revision != settings.a.revision)
    return next(map(timing, readable(run.path for run in runs)), None)


def _is_alike(run: FoundRun, settings: DuelSettings) -> bool:
    manifest = run.manifest
    return (
        manifest.complete
        and manifest.plan.users == settings.users
        and manifest.plan.duration_s == settings.duration_s
        and settings.foreseen.agrees(manifest.plan)
    )
