"""The session ids of a run, and which session a record of the server's log names.

Servers write a session in many ways: `session=S`, `/ws/S?thread_id=T`, a field of a JSON record, the text of
an exception. So an id that the run knows counts wherever a record has it as a whole word. The tool and the
server may have different ids for one session; both name it. An id that the server gave to several sessions
names none.

A text is searched in time linear in its length, however many ids are known: each word of it is looked up
among the first words of all ids, then the id that would begin there. Only ids of `MIN_LENGTH` characters and
more are searched for, since a shorter one ("7") may stand for anything; those count where a record says that
they are a session (`session=7`).
"""

import re
from collections.abc import Iterator

from loadtest.serverlog.payloads import texts_in
from loadtest.serverlog.records import MAX_NAME, LogRecord

MIN_LENGTH = 6
"""Shortest id that is searched for in a text."""

MAX_KNOWN = 1_000_000
"""Ids kept; a server may give a new one with each connection. Later ones are not known."""

_MAX_SHAPES = 16
"""Shapes of ids with the same first word; a run's own ids have one or two."""

_WORD = re.compile(r"[^\W_]+")


class KnownSessions:
    """The session ids of a run.

    Args:
        run_id: the run's id, by which the tool's own session ids (`RUN-000001`) are known before a session is
            added; empty if all are added.
    """

    def __init__(self, run_id: str = "") -> None:
        self._run_id = run_id
        self._own = re.compile(re.escape(run_id) + "-[0-9]{6,}")
        self._sessions: dict[str, str] = {}  # by id; empty for an id that several sessions have
        self._shapes: dict[
            str, list[tuple[int, int]]
        ] = {}  # by an id's first word: its place, the id's length

    def add(self, session: str, known_as: str | None = None) -> None:
        """Add a session of the run.

        Args:
            session: the tool's id for it.
            known_as: the id that the server gave it; None if that is the same.
        """
        session_id = known_as or session
        others = session_id not in self._sessions and len(self._sessions) >= MAX_KNOWN
        if others or len(session_id) > MAX_NAME:
            return
        if self._sessions.setdefault(session_id, session) != session:
            self._sessions[session_id] = ""
        word = _WORD.search(session_id)
        if word is None or len(session_id) < MIN_LENGTH:
            return
        shape = (word.start(), len(session_id))
        shapes = self._shapes.setdefault(word[0], [])
        if shape not in shapes and len(shapes) < _MAX_SHAPES:
            shapes.append(shape)
            shapes.sort(key=lambda known: -known[1])  # the longest first: one id may begin with another

    def session_of(self, named: str) -> str:
        """Return the tool's id for a session that a record says it names; the same if it is unknown."""
        return self._sessions.get(named, named)

    def __contains__(self, named: str) -> bool:
        """Whether this is an id of one session of the run."""
        return bool(self._sessions.get(named)) or self._is_own(named)

    def named_in(self, record: LogRecord) -> str:
        """Return the tool's id for the session that a record names.

        What the record calls its session comes first, if the run knows it; then the first known id in its
        message, its exception, its fields and its traceback. If there is none, it is what the record calls
        its session: that of another client, or empty.
        """
        if record.session in self:
            return self.session_of(record.session)
        found = (self._first(text) for text in _texts(record))
        return next(filter(None, found), self.session_of(record.session))

    def _is_own(self, text: str) -> bool:
        return bool(self._run_id) and self._own.fullmatch(text) is not None

    def _first(self, text: str) -> str:
        """Return the session whose id comes first in a text; empty if there is none."""
        for word in _WORD.finditer(text):
            own = self._own.match(text, word.start()) if word[0] == self._run_id else None
            if own and _ends(text, own.end()):
                return own[0]
            for place, length in self._shapes.get(word[0], ()):
                start = word.start() - place
                found = self._sessions.get(text[start : start + length]) if start >= 0 else None
                if found and _ends(text, start + length):
                    return found
        return ""


def _ends(text: str, position: int) -> bool:
    """Whether no word goes on at this position."""
    return not text[position : position + 1].isalnum()


def _texts(record: LogRecord) -> Iterator[str]:
    yield record.message
    yield record.exception
    if record.frame:
        yield from texts_in(record.frame)
    yield record.traceback
