"""Finds the server messages that are replies, with or without ids, and those that are pushes. Pure."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from loadtest.capture.inferred import Heard, Meaning, Said, Speech
from loadtest.capture.message_ids import Ids, answers_of
from loadtest.capture.message_kinds import Kind, Record, evidence
from loadtest.capture.trees import MISSING, Path, at, leaves, name_of, shown

FAILS: Final = re.compile(
    r"\b(?:error|errors|fail\w*|reject\w*|denied|invalid|exception|nack|forbidden|unauthorized|44)\b"
)
"""Names of errors."""

_FINE_NAME = re.compile(r"^(?:status|ok|success|succeeded|code|result|state|error|errors|err)$")
_FINE: Final[tuple[Any, ...]] = ("ok", "OK", "success", "SUCCESS", "accepted", "Accepted", 200)
"""Values that say that all is well."""

_DETAIL_NAME = re.compile(
    r"(?i)^(?:message|msg|reason|detail|details|description|error|error_?message|code)$"
)
_MOST: Final = 0.85
"""Share of requests, or of replies, of which something must be true to be taken for a rule."""

_WITHIN: Final = 60
"""Records after a request among which its reply is looked for."""


def by_ids(records: Sequence[Record], ids: Ids | None, aside: set[Kind]) -> tuple[list[Said], list[Heard]]:
    """Return the meanings of kinds whose messages have the ids of requests.

    Args:
        records: records of the conversation.
        ids: the ids of requests.
        aside: kinds of the client that are not requests.
    """
    if ids is None:
        return [], []
    asked: dict[Kind, list[list[Record]]] = {}
    for record, answers in answers_of(records, ids):
        asked.setdefault(record.kind, []).append(answers)
    answered = {kind: [one for one in lists if one] for kind, lists in asked.items()}
    lasts, inner, ends = _places(found for kind, found in answered.items() if kind not in aside)
    tied = {kind for kind in ids.paths if lasts[kind] or inner[kind]}
    heard = {kind: _heard_by_id(kind, ids, lasts, inner, ends) for kind in tied}
    said = [
        _said_by_id(kind, answered[kind], len(lists), heard, ids)
        for kind, lists in asked.items()
        if kind not in aside
    ]
    for kind in ids.paths:  # replies only to heartbeats or the greeting
        if kind not in heard:
            heard[kind] = Heard(
                kind,
                Meaning.REPLY,
                f"field {shown(ids.paths[kind])} is the id of the message",
                ids.paths[kind],
            )
    return said, list(heard.values())


def _places(
    lists: Iterator[list[list[Record]]],
) -> tuple[Counter[Kind], Counter[Kind], dict[Kind, list[tuple[Record, bool]]]]:
    """Return how often each kind is the last answer and an earlier one, and all answers by kind."""
    lasts: Counter[Kind] = Counter()
    inner: Counter[Kind] = Counter()
    ends: dict[Kind, list[tuple[Record, bool]]] = {}
    for answers_to_kind in lists:
        for answers in answers_to_kind:
            for place, record in enumerate(answers, 1):
                is_last = place == len(answers)
                (lasts if is_last else inner)[record.kind] += 1
                ends.setdefault(record.kind, []).append((record, is_last))
    return lasts, inner, ends


def _heard_by_id(
    kind: Kind,
    ids: Ids,
    lasts: Mapping[Kind, int],
    inner: Mapping[Kind, int],
    ends: Mapping[Kind, list[tuple[Record, bool]]],
) -> Heard:
    path = ids.paths[kind]
    named = sum(len(found) for found in (ends[kind],))
    why = f"field {shown(path)} is the id of the request ({evidence(named, kind.count)})"
    if is_failure(kind):
        return Heard(kind, Meaning.FAILED, why, path, detail_path=detail_of(kind))
    if not inner[kind]:
        return Heard(kind, Meaning.REPLY, why, path)
    if lasts[kind] < inner[kind] and (end := end_of(ends[kind])) is not None:
        end_path, value = end
        return Heard(
            kind, Meaning.PART, f"{why}; the last part has {shown(end_path)} = {value!r}", path, end=end
        )
    others_end = any(lasts[other] and other is not kind for other in ids.paths)
    if others_end and lasts[kind] <= 0.3 * (lasts[kind] + inner[kind]):
        return Heard(kind, Meaning.PART, f"{why}, and further messages follow", path)
    if lasts[kind] >= inner[kind]:
        return Heard(kind, Meaning.REPLY, why, path)
    return Heard(kind, Meaning.PUSH, f"{why}, repeatedly: a subscription")


_LAST = re.compile(r"(?i)fin|end|last|done|eof|eos|complete|stop")
"""Names of fields in which a number says that a part is the last one."""


def end_of(found: Sequence[tuple[Record, bool]]) -> tuple[Path, Any] | None:
    """Return the path and value that only the last parts of streams have."""
    if len(found) < 2:
        return None
    lasts = [dict(leaves(record.tree)) for record, is_last in found if is_last]
    others = [dict(leaves(record.tree)) for record, is_last in found if not is_last]
    for path, value in lasts[0].items() if lasts else ():
        constant = all(path in one and one[path] == value for one in lasts)
        telling = isinstance(value, bool) or (isinstance(value, str) and 0 < len(value) < 30)
        telling = telling or (value in (0, 1) and _LAST.search(name_of(path)) is not None)
        if constant and telling and not any(path in one and one[path] == value for one in others):
            return path, value
    return None


def _said_by_id(
    kind: Kind, answered: Sequence[Sequence[Record]], asked: int, heard: Mapping[Kind, Heard], ids: Ids
) -> Said:
    why = f"field {shown(ids.path)} is its id; {evidence(len(answered), asked)} answered"
    replies = [
        any(
            heard[one.kind].meaning in (Meaning.REPLY, Meaning.FAILED) or heard[one.kind].end
            for one in answers
        )
        for answers in answered
    ]
    if not answered or sum(replies) * 2 < len(answered):
        return Said(kind, Speech.SEND, why)
    streamed = any(heard[one.kind].meaning is Meaning.PART for answers in answered for one in answers)
    return Said(kind, Speech.STREAM if streamed else Speech.REQUEST, why)


def is_failure(kind: Kind) -> bool:
    """Return whether a kind of the server's messages is an error, by its name or a field `error`."""
    if kind.says(FAILS) and kind.constants:
        return True
    return (
        not kind.constants
        and any(key in ("error", "errors") for key in kind.keys)
        and not any(
            value in (None, [], "", False) for key in ("error", "errors") for value in kind.values((key,))
        )
    )


