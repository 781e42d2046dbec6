"""Finds the user's own text in the client's messages, and where the server returns it. Pure.

Such a text becomes `session.text(sequence)`, which is new in each message, so that the tool can check the
returned one. A text that the server reads as a name (a symbol, a room) must stay unchanged.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from loadtest.capture.inferred import Heard, Meaning, Said, Speech
from loadtest.capture.message_ids import Ids, answers_of
from loadtest.capture.message_kinds import Kind, Record, evidence
from loadtest.capture.redaction import is_email_name, is_secret_name
from loadtest.capture.trees import Path, at, leaves, name_of, shown

_TEXT_NAME = re.compile(
    r"(?i)^(?:text|message|content|body|prompt|question|input|msg|say|said|q|chat|chat_?message|comment|note|answer|word)$"
)
_ID_LIKE = re.compile(r"(?i)(?:id|ref|uuid|token|time|at|date|type|version|url|lang|locale|model|role|mode)$")
_MOST: Final = 0.75
_WITHIN: Final = 80
_FIELDS: Final = 4
"""Fields of a kind that are looked at, the likeliest ones."""

_SAMPLE: Final = 200
"""Messages of a kind that are looked at."""
_CODE = re.compile(r"[{}<>]|^https?:|^/")
"""What texts of people rarely hold, and queries, markup and addresses do."""


def may_be_text(path: Path, value: Any) -> bool:
    """Return whether a value may be a text typed by a user."""
    name = name_of(path)
    if not isinstance(value, str) or not value or is_secret_name(name) or is_email_name(name):
        return False
    if _CODE.search(value):
        return False
    if _TEXT_NAME.match(name) or " " in value.strip():
        return True
    return len(value) >= 8 and not _ID_LIKE.search(name) and not re.fullmatch(r"[\w.:/#@-]+", value)


def holds(value: Any, text: str) -> bool:
    """Return whether a value is a text, or contains it if it is too long to be there by chance."""
    return isinstance(value, str) and (value == text or (len(text) >= 4 and text in value))


@dataclass(slots=True)
class _Found:
    """The returned texts of one field of a kind of requests.

    Args:
        path: path of the field.
        places: fields of the server's messages that had them, with counts.
        pieces: fields of streamed replies that had them in pieces, with counts.
        beside: fields of messages other than the replies, with counts.
    """

    path: Path
    places: Counter[tuple[Kind, Path]] = field(default_factory=Counter)
    pieces: Counter[Path] = field(default_factory=Counter)
    beside: Counter[tuple[Kind, Path]] = field(default_factory=Counter)

    @property
    def count(self) -> int:
        """Number of returned texts."""
        return self.places.total() + self.pieces.total() + self.beside.total()


def find_texts(
    records: Sequence[Record], ids: Ids | None, said: Sequence[Said], heard: dict[Kind, Heard]
) -> None:
    """Record the fields of requests with texts, and the fields in which the server returns them."""
    answers = dict(answers_of(records, ids))
    for one in said:
        if one.speech not in (Speech.REQUEST, Speech.STREAM, Speech.SEND):
            continue
        fields = [_returned(one.kind, path, records, answers, heard) for path in _candidates(one.kind, ids)]
        best = max(fields, key=lambda found: found.count, default=None)
        if best is None:
            continue
        looked_at = min(one.kind.count, _SAMPLE)
        if best.count >= _MOST * looked_at:
            one.text_path = best.path
            one.text_why = f"the server returns it ({evidence(best.count, looked_at)})"
            _note_places(one, best, answers, heard, looked_at)
        elif one.speech is not Speech.SEND and _TEXT_NAME.match(name_of(best.path)):
            one.text_path, one.text_why = best.path, "its name, and the server replies to the message"


def _note_places(
    said: Said,
    found: _Found,
    answers: Mapping[Record, Sequence[Record]],
    heard: dict[Kind, Heard],
    looked_at: int,
) -> None:
    for (kind, place), _ in reversed(found.places.most_common()):  # the most likely place last
        said.checked |= _note(heard, kind, place)
    if found.pieces:
        path = found.pieces.most_common(1)[0][0]
        own = [answers[one] for one in said.kind.records if one in answers]
        said.checked |= _note_pieces(path, own, heard)
    if found.beside and not found.places and not found.pieces:
        (kind, place), times = found.beside.most_common(1)[0]
        replies = {heard[one.kind] for record in said.kind.records for one in answers.get(record, ())}
        whole = times == looked_at and len(replies) == 1 and all(_is_bare(reply) for reply in replies)
        if whole and kind not in heard:
            why = f"field {shown(place)} has the text of a request, whose reply is another message"
            heard[kind] = Heard(kind, Meaning.ROOM, why, text_path=place, beside=True)
            for reply in replies:
                reply.halves = True
                reply.why += f"; it counts only after {kind.label} has returned the text, too"
            said.checked = True


def _is_bare(heard: Heard) -> bool:
    return heard.meaning is Meaning.REPLY and heard.text_path is None and heard.id_path is not None


def _note_pieces(path: Path, answers: Sequence[Sequence[Record]], heard: Mapping[Kind, Heard]) -> bool:
    """Record the parts with the pieces of a text, and their end; return whether both are known."""
    ends = {heard[records[-1].kind] for records in answers if records and records[-1].kind in heard}
    ends = {one for one in ends if one.meaning is not Meaning.FAILED}
    if not ends or not all(one.end is not None or one.meaning is Meaning.REPLY for one in ends):
        return False
    for one in ends:
        one.gathers = True
    for record in (record for records in answers for record in records):
        if record.kind in heard and isinstance(at(record.tree, path), str):
            heard[record.kind].piece_path = path
    return True


def _candidates(kind: Kind, ids: Ids | None) -> list[Path]:
    if kind.records[0].plain:
        return [()] if isinstance(kind.records[0].tree, str) and kind.plain is None else []
    constants = dict(kind.constants)
    paths: dict[Path, int] = {}
    for record in kind.records:
        for path, value in leaves(record.tree):
            is_id = ids is not None and path == ids.path
            if not is_id and path not in constants and may_be_text(path, value):
                paths[path] = paths.get(path, 0) + 1
    likely = [path for path, count in paths.items() if count >= _MOST * kind.count]
    return sorted(likely, key=lambda path: (not _TEXT_NAME.match(name_of(path)), len(path)))[:_FIELDS]


def _returned(
    kind: Kind,
    path: Path,
    records: Sequence[Record],
    answers: Mapping[Record, Sequence[Record]],
    heard: Mapping[Kind, Heard],
) -> _Found:
    """Return how many texts at a path were returned, and where."""
    found = _Found(path)
    for record in kind.records[:_SAMPLE]:
        text = at(record.tree, path) if path else record.tree
        if not isinstance(text, str):
            continue
        replies = answers.get(record)
        if not replies:
            place = next(_places_of(text, list(_after(record, records))), None)
            if place is not None:
                found.places[place] += 1
            continue
        whole = [one for one in replies if _is_whole(heard.get(one.kind))]
        place = next(_places_of(text, whole), None)
        pieces = _joined(text, replies) if place is None else None
        if place is not None:
            found.places[place] += 1
        elif pieces is not None:
            found.pieces[pieces] += 1
        else:
            others = [one for one in _after(record, records) if one not in replies]
            place = next(_places_of(text, others), None)
            if place is not None:
                found.beside[place] += 1
    return found


def _is_whole(heard: Heard | None) -> bool:
    return heard is None or (heard.meaning is not Meaning.PART and heard.end is None)


def _after(record: Record, records: Sequence[Record]) -> Iterator[Record]:
    for later in records[record.order + 1 : record.order + 1 + _WITHIN]:
        if not later.sent:
            yield later


def _places_of(text: str, following: Sequence[Record]) -> Iterator[tuple[Kind, Path]]:
    for record in following:
        if record.plain:
            if holds(record.tree, text):
                yield record.kind, ()
        else:
            found = [path for path, value in leaves(record.tree) if holds(value, text)]
            if found:
                exact = [path for path in found if at(record.tree, path) == text]
                yield record.kind, (exact or found)[0]


def _joined(text: str, answers: Sequence[Record]) -> Path | None:
    """Return the field whose pieces in a streamed reply make up the text; None if there is none."""
    pieces: dict[Path, str] = {}
    for record in answers:
        for path, value in leaves(record.tree):
            if isinstance(value, str):
                pieces[path] = pieces.get(path, "") + value
    return next((path for path, joined in pieces.items() if text in joined), None)


def _note(heard: dict[Kind, Heard], kind: Kind, place: Path) -> bool:
    """Record that messages of a kind contain the text; return whether they are replies to its request."""
    one = heard.get(kind)
    if one is None:
        heard[kind] = Heard(
            kind, Meaning.ROOM, f"field {shown(place)} has the text of a message", text_path=place
        )
        return True
    if (
        one.meaning is Meaning.REPLY and (one.id_path is not None or one.text_path is None)
    ) or one.meaning is Meaning.PUSH:
        one.text_path = place
    return one.meaning in (Meaning.REPLY, Meaning.ROOM)
