"""What a checked conversation shows, and what its dialect leaves unjudged. Pure.

Each finding says what to do about it, as far as that can be known. A new error of a run needs no row in
`_HINTS`: it is shown with its example anyway.
"""

import re
from collections.abc import Iterator, Sequence
from enum import StrEnum

from msgspec import Struct

from loadtest.dialects.base import Dialect
from loadtest.engine.conversation import Conversation, Ending, Fault, What
from loadtest.text import counted, one_line


class Level(StrEnum):
    """Weight of a finding; the value is shown."""

    MISTAKE = "MISTAKE"
    FAIL = "FAIL"
    NOTE = "note"


class Finding(Struct, frozen=True, kw_only=True):
    """One finding.

    Args:
        level: its weight: a mistake of the dialect, a failed conversation, or a remark.
        what: what is wrong.
        detail: the first example, or the place in the code.
        hint: what to do.
    """

    level: Level
    what: str
    detail: str = ""
    hint: str = ""


class Unjudged(Struct, frozen=True, kw_only=True):
    """Something that a run with this dialect does not judge.

    Args:
        what: in a word.
        means: what is not noticed.
        declare: how the dialect would have to declare it; empty if it needs nothing.
    """

    what: str
    means: str
    declare: str = ""


_LOGIN = (
    "Does the server require a login (--token, --header, the dialect's login), and is the path right? Some "
    "servers answer this way to unknown paths"
)
_WEBSOCKET = "Does a WebSocket server listen on this port, with TLS (wss://) or without (ws://)?"

_HINTS: Sequence[tuple[str, str]] = (
    ("tcp: refused", "Is the server running, and is this its port?"),
    ("tcp: ", "Can this machine reach the server?"),
    ("dns: ", "Check the name in --host"),
    ("proxy: ", "Is --proxy the address of a proxy of this kind, and may this machine use it?"),
    (".*: client_certificate", "The server requires a client certificate that it trusts: --tls-cert"),
    ("upgrade: http_40[13]", _LOGIN),
    ("upgrade: http_404", "Is this the path of the WebSocket endpoint? Set default_path, or use --path"),
    ("upgrade: http_3..", "The server redirects: use the host and path of its redirect"),
    ("upgrade: (bad_handshake|eof|reset)", _WEBSOCKET),
    (
        "established: establish_timeout",
        "With establishes = True, read must return Established for the message that confirms the session. "
        "Does the server wait for a greeting?",
    ),
    ("established: auth_required", _LOGIN),
    ("established: closed", "Does the server require a token, another path or another greeting?"),
    (
        "reply unmatched",
        "A Reply needs the sequence that request was called with, as a number or its decimal text. If the "
        "protocol has no ids, use session.sequence_of(text), or None for the oldest request",
    ),
    (
        "reply altered",
        "request must put session.text(sequence) where the user's text goes, and the server must return it "
        "unchanged. If it changes texts by design, leave the text out of the Reply",
    ),
    (
        "reply holds another session's text",
        "In a chat room, use session.sequence_of(text) to recognise the session's own messages",
    ),
    (
        "reply duplicated",
        "If the server both confirms and answers each request, return Reply for only one of the two",
    ),
    ("reply reordered", "If replies may overtake each other, set ordered = False"),
    ("unreadable message", "Return None for messages that the dialect does not need"),
    (
        "streamed reply broke off",
        "read must return Reply for the end of a stream. If parts take longer, use --reply-timeout",
    ),
    (
        "resumed into another session",
        "endpoint or greeting must send the session's id: session.session_id, or the server's id, kept in "
        "session.memory",
    ),
    (
        "acknowledged requests are not restored",
        "Pass the texts of this session's requests to Restored. If the server restores only the newest "
        "messages, set history_window",
    ),
    (
        "no history was restored",
        "With keeps_history = True, read should return Restored after a resume. A run does not judge the "
        "history if no resume restores any",
    ),
)
"""Regular expressions for the beginning of an error, and what to do about it; the first that fits counts."""

_CONNECTING = {"connect": "could not connect", "reconnect": "could not reconnect"}


