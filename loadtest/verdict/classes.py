"""The verdict on a run of several user classes: each is judged as a run of its own, the run by the worst.

What has gates or limits is judged by class only: a quantile over two kinds of users describes neither. The
items of the whole run have the counts and percentiles of all classes together. Some of their findings are of
the whole run, and count in addition: the server's log, its health and its own gauge, and sessions of
different classes that share an identity. A class that had no user leaves the run INCONCLUSIVE.
"""

from collections.abc import Mapping

from msgspec import structs

from loadtest.results.data import RunData
from loadtest.ruling import Ruling, worst
from loadtest.verdict.evidence import LatencyEvidence, PairEvidence
from loadtest.verdict.gate_evidence import ErrorLevels
from loadtest.verdict.items import AnyItem, ClassVerdict, Generator, Item, Verdict, whole
from loadtest.verdict.shared_identity import leak, one_identity_of

OF_THE_RUN = frozenset({"server_log", "health"})
"""Items that are judged for the whole run only."""


def no_user_of(name: str, run: RunData) -> str:
    """Return that no user of a class was spawned in a run; empty if one was, or if nothing ever connected.

    With a load shape the plan does not know how many users there will be.
    """
    own = run.classes[name]
    if own.manifest.plan.users or own.count("connect.attempts") or not run.count("connect.attempts"):
        return ""
    users = run.manifest.plan.users
    return f"no user of {name} was spawned{f' (-u {users})' if users else ''}"


def unspawned(verdict: Verdict, why: str) -> Verdict:
    """Return the verdict on a class that had no user: nothing is judged, so nothing is concluded."""
    items: list[AnyItem] = [
        structs.replace(item, verdict=Ruling.NOT_JUDGED, summary=why) for item in verdict.items
    ]
    return structs.replace(verdict, items=items, verdict=whole(items), notes=[])


def joined(run: RunData, whole_run: Verdict, of_classes: Mapping[str, Verdict]) -> Verdict:
    """Return the verdict on a run from those on its classes.

    Args:
        run: the run.
        whole_run: what judging all classes together gave, without a comparison of latency.
        of_classes: the verdicts on the classes, by name.
    """
    both = [
        item if item.item in OF_THE_RUN else _joined(item, of_classes, counts=_counts_too(item, run))
        for item in whole_run.items
    ]
    lacking = list(filter(None, (no_user_of(name, run) for name in of_classes)))
    notes = [f"{name}: {note}" for name, one in of_classes.items() for note in one.notes]
    return structs.replace(
        whole_run,
        items=both,
        verdict=worst([whole(both), *(one.verdict for one in of_classes.values() if not _judges(one))]),
        generator=_generator(whole_run, of_classes),
        notes=[
            *lacking,
            *whole_run.notes,
            *(note for note in notes if note.split(": ", 1)[1] not in whole_run.notes),
        ],
        users={name: _of_class(one) for name, one in of_classes.items()},
    )


def _judges(verdict: Verdict) -> bool:
    """Whether anything of a class was judged; otherwise its items do not count for the run."""
    return any(item.verdict is not Ruling.NOT_JUDGED for item in verdict.items)


def _of_class(verdict: Verdict) -> ClassVerdict:
    items = [_without_command(item) for item in verdict.items if item.item not in OF_THE_RUN]
    return ClassVerdict(items=items, verdict=whole(items))


