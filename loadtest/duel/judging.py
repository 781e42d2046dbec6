"""The verdict of a duel, made from duel.json and the files of its runs alone.

`latency` is judged over the pairs, every other item over the runs of both sides (`loadtest.verdict.pooled`).
The overall verdict follows from the items as in any run. If the candidate's server ends by itself, `connect`
is FAIL, or INCONCLUSIVE if the baseline's does too. If only the baseline's does, a note says so.

If the duel chose the server's log, the output of a server that it started, a log that cannot be judged in any
run leaves `server_log` NOT_JUDGED: nobody asked for it.
"""

import re
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from loadtest.results.directory import DUELS, write_json, writing
from loadtest.results.manifest import Manifest
from loadtest.results.reader import read_json, read_run
from loadtest.ruling import Ruling, worst
from loadtest.runs.baselines import earlier_runs
from loadtest.runs.verdict_file import read_verdict
from loadtest.statistics.comparison import MIN_PAIRS
from loadtest.statistics.margins import GATES, Gate, Margin, gates_with
from loadtest.verdict import items
from loadtest.verdict.evidence import LatencyEvidence, PooledEvidence
from loadtest.verdict.item_changes import ItemChange
from loadtest.verdict.items import ITEMS, AnyItem, Item, Verdict, typed, whole
from loadtest.verdict.latency import (
    OPTIONAL_TAGS,
    Pair,
    Timing,
    is_fit,
    judge_pairs,
    lack,
    timing,
    why_spoiled,
)
from loadtest.verdict.pooled import ItemOfRun, pooled
from loadtest.verdict.run import judge
from loadtest.verdict.side_changes import changes_of

RECORD = "duel.json"
SUMMARY = "summary.md"

Text = Annotated[str, Meta(max_length=4096)]

POOLED = tuple(item for item in ITEMS if item != "latency")
"""The items that are judged over the candidate's runs one by one, not over the pairs."""

EVIDENCE: dict[str, Any] = {
    name: PooledEvidence[of_run] if name in POOLED else of_run  # type: ignore[valid-type]  # made at run time
    for name, of_run in items.EVIDENCE.items()
}
"""Type of evidence by item of a duel."""


class RunPair(Struct, frozen=True, kw_only=True):
    """The runs of a pair, as directories relative to the results folder.

    Args:
        a: run of the baseline.
        b: run of the candidate.
    """

    a: Text
    b: Text


class DuelRecord(Struct, frozen=True, kw_only=True):
    """The content of duel.json.

    Args:
        schema: version of the file format.
        a: revision of the baseline.
        b: revision of the candidate.
        order: `abba` or `parallel`.
        pairs_planned: maximum number of pairs.
        looks: numbers of pairs at which the duel looks.
        duration_s: duration of each run, in seconds.
        margins: margins that the pairs are judged by, by gated quantile; others are the defaults.
        started_at: start time, ISO 8601 in UTC.
        started_unix_ns: start in Unix time (ns); only runs made before it count for the noise floor.
        pairs: the completed pairs.
        end: why the duel ended, empty while it is running.
        followed: the roles whose server's output the duel follows as the server's log.
        ended_servers: messages about servers that ended by themselves, by role.
        verdict: verdict on the candidate against the baseline, null until the duel has ended.
        items: verdicts on the items, empty until the duel has ended.
        changes: what changed from the baseline to the candidate, item by item. `latency` compares both by
            itself: its verdict stands on both sides.
        notes: further remarks for people.
    """

    schema: Literal[1] = 1
    a: Text
    b: Text
    order: Text
    pairs_planned: int
    looks: list[int]
    duration_s: int
    margins: dict[Text, Margin] = {}
    started_at: Text
    started_unix_ns: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    pairs: list[RunPair] = []
    end: Text = ""
    followed: list[Text] = []
    ended_servers: dict[str, Text] = {}
    verdict: Ruling | None = None
    items: list[AnyItem] = []
    changes: list[ItemChange] = []
    notes: list[Text] = []

    def __post_init__(self) -> None:
        """Convert the evidence of items that were read from JSON."""
        self.items[:] = [typed(item, EVIDENCE.get(item.item, Any)) for item in self.items]

    @property
    def exit_code(self) -> int:
        """0 pass, 1 fail, 4 inconclusive."""
        return (self.verdict or Ruling.INCONCLUSIVE).exit_code

    @property
    def gates(self) -> tuple[Gate, ...]:
        """The gates with the margins that the pairs are judged by."""
        return gates_with(self.margins)

    def item(self, name: str) -> AnyItem:
        """Return an item by name. The duel must have ended."""
        return next(item for item in self.items if item.item == name)


