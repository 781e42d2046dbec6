"""Assembles heads and the lines under them into records.

In a log of plain lines, the lines after a head belong to it. If a carrier wraps each line (Cloud Logging's
`textPayload`), a traceback comes in pieces, each an entry of its own. `gcloud logging read` prints the newest
entry first: then the pieces come before their head, last line first. The order is inferred from the entries'
times. A traceback without a head becomes a record of its own at level ERROR: Python prints one when an
exception is neither caught nor formatted. In a log that has no head at all, each line is a record without
level and time; a few such lines before the first head are a banner.
"""

import re

from msgspec.structs import replace

from loadtest.serverlog.crashes import is_crash, may_crash, on_purpose
from loadtest.serverlog.entries import CARRIER, Entry
from loadtest.serverlog.records import MAX_MESSAGE, MAX_NAME, Counts, Level, LogRecord, is_error, session_in
from loadtest.serverlog.times import SECOND_NS
from loadtest.serverlog.tracebacks import Tail, is_frame, raises, starts_traceback
from loadtest.text import one_line

PIECES_WITHIN_NS = 2 * SECOND_NS
"""Pieces of one traceback are written together; carriers stamp them within milliseconds of each other."""

TOGETHER_NS = SECOND_NS // 10
"""A line without a level that a carrier stamped this soon after a record with one belongs to it."""

_MAX_PIECES = 400
_MAX_BANNER = 50
_SURE = 5
_BEGINS = re.compile(r"[^\W_]|[\[(<*\"'/]")
_SCRIPT_ERROR = re.compile(r"(?:Uncaught )?(?:[A-Z]\w*)?Error(?: \[\w+\])?: |panic: |fatal error: ")


