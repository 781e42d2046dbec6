"""Kinds of messages: messages in one direction with the same type. Pure.

Most protocols have the type in a field: `type`, `event`, `op`. Such a field is recognised by its name, or by
having few values that look like names. Without such a field, messages with the same keys are of one kind.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from loadtest.capture.message_forms import Form
from loadtest.capture.recorded import Frame
from loadtest.capture.redaction import Redactor, is_public_name
from loadtest.capture.trees import MISSING, Path, Tree, at, leaves, name_of, shown
from loadtest.events import Data
from loadtest.text import one_line


@dataclass(slots=True, eq=False)
class Kind:
    """Messages of one direction that have the same constants, or the same keys.

    Args:
        sent: whether the client sends them.
        constants: paths and values that distinguish the kind.
        keys: keys of the top level, if there are no such constants.
        length: length of the top level, if it is a list.
        plain: the text, if it is a plain message.
        label: name for people, and for names in code.
    """

    sent: bool
    constants: tuple[tuple[Path, Any], ...] = ()
    keys: tuple[str, ...] = ()
    length: int | None = None
    plain: str | None = None
    label: str = ""
    records: "list[Record]" = field(default_factory=list)

    @property
    def count(self) -> int:
        """Number of its messages."""
        return len(self.records)

    def values(self, path: Path) -> list[Any]:
        """Return the values at a path, of the messages that have it."""
        found = (at(record.tree, path) for record in self.records)
        return [value for value in found if value is not MISSING]

    def says(self, pattern: re.Pattern[str]) -> bool:
        """Return whether the label, in lower case and split into words, matches a pattern."""
        spaced = re.sub(r"(?<=[a-z])(?=[A-Z])|[_.:/-]+", " ", self.label)
        return bool(pattern.search(spaced.lower()))


@dataclass(slots=True, eq=False)
class Record:
    """One record of a message; most messages have only one.

    Args:
        order: its place among all records of the connection.
        frame: its message's place among those of the connection, from 0.
        sent: whether the client sent it.
        at_s: when, in seconds; None if unknown.
        tree: its content; a plain message's text or bytes.
        plain: whether its message is a plain message.
        binary: whether its message is binary.
        kind: the kind to which it belongs.
    """

    order: int
    frame: int
    sent: bool
    at_s: float | None
    tree: Tree
    plain: bool
    binary: bool
    kind: Kind = field(default_factory=lambda: _NO_KIND)


_NO_KIND: Final[Kind] = Kind(False)


def records_of(frames: Sequence[Frame], form: Form) -> list[Record]:
    """Return all records of a connection, in order."""
    found: list[Record] = []
    for number, frame in enumerate(frames):
        binary = isinstance(frame.data, bytes)
        for tree, plain in _trees(frame.data, form):
            found.append(Record(len(found), number, frame.sent, frame.at_s, tree, plain, binary))
    return found


def _trees(data: Data, form: Form) -> Iterator[tuple[Tree, bool]]:
    try:
        trees = form.read(data)
    except ValueError:
        yield data, True
    else:
        yield from ((tree, False) for tree in trees)


TELLING: Final = (
    *("type", "event", "op", "action", "method", "kind", "cmd", "command", "msgtype", "messagetype"),
    *(
        "target",
        "msg_type",
        "message_type",
        "eventname",
        "event_name",
        "eventtype",
        "event_type",
        "packet",
        "@type",
    ),
    *("t", "e", "opcode", "msg", "name", "topic", "channel"),
)
"""Names of fields that tell kinds apart, in lower case; the first ones are surer."""

_SURE: Final = TELLING[:21]

_NAME = re.compile(r"[A-Za-z$@][\w.:/$@+ -]{0,59}", re.ASCII)
_COMPOUND = re.compile(r"[A-Z][a-z]+[A-Z]\w*|[a-z]+[_.:][\w.:]+", re.ASCII)
"""A name of several words: no chance text."""

_RANDOM = re.compile(r"[0-9a-fA-F-]{16,}|(?=\D*\d\D*\d\D*\d)[\w-]{12,}", re.ASCII)

MAX_KINDS: Final = 200
"""Maximum number of kinds; a field with more values holds something other than the kind of message."""


def looks_random(value: str) -> bool:
    """Return whether a text looks like a random id, not like a name."""
    return bool(_RANDOM.fullmatch(value))


def assign_kinds(records: Sequence[Record], form: Form, redactor: Redactor) -> list[Kind]:
    """Give each record its kind; return all kinds in the order of their first record."""
    for sent in (True, False):
        own = [record for record in records if record.sent is sent]
        telling = _telling([record.tree for record in own if not record.plain], form.hints, redactor)
        words = _words(own, form)
        kinds: dict[Any, Kind] = {}
        for record in own:
            key, kind = _kind(record, telling, words)
            if key not in kinds and len(kinds) >= MAX_KINDS:
                key, kind = "others", Kind(sent, label="others")
            record.kind = kinds.setdefault(key, kind)
            record.kind.records.append(record)
    return list(dict.fromkeys(record.kind for record in records))


_LONGEST_WORD: Final = 20
_SIGNAL = re.compile(r"(?i)\W?(?:ping|pong|heart-?beat|keep-?alive|hb|ack|ok|noop)\W?")


def _words(records: Sequence[Record], form: Form) -> set[str]:
    """Return the plain texts that are fixed words of the protocol; others are texts of users."""
    texts = Counter(record.tree for record in records if record.plain and isinstance(record.tree, str))
    if form.name == "text":
        return {text for text in texts if _SIGNAL.fullmatch(text)}
    return {text for text, times in texts.items() if times > 1 or re.fullmatch(r"\S{1,12}", text)}


def _kind(record: Record, telling: Sequence[Path], words: set[str]) -> tuple[Any, Kind]:
    tree, sent = record.tree, record.sent
    if record.plain:
        is_word = isinstance(tree, str) and len(tree) <= _LONGEST_WORD and tree in words
        text = tree if is_word else None
        key = ("plain", text, isinstance(tree, str))
        label = one_line(tree, 20) if is_word else "text" if isinstance(tree, str) else "binary"
        return key, Kind(sent, plain=text, label=label)
    constants = tuple(
        (path, value) for path in telling if (value := at(tree, path)) is not MISSING and _is_name(value)
    )
    length = len(tree) if isinstance(tree, list) else None
    keys = () if constants or length is not None else tuple(str(key) for key in tree)
    named = [str(value) for _, value in constants] or list(keys) or ["list"]
    label = one_line(" ".join(named if constants else named[:4]), 60)
    shape = (length, _types(tree)) if isinstance(tree, list) and not constants else length
    return ("tree", constants, frozenset(keys), shape), Kind(sent, constants, keys, length, label=label)


def _types(tree: list[Tree]) -> tuple[str, ...]:
    return tuple(type(one).__name__ for one in tree[:8])


def _is_name(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _telling(trees: Sequence[Tree], hints: Sequence[Path], redactor: Redactor) -> list[Path]:
    """Return the paths whose values distinguish kinds, at most two."""
    if hints:
        return list(hints)
    maps = [tree for tree in trees if isinstance(tree, dict)]
    if len(maps) * 2 >= len(trees):
        return _telling_keys(maps, redactor)
    return _telling_positions([tree for tree in trees if isinstance(tree, list)], redactor)


def _values_by_path(trees: Sequence[Tree], depth: int) -> dict[Path, list[Any]]:
    found: dict[Path, list[Any]] = {}
    for tree in trees:
        for path, value in leaves(tree):
            if len(path) <= depth:
                found.setdefault(path, []).append(value)
    return found


def _telling_keys(trees: Sequence[Tree], redactor: Redactor) -> list[Path]:
    found = _values_by_path(trees, 2)
    named: list[tuple[tuple[int, int], Path]] = []
    for path, values in found.items():
        name = name_of(path).lower()
        if name in TELLING and _are_names(values, redactor) and len(values) * 3 >= len(trees):
            sure = name in _SURE or _is_few(values)
            nested = len(path) == 2 and isinstance(path[1], str)
            if sure and (len(path) == 1 or nested):
                named.append(((len(path), TELLING.index(name)), path))
    if named:
        return [path for (depth, _), path in sorted(named)[:2] if depth == min(named)[0][0]]
    few: list[Path] = [
        path
        for path, values in found.items()
        if len(path) == 1
        and len(values) == len(trees) >= 6
        and not _NUMBERING.match(name_of(path))
        and _are_names(values, redactor)
        and _is_few(values)
    ]
    return few[:1]


def _telling_positions(trees: Sequence[Tree], redactor: Redactor) -> list[Path]:
    found = _values_by_path(trees, 1)
    telling: list[Path] = []
    for path, values in sorted(found.items()):
        small = path == (0,) and all(isinstance(value, int) and 0 <= value < 100 for value in values)
        texts = [value for value in values if isinstance(value, str)]
        spaced = any(" " in text for text in texts)
        named = bool(texts) and len(texts) == len(values) and not spaced and _are_names(texts, redactor)
        several = (
            len(texts) < 4 or len(set(texts)) <= 0.7 * len(texts) or all(map(_COMPOUND.fullmatch, texts))
        )
        if (small and _is_few(values)) or (named and several):
            telling.append(path)
    return telling[:3]


def _is_few(values: Sequence[Any]) -> bool:
    return len(set(map(str, values))) <= max(3, len(values) // 3)


def _are_names(values: Sequence[Any], redactor: Redactor) -> bool:
    """Return whether values look like names of kinds: public, and neither ids nor sentences."""
    texts = [value for value in values if isinstance(value, str)]
    numbers = [value for value in values if isinstance(value, int) and not isinstance(value, bool)]
    if (
        len(texts) + len(numbers) < len(values)
        or len(set(texts)) > 64
        or any(not 0 <= one < 1000 for one in numbers)
    ):
        return False
    if len(values) >= 8 and len(set(map(str, values))) == len(values):
        return False
    return all(
        _NAME.fullmatch(text)
        and not looks_random(text)
        and is_public_name(text)
        and redactor.public(text) == text
        for text in set(texts)
    )


def evidence(part: int, whole: int) -> str:
    """Write how often something was observed: `41 of 41`."""
    return f"{part:,} of {whole:,}"


_NUMBERING = re.compile(r"(?i)(?:i|n|idx|index|seq|no|num|number|ref|id|[a-z]{1,12}_?id)$")
"""Names of fields that number messages, or name requests: their values tell no kinds apart."""


def told_by(kinds: Sequence[Kind]) -> str:
    """Write the fields that distinguish kinds."""
    paths = dict.fromkeys(path for kind in kinds for path, _ in kind.constants)
    return ", ".join(map(shown, paths))
