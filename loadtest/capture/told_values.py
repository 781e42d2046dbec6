"""Values that the client repeats from the server; ids of sessions; numbers and times of pushes. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from loadtest.capture.inferred import Heard, Inferred, Meaning, Said, Speech
from loadtest.capture.message_ids import Ids
from loadtest.capture.message_kinds import Kind, Record, looks_random
from loadtest.capture.redaction import is_public_name, is_secret_name
from loadtest.capture.trees import MISSING, Path, at, leaves, name_of, shape, shown
from loadtest.text import counted

_ID_NAME = re.compile(r"(?i)(?:id|key|token|ref|uuid|sid|handle|cursor|session|nonce|ticket)$")
_SESSION_NAME = re.compile(
    r"(?i)^(?:sid|session|session_?id|client_?id|user_?id|user|conn(?:ection)?_?id|thread_?id)$"
)
_NUMBER_NAME = re.compile(
    r"(?i)^(?:n|no|num|number|seq|sequence|tick|count|counter|index|offset|push_?id|id|s|revision)$"
)
_SHORTEST: Final = 5
_LEAST_NUMBERS: Final = 4
_CLOCK_ERROR_S: Final = 300.0


def find_remembered(
    records: Sequence[Record], ids: Ids | None, said: Sequence[Said], heard: dict[Kind, Heard]
) -> None:
    """Record values that the client repeats from earlier server messages, such as a conversation's id."""
    told = _told(records)
    names: dict[tuple[Kind, Path], str] = {}
    for one in said:
        known = {one.text_path, ids.path if ids else None, *dict(one.kind.constants), *dict(one.copies)}
        for path in dict.fromkeys(_paths(one.kind)):
            found = None if path in known else _source(one.kind, path, told)
            if found is not None and (listener := heard.get(found[0][0])) is not None:
                source, own_first = found
                if own_first:
                    one.first_own.add(path)
                name = names.setdefault(source, _name(source[1], path, set(names.values())))
                one.remembered[path] = name
                listener.remembers[source[1]] = name


def _paths(kind: Kind) -> Iterator[Path]:
    for record in kind.records:
        if not record.plain:
            yield from (path for path, _ in leaves(record.tree))


def _told(records: Sequence[Record]) -> dict[Any, tuple[int, Kind, Path]]:
    """Return where the server first sent each value that the client had not sent before."""
    told: dict[Any, tuple[int, Kind, Path]] = {}
    own: set[Any] = set()
    for record in records:
        for path, value in () if record.plain else leaves(record.tree):
            if _may_be_told(path, value) and record.sent:
                own.add(value)
            elif _may_be_told(path, value) and value not in own:
                told.setdefault(value, (record.order, record.kind, path))
    return told


def _may_be_told(path: Path, value: Any) -> bool:
    named = bool(_ID_NAME.search(name_of(path)))
    if isinstance(value, str):
        return _SHORTEST <= len(value) <= 4096 and (
            looks_random(value) or (named and any(map(str.isdigit, value)))
        )
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1000 and named


def _source(
    kind: Kind, path: Path, told: Mapping[Any, tuple[int, Kind, Path]]
) -> tuple[tuple[Kind, Path], bool] | None:
    """Return the server's source of a client's value, and whether the client began with its own."""
    sources = set()
    own: set[Any] = set()
    for record in kind.records:
        value = at(record.tree, path)
        if value is MISSING or value is None:
            continue
        try:
            found = told.get(value)
        except TypeError:  # a list or dict
            return None
        if found is not None and found[0] < record.order:
            sources.add((found[1], found[2]))
        elif sources or not is_secret_name(name_of(path)):  # a secret may be renewed
            return None
        else:
            own.add(value)
    return (sources.pop(), bool(own)) if len(sources) == 1 and len(own) <= 1 else None