def find_duel(wanted: str, results: Path) -> Path | None:
    """Return the folder of a duel, None if `wanted` is not a duel.

    Args:
        wanted: a folder, as a path or relative to the results folder, or any other text.
        results: the folder of all runs.
    """
    return next((path for path in (Path(wanted), results / wanted) if _is_duel(path)), None)


def _is_duel(path: Path) -> bool:
    try:
        return (path / RECORD).is_file()
    except (OSError, ValueError):  # a revision may be text that cannot be a path
        return False


def make_folder(results: Path, started_at: str) -> Path:
    """Create the folder of a new duel and return its path.

    Raises:
        ResultsUnwritable: it cannot be created.
    """
    folder = results / DUELS / f"{re.sub(r'[-:]', '', started_at)}-{secrets.token_hex(4)}"
    with writing(folder):
        folder.mkdir(parents=True)
    return folder


def write_record(folder: Path, record: DuelRecord) -> None:
    """Write duel.json.

    Raises:
        ResultsUnwritable: it cannot be written.
    """
    write_json(folder / RECORD, record)


def write_summary(folder: Path, text: str) -> None:
    """Write summary.md.

    Raises:
        ResultsUnwritable: it cannot be written.
    """
    file = folder / SUMMARY
    with writing(file):
        file.write_text(text)


def read_record(folder: Path) -> DuelRecord:
    """Read duel.json.

    Raises:
        RunUnreadable: duel.json is missing or damaged, or has another schema.
    """
    return read_json(folder / RECORD, DuelRecord)


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
    """The runs of a pair, with their data."""

    a: DuelRun
    b: DuelRun

    @property
    def timings(self) -> Pair:
        """The part of both runs that latency is judged by."""
        return self.a.timing, self.b.timing

    @property
    def fit(self) -> bool:
        """Whether the pair counts (`loadtest.verdict.latency.is_fit`)."""
        return is_fit(self.timings)

    @property
    def lacks(self) -> list[str]:
        """Why no number of such runs can be judged: too few samples, or no messages; empty if they can."""
        if not self.a.timing.manifest.plan.messages_planned:
            return ["no messages are planned (rate 0)"]
        gates = (gate for gate in GATES if gate.tag not in OPTIONAL_TAGS)
        found = ((gate, lack(gate, self.timings)) for gate in gates)
        return [f"{gate}: {missing}" for gate, missing in found if missing]


def read_pair(pair: RunPair, results: Path) -> DuelPair:
    """Read the runs of a pair.

    Raises:
        RunUnreadable: a file of a run is missing or damaged.
    """
    return DuelPair(_read(pair.a, results), _read(pair.b, results))


def _read(name: str, results: Path) -> DuelRun:
    path = results / name
    run = read_run(path)
    verdict = read_verdict(path) or judge(run)
    return DuelRun(name=name, path=path, timing=timing(run, verdict.generator), verdict=verdict)


def latency_so_far(record: DuelRecord, pairs: Sequence[DuelPair], *, results: Path) -> Item[LatencyEvidence]:
    """Judge latency over the pairs so far, at the error level of a look at this number of pairs."""
    if not pairs:
        return Item(
            item="latency",
            verdict=Ruling.INCONCLUSIVE,
            summary="no pair of runs was made to its end",
            evidence=LatencyEvidence(),
        )
    few = sum(pair.fit for pair in pairs) < MIN_PAIRS
    return judge_pairs(
        [pair.timings for pair in pairs],
        gates=record.gates,
        earlier=earlier_timings(pairs[0].a.timing.manifest, results, before_unix_ns=record.started_unix_ns)
        if few
        else (),
        looks=tuple(record.looks),
    )


def earlier_timings(baseline: Manifest, results: Path, *, before_unix_ns: int) -> Iterator[Timing]:
    """Yield earlier runs of the baseline's revision and plan, for the noise floor, reading one at a time.

    Args:
        baseline: manifest of a run of the baseline.
        results: the folder of all runs.
        before_unix_ns: start of the duel: its own runs do not count.
    """
    return map(timing, earlier_runs(results, baseline, before_unix_ns=before_unix_ns))


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
    """Return the item of each run with NOT_JUDGED in the place of INCONCLUSIVE."""
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
    """Return `connect` as it stands if the candidate's server, or both, ended by themselves."""
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
    notes += [
        f"pair {number} does not count for latency: {why_spoiled(pair.timings)}"
        for number, pair in enumerate(pairs, start=1)
        if not pair.fit
    ]
    return notes
