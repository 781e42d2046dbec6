"""Checks what a server restores after a resume: the session's identity and the acknowledged messages. Pure.

A history may come in one message or in pieces. It is compared when its last piece comes. If no piece is
marked as the last, the history is compared when the connection ends, provided that the server answered a
request on it before: servers restore before they answer. If pieces are marked, but the last one has not come
although many requests were answered since, the pieces so far are taken as the whole history. A connection
with an answer and without any history restored none.

A history sent again on the same connection is compared again: clients show the latest one.

Sessions of a room may share one history (`Dialect.shares_history`). Messages of others take places in its
window, including those sent while the session was away. So nobody knows how many of its own had room, and
requests older than the oldest restored one are excused. A window with none of its own cannot be compared.
"""

from collections.abc import Sequence

from loadtest.dialects.base import Dialect, Established, Push, Restored
from loadtest.dialects.dialect_session import DialectSession
from loadtest.session.ledger import Ledger
from loadtest.session.recorder import Recorder
from loadtest.session.returned_texts import flaws_of, out_of_order
from loadtest.text import counted

_IDS = ("session_id", "thread_id")
"""What the server must say alike of a session on all its connections."""


SYSTEM_MESSAGES = 2
"""Messages of a server's own that it may keep for each connection: that somebody came, and left."""


