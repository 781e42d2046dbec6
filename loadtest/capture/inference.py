"""Infers the meaning of a recorded conversation: the steps, in their order. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from loadtest.capture.conversation_opening import Opening, find_opening
from loadtest.capture.form_detection import detected
from loadtest.capture.heartbeats import answering_set, answers_without_ids, copies_of, find_beat
from loadtest.capture.inferred import Heard, Inferred, Meaning, Said, Speech
from loadtest.capture.message_forms import Form, Words
from loadtest.capture.message_ids import Ids, answering_kinds, find_ids
from loadtest.capture.message_kinds import TELLING, Kind, Record, assign_kinds, evidence, records_of, told_by
from loadtest.capture.own_texts import find_texts
from loadtest.capture.recorded import Connection, Frame
from loadtest.capture.redaction import Redactor, asked_secret, name_in
from loadtest.capture.reply_roles import (
    by_ids,
    by_order,
    fine_of,
    follows_beats,
    is_failure,
)
from loadtest.capture.told_values import (
    find_history,
    find_push_fields,
    find_remembered,
    find_resume,
    find_session,
)
from loadtest.capture.trees import Path, leaves, name_of, shown

MAX_INFERRED: Final = 2_000
"""Messages that are looked at: what a protocol means shows in its first ones."""


MAX_SIZE: Final = 4 * 2**20
"""Characters of messages that are looked at."""

_LEAST: Final = 20


def _first(frames: Sequence[Frame]) -> Sequence[Frame]:
    """Return the messages to analyse: the first ones, at least `_LEAST` of them."""
    size = 0
    for count, frame in enumerate(frames[:MAX_INFERRED]):
        size += len(frame.data)
        if size > MAX_SIZE and count >= _LEAST:
            return frames[:count]
    return frames[:MAX_INFERRED]


def infer(
    connection: Connection, redactor: Redactor, *, wanted: str = "auto", later: Sequence[Connection] = ()
) -> Inferred:
    """Infer the meaning of the conversation on a connection.

    Args:
        connection: the recorded connection.
        redactor: has the secrets of the recording; learns those in the server's messages.
        wanted: the format of the messages, one of `form_detection.FORMATS`.
        later: further connections to the same endpoint.

    Raises:
        UsageError: the messages are in an unknown format.
    """
    looked_at = _first(connection.frames)
    form = detected(looked_at, connection.path, wanted)
    frames = _whole(looked_at, form)
    records = records_of(frames, form)
    _learn(records, redactor)
    if isinstance(form, Words):  # a word may be a secret: an answer to a question
        public = {word: splits for word, splits in form.splits.items() if redactor.public(word) == word}
        form = replace(form, splits=public)
    kinds = assign_kinds(records, form, redactor)
    return _understood(
        Inferred(connection=connection, form=form, redactor=redactor, records=records, kinds=kinds), later
    )


def _understood(inferred: Inferred, later: Sequence[Connection]) -> Inferred:
    records, kinds = inferred.records, inferred.kinds
    by_its_id = answering_kinds(records)
    beat = find_beat(kinds, set(by_its_id))
    own = [record for record in records if record.kind not in by_its_id]
    ids = inferred.ids = find_ids(own)
    pongs = answers_without_ids(records, {*by_its_id, *((beat.kind,) if beat else ())})
    aside = answering_set(by_its_id, pongs) | ({beat.kind} if beat else set())
    opening = find_opening(records, ids, aside)
    said: dict[Kind, Said] = {}
    heard: dict[Kind, Heard] = {}
    _note_opening(inferred, opening, said, heard)
    for kind, answering in by_its_id.items():
        _note_answer(said, heard, kind, answering.asked, [(answering.path, answering.asked_path)])
    for kind, asked in pongs.items():
        _note_answer(said, heard, kind, asked, ())
    if beat is not None:
        said[beat.kind] = Said(beat.kind, Speech.HEARTBEAT, beat.why)
        inferred.heartbeat, inferred.heartbeat_s = beat.kind, beat.every_s
    _note_replies(inferred, said, heard)
    inferred.said, inferred.heard = said, heard
    inferred.ordered = _is_ordered(records, ids, heard)
    others = [_records_like(inferred, connection) for connection in later]
    for one in heard.values():
        if one.meaning is Meaning.PUSH:
            find_push_fields(one, others)
        if one.meaning is Meaning.REPLY:
            one.fine = fine_of(one.kind)
    find_remembered(records, ids, list(said.values()), heard)
    find_resume(inferred, others)
    find_session(inferred, others)
    find_history(inferred, others)
    frames = inferred.connection.frames
    if left := len(frames) - len(_first(frames)):
        inferred.left = left
        inferred.notes.append(
            f"from the first {len(frames) - left:,} messages; {left:,} more were not analysed"
        )
    if told := told_by(kinds):
        inferred.notes.insert(0, f"{told} distinguishes the kinds of messages")
    return inferred


def _note_opening(
    inferred: Inferred, opening: Opening, said: dict[Kind, Said], heard: dict[Kind, Heard]
) -> None:
    inferred.greeting = [
        record  # a repeated one is a request like the others, unless it establishes the session
        for record in opening.greeting
        if record.kind.count == 1 or opening.established is not None
    ]
    inferred.established, inferred.establishing_id = opening.established, opening.by_id
    for record in opening.greeting:
        if record.kind.count == 1:  # further ones are requests, too
            said[record.kind] = Said(record.kind, Speech.GREETING, "it is the first message")
    for asked, record in opening.login:
        if record.kind not in said:
            step = said[record.kind] = Said(
                record.kind, Speech.LOGIN, f"it follows {asked.label}", answers=asked
            )
            heard[asked] = Heard(asked, Meaning.ASKING, "the client continues only after it", answer=step)
    if opening.established is not None and not opening.by_id:
        setup = [Said(record.kind, Speech.SETUP, "it follows immediately") for record in opening.setup]
        said.update((one.kind, one) for one in setup)
        heard[opening.established] = Heard(opening.established, Meaning.ESTABLISHED, opening.why, setup=setup)


def _note_answer(
    said: dict[Kind, Said],
    heard: dict[Kind, Heard],
    kind: Kind,
    asked: Kind,
    copies: Sequence[tuple[Path, Path]],
) -> None:
    if asked in heard or kind in said:
        return
    why = f"the client answers {asked.label} immediately ({evidence(kind.count, asked.count)})"
    copies = copies_of(kind, asked, copies)
    if fields := ", ".join(shown(own) for own, _ in copies):
        why += f", with its {fields}"
    answer = said[kind] = Said(kind, Speech.ANSWER, why, answers=asked, copies=copies)
    heard[asked] = Heard(asked, Meaning.ASKING, why, answer=answer)


def _note_replies(inferred: Inferred, said: dict[Kind, Said], heard: dict[Kind, Heard]) -> None:
    """Record the client's other requests and their replies: by ids, by texts, by order."""
    records, kinds, ids = inferred.records, inferred.kinds, inferred.ids
    tied, tied_heard = by_ids(records, ids, set(said))
    said.update((one.kind, one) for one in tied)
    for found in tied_heard:
        heard.setdefault(found.kind, found)
    _note_pong(inferred, heard)
    find_texts(records, ids, tied, heard)
    rest = [Said(kind, Speech.SEND) for kind in kinds if kind.sent and kind not in said]
    said.update((one.kind, one) for one in rest)
    find_texts(records, None, rest, heard)
    for one in rest:
        if one.text_path is not None:
            one.speech = Speech.REQUEST
    _note_order(inferred, [one.kind for one in rest if one.speech is Speech.SEND], said, heard)
    for kind in kinds:
        if not kind.sent and kind not in heard:
            fails = is_failure(kind)
            meaning, why = (Meaning.FAILED, "its name") if fails else (Meaning.PUSH, "no request precedes it")
            heard[kind] = Heard(kind, meaning, why)


