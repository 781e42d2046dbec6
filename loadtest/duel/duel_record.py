"""The record of a duel, duel.json: its runs, how they were made, and the verdict on them.

This is only the file format. `loadtest.duel.judging` makes the verdict.
"""

import os
import re
import secrets
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from loadtest.errors import RunUnreadable
from loadtest.results.directory import DUELS, write_json, writing
from loadtest.results.reader import read_json
from loadtest.ruling import Ruling
from loadtest.runs.run_folders import own_folder
from loadtest.statistics.margins import Gate, Margin, gates_with
from loadtest.verdict import items
from loadtest.verdict.evidence import PooledEvidence
from loadtest.verdict.item_changes import ItemChange
from loadtest.verdict.items import ITEMS, AnyItem, typed

RECORD = "duel.json"

MAX_LOOKS = 12
"""Looks of a duel; `loadtest.statistics.sequential.plan_looks` plans four at most."""

MAX_UNITS = 1_000
"""Units of a duel, as `--pairs` allows."""

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
        order: order of the runs as drawn, `ab` or `ba`; empty in files of earlier versions.
        unit: number of the unit, from 1: pairs of one unit share instances of the servers. 0 in files of
            earlier versions, where each pair is a unit of its own.
    """

    a: Text
    b: Text
    order: Text = ""
    unit: Annotated[int, Meta(ge=0, le=MAX_UNITS)] = 0


class DuelRecord(Struct, frozen=True, kw_only=True):
    """The content of duel.json.

    Args:
        schema: version of the file format.
        a: revision of the baseline.
        b: revision of the candidate.
        order: `turns` or `parallel`.
        restart_every: number of pairs after which the servers restart; 0 if they are started once.
        restarted: the roles whose server restarts: those given as commands.
        pairs_planned: maximum number of pairs.
        looks: numbers of units at which the duel looks: of pairs that share instances of the servers.
        duration_s: duration of each run, in seconds.
        margins: margins that the pairs are judged by, by gated quantile; others are the defaults.
        started_at: start time, ISO 8601 in UTC.
        started_unix_ns: start in Unix time (ns); only runs made before it count for the noise floor.
        pairs: the completed pairs.
        end: why the duel ended, empty while it is running.
        followed: the roles whose server's output the duel follows as the server's log.
        ended_servers: messages about servers that ended early or did not start again, by role.
        verdict: verdict on the candidate against the baseline, null until the duel has ended.
        items: verdicts on the items, empty until the duel has ended.
        changes: what changed from the baseline to the candidate, by item. `latency` is itself a comparison,
            so both sides have its verdict.
        notes: further remarks for people.
    """

    schema: Literal[1] = 1
    a: Text
    b: Text
    order: Text
    restart_every: int = 0
    restarted: list[Text] = []
    pairs_planned: int
    looks: Annotated[list[Annotated[int, Meta(ge=1, le=MAX_UNITS)]], Meta(min_length=1, max_length=MAX_LOOKS)]
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


def _looks_problem(looks: Sequence[int], pairs: Sequence[RunPair]) -> str:
    if any(later <= look for look, later in pairwise(looks)):
        return f"`looks` must increase, as in 4, 8, 12 (got {', '.join(map(str, looks))})"
    units = len({pair.unit or -number for number, pair in enumerate(pairs, start=1)})
    if units > looks[-1]:
        return f"the last of `looks` must be at least the {units} units of pairs (got {looks[-1]})"
    return ""


def _runs_problem(pairs: Sequence[RunPair]) -> str:
    """Return the problem if a run occurs twice: a run equals itself, and a repetition is no new evidence."""
    places = Counter(os.path.normpath(name) for pair in pairs for name in (pair.a, pair.b))
    twice = next((name for name, number in places.items() if number > 1), None)
    return "" if twice is None else f"each run must occur only once in `pairs` (got {twice} twice)"


def find_duel(wanted: str, results: Path) -> Path | None:
    """Return the folder of a duel, None if `wanted` is not a duel.

    Args:
        wanted: a folder, as a path or relative to the results folder, or any other text.
        results: the folder of all runs.
    """
    found = next((path for path in (Path(wanted), results / wanted) if _is_duel(path)), None)
    return None if found is None else own_folder(found, results)


def _is_duel(path: Path) -> bool:
    try:
        return os.path.lexists(path / RECORD)
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


def read_record(folder: Path) -> DuelRecord:
    """Read duel.json.

    Raises:
        RunUnreadable: duel.json is missing or damaged, or has another schema; its looks do not fit its pairs;
            or a run is in two places.
    """
    file = folder / RECORD
    record = read_json(file, DuelRecord)
    problem = _looks_problem(record.looks, record.pairs) or _runs_problem(record.pairs)
    if problem:
        raise RunUnreadable(file, f"cannot be read: {problem}")
    return record