class History:
    """The identity and the restored history of one session.

    Attributes:
        expected: whether to report replies: a history is expected, and few replies came since its last piece.
        pushed: number of pushes and messages without a mark received, each of which the server may keep in
            its history.
    """

    LIMIT = 100_000
    """Requests in the pieces of one history; a server may send any number of pieces."""

    SETTLED = 10
    """Replies after which no more pieces are awaited: a server may restore and answer at the same time."""

    __slots__ = (
        "_about",
        "_answered",
        "_compared",
        "_count",
        "_dialect",
        "_known_as",
        "_ledger",
        "_marks_end",
        "_others_pushed",
        "_owed",
        "_recorder",
        "_replies",
        "_sequences",
        "expected",
        "pushed",
    )

    def __init__(self, about: DialectSession, dialect: Dialect, ledger: Ledger, recorder: Recorder) -> None:
        self._about = about
        self._dialect = dialect
        self._ledger = ledger
        self._recorder = recorder
        self._known_as: Established | None = None  # the identity that the server first assigned
        self._owed = 0  # acknowledged requests when the connection opened
        self._compared = False  # whether a history of this connection was compared
        self._sequences: list[int] | None = None  # of the pieces that have come so far
        self._count: int | None = None
        self._marks_end = False  # whether a history in pieces has had a last piece
        self._answered = False  # whether a request was answered on this connection
        self._replies = 0  # since the last piece, up to SETTLED
        self._others_pushed = False  # whether a push may have been another session's message
        self.expected = False
        self.pushed = 0

    def known_as(self, said: Established) -> None:
        """Record the identity that the server assigns first."""
        self._known_as = said

    def resumed_as(self, said: Established, now_ns: int) -> None:
        """Compare the identity of a resumed session, if the server sends it again."""
        if not self._dialect.identifies:
            return
        if self._about.dropped_by in self._dialect.unresumable_drops:
            self._known_as = self._merged(said, self._known_as or Established())
            self._recorder.counts["persistence.unjudged"] += 1
        elif self._compare_identity(said, now_ns, "resumed into another session"):
            self._recorder.counts["persistence.checked"] += 1

    def said_again(self, said: Established, now_ns: int) -> None:
        """Compare the identity that the server sends again on the same connection."""
        if self._dialect.identifies:
            self._compare_identity(said, now_ns, "became another session on an open connection")

    def _compare_identity(self, said: Established, now_ns: int, error: str) -> bool:
        """Compare the ids that the server sends with the first ones; return whether any could be compared.

        A missing id is not a different one: it may come in a later message.
        """
        known = self._known_as or Established()
        pairs = [(getattr(known, name), getattr(said, name)) for name in _IDS]
        both = [(first, now) for first, now in pairs if first is not None and now is not None]
        self._known_as = self._merged(known, said)
        if any(first != now for first, now in both):
            self._recorder.counts["persistence.identity_changed"] += 1
            self._error(error, now_ns, f"{said} instead of {known}")
        return bool(both)

    @staticmethod
    def _merged(first: Established, second: Established) -> Established:
        """Return the first identity, with those of the second's ids that it lacks."""
        ids = ((getattr(first, name), getattr(second, name)) for name in _IDS)
        return Established(**dict(zip(_IDS, (b if a is None else a for a, b in ids), strict=True)))

    def opened(self) -> None:
        """Begin a connection: the server should restore what it acknowledged."""
        self._owed = self._ledger.acknowledged.total if self._dialect.keeps_history else 0
        self._sequences = self._count = None
        self._compared = False
        self._answered, self._replies, self.expected = False, 0, self._owed > 0

    def restored(self, piece: Restored, now_ns: int) -> None:
        """Check a piece's texts, and compare the history if this completes it."""
        sequences = self._own(piece.texts, now_ns) if piece.texts else list(piece.sequences)
        if not self._owed:
            return
        if len(self._sequences or ()) + len(sequences) > self.LIMIT:
            self._error(f"history too long to compare: more than {self.LIMIT} requests", now_ns, "")
            self._owed = 0
            return
        self._marks_end = self._marks_end or (piece.complete and self._sequences is not None)
        self._replies, self.expected = 0, True
        if self._sequences is None:
            self._sequences = sequences
        else:
            self._sequences += sequences
        if piece.count is not None:
            self._count = (self._count or 0) + piece.count
        if piece.complete:
            self._compare(now_ns)

    def received(self, push: Push) -> None:
        """Take note of a push: the server may keep it, and it may be another session's message."""
        self.pushed += 1
        if not self._others_pushed:
            text = push.text
            numbered = push.number is not None  # counts what is sent to this session, as a ticker does
            self._others_pushed = not numbered if text is None else self._about.sequence_of(text) is None

    def replied(self) -> None:
        """Record one of the first replies on a connection that should restore a history."""
        self._answered = True
        self._replies += 1
        self.expected = self._replies < self.SETTLED

    def ended(self, now_ns: int) -> None:
        """End the connection: if it answered a request, what it restored so far was the whole history."""
        if self._owed and self._answered:
            if self._sequences is None:
                self._missed(now_ns)
            elif not self._marks_end or self._replies >= self.SETTLED:
                self._compare(now_ns)
        self._owed, self._sequences, self.expected = 0, None, False

    def _missed(self, now_ns: int) -> None:
        """Count a history that never came."""
        if not self._compared:
            self._recorder.counts["persistence.history_missing"] += 1
            self._error("no history was restored", now_ns, f"{self._owed} requests were acknowledged")

    def _own(self, texts: tuple[str, ...] | list[str], now_ns: int) -> list[int]:
        """Return the sequence numbers of this session's texts; count altered and foreign ones."""
        found = []
        for text in texts:
            own, flaw, example = flaws_of(text, self._about)
            found += own
            if flaw is not None:
                self._recorder.counts[f"persistence.{flaw}"] += 1
                self._error(f"{flaw} text in the restored history", now_ns, example)
        return found

    @property
    def _shared(self) -> bool:
        """Whether other sessions' messages are in the history: as the dialect says, else as pushes show."""
        said = self._dialect.shares_history
        return self._others_pushed if said is None else said

    def _compare(self, now_ns: int) -> None:
        sequences, count, window = self._sequences or [], self._count, self._dialect.history_window
        kept = self.pushed + SYSTEM_MESSAGES * (self._about.connection + 1)
        found = self._ledger.restored(sequences, count, window, others=None if self._shared else kept)
        again, self._compared = self._compared, True
        self._sequences, self._count, self.expected = None, None, False
        counts = self._recorder.counts
        if found is None:
            counts["persistence.histories_of_others"] += not again
            return
        if not again:
            counts["persistence.histories"] += 1
            counts["persistence.acknowledged"] += found.acknowledged
        of = f"of {found.acknowledged}, first"
        if found.first_missing is not None:
            came = _came(sequences, count, window)
            example = f"{found.missing} {of} {self._named(found.first_missing)}; {came}"
            self._fault("missing", found.missing, "acknowledged requests are not restored", now_ns, example)
            if self._dialect.shares_history is not False and window is not None and count is None:
                counts["persistence.missing_uncounted"] += found.missing
            elif self._dialect.shares_history is None and found.full and not self._others_pushed:
                counts["persistence.missing_in_full"] += found.missing
        if found.first_repeated is not None:
            example = f"{found.repeated} {of} {self._named(found.first_repeated)}"
            self._fault("repeated", found.repeated, "requests restored twice", now_ns, example)
        if found.first_reordered is not None:
            example = f"{found.reordered} {of} {out_of_order(*found.first_reordered, self._about)}"
            self._fault("reordered", found.reordered, "requests restored out of order", now_ns, example)

    def _named(self, sequence: int) -> str:
        return f"{sequence}: {self._about.text(sequence)[:80]}"

    def _fault(self, name: str, count: int, error: str, now_ns: int, example: str) -> None:
        self._recorder.counts[f"persistence.{name}"] += count
        self._error(error, now_ns, example)

    def _error(self, error: str, now_ns: int, example: str) -> None:
        session = self._about.session_id
        self._recorder.error("persistence", error, session=session, at_ns=now_ns, example=example)


def _came(sequences: Sequence[int], count: int | None, window: int | None) -> str:
    """Return what a history held, for people."""
    whole = counted(len(sequences) if count is None else count, "message")
    own = f"own requests {min(sequences)}–{max(sequences)}" if sequences else "no own requests"
    return f"restored {whole}, {own}" + ("" if window is None else f", window {window}")
