"""The verdict of a duel, made from duel.json and the files of its runs alone.

`latency` is judged over the pairs, every other item over the runs of both sides (`loadtest.verdict.pooled`).
The overall verdict follows from the items as in any run. If the candidate's server exits early, or does not
restart, `connect` is FAIL, or INCONCLUSIVE if the same happens to the baseline's. If it happens only to the
baseline's, a note says so. Another note limits the verdict if a server was never restarted.

If the duel itself chose the server's log (the output of a server that it started), a log that cannot be
judged in any run leaves `server_log` NOT_JUDGED, because you did not ask for it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from loadtest import text
from loadtest.duel.duel_record import POOLED, DuelRecord, RunPair
from loadtest.errors import RunUnreadable
from loadtest.report.pair_sums import PairSums
from loadtest.results.data import RunData
from loadtest.results.reader import read_run
from loadtest.ruling import Ruling, worst
from loadtest.runs.past_runs import Histories, histories
from loadtest.runs.run_folders import own_folder
from loadtest.runs.verdict_file import read_verdict
from loadtest.statistics.comparison import MIN_UNITS
from loadtest.statistics.margins import GATES, GateKind
from loadtest.statistics.sufficiency import lack_of_runs
from loadtest.verdict.evidence import LatencyEvidence, PooledEvidence
from loadtest.verdict.items import ITEMS, AnyItem, Item, Verdict, whole
from loadtest.verdict.latency import judge_pairs
from loadtest.verdict.pooled import ItemOfRun, pooled
from loadtest.verdict.run import judge
from loadtest.verdict.side_changes import changes_of
from loadtest.verdict.timing import Pair, Timing, is_fit, timing, why_spoiled


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DuelRun:
    """A run of a duel, with its data.

    Args:
        name: run directory relative to the results folder.
        path: the run directory.
        timing: the part of the run that latency is judged by.
        verdict: verdict on the run.
    """

    name: str
    path: Path
    timing: Timing
    verdict: Verdict


@dataclass(frozen=True, slots=True, eq=False)
class DuelPair:
    """The runs of a pair, with their data.

    Args:
        a, b: the runs.
        unit: number of its unit, 0 if it is a unit of its own.
    """

    a: DuelRun
    b: DuelRun
    unit: int = 0

    @property
    def timings(self) -> Pair:
        """The part of both runs that latency is judged by."""
        return self.a.timing, self.b.timing

    @property
    def fit(self) -> bool:
        """Whether the pair counts (`loadtest.verdict.latency.is_fit`)."""
        return is_fit(self.timings)

    def lacks(self, *, pairs: int, units: int) -> list[str]:
        """Return why not even all planned pairs of such runs can be judged; empty if they can.

        Args:
            pairs, units: planned number of pairs, and of units that they make.
        """
        if not self.a.timing.manifest.plan.messages_planned:
            return []  # it is judged by connects, outages and losses, as far as they go
        gates = (gate for gate in GATES if gate.required)
        runs = [run.measured for run in self.timings]
        found = ((gate, lack_of_runs(gate, runs, pairs=pairs, units=units)) for gate in gates)
        return [f"{gate}: {missing}" for gate, missing in found if missing]


def read_pair(pair: RunPair, results: Path, drawn: PairSums | None = None) -> DuelPair:
    """Read the runs of a pair.

    Args:
        pair: the names of its runs.
        results: the folder of all runs.
        drawn: receives the pair's data for the reports; the data is not kept.

    Raises:
        RunUnreadable: a file of a run is missing or damaged, or both are the same run.
    """
    (a, of_a), (b, of_b) = _read(pair.a, results), _read(pair.b, results)
    if a.timing.manifest.run_id == b.timing.manifest.run_id:  # under two names, as a copy or by a link
        raise RunUnreadable(b.path, f"is the same run as {pair.a}, on the other side of its pair")
    found = DuelPair(a, b, pair.unit)
    if drawn is not None:
        drawn.add(of_a, of_b, fit=found.fit)
    return found


def _read(name: str, results: Path) -> tuple[DuelRun, RunData]:
    path = own_folder(results / name, results)
    run = read_run(path)
    verdict = read_verdict(path) or judge(run)
    return DuelRun(name=name, path=path, timing=timing(run, verdict.generator), verdict=verdict), run


def latency_so_far(record: DuelRecord, pairs: Sequence[DuelPair], *, results: Path) -> Item[LatencyEvidence]:
    """Judge latency over the pairs so far, at the error level of a look at their number of units."""
    if not pairs:
        return Item(
            item="latency",
            verdict=Ruling.INCONCLUSIVE,
            summary="no pair of runs was completed",
            evidence=LatencyEvidence(),
        )
    units = {pair.unit or -number for number, pair in enumerate(pairs, start=1) if pair.fit}
    past, baseline = Histories(), pairs[0].a.timing.manifest
    if len(units) < MIN_UNITS:  # more units show by their spread how much instances differ
        past = histories(results, baseline, before_unix_ns=record.started_unix_ns)
    return judge_pairs(
        [pair.timings for pair in pairs],
        gates=record.gates,
        history=past.whole,
        class_histories=past.classes,
        looks=tuple(record.looks),
        units=[pair.unit for pair in pairs],
    )


def is_stuck(latency: Item[LatencyEvidence]) -> bool:
    """Whether latency is open and more pairs cannot settle it; called at a look.

    Then every gate is settled or left out, but the runs have too few samples for a limit on a time, and more
    pairs do not change that. An open gate may always be settled: one between two groups of replies by the
    share of each group, and a gate that lacks samples ends the duel after its first pair (`DuelPair.lacks`).
    """
    gates = latency.evidence.gates
    open_ = gates is None or any(gate.decision is Ruling.INCONCLUSIVE for gate in gates)
    return latency.verdict is Ruling.INCONCLUSIVE and not open_


def judged(record: DuelRecord, pairs: Sequence[DuelPair], *, results: Path) -> DuelRecord:
    """Return the record with the verdict on its pairs.

    Args:
        record: record of the duel.
        pairs: its pairs, with their data.
        results: the folder of all runs.
    """
    found = pooled_items(record, pairs)
    found["connect"] = _with_ended_servers(found["connect"], record.ended_servers)
    items: dict[str, AnyItem] = {**found, "latency": latency_so_far(record, pairs, results=results)}
    listed = [items[name] for name in ITEMS]
    known = listed if pairs else [item for item in listed if item.verdict is Ruling.FAIL]
    return msgspec.structs.replace(
        record,
        items=listed,
        verdict=whole(listed),
        changes=changes_of(known),
        notes=_notes(record, found.values(), pairs),
    )


def pooled_items(record: DuelRecord, pairs: Sequence[DuelPair]) -> dict[str, Item[PooledEvidence[Any]]]:
    """Judge the items other than latency over these pairs."""
    return {name: _pooled(name, record, pairs) for name in POOLED}


def _pooled(name: str, record: DuelRecord, pairs: Sequence[DuelPair]) -> Item[PooledEvidence[Any]]:
    a = [ItemOfRun(pair.a.name, pair.a.verdict.item(name)) for pair in pairs]
    b = [ItemOfRun(pair.b.name, pair.b.verdict.item(name)) for pair in pairs]
    if name == "server_log" and record.followed and not any(map(_is_judged, [*a, *b])):
        a, b = _not_asked_for(a), _not_asked_for(b)
    return pooled(name, baseline=a, candidate=b)


def _is_judged(of_run: ItemOfRun) -> bool:
    return of_run.item.verdict in (Ruling.PASS, Ruling.FAIL)


def _not_asked_for(of_runs: Sequence[ItemOfRun]) -> list[ItemOfRun]:
    """Return the item of each run, with NOT_JUDGED instead of INCONCLUSIVE."""
    return [
        of_run
        if of_run.item.verdict is not Ruling.INCONCLUSIVE
        else ItemOfRun(
            of_run.run,
            msgspec.structs.replace(
                of_run.item,
                verdict=Ruling.NOT_JUDGED,
                summary=f"the server's output cannot be judged as its log: {of_run.item.summary}",
            ),
        )
        for of_run in of_runs
    ]


def _with_ended_servers(
    connect: Item[PooledEvidence[Any]], ended: Mapping[str, str]
) -> Item[PooledEvidence[Any]]:
    """Return `connect` with its verdict if the candidate's server, or both servers, ended early."""
    if "b" not in ended:
        return connect
    ruling = worst([connect.verdict, Ruling.INCONCLUSIVE]) if "a" in ended else Ruling.FAIL
    summary = f"{ended['b']}; {connect.summary}"
    return msgspec.structs.replace(connect, verdict=ruling, summary=summary)