def _name(path: Path, own_path: Path, taken: set[str]) -> str:
    name = name_of(path) or name_of(own_path)
    if name in ("id", "") or not is_public_name(name):
        holder = [str(step) for step in path[:-1] if isinstance(step, str) and is_public_name(str(step))]
        name = f"{holder[-1]}_id" if holder else "told"
    name = (
        re.sub(r"\W+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name), flags=re.ASCII).strip("_").lower()
        or "told"
    )
    wanted, number = name, 2
    while name in taken or name in ("ids", "last_id", "beginning"):
        name, number = f"{wanted}_{number}", number + 1
    return name


def find_push_fields(heard: Heard, later: Sequence[Sequence[Record]]) -> None:
    """Record the field that counts pushes of a kind, and that of the server's clock.

    A number may count pushes to all clients. So it is used only if it restarted on a later connection.
    """
    for path in dict.fromkeys(_paths(heard.kind)):
        values = heard.kind.values(path)
        if len(values) < heard.kind.count:
            continue
        if heard.number_path is None and _counts(path, values):
            if _begins_anew(heard.kind, path, values[0], later):
                heard.number_path = path
            else:
                hint = "counts up. If it counts per connection, return lt.Push(number=...)"
                heard.why += f"; field {shown(path)} {hint}"
        if heard.time_path is None and (factor := _clock(values, heard.kind.records)) is not None:
            heard.time_path = (path, factor)


def _begins_anew(kind: Kind, path: Path, first: Any, later: Sequence[Sequence[Record]]) -> bool:
    alike = (
        next((one for one in records if not one.plain and one.kind.constants == kind.constants), None)
        for records in later
    )
    found = [at(record.tree, path) for record in alike if record is not None and not record.sent]
    return bool(found) and all(value == first for value in found)


def _counts(path: Path, values: Sequence[Any]) -> bool:
    if len(values) < _LEAST_NUMBERS or not all(
        isinstance(one, int) and not isinstance(one, bool) for one in values
    ):
        return False
    return bool(_NUMBER_NAME.match(name_of(path)) or len(values) >= 3 * _LEAST_NUMBERS) and all(
        after - before == 1 for before, after in pairwise(values)
    )


def _clock(values: Sequence[Any], records: Sequence[Record]) -> int | None:
    """Return the factor that converts these times to milliseconds, None if they are not times of sending."""
    for factor, unit in ((1, 1000.0), (1000, 1.0)):
        pairs = [(value, record.at_s) for value, record in zip(values, records, strict=False)]
        if all(
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and at_s is not None
            and abs(value / unit - at_s) < _CLOCK_ERROR_S
            for value, at_s in pairs
        ):
            return factor
    return None


def find_resume(inferred: Inferred, later: Sequence[Sequence[Record]]) -> None:
    """Record the client's first messages on a later connection that repeat a value of an earlier one."""
    told: dict[Any, tuple[Kind, Path]] = {
        value: (record.kind, path)
        for record in inferred.records
        if not record.sent and not record.plain
        for path, value in leaves(record.tree)
        if isinstance(value, str) and len(value) >= _SHORTEST
    }
    told |= _last_numbers(inferred)
    for records in later[:1]:
        first = next((record.order for record in records if not record.sent), len(records))
        for record in records[:first]:
            if not record.plain:
                _note_resume(inferred, record, told)


def _last_numbers(inferred: Inferred) -> dict[Any, tuple[Kind, Path]]:
    """Return the field with the last value of each growing number, if only one field has it."""
    found: dict[Any, list[tuple[Kind, Path]]] = {}
    for kind in inferred.heard:
        for path in () if kind.count < _LEAST_NUMBERS else dict.fromkeys(_paths(kind)):
            values = kind.values(path)
            numbers = all(isinstance(one, int) and not isinstance(one, bool) for one in values)
            if numbers and len(values) == kind.count and all(a < b for a, b in pairwise(values)):
                found.setdefault(values[-1], []).append((kind, path))
    return {value: places[0] for value, places in found.items() if len(places) == 1}


def _note_resume(inferred: Inferred, record: Record, told: Mapping[Any, tuple[Kind, Path]]) -> None:
    greeting = next((one for one in inferred.greeting if not one.plain), None)
    for path, value in leaves(record.tree):
        source = told.get(value) if isinstance(value, str | int) and not isinstance(value, bool) else None
        if (
            source is None
            or (listener := inferred.heard.get(source[0])) is None
            or path in dict(record.kind.constants)
        ):
            continue
        if greeting is not None and at(greeting.tree, path) == value:
            continue
        name = listener.remembers.setdefault(
            source[1], _name(source[1], path, set(listener.remembers.values()))
        )
        same = greeting is not None and shape(greeting.tree) == shape(record.tree)
        if same and greeting is not None:
            said = inferred.said.get(greeting.kind)
            if said is not None:
                said.remembered[path] = name
        else:
            said = Said(record.kind, Speech.GREETING, "it is the first message on a later connection")
            said.remembered[path] = name
            inferred.said = {**inferred.said, record.kind: said}
            inferred.resuming, inferred.resumes_with = (record,), name
        inferred.notes.append(
            f"a later connection began with {name_of(path)} of an earlier message: this resumes the session"
        )
        return


def find_session(inferred: Inferred, later: Sequence[Sequence[Record]]) -> None:
    """Record the id in the establishing message that stays the same, if the recording shows one.

    Args:
        inferred: the conversation.
        later: records of later connections to the same endpoint.
    """
    heard = inferred.heard.get(inferred.established) if inferred.established is not None else None
    if heard is None or inferred.established is None:
        return
    record = inferred.established.records[0]
    if record.plain:
        return
    for path, value in leaves(record.tree):
        if not isinstance(value, str) or len(value) < _SHORTEST or not _SESSION_NAME.match(name_of(path)):
            continue
        if _in_path(value, inferred.connection.path):
            is_thread = "thread" in name_of(path).lower()
            if is_thread:
                heard.thread_path = path
            else:
                heard.session_path = path
            inferred.path_ids = {**inferred.path_ids, value: "thread_id" if is_thread else "session_id"}
            inferred.identifies = True
            where = "of the message that establishes the session equals the id in the path"
            inferred.notes.append(f"field {name_of(path)} {where}: it identifies the session")
            continue
        again = sum(any(_has(one, path, value) for one in records if not one.sent) for records in later)
        if later and again == len(later) and heard.session_path is None:
            heard.session_path = path
            inferred.identifies = True
            inferred.notes.append(
                f"field {name_of(path)} was the same on {counted(again, 'later connection')}"
            )


def _has(record: Record, path: Path, value: str) -> bool:
    return not record.plain and at(record.tree, path) == value


def _in_path(value: str, path: str) -> bool:
    return len(value) >= _SHORTEST and re.search(rf"(?<![\w-]){re.escape(value)}(?![\w-])", path) is not None


def find_history(inferred: Inferred, later: Sequence[Sequence[Record]]) -> None:
    """Record the message that restores a history: a list with texts that the client had sent before."""
    texts = {
        at(record.tree, said.text_path)
        for said in inferred.speeches(Speech.REQUEST, Speech.STREAM, Speech.SEND)
        if said.text_path
        for record in said.kind.records
    }
    texts = {text for text in texts if isinstance(text, str) and len(text) >= 2}
    for records in (*later, inferred.records):
        for record in records[:30]:
            if record.sent or record.plain:
                continue
            place = _list_with(record.tree, texts)
            if place is not None:
                _restores(inferred, record, place, texts)
                return


def _restores(inferred: Inferred, record: Record, place: tuple[Path, Path], texts: set[str]) -> None:
    heard = dict(inferred.heard)
    kind = next(
        (one for one in heard if one.constants == record.kind.constants and one.keys == record.kind.keys),
        record.kind,
    )
    found = heard.get(kind)
    if found is not None and found.meaning not in (Meaning.PUSH, Meaning.ESTABLISHED):
        return
    if found is None or found.meaning is not Meaning.ESTABLISHED:
        found = heard[kind] = Heard(kind, Meaning.RESTORED, "it has a list with texts that were sent before")
    found.texts_path, found.own_role = place, _own_role(at(record.tree, place[0]), place[1], texts)
    inferred.heard = heard


_ROLES = re.compile(r"(?i)^(?:role|sender|from|author|type|kind|who|direction)$")


def _own_role(items: Sequence[Any], inner: Path, texts: set[str]) -> tuple[str, str] | None:
    """Return the key and value that only the client's own items of a history have."""
    maps = [item for item in items if isinstance(item, dict)]
    own = [item for item in maps if at(item, inner) in texts] if inner else []
    others = [item for item in maps if item not in own]
    for key, value in own[0].items() if own and others else ():
        same = isinstance(value, str) and all(item.get(key) == value for item in own)
        if same and _ROLES.match(key) and not any(item.get(key) == value for item in others):
            return key, value
    return None


def _list_with(tree: Any, texts: set[str], path: Path = ()) -> tuple[Path, Path] | None:
    """Return the path of a list, of texts or of objects with texts, that contains one of these texts."""
    if isinstance(tree, list) and path:
        if any(isinstance(one, str) and one in texts for one in tree):
            return path, ()
        for item in tree[:50]:
            for own, value in leaves(item):
                if isinstance(item, dict) and isinstance(value, str) and value in texts and len(own) <= 2:
                    return path, own
    if isinstance(tree, dict):
        for key, value in tree.items():
            found = _list_with(value, texts, (*path, key))
            if found is not None:
                return found
    return None