class Assembly:
    """Takes heads, lines and pieces in the order of the log, and returns complete records."""

    def __init__(self, counts: Counts, *, bare: bool = True) -> None:
        self._counts = counts
        self._bare = bare  # whether a line without time and level may be a record
        self._banner: list[Entry] | None = []  # None: a head was seen, or too many lines came before one
        self._done: list[LogRecord] = []
        self._open: Entry | None = None
        self._held: Entry | None = None  # the record below WARNING that a printed exception stands under
        self._pieces: list[Entry] = []
        self._last_ns: int | None = None
        self._order = 0  # above 0: oldest entry first; below 0: newest first

    def head(self, entry: Entry) -> None:
        """Take the head of a record, which completes the one before."""
        if entry.raw:
            self._note_order(entry)
        if entry.level is None and self._is_loose(entry):
            self._extend_open(entry)
            return
        if self._banner is not None:
            self._drop_banner()
        if self._open is not None or self._held is not None:
            self._close()
        if self._pieces:
            self._attach_pieces(entry)
        self._open = entry

    def line(self, number: int, text: str) -> None:
        """Take a line that is not a head: it belongs to the record before it."""
        if starts_traceback(text) and not self._takes(text):
            self._begin_headless(number)
        elif self._crashes(text):
            self._begin_crash(Entry(message=text, line=number))
            return
        if self._begins_bare(text):
            self._begin_bare(number, text)
            return
        if self._open is None:
            self._counts.stray += bool(text)
            return
        tail = self._open.tail
        if tail is None:
            if _fills(self._open, text):
                return
            if not text:
                return
            tail = self._open.tail = Tail()
        before = tail.stray
        tail.add(text)
        self._counts.stray += tail.stray is not before and not (self._open.bare or raises(text))

    def piece(self, entry: Entry) -> None:
        """Take a part of a traceback that came as a separate entry."""
        if not entry.message and entry.tail is None:
            return
        self._note_order(entry)
        if self._order < 0 or (self._order == 0 and self._open is None):
            self._pieces.append(entry)
            if len(self._pieces) >= _MAX_PIECES:
                self._finish(_joined(self._pieces))
                self._pieces = []
        elif self._crashes(_first_line(entry)):
            self._begin_crash(entry)
        elif self._open is not None and _belongs(self._open, entry):
            _extend(self._open, entry)
        else:
            self._close()
            self._open = entry

    def take(self) -> list[LogRecord]:
        """Return the records that are complete now."""
        done, self._done = self._done, []
        return done

    def flush(self) -> list[LogRecord]:
        """Complete the last record, since nothing follows for now; return all complete records."""
        self._keep_banner()
        self._close()
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
        message = self._open.tail.stray if self._open is not None and self._open.tail else ""
        self._close()
        self._open = Entry(message=message, level=Level.ERROR, line=number)

    def _crashes(self, text: str) -> bool:
        """Whether a line begins a crash that was printed under a record that is no error."""
        above = self._open
        if above is None:
            return is_crash(text)
        if is_error(above.level) or (above.tail is not None and above.tail.within):
            return False
        if is_crash(text):
            return True
        return _is_quiet(above) and (may_crash(text) or _announced(above, text) is not None)

    def _begin_crash(self, entry: Entry) -> None:
        """Take the first line of a crash; an exception may turn out to be logged by the record above."""
        above, text = self._open, _first_line(entry)
        said = _announced(above, text) if above is not None and not may_crash(text) else None
        if above is not None and _is_quiet(above) and not is_crash(text) and (above.raw or not above.frame):
            self._held = above
        else:
            self._close_unless_bare()
        self._counts.stray -= said is not None and not raises(said)
        entry.bare = (above is None or above.bare) and not entry.stamp and not entry.frame
        entry.level, entry.tail = Level.ERROR, entry.tail or Tail()
        if entry.message:
            entry.tail.extend([entry.message] if said is None else [said, entry.message])
        if said is not None or raises(text):
            entry.tail.exception = entry.tail.exception or _line(said or text, MAX_MESSAGE)
        entry.message = said or ("" if starts_traceback(text) else text)[:MAX_MESSAGE]
        self._open = entry

    def _begins_bare(self, text: str) -> bool:
        """Whether a line without time and level is a record: the first ones, or Node's or Go's errors."""
        if not self._bare or not _BEGINS.match(text) or starts_traceback(text):
            return False
        within = self._open is not None and self._open.tail is not None and self._open.tail.within
        if self._open is None or (self._open.bare and not within):
            return self._open is None or not _goes_on(self._open, text)
        return not within and not is_error(self._open.level) and _SCRIPT_ERROR.match(text) is not None

    def _begin_bare(self, number: int, text: str) -> None:
        self._close_unless_bare()
        self._open = Entry(message=text[:MAX_MESSAGE], line=number, bare=True)

    def _close_unless_bare(self) -> None:
        """Complete the open record, or put it to the banner, if it may turn out to be a part of it."""
        if self._open is None or not self._open.bare or self._banner is None:
            self._close()
            return
        self._banner.append(self._open)
        self._open = None
        if len(self._banner) > _MAX_BANNER:
            self._keep_banner()

    def _drop_banner(self) -> None:
        """Forget the lines before the first head, except errors."""
        if self._banner is None:
            return
        lines = [*self._banner, *([self._open] if self._open is not None and self._open.bare else [])]
        self._banner = None
        for entry in lines:
            if is_error(entry.level) or (entry.tail is not None and entry.tail.framed_or_named):
                self._finish(entry)
            else:
                self._counts.stray += 1
        if self._open is not None and self._open.bare:
            self._open = None

    def _keep_banner(self) -> None:
        """Make records of the lines, since no head comes."""
        for entry in self._banner or ():
            self._finish(entry)
        self._banner = None

    def _is_loose(self, entry: Entry) -> bool:
        """Whether a line without a level, stamped by a carrier, belongs to the record before it."""
        above = self._open
        if entry.level is not None or above is None or above.at_ns is None or entry.at_ns is None:
            return False
        if above.revision != entry.revision or entry.arrival:
            return False
        within = above.tail is not None and above.tail.within and (entry.raw or not entry.frame)
        carried = entry.stamp == CARRIER or (entry.raw and not entry.stamp)
        if not carried and not (within and above.stamp == entry.stamp):
            return False  # its logger gave it a time of its own: it is a record, whose level is unknown
        apart_ns = entry.at_ns - above.at_ns
        return 0 <= apart_ns <= (PIECES_WITHIN_NS if within else TOGETHER_NS) and (
            within or above.level is not None
        )

    def _extend_open(self, entry: Entry) -> None:
        """Add a loose line to the open record; count it as `line` does."""
        assert self._open is not None
        before = self._open.tail.stray if self._open.tail else ""
        _extend(self._open, entry)
        after = self._open.tail.stray if self._open.tail else ""
        self._counts.stray += after is not before and not (self._open.bare or raises(after))

    def _note_order(self, entry: Entry) -> None:
        if entry.at_ns is None:
            return
        if self._last_ns is not None and entry.at_ns != self._last_ns:
            step = 1 if entry.at_ns > self._last_ns else -1
            self._order = max(-_SURE, min(_SURE, self._order + step))
        self._last_ns = entry.at_ns

    def _attach_pieces(self, entry: Entry) -> None:
        pieces, self._pieces = self._pieces, []
        crash = _is_quiet(entry) and any(
            is_crash(line) or may_crash(line) for line in map(_first_line, pieces)
        )
        if crash and not on_purpose(_with_exception(_record(entry), _record(_joined(pieces)))):
            self._finish(_joined(pieces))
        elif self._order <= 0 and _belongs(entry, pieces[-1]):
            for piece in reversed(pieces):
                _extend(entry, piece)
        else:
            self._finish(_joined(pieces))

    def _close(self) -> None:
        """Complete the open record."""
        entry, self._open = self._open, None
        held, self._held = self._held, None
        if held is not None and entry is not None:
            if on_purpose(_with_exception(_record(held), _record(entry))):
                entry.message = ""
                _extend(held, entry)
                entry = None
            self._finish(held)
        if entry is not None:
            self._finish(entry)

    def _finish(self, entry: Entry) -> None:
        record = _record(entry)
        self._counts.records += 1
        self._counts.untimed += record.at_ns is None
        if record.level is None:
            self._counts.note_unlevelled(record)
        self._done.append(record)


