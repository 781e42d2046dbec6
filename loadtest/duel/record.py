"""What is written of a duel: duel.json, from which it can be judged and told again.

    results/duels/<20261123T142335Z>-<id>/
        duel.json      the sides, the pairs by their run directories, the verdict
        summary.md     for a pull request
        *.log          what Locust and the servers printed

Runs are named relative to the results folder, under which they lie with all others, so that the folder can be
moved. No argument or command is kept: there may be secrets in them, and the runs' own files hold the plan.
"""

import re
import secrets
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from loadtest.run.directory import DUELS, write_json, writing
from loadtest.run.reader import read_json
from loadtest.statistics import Gate, Margin, gates_with
from loadtest.verdict import Item, Ruling

RECORD = "duel.json"
SUMMARY = "summary.md"

Text = Annotated[str, Meta(max_length=4096)]


class RunPair(Struct, frozen=True, kw_only=True):
    """The runs of a pair, as directories below the results folder."""

    a: Text
    b: Text


class DuelRecord(Struct, frozen=True, kw_only=True):
    """What duel.json holds.

    Args:
        a, b: revisions of the baseline and of the candidate.
        order: `abba` or `parallel`.
        pairs_planned: at most.
        looks: numbers of pairs at which the duel looks.
        duration_s: of each run.
        margins: by gated quantile, what the pairs are judged by; where one is missing, the default.
        started_unix_ns: the wall clock at its start; runs made later say nothing about its noise.
        pairs: that were run to their end.
        end: why it ended, empty while it goes.
        ended_servers: what is to say of servers that ended by themselves, by role.
        verdict, items: of the candidate against the baseline; None and empty until it ended.
        notes: what a person must know besides the items.
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
    ended_servers: dict[str, Text] = {}
    verdict: Ruling | None = None
    items: list[Item] = []
    notes: list[Text] = []

    @property
    def exit_code(self) -> int:
        """0 pass, 1 fail, 4 inconclusive."""
        return (self.verdict or Ruling.INCONCLUSIVE).exit_code

    @property
    def gates(self) -> tuple[Gate, ...]:
        """The quantiles that the pairs are judged by, with their margins."""
        return gates_with(self.margins)

    def item(self, name: str) -> Item:
        """Return an item of a duel that has ended by name."""
        return next(item for item in self.items if item.item == name)


def find_duel(wanted: str, results: Path) -> Path | None:
    """Return the folder of a duel, if that is what a person means.

    Args:
        wanted: a folder, as a path or as one below the results folder; or something else.
    """
    return next((path for path in (Path(wanted), results / wanted) if _is_duel(path)), None)


def _is_duel(path: Path) -> bool:
    try:
        return (path / RECORD).is_file()
    except (OSError, ValueError):  # a revision may be text that no path can be
        return False


def make_folder(results: Path, started_at: str) -> Path:
    """Make the folder of a new duel and return it.

    Raises:
        ResultsUnwritable: it cannot be made.
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
        RunUnreadable: it is damaged, or of another schema.
    """
    return read_json(folder / RECORD, DuelRecord)
