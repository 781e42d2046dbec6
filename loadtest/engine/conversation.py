"""A finished conversation of one session: its transcript and the data for findings. Pure."""

import re
from enum import StrEnum
from typing import Final

import msgspec
from msgspec import Struct

from loadtest.scrubber import Secrets, beginning, without_secrets
from loadtest.text import HIDDEN, one_line, without_likely_secrets

SHOWN: Final = 400
"""Characters of a text in the finished transcript."""


class What(StrEnum):
    """Kinds of entries; the value is shown."""

    LOGIN = "login"
    UPGRADE = "upgrade"
    READY = "ready"
    RESUMED = "resumed"
    SENT = "->"
    RECEIVED = "<-"
    DROP = "drop"
    CLOSED = "closed"
    LOST = "lost"
    FAILED = "failed"
    ERROR = "error"


class Entry(Struct, kw_only=True):
    """One line of a transcript.

    Args:
        at_ns: nanoseconds since the conversation began.
        what: kind of the entry.
        text: the message, or what happened.
        meaning: how the dialect read the message, and its outcome.
        bad: whether it shows an error.
    """

    at_ns: int
    what: What
    text: str = ""
    meaning: str = ""
    bad: bool = False


class Fault(Struct, kw_only=True):
    """Something that a run would count as an error.

    Args:
        item: item of the verdict.
        error: short fixed text.
        count: how often.
        example: of the first occurrence.
    """

    item: str
    error: str
    count: int
    example: str


class Raised(Struct, kw_only=True):
    """An exception of the dialect, or a wrong result.

    Args:
        problem: class, method, exception, and what the method was given.
        place: file and line; empty if unknown.
        count: how often.
    """

    problem: str
    place: str
    count: int = 1


class Ending(StrEnum):
    """How a conversation ended."""

    DONE = "done"
    NOT_ESTABLISHED = "not established"
    NO_REPLY = "no reply"
    LOST = "connection lost"
    NOT_RESUMED = "not resumed"
    BLOCKED = "blocked"
    MISTAKE = "mistake in the dialect"
    INTERRUPTED = "interrupted"


class Conversation(Struct, kw_only=True):
    """A finished conversation; all its texts are public.

    Args:
        entries: the transcript.
        omitted: number of messages not in the transcript.
        ending: how it ended.
        counts: the recorder's counts.
        faults: errors that a run would count.
        raised: exceptions of `read`, and the mistake that ended the conversation, if any.
        blocked_ms: by method, the longest time that it blocked the event loop, if long.
        seen: how often something occurred: types that `read` returned, with their fields (`Reply.text`),
            `ignored` messages, `heartbeat` messages, requests with a mark (`request.marked`).
        ignored: the first ignored messages, without duplicates.
    """

    entries: list[Entry]
    omitted: int
    ending: Ending
    counts: dict[str, int]
    faults: list[Fault]
    raised: list[Raised]
    blocked_ms: dict[str, float]
    seen: dict[str, int]
    ignored: list[str]


_CUT = re.compile(r"(\.\.\.|…)")


class Public:
    """Makes texts public: one bounded line, without secrets.

    Args:
        secrets: texts that must not appear.
    """

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    def text(self, text: str) -> str:
        """Return a public text. A secret may be cut off before an ellipsis, so each piece is checked."""
        pieces = _CUT.split(without_secrets(beginning(text), self._secrets))
        known = "".join(without_secrets(piece, self._secrets) for piece in pieces)
        # Between what is hidden already: "token": "***" shows no secret, and what the message says.
        likely = HIDDEN.join(map(without_likely_secrets, known.split(HIDDEN)))
        return one_line(likely, SHOWN)

    def entry(self, entry: Entry) -> Entry:
        """Return a public entry. Login entries contain only the tool's own words."""
        if entry.what is What.LOGIN:
            return entry
        return msgspec.structs.replace(entry, text=self.text(entry.text), meaning=self.text(entry.meaning))

    def fault(self, fault: Fault) -> Fault:
        """Return a public fault."""
        return msgspec.structs.replace(fault, example=self.text(fault.example))

    def raised(self, raised: Raised) -> Raised:
        """Return a public exception."""
        place = self.text(raised.place)
        if place != one_line(raised.place, SHOWN):  # a line of code with holes would only confuse
            place = place.partition(": ")[0]
        return msgspec.structs.replace(raised, problem=self.text(raised.problem), place=place)
