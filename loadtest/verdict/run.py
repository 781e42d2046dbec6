"""The verdict on a run: items, load generator and overall ruling."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import msgspec

from loadtest.results.data import RunData
from loadtest.ruling import Ruling
from loadtest.statistics.noise import PastRun
from loadtest.verdict import (
    cleanup,
    connect,
    health,
    latency,
    messaging,
    persistence,
    push_rate,
    reconnect,
    stability,
)
from loadtest.verdict.classes import joined, no_user_of, unspawned
from loadtest.verdict.completeness import lost_workers, shortfall, unseen_in_short
from loadtest.verdict.generator import judge_generator
from loadtest.verdict.items import AnyItem, Generator, Item, Verdict, whole
from loadtest.verdict.latency import BaselineSearch
from loadtest.verdict.limits import judge_limits, with_limits
from loadtest.verdict.log_evidence import ServerLogEvidence
from loadtest.verdict.shared_identity import follows_from_leak, leak, one_identity_of

_READ_BY_DIALECT = frozenset({"connect", "messaging", "reconnect", "persistence"})
"""Items that depend on what the dialect reads: one with a mistake makes any server look wrong in them."""

_FAILINGS = {"messaging": messaging.FAILINGS, "persistence": persistence.FAILINGS}
"""The findings of which one is enough for FAIL, by item."""

_SEE_CONNECT = "see connect: sessions share an identity"


def judge(
    run: RunData,
    baseline: RunData | None = None,
    log_item: Item[ServerLogEvidence] | None = None,
    *,
    history: Sequence[PastRun] = (),
    search: BaselineSearch | None = None,
    compares_latency: bool = True,
    class_histories: Mapping[str, Sequence[PastRun]] = MappingProxyType({}),
) -> Verdict:
    """Judge a run, one of several user classes by class (`loadtest.verdict.classes`).

    Args:
        run: the run's data; its manifest holds the margins that latency is judged by.
        baseline: data of the run to compare with, None if there is none.
        log_item: the item `server_log`, None if no log was given.
        history: earlier fit runs of the plan, oldest first, for the run-to-run noise.
        class_histories: the same by user class, for a run of several.
        search: how the baseline was found, or why there is none.
        compares_latency: whether latency is compared with the baseline's, and not judged by its limits alone.

    Returns:
        The verdict. It is the same for the same data: the bootstrap is seeded with the plan's seed.
    """
    if not run.classes:
        return _judged(
            run, baseline, log_item, history=history, search=search, compares_latency=compares_latency
        )
    whole_run = _judged(run, baseline, log_item, search=search, compares_latency=False)
    of_classes = {
        name: _judged(
            own,
            None if baseline is None else baseline.classes.get(name),
            history=class_histories.get(name, ()),
            search=search,
            compares_latency=compares_latency,
            generator=None if whole_run.generator.valid else whole_run.generator,
            families=len(run.classes),
        )
        for name, own in run.classes.items()
    }
    of_classes |= {
        name: unspawned(one, why) for name, one in of_classes.items() if (why := no_user_of(name, run))
    }
    return joined(run, whole_run, of_classes)


def _judged(
    run: RunData,
    baseline: RunData | None,
    log_item: Item[ServerLogEvidence] | None = None,
    *,
    history: Sequence[PastRun] = (),
    search: BaselineSearch | None,
    compares_latency: bool,
    generator: Generator | None = None,
    families: int = 1,
) -> Verdict:
    """Judge a run as a whole, or one of so many classes of it; `generator` is None to judge it here."""
    generator = generator or judge_generator(run)
    items: list[AnyItem] = [
        _limited(connect.judge(run), run, generator),
        stability.judge(run),
        _limited(messaging.judge(run), run, generator),
        _limited(reconnect.judge(run), run, generator),
        persistence.judge(run, baseline),
        cleanup.judge(run),
        latency.judge(
            run,
            baseline if compares_latency else None,
            generator=generator,
            history=history,
            search=search,
            families=families,
        ),
        log_item or Item(item="server_log", verdict=Ruling.NOT_JUDGED, summary="no server log was given"),
    ]
    items += filter(None, (health.judge(run),))
    if leak(run):
        items = [_without_consequences(item, run) for item in items]
    if shared := one_identity_of(run):
        items = [_of_one_identity(item, shared) for item in items]
    elif lacking := unseen_in_short(run):
        items = [
            _downgraded(item, lacking, "until then") if _is_doubtful(item, run) else item for item in items
        ]
    return Verdict(
        revision=run.manifest.revision,
        baseline=None if baseline is None else baseline.manifest.revision,
        items=items,
        generator=generator,
        verdict=whole(items),
        notes=_notes(run),
    )


def _limited(item: AnyItem, run: RunData, generator: Generator) -> AnyItem:
    return with_limits(item, judge_limits(run, item.item, generator))


def _is_doubtful(item: AnyItem, run: RunData) -> bool:
    """Whether an item's verdict is not valid in an incomplete run."""
    misread = run.manifest.usage_error and item.item in _READ_BY_DIALECT
    return item.verdict is Ruling.PASS or (misread and item.verdict is Ruling.FAIL)


def _without_consequences(item: AnyItem, run: RunData) -> AnyItem:
    """Return an item that fails only in what a leak of identities brings about as INCONCLUSIVE."""
    failings = {name for name in _FAILINGS.get(item.item, ()) if run.count(f"{item.item}.{name}")}
    if item.verdict is not Ruling.FAIL or not follows_from_leak(item.item, failings):
        return item
    return _downgraded(item, _SEE_CONNECT)


def _of_one_identity(item: AnyItem, shared: str) -> AnyItem:
    """Return an item as INCONCLUSIVE if it is judged; `connect`, which always is, alone says why in full."""
    if item.verdict is Ruling.NOT_JUDGED:
        return item
    return _downgraded(item, shared if item.item == "connect" else _SEE_CONNECT)


def _downgraded(item: AnyItem, lacking: str, found: str = "otherwise") -> AnyItem:
    """Return the item as INCONCLUSIVE, because the run lacks something."""
    return msgspec.structs.replace(
        item, verdict=Ruling.INCONCLUSIVE, summary=f"{lacking}; {found}: {item.summary}"
    )


def _notes(run: RunData) -> list[str]:
    notes = list(run.warnings)
    if doubt := run.manifest.revision_doubt:
        notes.append(doubt)
    if run.manifest.proxy is not None and run.manifest.plan.drops_planned:
        notes.append(
            f"sessions connected through the proxy {run.manifest.proxy}: a drop's RST, FIN or silence "
            "reaches the proxy, which decides what the server sees"
        )
    if lost := lost_workers(run):
        notes.append(f"{lost}; see Locust's log")
    if not run.manifest.complete:
        notes.append(f"{run.manifest.unended}; the verdict covers the {run.length_s:.0f} s recorded")
    if short := shortfall(run):
        notes.append(short)
    if advice := push_rate.advice(run):
        notes.append(advice)
    clamped = run.count("latency.clamped")
    if clamped:
        notes.append(f"{clamped} latency samples were out of the histograms' range and count as its limit")
    return notes
