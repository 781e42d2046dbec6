"""The beginning of a conversation: greeting, login, and the message that establishes the session. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from loadtest.capture.message_ids import Ids
from loadtest.capture.message_kinds import Kind, Record
from loadtest.capture.redaction import is_secret_name
from loadtest.capture.trees import leaves, name_of

GREETS: Final = re.compile(
    r"\b(?:auth\w*|log ?in|hello|init\w*|connect\w*|join|identify|register|handshake|protocol|start|session"
    r"|resume|phx join|40|boot ?notification|boot|open|setup|sign ?in|hi|version|connection)\b"
)
"""Names of what clients say first on each connection."""

ESTABLISHES: Final = re.compile(
    r"\b(?:establish\w*|ready|welcome|connected|\w*ack|hello|session|joined|auth\w*|init\w*|login|logged|ok"
    r"|open\w*|registered|resumed|created|started|40|identified|success|greeting)\b"
)
"""Names of what servers say once a session is established."""

_ASKS: Final = re.compile(
    r"\b(?:auth\w*|log ?in|sign ?in|token|credentials?|password|identify)\b.*"
    r"\b(?:required|needed|request|please)\b"
    r"|\b(?:challenge|nonce|authenticate)\b"
)
"""Names of what servers say before a session is established: they ask for a login."""


def asks_login(kind: Kind) -> bool:
    """Return whether a server message requests a login, judging by its name."""
    return kind.says(_ASKS)


_LONGEST_OPENING: Final = 30
"""Records within which a conversation is established."""


@dataclass(frozen=True, slots=True)
class Opening:
    """The beginning of a conversation.

    Args:
        greeting: messages that the client sends first, without being asked.
        login: its answers to server messages, with the kind of these.
        established: the kind of message that establishes the session; None if none does.
        by_id: whether it is the reply to the greeting, matched by id.
        setup: messages that the client sends once, right after it: subscriptions.
        why: the evidence.
    """

    greeting: Sequence[Record] = ()
    login: Sequence[tuple[Kind, Record]] = ()
    established: Kind | None = None
    by_id: bool = False
    setup: Sequence[Record] = ()
    why: str = ""


def find_opening(records: Sequence[Record], ids: Ids | None, aside: set[Kind]) -> Opening:
    """Return the beginning of a conversation.

    Args:
        records: records of the conversation.
        ids: the ids of its requests.
        aside: kinds to ignore: heartbeats, answers to the server, and the messages that request these.
    """
    phase: list[Record] = []
    for record in records[:_LONGEST_OPENING]:
        if record.kind in aside:
            continue
        asked = bool(phase) and not phase[-1].sent and asks_login(phase[-1].kind) and record.kind.count == 1
        if record.sent and not _greets(record) and not asked:
            break
        phase.append(record)
    else:
        if len(records) > _LONGEST_OPENING and not any(record.sent for record in phase):
            phase = phase[:1]
    greets = [record for record in phase if record.sent]
    found = _established(phase, greets, ids)
    if found is None:
        early = [record for record in greets if record.order < _first_received(records)]
        return Opening(greeting=early)
    established, by_id, why = found
    said = [record for record in greets if record.order < established.order]
    first = _first_received(records)
    login = []
    for record in said:
        if record.order > first:
            asking = max(
                (one for one in phase if not one.sent and one.order < record.order), key=lambda one: one.order
            )
            login.append((asking.kind, record))
    return Opening(
        greeting=[record for record in said if record.order < first],
        login=login,
        established=established.kind,
        by_id=by_id,
        setup=[] if by_id else _setup(records, established, ids, aside),
        why=why,
    )


_SETS_UP: Final = re.compile(r"\b(?:subscribe|sub|join|listen|enter|watch|follow|register|configure)\b")


def _setup(records: Sequence[Record], established: Record, ids: Ids | None, aside: set[Kind]) -> list[Record]:
    """Return the subscriptions without ids that follow at once: each connection needs them."""
    found = []
    for record in records[established.order + 1 :]:
        if record.kind in aside or not record.sent:
            continue
        tied = (
            ids is not None
            and ids.of(record) is not None
            and ids.answered > 1
            and _is_answered(record, records, ids)
        )
        if record.kind.count > 1 or tied or not record.kind.says(_SETS_UP):
            break
        found.append(record)
    return found


def _is_answered(record: Record, records: Sequence[Record], ids: Ids) -> bool:
    name = ids.of(record)
    return any(not one.sent and ids.of(one) == name for one in records[record.order + 1 :])


def _first_received(records: Sequence[Record]) -> int:
    return next((record.order for record in records if not record.sent), len(records))


def _greets(record: Record) -> bool:
    if record.kind.count > 1 and not record.kind.says(GREETS):
        return False
    if record.kind.records[0] is not record:
        return False
    secret = not record.plain and any(
        isinstance(value, str) and is_secret_name(name_of(path)) for path, value in leaves(record.tree)
    )
    return record.kind.says(GREETS) or secret


def _established(
    phase: Sequence[Record], greets: Sequence[Record], ids: Ids | None
) -> tuple[Record, bool, str] | None:
    after = greets[-1].order if greets else -1
    own = {name for record in greets if ids and (name := ids.of(record)) is not None}
    by_id = [record for record in phase if not record.sent and ids and ids.of(record) in own and own]
    if by_id:
        return by_id[-1], True, "it answers the greeting, matched by id"
    once = [
        record
        for record in phase
        if not record.sent and record.kind.count == 1 and not asks_login(record.kind)
    ]
    later = [record for record in once if record.order > after]
    named = [record for record in later if record.kind.says(ESTABLISHES)]
    if named:
        return named[0], False, "it occurs once, before the first request, and its name suggests it"
    if greets and later:
        return later[0], False, "it occurs once, after the client's greeting"
    earlier = [record for record in once if record.kind.says(ESTABLISHES)]
    if earlier:
        return earlier[-1], False, "it occurs once, before the first request, and its name suggests it"
    if not greets and later and phase and later[0] is phase[0] and len(phase) <= 3:
        return later[0], False, "it occurs once and is the first message"
    return None