def findings(conversation: Conversation) -> list[Finding]:
    """Return the findings, the gravest first; without the failures that follow from a mistake."""
    mistakes = list(_mistakes(conversation))
    found = [*mistakes, *_notes(conversation)]
    found += [one for one in _failures(conversation) if not mistakes or one.level is Level.NOTE]
    order = list(Level)
    return sorted(found, key=lambda finding: order.index(finding.level))


def _mistakes(conversation: Conversation) -> Iterator[Finding]:
    for raised in conversation.raised:
        times = f" ({raised.count} times)" if raised.count > 1 else ""
        hint = _UNBLOCK if conversation.ending is Ending.BLOCKED else ""
        yield Finding(level=Level.MISTAKE, what=f"{raised.problem}{times}", detail=raised.place, hint=hint)


_UNBLOCK = "All sessions of a run share one event loop. In login, use await session.blocking(function, …)"


def _failures(conversation: Conversation) -> Iterator[Finding]:
    for fault in conversation.faults:
        yield _failure(conversation, fault)
    items = {fault.item for fault in conversation.faults}
    match conversation.ending:
        case Ending.NOT_ESTABLISHED if "connect" not in items:
            yield Finding(
                level=Level.FAIL,
                what="the session was not established",
                hint=(
                    "With establishes = True, read must return Established for the message that confirms "
                    "the session"
                ),
            )
        case Ending.NOT_RESUMED if "reconnect" not in items:
            yield Finding(level=Level.FAIL, what="the session was not established again after the drop")
        case Ending.NO_REPLY if not any(fault.error == _NO_REPLY for fault in conversation.faults):
            yield Finding(
                level=Level.FAIL, what="the last request was not answered", hint=_unheard(conversation)
            )
        case Ending.LOST:
            lost = next((entry for entry in conversation.entries if entry.what is What.LOST), None)
            yield Finding(
                level=Level.FAIL,
                what="the connection ended before the client closed it",
                detail=f"{lost.text}: {lost.meaning}".removesuffix(": ") if lost else "",
            )


_NO_REPLY = "no reply in time"
_NO_HISTORY = "no history was restored"


def _failure(conversation: Conversation, fault: Fault) -> Finding:
    times = f" ({fault.count} times)" if fault.count > 1 else ""
    what = f"{_CONNECTING[fault.item]} ({fault.error})" if fault.item in _CONNECTING else fault.error
    hint = _unheard(conversation) if fault.error == _NO_REPLY else _hint(fault.error)
    level = Level.NOTE if fault.error == _NO_HISTORY or fault.item == "generator" else Level.FAIL
    return Finding(level=level, what=f"{what}{times}", detail=fault.example, hint=hint)


def _hint(error: str) -> str:
    return next((hint for pattern, hint in _HINTS if re.match(pattern, error)), "")


def _unheard(conversation: Conversation) -> str:
    """Return where the reply may have gone."""
    if conversation.seen.get("ignored"):
        return "read returned None for some messages (see below): was the reply among them?"
    if any(entry.what is What.RECEIVED for entry in conversation.entries[_last_request(conversation) :]):
        return "Was the reply among the messages that were read as something else?"
    return "The server sent nothing after it: does it expect another message, or a greeting first?"


def _last_request(conversation: Conversation) -> int:
    sent = [at for at, entry in enumerate(conversation.entries) if entry.what is What.SENT]
    return sent[-1] if sent else 0


_IGNORED = 60
"""Characters shown of an ignored message."""


def _notes(conversation: Conversation) -> Iterator[Finding]:
    ignored = conversation.seen.get("ignored", 0)
    if ignored:
        yield Finding(
            level=Level.NOTE,
            what=f"{counted(ignored, 'message')} ignored: read returned None, or an empty list",
            detail=", ".join(one_line(text, _IGNORED) for text in conversation.ignored),
        )
    for method, took_ms in conversation.blocked_ms.items():
        what = f"{method} blocked the event loop"
        yield Finding(level=Level.NOTE, what=what, detail=f"for {took_ms:,.0f} ms", hint=_UNBLOCK)


