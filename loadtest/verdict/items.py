"""Types of verdict.json (verdict, items, load generator), and functions that the items' rules share.

Each item has its own type of evidence (`loadtest.verdict.evidence`). Reading a verdict.json converts the
evidence to these types; an item that only another version knows keeps its evidence as read. The rule of an
item is in its own module, never here.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Generic, Literal, TypeVar

import msgspec
from msgspec import UNSET, Struct, UnsetType, field

from loadtest import text
from loadtest.results.data import RunData
from loadtest.ruling import Ruling, worst
from loadtest.session.schedule import NS_PER_S
from loadtest.verdict.differences import Difference
from loadtest.verdict.evidence import (
    CleanupEvidence,
    ConnectEvidence,
    ErrorSeen,
    HealthEvidence,
    LatencyEvidence,
    MessagingEvidence,
    PersistenceEvidence,
    ReconnectEvidence,
)
from loadtest.verdict.item_changes import ItemChange
from loadtest.verdict.log_evidence import ServerLogEvidence
from loadtest.verdict.loss_evidence import StabilityEvidence

_Evidence = TypeVar("_Evidence")


class ItemKind(Struct, frozen=True):
    """What is common to an item of all runs.

    Args:
        question: what the item answers, for people.
        evidence: type of its evidence.
    """

    question: str
    evidence: type[Struct]


KINDS = {
    "connect": ItemKind("Do sessions connect?", ConnectEvidence),
    "stability": ItemKind("Do connections stay up until the client ends them?", StabilityEvidence),
    "messaging": ItemKind(
        "Does every message get its own intact reply, once and in order?", MessagingEvidence
    ),
    "reconnect": ItemKind("Does every client get back to work after a drop?", ReconnectEvidence),
    "persistence": ItemKind(
        "Is it still the same session, with nothing forgotten or repeated?", PersistenceEvidence
    ),
    "cleanup": ItemKind("Does the server release connections whose client is gone?", CleanupEvidence),
    "latency": ItemKind("Is latency within its limits, and unchanged against the baseline?", LatencyEvidence),
    "server_log": ItemKind(
        "Are normal disconnects logged as INFO, and only real faults as ERROR?", ServerLogEvidence
    ),
    "health": ItemKind("Does the health endpoint answer?", HealthEvidence),
}
"""The items by name, in the order in which they are reported."""

OF_PROBES = frozenset({"health"})
"""Items that only probes have."""

ITEMS = tuple(name for name in KINDS if name not in OF_PROBES)
"""The items that all runs have."""

EVIDENCE = {name: kind.evidence for name, kind in KINDS.items()}
"""Type of evidence by item of a run."""


class Item(Struct, Generic[_Evidence], frozen=True, kw_only=True):
    """The verdict on one item.

    Args:
        item: name of the item.
        verdict: verdict on the item.
        summary: one sentence for people.
        evidence: the data behind the verdict; an empty object if there is none.
    """

    item: str
    verdict: Ruling
    summary: str
    evidence: _Evidence = field(default_factory=dict)  # type: ignore[assignment] # what JSON has for none


AnyItem = Item[Any]
"""An item with any type of evidence."""


class Generator(Struct, frozen=True, kw_only=True):
    """Whether the load generator was fit to measure.

    Args:
        valid: whether it was fit.
        problems: why it was not, and what to change; one sentence each.
        figures: measured values by name; the name ends with the unit. null if not measured.
        exceeded: the limits that it did not keep, by the name of the figure.
    """

    valid: bool
    problems: list[str] = field(default_factory=list)
    figures: dict[str, float | None] = field(default_factory=dict)
    exceeded: dict[str, float] = field(default_factory=dict)

    @property
    def state(self) -> str:
        """Its condition in words: OK, overloaded, or not measured."""
        if self.valid:
            return "OK"
        return "overloaded" if self.exceeded or self.figures.get("cpu_ratio") is not None else "not measured"


class ClassVerdict(Struct, frozen=True, kw_only=True):
    """The verdict on one user class of a run that has several.

    Args:
        items: verdicts on the items that are judged by class.
        verdict: verdict on the class as a whole.
    """

    items: list[AnyItem]
    verdict: Ruling

    def __post_init__(self) -> None:
        """Convert the evidence of items that were read from JSON."""
        self.items[:] = [typed(item, _kind(item)) for item in self.items]


class Verdict(Struct, frozen=True, kw_only=True):
    """The content of verdict.json.

    Args:
        schema: version of the file format.
        revision: version of the server under test.
        baseline: revision of the baseline, null if there is none.
        items: verdicts on the items, in the order of `ITEMS`; in a probe also on `health`.
        generator: whether the load generator was fit to measure.
        verdict: verdict on the run as a whole.
        notes: further remarks for people.
        changes: what changed in each item against the baseline, null if there is none. The verdict does not
            depend on it.
        differences: what else differs from the baseline's run, null if there is none.
        users: verdicts on the user classes by name, in a run of several; `items` are then their worst.
    """

    schema: Literal[1] = 1
    revision: str
    baseline: str | None
    items: list[AnyItem]
    generator: Generator
    verdict: Ruling
    notes: list[str] = field(default_factory=list)
    changes: list[ItemChange] | None = None
    differences: list[Difference] | None = None
    users: dict[str, ClassVerdict] | UnsetType = UNSET

    def __post_init__(self) -> None:
        """Convert the evidence of items that were read from JSON."""
        self.items[:] = [typed(item, _kind(item)) for item in self.items]

    @property
    def exit_code(self) -> int:
        """0 pass, 1 fail, 4 inconclusive."""
        return self.verdict.exit_code

    @property
    def classes(self) -> Mapping[str, ClassVerdict]:
        """The verdicts on the user classes of a run that has several; empty if it has one."""
        return {} if self.users is UNSET else self.users

    @property
    def latency(self) -> Item[LatencyEvidence]:
        """The item `latency`."""
        return self.item("latency")

    def item(self, name: str) -> AnyItem:
        """Return an item by name; NOT_JUDGED if another version did not judge it."""
        lacking: AnyItem = Item(item=name, verdict=Ruling.NOT_JUDGED, summary="it was not judged")
        return next((item for item in self.items if item.item == name), typed(lacking, _kind(lacking)))


def _kind(item: AnyItem) -> Any:
    """Return the type of an item's evidence; `Any` for an unknown item or a server_log without a log."""
    without_log = item.item == "server_log" and item.evidence == {}
    return Any if without_log else EVIDENCE.get(item.item, Any)


