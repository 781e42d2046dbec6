"""The session ids of a run, and which session a record of the server's log names.

Servers write a session in many ways: `session=S`, `/ws/S?thread_id=T`, a field of a JSON record, the text of
an exception. So an id that the run knows counts wherever a record has it, unless it goes on there: after
`RUN-000001`, `-other` and `_x` make it the id of something else. An id is found percent-encoded too, as
access logs write it. The tool and the server may have different ids for one session; both name it. An id
that the server gave to several sessions names none.

Which sessions share an id is known for certain only after the run. So the ids in a record are kept as it has
them, and named sessions when the log is judged: a log that was followed is judged like one read afterwards.

A text is searched in time linear in its length, however many ids are known: each word of it is looked up
among the first words of all ids, then the id that would begin there. Only ids of `MIN_LENGTH` characters and
more are searched for, since a shorter one ("7") may stand for anything; those count where a record says that
they are a session (`session=7`).
"""

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from urllib.parse import unquote

from loadtest.serverlog.payloads import texts_in
from loadtest.serverlog.records import MAX_NAME, LogRecord

MIN_LENGTH = 6
"""Shortest id that is searched for in a text."""

MAX_KNOWN = 1_000_000
"""Ids kept; a server may give a new one with each connection. Later ones are not known."""

MAX_IN_RECORD = 4
"""Ids kept of a record: the one that it calls its session, and others."""

_MAX_SHAPES = 16
"""Shapes of ids with the same first word; a run's own ids have one or two."""

_MAX_OF_SESSION = 16
"""Ids remembered by session."""

_WORD = re.compile(r"[^\W_]+")
_GOES_ON = re.compile(r"[-_]*[^\W_]")


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
        self._given: dict[str, list[str]] = {}  # by session, the ids that the server gave it
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
        if session_id != session:
            given = self._given.setdefault(session, [])
            if session_id not in given and len(given) < _MAX_OF_SESSION:
                given.append(session_id)
        word = _WORD.search(session_id)
        if word is None or len(session_id) < MIN_LENGTH:
            return
        shape = (word.start(), len(session_id))
        shapes = self._shapes.setdefault(word[0], [])
        if shape not in shapes and len(shapes) < _MAX_SHAPES:
            shapes.append(shape)
            shapes.sort(key=lambda known: -known[1])  # the longest first: one id may begin with another

    def session_of(self, ids: Iterable[str]) -> str:
        """Return the session that a record with these ids names.

        Args:
            ids: as from `ids_in`.

        Returns:
            The tool's id for the first one that names a session of the run. If none does: the first id, that
            of another client; empty if several sessions of the run have it.
        """
        ids = tuple(ids)
        found = (self._sessions.get(one) or (one if self._is_own(one) else "") for one in ids)
        first = ids[0] if ids else ""
        return next(filter(None, found), self._sessions.get(first, first))

    def ids_of(self, session: str) -> tuple[str, ...]:
        """Return all ids of a session: the tool's and those that the server gave it."""
        return (session, *self._given.get(session, ()))

    def __contains__(self, named: str) -> bool:
        """Whether this is an id of one session of the run."""
        return bool(self._sessions.get(named)) or self._is_own(named)

    def ids_in(self, record: LogRecord) -> tuple[str, ...]:
        """Return the ids of sessions that a record has, as it has them, `MAX_IN_RECORD` at most.

        What the record calls its session comes first, known or not: it may become known later. Then come
        known ids in its message, its exception, its fields and its traceback.
        """
        called = [record.session] if record.session else []
        found = (one for text in _texts(record) for one in self._found(text))
        # An id may stand in a record many times: some are passed over, but not a whole traceback of them.
        return tuple(dict.fromkeys([*called, *islice(found, 4 * MAX_IN_RECORD)]))[:MAX_IN_RECORD]

    def _is_own(self, text: str) -> bool:
        return bool(self._run_id) and self._own.fullmatch(text) is not None

    def _found(self, text: str) -> Iterator[str]:
        """Yield the known ids in a text, in order."""
        plain = unquote(text) if "%" in text else text
        for word in _WORD.finditer(plain):
            if found := self._at(plain, word):
                yield found

    def _at(self, text: str, word: re.Match[str]) -> str:
        """Return the known id whose first word this is, empty if there is none."""
        own = self._own.match(text, word.start()) if word[0] == self._run_id else None
        if own and _ends(text, own.end()):
            return own[0]
        for place, length in self._shapes.get(word[0], ()):
            start = word.start() - place
            found = text[start : start + length] if start >= 0 else ""
            if found in self._sessions and _ends(text, start + length):
                return found
        return ""


def _ends(text: str, position: int) -> bool:
    """Whether an id ends at this position: no word and no further part of a name follows."""
    return _GOES_ON.match(text, position) is None


def _texts(record: LogRecord) -> Iterator[str]:
    yield record.message
    yield record.exception
    if record.frame:
        yield from texts_in(record.frame)
    yield record.traceback
