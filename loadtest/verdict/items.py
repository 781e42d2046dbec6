"""What a verdict is made of: verdict.json, as data.

    FAIL > INCONCLUSIVE > PASS, and NOT_JUDGED counts for nothing

Exit codes are those of Locust and of `loadtest` alike. Rules do not belong here.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Literal

from msgspec import Struct, field

from loadtest.results.data import RunData

ITEMS = ("connect", "messaging", "reconnect", "persistence", "latency", "server_log")
"""The items, in the order in which they are told."""


class Ruling(StrEnum):
    """What was found of an item, or of a run."""

    PASS = "PASS"  # noqa: S105 - a verdict, not a password
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    NOT_JUDGED = "NOT_JUDGED"

    @property
    def exit_code(self) -> int:
        """0 pass, 1 fail, 4 inconclusive."""
        return {Ruling.PASS: 0, Ruling.FAIL: 1}.get(self, 4)


class Item(Struct, frozen=True, kw_only=True):
    """One item's verdict.

    Args:
        summary: one sentence for a person.
        evidence: plain data (JSON), from which a person can act.
    """

    item: str
    verdict: Ruling
    summary: str
    evidence: dict[str, Any] = field(default_factory=dict)


class Generator(Struct, frozen=True, kw_only=True):
    """Whether the load generator was itself fit to measure.

    Args:
        problems: why not, a sentence each that says what to change.
        figures: what was looked at, by name with unit.
    """

    valid: bool
    problems: list[str] = field(default_factory=list)
    figures: dict[str, float | None] = field(default_factory=dict)


class Verdict(Struct, frozen=True, kw_only=True):
    """What verdict.json holds.

    Args:
        revision: of the server under test.
        baseline: revision of the run it was compared with, None without one.
        items: in the order of `ITEMS`.
        verdict: of the whole run.
        notes: what a person must know besides the items.
    """

    schema: Literal[1] = 1
    revision: str
    baseline: str | None
    items: list[Item]
    generator: Generator
    verdict: Ruling
    notes: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 pass, 1 fail, 4 inconclusive."""
        return self.verdict.exit_code

    def item(self, name: str) -> Item:
        """Return an item by name."""
        return next(item for item in self.items if item.item == name)


def whole(items: Iterable[Item]) -> Ruling:
    """Return the verdict of a run with these items; nothing judged is INCONCLUSIVE."""
    rulings = {item.verdict for item in items}
    if Ruling.FAIL in rulings:
        return Ruling.FAIL
    if Ruling.INCONCLUSIVE in rulings or Ruling.PASS not in rulings:
        return Ruling.INCONCLUSIVE
    return Ruling.PASS


def unaccounted(run: RunData, item: str, begun: str, endings: Iterable[str]) -> int:
    """Return how many of what an item counts as begun have no ending; below 0, how many have one too many.

    A run that was not ended in good order still had some under way; they are no error.
    """
    left = run.count(f"{item}.{begun}") - sum(run.count(f"{item}.{ending}") for ending in endings)
    return left if run.manifest.complete else min(left, 0)


def imbalance(left: int, begun: str) -> str:
    """Return what is to say of books that do not balance.

    Args:
        left: how many have no ending.
        begun: how many of what were begun, "200 outages".
    """
    return (
        f"the books do not balance: {left} of {begun} have no outcome. "
        "A worker was lost, or this is an error in the tool"
    )