def typed(item: AnyItem, kind: Any) -> AnyItem:
    """Return an item with its evidence converted to this type, unless it is a Struct already.

    Raises:
        ValueError: the evidence cannot be converted. msgspec reports this as a ValidationError of the
            document.
    """
    if isinstance(item.evidence, Struct):
        return item
    try:
        return msgspec.structs.replace(item, evidence=msgspec.convert(item.evidence, kind))
    except msgspec.ValidationError as error:
        raise ValueError(f"evidence of {item.item}: {error}") from error


def whole(items: Iterable[AnyItem]) -> Ruling:
    """Return the overall verdict of these items; INCONCLUSIVE if none was judged."""
    found = worst(item.verdict for item in items)
    return Ruling.INCONCLUSIVE if found is Ruling.NOT_JUDGED else found


def errors_seen(run: RunData, item: str) -> list[ErrorSeen]:
    """Return an item's three most frequent errors."""
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
    """Accounting check: every started attempt, request and outage must have exactly one outcome.

    Args:
        run: the run.
        item: prefix of the counts.
        begun: name of the count of starts.
        endings: names of the counts of outcomes.

    Returns:
        How many lack an outcome; negative if there are more outcomes than starts. In a run that did not end
        normally some were still in progress, so missing outcomes do not count.
    """
    left = run.count(f"{item}.{begun}") - sum(run.count(f"{item}.{ending}") for ending in endings)
    return left if run.manifest.complete else min(left, 0)


_SINGULAR = {
    "pushes": "push",
    "replies": "reply",
    "messages": "message",
    "failures": "failure",
    "resumes": "resume",
    "requests": "request",
    "texts": "text",
}
"""Singulars of the nouns that descriptions of failings begin with."""


def failing(count: int, meaning: str) -> str:
    """Describe a failing: `2 pushes missing`, `1 push missing`."""
    noun, _, rest = meaning.partition(" ")
    return f"{text.count(count)} {_SINGULAR.get(noun, noun) if count == 1 else noun} {rest}"


def imbalance(left: int, begun: str, lacking: str = "outcome") -> str:
    """Return the summary for a failed accounting check.

    Args:
        left: the result of `unaccounted`, not 0.
        begun: number and name of what was started, such as "200 outages".
        lacking: what each of these must have once.
    """
    wrong = f"{text.count(left)} of {begun} have no" if left > 0 else f"{begun} have too many"
    problem = f"{wrong} {lacking}" if left > 0 else f"{wrong} {lacking}s ({text.count(-left)})"
    return f"the counts do not add up: {problem}. A worker was lost, or loadtest has a bug"