def unjudged(conversation: Conversation, dialect: Dialect) -> list[Unjudged]:
    """Return what a run with this dialect does not judge."""
    rows = (
        *_unjudged_messages(conversation, dialect),
        *_unjudged_sessions(conversation, dialect),
        *_unjudged_pushes(conversation, dialect),
        *_unjudged_drops(conversation, dialect),
    )
    return [Unjudged(what=what, means=means, declare=declare) for what, means, declare in rows]


_Rows = Iterator[tuple[str, str, str]]


def _unjudged_messages(conversation: Conversation, dialect: Dialect) -> _Rows:
    seen = conversation.seen
    if not type(dialect).overrides("request"):
        yield (
            "replies",
            "the dialect sends no requests: only connecting and pushes are judged",
            "request(…)",
        )
    if seen.get("request.unanswerable"):
        means = "whether requests with replies=False arrive is not judged"
        yield ("replies", means, "Request(data, replies=True), if the server can confirm them")
    unchecked = seen.get("Reply", 0) - seen.get("Reply.text", 0)
    if unchecked:
        which = "replies have" if unchecked == seen["Reply"] else "some replies have"
        put = "" if seen.get("request.marked") else "put session.text(sequence) into the request, and return "
        means = f"{which} no text: altered replies, and those of other requests, are not noticed"
        yield ("texts", means, f"{put}Reply(sequence, text)")
    if not dialect.ordered:
        yield ("order", "replies may overtake each other", "ordered = True")


def _unjudged_sessions(conversation: Conversation, dialect: Dialect) -> _Rows:
    if not dialect.establishes:
        means = "a session counts as established once its WebSocket is open"
        yield ("welcome", means, "establishes = True, and return Established()")
    if not dialect.identifies:
        means = "whether a resume continues the same session is not judged"
        also = "" if dialect.establishes else "establishes = "
        yield ("identity", means, f"{also}identifies = True, and return Established(session_id=…)")
    elif not conversation.seen.get("Established.session_id"):
        means = "identifies = True, but no Established has a session_id: there is nothing to compare"
        yield ("identity", means, "Established(session_id=…)")
    if not dialect.keeps_history:
        means = "what the server restores after a reconnect is not judged"
        yield ("history", means, "keeps_history = True, and return Restored(texts=…)")
    elif conversation.seen.get("Restored.sequences") and not conversation.seen.get("Restored.texts"):
        yield ("history", "altered texts in it are not noticed", "Restored(texts=…)")


def _unjudged_pushes(conversation: Conversation, dialect: Dialect) -> _Rows:
    seen = conversation.seen
    pushes = seen.get("Push", 0)
    if not pushes:
        means = "no Push was read: messages that the server sends on its own are not judged"
        yield ("pushes", means, "Push(text=…, number=…), if it sends any")
        return
    if not (dialect.pushes or type(dialect).overrides("request")):
        yield ("pushes", "a run without requests is judged by its pushes only if", "pushes = True")
    if dialect.pushes_per_s is None:
        yield ("pushes", "a stream of pushes that stops is not noticed", "pushes_per_s, if they are periodic")
    for field, means in (
        ("number", "lost and repeated pushes are not noticed"),
        ("text", "altered pushes, and those for another session, are not noticed"),
        ("sent_at_ms", "the delay of pushes is not measured"),
    ):
        if seen.get(f"Push.{field}", 0) < pushes:
            yield ("pushes", means, f"Push({field}=…)")


def _unjudged_drops(conversation: Conversation, dialect: Dialect) -> _Rows:
    if not type(dialect).overrides("probe"):
        means = "without a probe, mid_reply drops send nothing, so the server may be idle"
        yield ("probe", means, "probe, with a message that the server answers and does not store")
    if dialect.heartbeat_s is None:
        yield ("heartbeat", "idle sessions send nothing", "heartbeat_s and heartbeat, if clients have one")
    elif not conversation.seen.get("heartbeat"):
        yield ("heartbeat", f"none was due within this check (heartbeat_s = {dialect.heartbeat_s:g})", "")