def _note_pong(inferred: Inferred, heard: dict[Kind, Heard]) -> None:
    beat, ids = inferred.heartbeat, inferred.ids
    if beat is None or (ids is not None and any(ids.of(record) for record in beat.records)):
        return
    candidates = [kind for kind in inferred.kinds if not kind.sent and kind not in heard]
    pong = follows_beats(inferred.records, beat, candidates)
    if pong is not None:
        heard[pong] = Heard(pong, Meaning.IGNORED, f"it follows {beat.label}")


def _note_order(
    inferred: Inferred, asking: Sequence[Kind], said: dict[Kind, Said], heard: dict[Kind, Heard]
) -> None:
    left = [kind for kind in inferred.kinds if not kind.sent and kind not in heard]
    free = (Speech.REQUEST, Speech.STREAM, Speech.SEND)
    aside = {kind for kind, one in said.items() if one.speech not in free}
    ordered, found = by_order(inferred.records, asking, left, aside)
    said.update((one.kind, one) for one in ordered)
    heard.update((one.kind, one) for one in found)
    find_texts(inferred.records, None, ordered, heard)


def _is_ordered(records: Sequence[Record], ids: Ids | None, heard: dict[Kind, Heard]) -> bool:
    """Return whether replies came in the order of their requests."""
    if ids is None:
        return True
    place = {name: record.order for record in records if record.sent and (name := ids.of(record)) is not None}
    last = -1
    for record in records:
        one = None if record.sent else heard.get(record.kind)
        name = ids.of(record) if one and one.meaning in (Meaning.REPLY, Meaning.FAILED) else None
        if name in place:
            if place[name] < last:
                return False
            last = place[name]
    return True


