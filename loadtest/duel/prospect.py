"""Can a duel tell at all? Said before its first run, as far as earlier runs tell, and after its first pair.

Before the first run the plan is not known: what goes to Locust is Locust's to read. So an earlier run with
the same users and duration stands for it, and is named; the first pair then shows the plan itself, and where
that is another, or nothing was known before, it is said again.
"""

from collections.abc import Iterator, Sequence

from loadtest.duel.settings import DuelSettings
from loadtest.errors import RunUnreadable
from loadtest.report import figures
from loadtest.report.baselines import readable
from loadtest.run import FoundRun, earlier_runs, find_runs, once, read_run
from loadtest.statistics import Feasibility
from loadtest.verdict.timing import Timing, noise_floors, resolvable, timing


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
            yield from self._told(None, "without any such run to judge by")
        else:
            manifest = self._like.manifest
            yield from self._told(self._like, f"judging by run {manifest.run_id} of {manifest.revision}")

    def after(self, first: Timing) -> Iterator[str]:
        """Yield what is to say once the baseline's first run has shown the plan; nothing that was said."""
        hash_before = None if self._like is None else self._like.manifest.comparability_hash
        if first.manifest.comparability_hash != hash_before:
            yield from self._told(first, "judging by the first run")

    def _told(self, like: Timing | None, source: str) -> Iterator[str]:
        found = self._found(like)
        beyond = [one for one in found if not one.feasible]
        if beyond:
            yield f"{source}, an unchanged server may not PASS:"
            yield from (f"  {one}" for one in beyond)
        else:
            yield f"{source}, an unchanged server will PASS: {'; '.join(map(_short, found))}"

    def _found(self, like: Timing | None) -> Sequence[Feasibility]:
        warmup_s = 0.0 if like is None else like.manifest.plan.warmup_s
        earlier = () if like is None else self._earlier(like)
        return resolvable(
            like,
            noise_floors(earlier),
            pairs=self._settings.pairs,
            duration_s=max(1.0, self._settings.duration_s - warmup_s),
        )

    def _earlier(self, like: Timing) -> Iterator[Timing]:
        paths = earlier_runs(self._settings.results, like.manifest, before_unix_ns=self._started_unix_ns)
        return map(timing, readable(paths))


def _short(one: Feasibility) -> str:
    resolution, margin = figures.share(one.resolution_ratio), figures.share(one.margin_ratio)
    return f"{one.gate} {resolution} within {margin}"


def _alike(settings: DuelSettings) -> Timing | None:
    """Return the newest complete run of as many users and seconds, of the baseline's revision if any is."""
    runs = [run for run in once(find_runs(settings.results).runs) if _is_alike(run, settings)]
    runs.sort(key=lambda run: run.manifest.revision != settings.a.revision)
    for run in runs[:1]:
        try:
            return timing(read_run(run.path))
        except RunUnreadable:
            return None
    return None


def _is_alike(run: FoundRun, settings: DuelSettings) -> bool:
    manifest = run.manifest
    return (
        manifest.complete
        and manifest.plan.users == settings.users
        and manifest.plan.duration_s == settings.duration_s
    )