def _record(entry: Entry) -> LogRecord:
    tail = entry.tail
    exception = tail.exception if tail else ""
    traceback = tail.text() if tail else ""
    message = _line(entry.message, MAX_MESSAGE) or exception or _line(traceback, MAX_MESSAGE)
    if tail is not None and tail.framed and not exception and entry.level is None:
        exception = message
    thrown = Level.ERROR if exception else None
    return LogRecord(
        line=entry.line,
        level=entry.level or thrown,
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


def _with_exception(record: LogRecord, crash: LogRecord) -> LogRecord:
    return replace(record, exception=crash.exception, cause=crash.cause, traceback=crash.traceback)


def _is_quiet(entry: Entry) -> bool:
    return entry.level is not None and entry.level < Level.WARNING


def _announced(above: Entry, text: str) -> str | None:
    """Return the line under a record that says what the frames that begin here are of; None if none does."""
    tail = above.tail
    if tail is None or not tail.stray or tail.framed or not is_frame(text):
        return None
    return tail.stray if tail.text().endswith(f"\n{tail.stray}") or tail.text() == tail.stray else None


def _goes_on(above: Entry, text: str) -> bool:
    """Whether a line that is not indented belongs to a stack of Go."""
    return above.tail is not None and (above.tail.goroutines or text.startswith("goroutine "))


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


def _fills(head: Entry, text: str) -> bool:
    """Whether a line is the message of a head with a logger only, as .NET's console writes it."""
    if head.message or head.tail is not None or not (head.logger and head.level and text.strip()):
        return False
    head.message = text.strip()[:MAX_MESSAGE]
    return True


def _extend(head: Entry, piece: Entry) -> None:
    if _fills(head, piece.message):
        return
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
        level=max((piece.level for piece in pieces if piece.level), default=None),
        at_ns=oldest.at_ns,
        revision=oldest.revision,
        service=oldest.service,
        line=oldest.line,
    )
    for piece in reversed(pieces):
        _extend(whole, piece)
    return whole