def _records_like(inferred: Inferred, connection: Connection) -> list[Record]:
    records = records_of(_whole(_first(connection.frames), inferred.form), inferred.form)
    _learn(records, inferred.redactor)
    assign_kinds(records, inferred.form, inferred.redactor)
    return records


def _learn(records: Sequence[Record], redactor: Redactor) -> None:
    """Let the redactor learn from the server's messages: they may issue tokens."""
    asked = ""
    for record in records:
        texts = [(path, value) for path, value in leaves(record.tree) if isinstance(value, str)]
        if record.sent and asked:
            _learn_answer(texts, asked, redactor)
        asked = "" if record.sent else next(filter(None, (asked_secret(value) for _, value in texts)), "")
        for path, value in texts:
            redactor.learn(name_in(path), value)


def _learn_answer(texts: Sequence[tuple[Path, str]], asked: str, redactor: Redactor) -> None:
    """Let the redactor learn the answer to a question for a secret: the whole text, or the values in it."""
    for path, value in texts:
        if value and (len(texts) == 1 or name_of(path).lower() not in TELLING):
            redactor.place(asked, value, is_column=True)


def _whole(frames: Sequence[Frame], form: Form) -> Sequence[Frame]:
    """Return the messages of a Socket.IO connection as if it had begun without HTTP polling.

    With polling, its first messages go over HTTP, and `2probe`, `3probe` and `5` move it to the WebSocket.
    """
    if form.name != "Socket.IO" or not frames or frames[0].data != "2probe":
        return frames
    at_s = frames[0].at_s
    start = [Frame(False, '0{"sid":""}', at_s), Frame(True, "40", at_s), Frame(False, '40{"sid":""}', at_s)]
    return [*start, *(frame for frame in frames if frame.data not in ("2probe", "3probe", "5"))]


def described_ids(ids: Ids) -> str:
    """Describe the ids of requests, with the evidence."""
    return f"field {shown(ids.path)} matches replies to requests ({evidence(ids.answered, ids.asked)})"
