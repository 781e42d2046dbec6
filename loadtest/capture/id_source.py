"""Ids of requests in the generated code: from the sequence number, or new ones that are stored. Pure."""

from loadtest.capture.inferred import Inferred, Said, Speech
from loadtest.capture.message_ids import Ids, Style
from loadtest.capture.python_source import Code, joined
from loadtest.capture.redaction import Redactor


def keeps_ids(inferred: Inferred) -> bool:
    """Return whether ids must be stored: they are random, or greetings and heartbeats have ids, too."""
    ids = inferred.ids
    if ids is None:
        return False
    if ids.style in (Style.UUID, Style.RANDOM):
        return True
    others = inferred.speeches(Speech.GREETING, Speech.HEARTBEAT, Speech.LOGIN)
    return any(ids.of(record) is not None for said in others for record in said.kind.records)


def opening_owner(inferred: Inferred, said: Said) -> str:
    """Return the owner of the id in a message of the opening, as an expression.

    The reply to the owner `greeting` establishes the session; this may be the login that the server requests.
    """
    ids, established = inferred.ids, inferred.established
    names: set[str | None] = set()
    if inferred.establishing_id and ids is not None and established is not None:
        names = {ids.of(record) for record in established.records} - {None}
    logins = [
        one
        for one in inferred.speeches(Speech.LOGIN)
        if ids is not None and any(ids.of(record) in names for record in one.kind.records)
    ]
    if said.speech is Speech.LOGIN:
        return '"greeting"' if said in logins else '"login"'
    return '"opening"' if logins else '"greeting"'


def id_code(inferred: Inferred, owner: str) -> str:
    """Return the expression for the id of a message; `owner` is `sequence`, or a name for other messages."""
    ids, redactor = inferred.ids, inferred.redactor
    assert ids is not None
    if keeps_ids(inferred):
        return f"new_id(session, {owner})"
    number = f"{owner} + {ids.first}" if ids.first else owner
    if ids.style is Style.NUMBER:
        return number
    if ids.style is Style.DIGITS:
        return f"str({number})"
    return joined([redactor.public(ids.prefix), Code(number)])


def ids_source(ids: Ids, redactor: Redactor, *, greets: bool) -> str:
    """Return the functions that create ids and store their owners.

    Args:
        ids: the ids of requests.
        redactor: hides the secrets of the recording.
        greets: whether the reply to the greeting establishes the session.
    """
    returned = "int" if ids.style is Style.NUMBER else "str"
    if ids.style in (Style.UUID, Style.RANDOM):
        making = "str(uuid.uuid4())" if ids.style is Style.UUID else f"uuid.uuid4().hex[:{ids.length}]"
        make = f"    number = {making}\n"
    else:
        before = max(ids.first, 1) - 1
        make = f'    last = session.memory["last_id"] = session.memory.get("last_id", {before}) + 1\n'
        if ids.style is Style.NUMBER:
            make += "    number = last\n"
        elif ids.style is Style.DIGITS:
            make += "    number = str(last)\n"
        else:
            make += f"    number = {joined([redactor.public(ids.prefix), Code('last')])}\n"
    greeting = '    if owner == "greeting":\n        return lt.Established()\n' if greets else ""
    return (
        f"def new_id(session: lt.DialectSession, owner: int | str) -> {returned}:\n"
        '    """Return the id of a new message, and store its owner: a request\'s sequence number."""\n'
        f'{make}    session.memory.setdefault("ids", {{}})[number] = owner\n'
        '    if owner == "greeting":\n        session.memory["greeting"] = number\n'
        "    return number\n\n\n"
        "def owner_of(session: lt.DialectSession, number: object, *, last: bool = False) -> Any:\n"
        '    """Return the owner of an id, -1 if unknown; forget it after the last message with this id."""\n'
        '    ids = session.memory.get("ids", {})\n'
        "    return ids.pop(number, -1) if last else ids.get(number, -1)\n\n\n"
        "def reply_to(session: lt.DialectSession, number: object, *text: Any) -> lt.Incoming | None:\n"
        '    """Interpret the reply to the message with this id, and the text in it."""\n'
        "    owner = owner_of(session, number, last=True)\n"
        f"{greeting}"
        "    return None if isinstance(owner, str) else lt.Reply(owner, *text)\n"
    )
