"""verdict.json as data: a verdict, its items, the load generator; and what the items' rules share.

Each item rests on its own kind of evidence (`loadtest.verdict.evidence`). A verdict that is read has typed
evidence too; an item that only another version knows keeps what was read. An item's rule is in its own
module.
"""

from collections.abc import Iterable
from typing import Any, Generic, Literal, TypeVar

import msgspec
from msgspec import Struct, field

from loadtest.results.data import RunData
from loadtest.ruling import Ruling, worst
from loadtest.session.schedule import NS_PER_S
from loadtest.verdict.evidence import (
    ConnectEvidence,
    ErrorSeen,
    LatencyEvidence,
    MessagingEvidence,
    PersistenceEvidence,
    ReconnectEvidence,
    ServerLogEvidence,
)

_Evidence = TypeVar("_Evidence")

EVIDENCE: dict[str, type[Struct]] = {
    "connect": ConnectEvidence,
    "messaging": MessagingEvidence,
    "reconnect": ReconnectEvidence,
    "persistence": PersistenceEvidence,
    "latency": LatencyEvidence,
    "server_log": ServerLogEvidence,
}
"""The evidence of each item, in the order in which people read the items."""

ITEMS = tuple(EVIDENCE)


class Item(Struct, Generic[_Evidence], frozen=True, kw_only=True):
    """One item's verdict.

    Args:
        item: its name.
        summary: one sentence for a person.
        evidence: what it rests on; an empty mapping if there is none.
    """

    item: str
    verdict: Ruling
    summary: str
    evidence: _Evidence = field(default_factory=dict)  # type: ignore[assignment] # what JSON has for none


AnyItem = Item[Any]
"""An item of any kind."""


class Generator(Struct, frozen=True, kw_only=True):
    """Whether the load generator was itself fit to measure.

    Args:
        valid: whether it was.
        problems: why it was not, and what to change; a sentence each.
        figures: what was measured, by name with unit.
    """

    valid: bool
    problems: list[str] = field(default_factory=list)
    figures: dict[str, float | None] = field(default_factory=dict)


class Verdict(Struct, frozen=True, kw_only=True):
    """What verdict.json holds.

    Args:
        schema: version of this file's form.
        revision: of the server under test.
        baseline: revision of the baseline, None without one.
        items: in the order of `ITEMS`.
        verdict: of the whole run.
        notes: what else a reader must know.
    """

    schema: Literal[1] = 1
    revision: str
    baseline: str | None
    items: list[AnyItem]
    generator: Generator
    verdict: Ruling
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Convert the evidence of a verdict that was read."""
        self.items[:] = [typed(item, _kind(item)) for item in self.items]

    @property
    def exit_code(self) -> int:
        """0 pass, 1 fail, 4 inconclusive."""
        return self.verdict.exit_code

    @property
    def latency(self) -> Item[LatencyEvidence]:
        """The item `latency`."""
        return self.item("latency")

    def item(self, name: str) -> AnyItem:
        """Return an item by name; one that another version did not judge is NOT_JUDGED."""
        lacking: AnyItem = Item(item=name, verdict=Ruling.NOT_JUDGED, summary="it was not judged")
        return next((item for item in self.items if item.item == name), typed(lacking, _kind(lacking)))


def _kind(item: AnyItem) -> Any:
    """Return the type of an item's evidence, `Any` for an unknown item."""
    without_log = item.item == "server_log" and item.evidence == {}
    return Any if without_log else EVIDENCE.get(item.item, Any)


def typed(item: AnyItem, kind: Any) -> AnyItem:
    """Return an item with its evidence converted to this type, unless it is a structure already.

    Raises:
        ValueError: it cannot be converted. msgspec turns this into a ValidationError of the document.
    """
    if isinstance(item.evidence, Struct):
        return item
    try:
        return msgspec.structs.replace(item, evidence=msgspec.convert(item.evidence, kind))
    except msgspec.ValidationError as error:
        raise ValueError(f"evidence of {item.item}: {error}") from error


def whole(items: Iterable[AnyItem]) -> Ruling:
    """Return the verdict of a run with these items; nothing judged is INCONCLUSIVE."""
    found = worst(item.verdict for item in items)
    return Ruling.INCONCLUSIVE if found is Ruling.NOT_JUDGED else found


def errors_seen(run: RunData, item: str) -> list[ErrorSeen]:
    """Return an item's three commonest errors."""
    return [
        ErrorSeen(
            error=tally.error,
            count=tally.count,
            example=tally.example,
            session=tally.session,
            at_s=tally.at_ns / NS_PER_S,
        )
        for tally in run.errors_of(item)
    ]


def unaccounted(run: RunData, item: str, begun: str, endings: Iterable[str]) -> int:
    """Accounting check: return how many of what began have no outcome, below 0 how many have one too many.

    A run that did not end in good order still had some under way; they are not an error.
    """
    left = run.count(f"{item}.{begun}") - sum(run.count(f"{item}.{ending}") for ending in endings)
    return left if run.manifest.complete else min(left, 0)


def imbalance(left: int, begun: str) -> str:
    """Return the summary for a failed accounting check.

    Args:
        left: how many have no ending.
        begun: how many of what were begun, "200 outages".
    """
    return (
        f"the books do not balance: {left} of {begun} have no outcome. "
        "A worker was lost, or this is an error in the tool"
    )