def detail_of(kind: Kind) -> Path | None:
    """Return the path of the server's error message."""
    texts = [
        path
        for path, value in leaves(kind.records[0].tree)
        if isinstance(value, str) and _DETAIL_NAME.match(name_of(path)) and path not in dict(kind.constants)
    ]
    return min(
        texts,
        key=lambda path: (name_of(path).lower() not in ("message", "msg", "reason"), len(path)),
        default=None,
    )


def fine_of(kind: Kind) -> tuple[Path, Any] | None:
    """Return the path and value that mean success in a kind of reply."""
    for path, value in leaves(kind.records[0].tree):
        named = len(path) <= 3 and path not in dict(kind.constants) and _FINE_NAME.match(name_of(path))
        if named and _is_fine(name_of(path), value):
            values = kind.values(path)
            if len(values) == kind.count and all(one == value for one in values):
                return path, value
    return None


def _is_fine(name: str, value: Any) -> bool:
    if name in ("error", "errors", "err"):
        return value is None
    return value is True or (not isinstance(value, bool) and value is not None and value in _FINE)


def by_order(
    records: Sequence[Record], asking: Sequence[Kind], candidates: Sequence[Kind], aside: set[Kind]
) -> tuple[list[Said], list[Heard]]:
    """Return the meanings of kinds whose messages have no ids: the reply follows its request.

    Args:
        records: records of the conversation.
        asking: the client's kinds without ids.
        candidates: the server's kinds without another meaning.
        aside: the client's kinds that are not requests: heartbeats, answers.
    """
    spans = list(_spans(records, set(asking), set(candidates), aside))
    if not spans:
        return [], []
    within = Counter(record.kind for _, answers in spans for record in answers)
    rules: dict[Kind, list[Kind]] = {}
    for kind in asking:
        own = [answers for asked, answers in spans if asked.kind is kind]
        rules[kind] = [one for one in candidates if _follows(one, own)]
    for one in candidates:  # replies to these kinds, and next to nothing else
        askers = [kind for kind in asking if one in rules[kind]]
        inside = sum(sum(r.kind is one for r in answers) for asked, answers in spans if asked.kind in askers)
        if inside < _MOST * one.count or inside < _MOST * within[one]:
            for kind in askers:
                rules[kind].remove(one)
    meanings: dict[Kind, Heard] = {}
    said = [_said_by_order(kind, rules[kind], spans, meanings) for kind in asking]
    return said, list(meanings.values())


