"""Checks texts that come back in replies, pushes and restored histories. Pure.

A text carries the mark of its request (`loadtest.dialects.marks`), which shows the session it belongs to and
whether it is intact. A reply may contain more than its request's text, because chat servers quote. So it may
contain earlier texts of its session, whole or in part, but no later one, which would belong to another reply.
"""

from typing import Any

from loadtest.dialects.base import SESSION, Failed, Reply
from loadtest.dialects.dialect_session import DialectSession
from loadtest.dialects.marks import Flaw, difference
from loadtest.session.ledger import Outcome

_BESIDE = 60
"""Characters of each of two texts side by side."""


def flaw_of_reply(reply: Reply, sequence: int, about: DialectSession) -> Outcome | None:
    """Return the flaw of a reply's text, None if it contains the text of its request.

    Raises:
        AttributeError, TypeError: the reply's text is not a str.
    """
    text: Any = reply.text  # given by a user's dialect
    if text is None:
        return Outcome.CORRUPTED
    sent = about.text(sequence)
    if text == sent:
        return None
    if not reply.whole and text.count(sent) == 1 and about.marker.may_quote(sequence, text):
        return None
    return Outcome.FOREIGN if about.marker.is_foreign(text) else Outcome.CORRUPTED


def flaws_of(text: str, about: DialectSession) -> tuple[list[int], Flaw | None, str]:
    """Check a text in a restored history or a push.

    Returns:
        The sequence numbers of this session's texts in it, without duplicates; the flaw, if any; an example
        of the flaw. A text without a mark of this run is not checked.
    """
    foreign = about.marker.foreign_part(text)
    if foreign is not None:
        sequence, got = foreign
        return [], Flaw.FOREIGN, f"of another session: {difference(about.text(sequence), got)}"
    own = list(dict.fromkeys(about.marker.own(text)))
    for sequence in own:
        sent = about.text(sequence)
        times = text.count(sent)
        if times != 1:
            example = f"it contains its text {times} times" if times else difference(sent, text)
            return own, Flaw.ALTERED, f"request {sequence}: {example}"
    return own, None, ""


def numbered(sequence: int, name: str) -> str:
    """Return a request's name for people.

    Args:
        sequence: its number.
        name: name of its type of message, empty if it has none.
    """
    return f"request {sequence} ({name})" if name else f"request {sequence}"


def flawed(reply: Reply | Failed, sequence: int, name: str, detail: str, about: DialectSession | None) -> str:
    """Return the example for a reply with a flaw: its request, and what is wrong.

    Args:
        reply: the reply.
        sequence: of the request; -1 if it names none.
        name: of the request's type of message.
        detail: the server's message, if the reply is an error.
        about: the session, if the reply's text differs from the request's.
    """
    if isinstance(reply, Failed) and reply.sequence == SESSION:
        return f"{SESSION}: {detail}"
    named = sequence if reply.sequence is None else repr(reply.sequence)  # shows text as text
    example = f"request {named}" if sequence >= 0 else f"reply to {reply.sequence!r}"
    example += f" ({name})" if name else ""
    if isinstance(reply, Failed):
        return f"{example}: {detail}"
    if about is not None:
        return f"{example}: {difference(about.text(sequence), str(reply.text or ''))}"
    return example


def out_of_order(late: int, early: int, about: DialectSession) -> str:
    """Return the example for a request that came after a later one, with the beginnings of both texts."""
    texts = [f'"{about.text(sequence)[:_BESIDE]}"' for sequence in (late, early)]
    return f"request {late} after request {early}: {' after '.join(texts)}"
