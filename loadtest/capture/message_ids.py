"""Finds the ids that match replies to requests. Pure.

An id is a value that the client creates for each message and the server returns. Many fields are returned;
an id is typically called `id`, is short, and has no spaces. One field of the requests has the ids; in the
server's messages the field may differ for each kind (`id`, `re`, `part`).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from loadtest.capture.message_kinds import Kind, Record
from loadtest.capture.redaction import is_secret_name, login_word
from loadtest.capture.trees import MISSING, Path, Tree, at, leaves, name_of

MAX_ID: Final = 128
"""Characters of an id."""

_ID_NAME = re.compile(
    r"(?:^|_|-)(?:id|ids|ref|seq|sequence|nonce|tag|receipt|rid|req|cid|mid|uid|uuid|txn?|no|num|number)$"
    r"|[a-z](?:Id|ID|Ref|Seq|Uuid|No)$|^(?:re|reply_?to|in_?reply_?to|request_?id|correlation\w*|receipt-id)$"
)
_TEXT_NAME = re.compile(
    r"(?i)text|content|message|body|prompt|question|query|title|^(?:msg|data|payload|value)$"
)
_TIME_NAME = re.compile(r"(?i)time|^ts$|date|(?:^|_)at$|_?at_ms$|sent|now")


class Style(Enum):
    """The form of ids."""

    NUMBER = "numbers"
    DIGITS = "numbers as text"
    PREFIXED = "numbers after a prefix"
    UUID = "UUIDs"
    RANDOM = "random texts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ids:
    """The ids of requests.

    Args:
        path: path of the id in the client's messages.
        paths: its path in the server's messages, by kind.
        style: form of the ids.
        first: the smallest number, if ids are numbers.
        prefix: text before the number.
        length: length of random ids.
        asked: number of requests with an id.
        answered: number of these whose id was returned.
        matched: number of server messages with an id of a request.
    """

    path: Path
    paths: Mapping[Kind, Path]
    style: Style
    first: int = 0
    prefix: str = ""
    length: int = 0
    asked: int = 0
    answered: int = 0
    matched: int = 0

    def of(self, record: Record) -> str | None:
        """Return the id in a record, as text; None if it has none."""
        path = self.path if record.sent else self.paths.get(record.kind)
        value = MISSING if path is None or record.plain else at(record.tree, path)
        if path is not None and after_login_word(record.tree, path):
            return None
        return str(value) if _is_id(value) else None


def _is_id(value: Any) -> bool:
    if isinstance(value, str):
        return 0 < len(value) <= MAX_ID and not re.search(r"\s", value)
    return isinstance(value, int) and not isinstance(value, bool)


def after_login_word(tree: Tree, path: Path) -> bool:
    """Return whether a word of a line is a secret because of the word before it: `AUTH hunter2`."""
    if not isinstance(tree, list) or len(path) != 1 or not isinstance(path[0], int) or not path[0]:
        return False
    word, value = at(tree, (path[0] - 1,)), at(tree, path)
    return isinstance(value, str) and not value.isdecimal() and isinstance(word, str) and login_word(word)


def _values(records: Sequence[Record], *, sent: bool) -> dict[Path, list[tuple[int, str, Record]]]:
    found: dict[Path, list[tuple[int, str, Record]]] = {}
    for record in records:
        if record.sent is sent and not record.plain:
            for path, value in leaves(record.tree):
                if _is_id(value) and not after_login_word(record.tree, path):
                    found.setdefault(path, []).append((record.order, str(value), record))
    return found


_RECENT: Final = 3
"""The client answers one of the server's last messages."""


@dataclass(frozen=True, slots=True)
class Answering:
    """A kind of client message that answers a server message and repeats its id.

    Args:
        asked: the server's kind.
        path: path of the id in the client's answer.
        asked_path: path of the id in the server's message.
    """

    asked: Kind
    path: Path
    asked_path: Path