def _spans(
    records: Sequence[Record], asking: set[Kind], candidates: set[Kind], aside: set[Kind]
) -> Iterator[tuple[Record, list[Record]]]:
    """Yield each request with the server messages before the next one."""
    current: tuple[Record, list[Record]] | None = None
    for record in records:
        if record.sent and record.kind not in aside:
            if current is not None:
                yield current
            current = (record, []) if record.kind in asking else None
        elif current is not None and record.kind in candidates and len(current[1]) < _WITHIN * 10:
            current[1].append(record)
    if current is not None:
        yield current


def _follows(kind: Kind, spans: Sequence[Sequence[Record]]) -> bool:
    return sum(any(record.kind is kind for record in answers) for answers in spans) >= _MOST * len(spans) > 0


def _said_by_order(
    kind: Kind,
    answering: Sequence[Kind],
    spans: Sequence[tuple[Record, list[Record]]],
    meanings: dict[Kind, Heard],
) -> Said:
    own = [
        [one for one in answers if one.kind in answering] for asked, answers in spans if asked.kind is kind
    ]
    own = [answers for answers in own if answers]
    asked = kind.count
    if not own:
        return Said(kind, Speech.SEND, "no server message follows each of them")
    last, count = Counter(answers[-1].kind for answers in own).most_common(1)[0]
    once = sum(sum(one.kind is last for one in answers) == 1 for answers in own)
    ends = [(one, one is answers[-1]) for answers in own for one in answers if one.kind is last]
    end = None if once >= _MOST * len(own) else end_of(ends)
    if end is None and once < _MOST * len(own):
        return Said(kind, Speech.SEND, "the messages after it repeat without an end")
    parts = list(dict.fromkeys(one.kind for answers in own for one in answers if one.kind is not last))
    why = f"it follows {kind.label} ({evidence(count, asked)})"
    for part in parts:
        meaning = Meaning.FAILED if is_failure(part) else Meaning.PART
        meanings.setdefault(
            part, Heard(part, meaning, f"it follows {kind.label}, and {last.label} is the last one")
        )
    if end is not None:
        meanings.setdefault(
            last, Heard(last, Meaning.PART, f"{why}; the last part has {shown(end[0])}", end=end)
        )
    elif is_failure(last):
        meanings.setdefault(last, Heard(last, Meaning.FAILED, why, detail_path=detail_of(last)))
    else:
        meanings.setdefault(last, Heard(last, Meaning.REPLY, why))
    streamed = bool(parts) or end is not None
    return Said(
        kind, Speech.STREAM if streamed else Speech.REQUEST, f"{evidence(len(own), asked)} answered, in order"
    )


def follows_beats(records: Sequence[Record], beat: Kind, candidates: Sequence[Kind]) -> Kind | None:
    """Return the kind that answers heartbeats: usually the next message after each, and as frequent."""
    after: Counter[Kind] = Counter()
    waiting = False
    for record in records:
        if record.kind is beat:
            waiting = True
        elif waiting and not record.sent:
            after[record.kind] += 1
            waiting = False
    likely = [kind for kind in candidates if after[kind] >= 0.6 * beat.count and kind.count <= beat.count + 1]
    return max(likely, key=lambda kind: after[kind], default=None)


def value_at(record: Record, path: Path) -> Any:
    """Return the value at a path in a record; None if there is none."""
    found = at(record.tree, path)
    return None if found is MISSING else found