def joined_latency(
    of_classes: Mapping[str, Item[LatencyEvidence]], runs: list[PairEvidence]
) -> Item[LatencyEvidence]:
    """Return the item `latency` over pairs of runs of several user classes, with the gates of all.

    Args:
        of_classes: the item of each class, by name.
        runs: the pairs.
    """
    items = of_classes.items()
    ruling = worst(one.verdict for one in of_classes.values())
    found = [one.evidence for one in of_classes.values()]
    evidence = structs.replace(
        found[0],
        runs=runs,
        pairs=min((one.pairs for one in found if one.pairs is not None), default=None),
        units=min((one.units for one in found if one.units is not None), default=None),
        spoiled=list(dict.fromkeys(why for one in found for why in one.spoiled or ())) or None,
        levels=_joined_levels({name: one.evidence.levels for name, one in items}),
        gates=[
            structs.replace(gate, gate=f"{name} {gate.gate}")
            for name, one in items
            for gate in one.evidence.gates or ()
        ],
        left_out=[f"{name} {why}" for name, one in items for why in one.evidence.left_out or ()],
        suspect=[f"{name} {gate}" for name, one in items for gate in one.evidence.suspect or ()] or None,
        noise={
            f"{name} {gate}": told for name, one in items for gate, told in (one.evidence.noise or {}).items()
        },
        time_limits=[
            structs.replace(limit, reason=f"{name}: {limit.reason}")
            for name, one in items
            for limit in one.evidence.time_limits or ()
        ],
        duel_command=None,
    )
    reasons = [f"{name}: {one.summary}" for name, one in items if one.verdict is ruling]
    return Item(item="latency", verdict=ruling, summary="; ".join(reasons), evidence=evidence)


def _joined_levels(of_classes: Mapping[str, ErrorLevels | None]) -> ErrorLevels | None:
    """Return the error levels of all classes: at most so much, and by which correction in each."""
    known = {name: levels for name, levels in of_classes.items() if levels is not None}
    if len(set(known.values())) <= 1:
        return next(iter(known.values()), None)
    return ErrorLevels(
        pass_ratio=max(levels.pass_ratio for levels in known.values()),
        fail_ratio=max(levels.fail_ratio for levels in known.values()),
        correction="; ".join(f"{name}: {levels.correction}" for name, levels in known.items()),
    )


def _without_command(item: AnyItem) -> AnyItem:
    """Return an item without the command of a duel: a class's settings are no whole run's."""
    if not isinstance(item.evidence, LatencyEvidence) or item.evidence.duel_command is None:
        return item
    return structs.replace(item, evidence=structs.replace(item.evidence, duel_command=None))


def _counts_too(item: AnyItem, run: RunData) -> bool:
    """Return whether an item of the whole run finds what those of the classes cannot."""
    if item.item == "cleanup":
        return run.manifest.server_gauge is not None
    return item.item == "connect" and bool(leak(run) or one_identity_of(run))


def _joined(item: AnyItem, of_classes: Mapping[str, Verdict], *, counts: bool) -> AnyItem:
    """Return an item of the whole run with the worst ruling of the classes, and their reasons."""
    found = [(name, verdict.item(item.item)) for name, verdict in of_classes.items()]
    ruling = worst([*(one.verdict for _, one in found), *([item.verdict] if counts else [])])
    reasons = [f"{name}: {one.summary}" for name, one in found if one.verdict is ruling]
    if counts and item.verdict is ruling:
        reasons.insert(0, item.summary)
    evidence = item.evidence
    if item.item == "latency":
        evidence = _compared_with(evidence, found[0][1].evidence)
    return structs.replace(item, verdict=ruling, summary="; ".join(reasons), evidence=evidence)


def _compared_with(whole_run: LatencyEvidence, of_class: LatencyEvidence) -> LatencyEvidence:
    """Return the percentiles of all classes and the baseline, the same for each; gates are theirs."""
    return LatencyEvidence(
        percentiles=whole_run.percentiles,
        baseline=of_class.baseline,
        rule=of_class.rule,
        passed_over=of_class.passed_over,
        unlike=of_class.unlike,
    )


def _generator(whole_run: Verdict, of_classes: Mapping[str, Verdict]) -> Generator:
    """Return the load generator's condition: that of the first class that finds it unfit, if any does."""
    unfit = [one.generator for one in of_classes.values() if not one.generator.valid]
    return unfit[0] if whole_run.generator.valid and unfit else whole_run.generator