def answering_kinds(records: Sequence[Record]) -> dict[Kind, Answering]:
    """Return the client's kinds that answer the server with ids created by the server."""
    found: dict[Kind, set[Answering]] = {}
    made_by_client: set[str] = set()
    recent: list[tuple[Kind, dict[Any, list[Path]]]] = []
    for record in records:
        ids = [] if record.plain else _named_ids(record)
        if not record.sent:
            places: dict[Any, list[Path]] = {}
            for path, value in ids:
                places.setdefault(value, []).append(path)
            recent = [*recent[-_RECENT + 1 :], (record.kind, places)]
            continue
        if record.plain:
            continue
        answers = {
            Answering(asked, path, asked_path)
            for path, value in ids
            if str(value) not in made_by_client
            for asked, places in recent
            for asked_path in places.get(value, ())
        }
        found[record.kind] = found[record.kind] & answers if record.kind in found else answers
        if not answers:
            made_by_client.update(str(value) for _, value in ids)
    likely = {kind: max(answers, key=_rank) for kind, answers in found.items() if answers}
    return {kind: answer for kind, answer in likely.items() if _answers(kind, answer)}


def _named_ids(record: Record) -> list[tuple[Path, Any]]:
    return [(path, value) for path, value in leaves(record.tree) if _is_id(value) and _may_name(path)]


def _answers(kind: Kind, answer: Answering) -> bool:
    """Return whether the ids differ (those of a room would not), or the name suggests an id."""
    values = [str(value) for value in kind.values(answer.path)]
    return kind.says(ANSWERS) or (len(values) > 1 and len(set(values)) >= 0.9 * len(values))


ANSWERS: Final = re.compile(r"\b(?:ack\w*|pong|result|response|reply|answer|confirm\w*|received|43|3)\b")


def _rank(answer: Answering) -> tuple[bool, int, str]:
    return (answer.path == answer.asked_path, -len(answer.path), str(answer.path))


def _may_name(path: Path) -> bool:
    name = name_of(path)
    return bool(_ID_NAME.search(name)) or (not name and path != (0,))


def find_ids(records: Sequence[Record]) -> Ids | None:
    """Return the ids of a conversation's requests; None if there are none.

    Args:
        records: the records, except for answers to the server with its own ids.
    """
    sent, received = _values(records, sent=True), _values(records, sent=False)
    by_kind: _Said = {}
    for path, values in received.items():
        for order, value, record in values:
            by_kind.setdefault((record.kind, path), []).append((order, value))
    best: tuple[float, Ids] | None = None
    likely = sorted(sent, key=lambda path: -_likelihood(path, [value for _, value, _ in sent[path]]))
    for path in likely[:_FIELDS]:
        values = sent[path]
        ids = _ids(path, values, by_kind)
        if ids is not None:
            score = ids.answered * _likelihood(path, [value for _, value, _ in values])
            if best is None or score > best[0]:
                best = (score, ids)
    return best[1] if best else None


_FIELDS: Final = 20
"""Fields of the client that are looked at, the likeliest ones."""

_Said = dict[tuple[Kind, Path], list[tuple[int, str]]]
"""Values in the server's messages, with their places, by kind and path."""


def _likelihood(path: Path, values: Sequence[str]) -> float:
    """Return how likely a field has ids: by its name, and because it is neither a text nor a time."""
    name = name_of(path)
    likely = 1.0
    if _ID_NAME.search(name) or not name:
        likely *= 4
    if _TEXT_NAME.search(name):
        likely *= 0.2
    if _TIME_NAME.search(name) or all(re.fullmatch(r"1\d{9}(?:\d{3})?", value) for value in values):
        likely *= 0.3
    return likely / (1 + 0.1 * len(path))


def _ids(path: Path, values: Sequence[tuple[int, str, Record]], by_kind: _Said) -> Ids | None:
    """Return the ids of requests if this field has them, None if it does not."""
    first: dict[str, int] = {}
    for order, value, _ in values:
        first.setdefault(value, order)
    name = name_of(path)
    named = bool(_ID_NAME.search(name)) or not name
    if len(first) < 0.9 * len(values) or is_secret_name(name) or (_TEXT_NAME.search(name) and not named):
        return None
    sample = at(values[0][2].tree, path)
    places = _places(_Field(path, named, sample, first), by_kind)
    known = [one for kind, place in places.items() for one in _known(by_kind[kind, place], first)]
    answered = set(known)
    if not answered or (len(answered) < 2 and not named):
        return None
    return Ids(
        path=path,
        paths=places,
        asked=len(first),
        answered=len(answered),
        matched=len(known),
        **_style(sample, [value for _, value, _ in values]),
    )