def _notes(
    record: DuelRecord, items: Iterable[Item[PooledEvidence[Any]]], pairs: Sequence[DuelPair]
) -> list[str]:
    notes = []
    failing = [item.item for item in items if item.evidence.baseline_failed]
    if failing:
        notes.append(f"the baseline {record.a} itself fails {', '.join(failing)}")
    if "a" in record.ended_servers:
        notes.append(f"the baseline {record.a}: {record.ended_servers['a']}")
    notes += _spoiled_notes(pairs)
    if limit := instance_limit(record.restarted, every=record.restart_every):
        notes.append(limit)
    return notes


def _spoiled_notes(pairs: Sequence[DuelPair]) -> Iterator[str]:
    """Yield the pairs that do not count, with the first reason; evidence.spoiled has all reasons."""
    spoiled = [(number, pair) for number, pair in enumerate(pairs, start=1) if not pair.fit]
    if not spoiled:
        return
    numbers, (first, pair) = [number for number, _ in spoiled], spoiled[0]
    why = why_spoiled(pair.timings)
    if len(numbers) == 1:
        yield f"pair {first} does not count for latency: {why}"
    else:
        listed = f"{', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"
        yield f"{len(numbers)} of {len(pairs)} pairs do not count for latency: {listed}. Pair {first}, {why}"


def instance_limit(restarted: Sequence[str], *, every: int) -> str:
    """Return the limit of the verdict if some servers were not restarted; empty if all were.

    Args:
        restarted: the roles whose server restarts.
        every: number of pairs between two restarts, 0 for never.
    """
    instances = [role for role in ("a", "b") if role not in restarted]
    if not instances:
        return ""
    if every:
        servers = "server" if len(instances) == 1 else "servers"
        start = f"the {servers} behind {' and '.join(f'--{role}' for role in instances)} cannot be restarted"
    else:
        start = "the servers were started once"
    found = "these two instances" if len(instances) == 2 else f"this one instance of {instances[0]}"
    required = [gate for gate in GATES if gate.required and gate.kind is GateKind.QUANTILE]
    usual = ", ".join(f"{text.share(gate.assumed_ratio)} at p{100 * gate.quantile:g}" for gate in required)

    return f"{start}: the measured change is that of {found}; a new instance may differ by about {usual}"
