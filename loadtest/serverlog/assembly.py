"""Assembles heads and the lines under them into records.

In a log of plain lines, the lines after a head belong to it. If a carrier wraps each line (Cloud Logging's
`textPayload`), a traceback comes in pieces, each an entry of its own. `gcloud logging read` prints the newest
entry first: then the pieces come before their head, last line first. The order is inferred from the entries'
times. A traceback without a head becomes a record of its own at level ERROR: Python prints one when an
exception is neither caught nor formatted.
"""

from loadtest.serverlog.formats import Entry
from loadtest.serverlog.records import MAX_MESSAGE, MAX_NAME, Counts, Level, LogRecord, session_in
from loadtest.serverlog.times import SECOND_NS
from loadtest.serverlog.tracebacks import Tail, starts_traceback
from loadtest.text import one_line

PIECES_WITHIN_NS = 2 * SECOND_NS
"""Pieces of one traceback are written together; carriers stamp them within milliseconds of each other."""

_MAX_PIECES = 400
_SURE = 5


class Assembly:
    """Takes heads, lines and pieces in the order of the log, and returns complete records."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._done: list[LogRecord] = []
        self._open: Entry | None = None
        self._pieces: list[Entry] = []
        self._last_ns: int | None = None
        self._order = 0  # above 0: oldest entry first; below 0: newest first

    def head(self, entry: Entry) -> None:
        """Take the head of a record, which completes the one before."""
        if entry.raw:
            self._note_order(entry)
        if self._open is not None:
            self._finish(self._open)
        if self._pieces:
            self._attach_pieces(entry)
        self._open = entry

    def line(self, number: int, text: str) -> None:
        """Take a line that is not a head: it belongs to the record before it."""
        if starts_traceback(text) and not self._takes(text):
            self._begin_headless(number)
        if self._open is None:
            self._counts.stray += bool(text)
            return
        tail = self._open.tail
        if tail is None:
            if not text:
                return
            tail = self._open.tail = Tail()
        before = tail.stray
        tail.add(text)
        self._counts.stray += tail.stray is not before

    def piece(self, entry: Entry) -> None:
        """Take a part of a traceback that came as an entry of its own."""
        if not entry.message and entry.tail is None:
            return
        self._note_order(entry)
        if self._order < 0:
            self._pieces.append(entry)
            if len(self._pieces) >= _MAX_PIECES:
                self._finish(_joined(self._pieces))
                self._pieces = []
        elif self._open is not None and _belongs(self._open, entry):
            _extend(self._open, entry)
        else:
            if self._open is not None:
                self._finish(self._open)
            self._open = entry

    def take(self) -> list[LogRecord]:
        """Return the records that are complete now."""
        done, self._done = self._done, []
        return done

    def flush(self) -> list[LogRecord]:
        """Complete the last record, since nothing follows for now; return all complete records."""
        if self._open is not None:
            self._finish(self._open)
            self._open = None
        if self._pieces:
            self._finish(_joined(self._pieces))
            self._pieces = []
        return self.take()

    def _takes(self, traceback_line: str) -> bool:
        """Whether a traceback that begins here belongs to the open record.

        It does not if that record already has one, or if unformatted text stands between it and a head below
        ERROR: this is how asyncio's "Task exception was never retrieved" appears under uvicorn.
        """
        if self._open is None or self._open.tail is None:
            return self._open is not None
        tail = self._open.tail
        apart = (self._open.level or Level.INFO) < Level.ERROR and bool(tail.stray)
        return tail.expects(traceback_line) and not apart

    def _begin_headless(self, number: int) -> None:
        message = ""
        if self._open is not None:
            message = self._open.tail.stray if self._open.tail else ""
            self._finish(self._open)
        self._open = Entry(message=message, level=Level.ERROR, line=number)

    def _note_order(self, entry: Entry) -> None:
        if entry.at_ns is None:
            return
        if self._last_ns is not None and entry.at_ns != self._last_ns:
            step = 1 if entry.at_ns > self._last_ns else -1
            self._order = max(-_SURE, min(_SURE, self._order + step))
        self._last_ns = entry.at_ns

    def _attach_pieces(self, entry: Entry) -> None:
        pieces, self._pieces = self._pieces, []
        if _belongs(entry, pieces[-1]):
            for piece in reversed(pieces):
                _extend(entry, piece)
        else:
            self._finish(_joined(pieces))

    def _finish(self, entry: Entry) -> None:
        tail = entry.tail
        exception = tail.exception if tail else ""
        traceback = tail.text() if tail else ""
        message = _line(entry.message, MAX_MESSAGE) or exception or _line(traceback, MAX_MESSAGE)
        record = LogRecord(
            line=entry.line,
            level=entry.level or Level.INFO,
            message=message,
            at_ns=entry.at_ns,
            arrival=entry.arrival,
            logger=_line(entry.logger, MAX_NAME) if entry.logger else "",
            session=_line(entry.session, MAX_NAME) if entry.session else session_in(message),
            revision=_line(entry.revision, MAX_NAME) if entry.revision else "",
            service=_line(entry.service, MAX_NAME) if entry.service else "",
            exception=exception,
            cause=tail.cause if tail else "",
            traceback=traceback,
            frame=entry.frame,
        )
        self._counts.records += 1
        self._done.append(record)


def _line(text: str, limit: int) -> str:
    return one_line(text.strip(), limit)


def _first_line(piece: Entry) -> str:
    if piece.message or piece.tail is None:
        return piece.message
    return piece.tail.text().partition("\n")[0]


def _belongs(head: Entry, piece: Entry) -> bool:
    """Whether a piece continues a head: same revision, same time, and level not above the head's."""
    if head.revision != piece.revision:
        return False
    apart = head.at_ns is not None and piece.at_ns is not None and abs(head.at_ns - piece.at_ns)
    graver = (piece.level or Level.DEBUG) > max(head.level or Level.INFO, Level.INFO)
    expected = head.tail is None or head.tail.expects(_first_line(piece))
    return apart <= PIECES_WITHIN_NS and not graver and expected


def _extend(head: Entry, piece: Entry) -> None:
    head.tail = head.tail or Tail()
    if piece.message:
        head.tail.add(piece.message)
    if piece.tail is not None:
        head.tail.extend(piece.tail.text().split("\n"))


def _joined(pieces: list[Entry]) -> Entry:
    """Return one record made of pieces that came last line first and have no head."""
    oldest = pieces[-1]
    whole = Entry(
        message="",
        level=max((piece.level or Level.INFO for piece in pieces), default=Level.INFO),
        at_ns=oldest.at_ns,
        revision=oldest.revision,
        service=oldest.service,
        line=oldest.line,
    )
    for piece in reversed(pieces):
        _extend(whole, piece)
    return whole