@dataclass(frozen=True, slots=True)
class _Field:
    """A field of the client's messages that may have ids.

    Args:
        path: its path.
        named: whether its name suggests ids.
        sample: one of its values.
        first: the first position of each value.
    """

    path: Path
    named: bool
    sample: Any
    first: Mapping[str, int]


def _known(said: Sequence[tuple[int, str]], first: Mapping[str, int]) -> list[str]:
    """Return the server's values that the client had sent before."""
    return [value for order, value in said if value in first and first[value] < order]


def _places(field: _Field, by_kind: _Said) -> dict[Kind, Path]:
    """Return the paths of these ids in the server's messages, by kind."""
    best: dict[Kind, tuple[float, Path, bool]] = {}
    for (kind, path), said in by_kind.items():
        known = _known(said, field.first)
        is_named = bool(_ID_NAME.search(name_of(path))) or path == field.path
        if not known or len(known) < 0.9 * len(said):
            continue
        distinct = len(set(known))
        if not (field.named and is_named) and distinct < 3:
            continue
        if not is_named and type(kind.values(path)[0]) is not type(field.sample):  # a number of its own
            continue
        likely = (2 if is_named else 1) * (2 if path == field.path else 1) / len(path)
        if not is_named and _TEXT_NAME.search(name_of(path)):
            likely *= 0.1
        score = likely * len(known) / kind.count
        repeated = len(known) >= 2 * distinct  # as in parts of a reply; what counts never repeats
        if kind not in best or score > best[kind][0]:
            best[kind] = (score, path, is_named or repeated)
    if any(is_sure for _, _, is_sure in best.values()):  # a number of another meaning may be one by chance
        best = {kind: place for kind, place in best.items() if place[2]}
    return {kind: path for kind, (_, path, _) in best.items()}


_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_COUNTED = re.compile(r"(?P<prefix>.*?)(?P<number>0|[1-9]\d{0,8})", re.DOTALL)


def _style(sample: Any, texts: Sequence[str]) -> dict[str, Any]:
    if isinstance(sample, int):
        numbers = [int(text) for text in texts if text.lstrip("-").isdecimal()]
        first = min(numbers, default=0)
        return {"style": Style.NUMBER, "first": first if 0 <= first < 10_000 else 0}
    if all(text.isdecimal() and text.isascii() and (text == "0" or text[0] != "0") for text in texts):
        first = min(map(int, texts))
        return {"style": Style.DIGITS, "first": first if first < 10_000 else 0}
    if all(map(_UUID.fullmatch, texts)):
        return {"style": Style.UUID}
    prefix = _common(texts).rstrip("0123456789")
    counted = [_COUNTED.fullmatch(text.removeprefix(prefix)) for text in texts]
    if prefix and all(found and not found["prefix"] for found in counted) and len(prefix) <= 40:
        first = min(int(found["number"]) for found in counted if found)
        return {"style": Style.PREFIXED, "prefix": prefix, "first": first if first < 10_000 else 0}
    return {"style": Style.RANDOM, "length": min(32, max(8, *map(len, texts)))}


def _common(texts: Sequence[str]) -> str:
    """Return the common prefix of all texts."""
    least, most = min(texts), max(texts)
    length = next(
        (at for at, (one, other) in enumerate(zip(least, most, strict=False)) if one != other), len(least)
    )
    return least[:length]


def answers_of(records: Sequence[Record], ids: Ids | None) -> Iterator[tuple[Record, list[Record]]]:
    """Yield each message of the client that has an id, with the server's messages that name it."""
    if ids is None:
        return
    answers: dict[str, tuple[Record, list[Record]]] = {}
    for record in records:
        name = ids.of(record)
        if name is None:
            continue
        if record.sent:
            if name not in answers:
                answers[name] = (record, [])
        elif name in answers:
            answers[name][1].append(record)
    yield from answers.values()
