"""What a server restores after a resume: the session's identity, and the messages it had acknowledged. Pure.

A history may come in one message or in pieces. It is compared when its last piece comes. Where no piece ever
says that it is the last, it is compared when the connection ends, provided that a request of the connection
was answered by then: servers restore before they answer. A connection that answered and ended without any
history has brought none.
"""

from loadtest.dialects.base import Dialect, Established, Restored
from loadtest.dialects.dialect_session import DialectSession
from loadtest.dialects.marks import Flaw, difference
from loadtest.session.ledger import Ledger
from loadtest.session.recorder import Recorder


class History:
    """The identity and the restored history of one session.

    Attributes:
        expected: whether a history is owed on this connection, and nothing was answered on it yet.
    """

    LIMIT = 100_000
    """Requests in the pieces of one history; a server may send any number of pieces."""

    __slots__ = (
        "_about",
        "_count",
        "_dialect",
        "_known_as",
        "_ledger",
        "_marks_end",
        "_owed",
        "_recorder",
        "_sequences",
        "expected",
    )

    def __init__(self, about: DialectSession, dialect: Dialect, ledger: Ledger, recorder: Recorder) -> None:
        self._about = about
        self._dialect = dialect
        self._ledger = ledger
        self._recorder = recorder
        self._known_as: Established | None = None  # the identity that the server first assigned
        self._owed = 0  # acknowledged requests when the connection opened, until a history has come
        self._sequences: list[int] | None = None  # of the pieces that have come so far
        self._count: int | None = None
        self._marks_end = False  # whether a history in pieces has had a last piece
        self.expected = False

    def known_as(self, said: Established) -> None:
        """Take note of the identity that the server assigns first."""
        self._known_as = said

    def resumed_as(self, said: Established, now_ns: int) -> None:
        """Compare the identity of a resumed session."""
        if self._dialect.identifies:
            self._recorder.counts["persistence.checked"] += 1
            self._compare_identity(said, now_ns, "resumed into another session")

    def said_again(self, said: Established, now_ns: int) -> None:
        """Compare what the server says again of a session on the same connection."""
        if self._dialect.identifies:
            self._compare_identity(said, now_ns, "became another session on an open connection")

    def _compare_identity(self, said: Established, now_ns: int, error: str) -> None:
        if said != self._known_as:
            self._recorder.counts["persistence.identity_changed"] += 1
            self._error(error, now_ns, f"{said} instead of {self._known_as}")

    def opened(self) -> None:
        """Begin a connection: the server should restore what it has acknowledged."""
        self._owed = self._ledger.acknowledged.total if self._dialect.keeps_history else 0
        self._sequences = self._count = None
        self.expected = self._owed > 0

    def restored(self, piece: Restored, now_ns: int) -> None:
        """Check a piece's texts, and compare the history if this completes it."""
        sequences = self._own(piece.texts, now_ns) if piece.texts else list(piece.sequences)
        if not self._owed:
            return
        so_far = [] if self._sequences is None else self._sequences
        if len(so_far) + len(sequences) > self.LIMIT:
            self._error(f"a history of more than {self.LIMIT} requests is not compared", now_ns, "")
            self._owed = 0
            return
        self._marks_end = self._marks_end or (piece.complete and self._sequences is not None)
        self._sequences = so_far + sequences if so_far else sequences
        if piece.count is not None:
            self._count = (self._count or 0) + piece.count
        if piece.complete:
            self._compare(now_ns)

    def replied(self) -> None:
        """Take note of the first reply on a connection that owes a history."""
        self.expected = False

    def ended(self, now_ns: int) -> None:
        """End the connection: if it answered, what it restored until now was the whole history."""
        if self._owed and not self.expected:
            if self._sequences is None:
                self._recorder.counts["persistence.history_missing"] += 1
                self._error("no history was restored", now_ns, f"{self._owed} requests were acknowledged")
            elif not self._marks_end:
                self._compare(now_ns)
        self._owed, self._sequences, self.expected = 0, None, False

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

    def _compare(self, now_ns: int) -> None:
        found = self._ledger.restored(self._sequences or [], self._count, self._dialect.history_window)
        self._owed, self._sequences, self.expected = 0, None, False
        counts = self._recorder.counts
        counts["persistence.histories"] += 1
        counts["persistence.acknowledged"] += found.acknowledged
        for count, name, error, first in (
            (found.missing, "missing", "acknowledged requests are not restored", found.first_missing),
            (found.repeated, "repeated", "requests restored twice", None),
            (found.reordered, "reordered", "requests restored out of order", found.first_reordered),
        ):
            if count:
                counts[f"persistence.{name}"] += count
                at = "" if first is None else f", first {first}: {self._about.text(first)[:80]}"
                self._error(error, now_ns, f"{count} of {found.acknowledged}{at}")

    def _error(self, error: str, now_ns: int, example: str) -> None:
        session = self._about.session_id
        self._recorder.error("persistence", error, session=session, at_ns=now_ns, example=example)


def flaws_of(text: str, about: DialectSession) -> tuple[list[int], Flaw | None, str]:
    """Check a text that came without being asked for: in a restored history, or in a push.

    Returns:
        The sequence numbers of this session's own texts in it, what is wrong with it if anything is, and an
        example of that. A text without a mark of this run has nothing to check.
    """
    if about.marker.is_foreign(text):
        return [], Flaw.FOREIGN, f'of another session: "{text[:200]}"'
    own = list(about.marker.own(text))
    for sequence in own:
        sent = about.text(sequence)
        if sent not in text:
            return own, Flaw.ALTERED, f"request {sequence}: {difference(sent, text)}"
    return own, None, ""
