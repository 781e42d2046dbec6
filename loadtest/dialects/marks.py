"""Marked texts: the texts of requests. A returned text shows whose it is, and whether it is intact.

    [1b5ef97f.12.9c3a.5.é🙂xxxxxxxxxxxx]
     run      session  sequence

The brackets contain the run's id, the session's number, a nonce of that session, the request's sequence
number, one composed and one astral character, and padding up to the requested size. The last bracket reveals
a text that was cut off or extended. Nothing in it needs escaping in JSON or HTML. The composed character
detects servers that normalise text (NFC to NFD), the astral one those that store three bytes per character.
The text follows from run, session and sequence, so none needs to be stored.
"""

import re
from enum import StrEnum
from functools import lru_cache
from hashlib import blake2b

CHARACTERS = "é🙂"
"""One composed character (two code points in NFD) and one beyond the Basic Multilingual Plane."""

LEAST_BYTES = 48
"""Smallest size of a marked text: a mark with the largest session and sequence numbers in use fits."""

SHOWN = 40
"""Characters of a text that an error quotes."""

_MARK = re.compile(r"\[([^.\[\]]{1,32})\.(\d{1,15})\.([0-9a-f]{4})\.(\d{1,15})\.")


class Flaw(StrEnum):
    """The problem with a returned text; the value is the suffix of the names of counts."""

    ALTERED = "altered"
    FOREIGN = "foreign"


class Marker:
    """Writes and recognises the marked texts of one session.

    Args:
        run_id: of the run, without dots and brackets.
        session: number of the session.
    """

    __slots__ = ("_run_id", "_session", "head")

    def __init__(self, run_id: str, session: int) -> None:
        nonce = blake2b(f"{run_id}/{session}".encode(), digest_size=2).hexdigest()
        self._run_id = run_id
        self._session = str(session)
        self.head = f"[{run_id}.{session}.{nonce}."

    def tail(self, sequence: int, size: int) -> str:
        """Return the part after the sequence number that makes a text `size` bytes long in UTF-8.

        A text is `head`, the number and this part. It is longer than `size` if the mark alone is.
        """
        return _tail(size - len(self.head) - len(str(sequence)))

    def sequence_of(self, text: str) -> int | None:
        """Return the sequence number in the first mark of this session; None if there is none."""
        at = text.find(self.head)
        if at < 0:
            return None
        begin = at + len(self.head)
        end = text.find(".", begin, begin + 20)
        digits = text[begin:end] if end > 0 else ""
        return int(digits) if digits.isascii() and digits.isdigit() else None

    def own(self, text: str) -> list[int]:
        """Return the sequence numbers in all marks of this session, in order."""
        return [sequence for session, sequence in self._of_run(text) if session == self._session]

    def marked(self, text: str) -> bool:
        """Return whether the text has a mark of this run."""
        return bool(self._of_run(text))

    def may_quote(self, sequence: int, text: str) -> bool:
        """Return whether this request's mark occurs once, and all others are this session's earlier ones."""
        marks = self._of_run(text)
        mine = (self._session, sequence)
        return marks.count(mine) == 1 and all(
            session == self._session and number <= sequence for session, number in marks
        )

    def is_foreign(self, text: str) -> bool:
        """Return whether the text has a mark of another session of this run."""
        return self.foreign_part(text) is not None

    def foreign_part(self, text: str) -> tuple[int, str] | None:
        """Return the sequence number in another session's first mark of this run, and the text from it."""
        for mark in _MARK.finditer(text):
            run_id, session, _, sequence = mark.groups()
            if run_id == self._run_id and session != self._session:
                return int(sequence), text[mark.start() :]
        return None

    def _of_run(self, text: str) -> list[tuple[str, int]]:
        """Return session and sequence number of each mark of this run, in order."""
        found = _MARK.findall(text)
        return [(session, int(sequence)) for run_id, session, _, sequence in found if run_id == self._run_id]


@lru_cache(maxsize=1024)
def _tail(size: int) -> str:
    """Return the part of a text after the sequence number, `size` bytes long where that is possible."""
    return f".{CHARACTERS}{'x' * (size - len(f'.{CHARACTERS}]'.encode()))}]"


def difference(sent: str, got: str) -> str:
    """Return the sent and the received text, from shortly before the first difference.

    Non-ASCII characters are escaped, because texts that differ in them may look the same.
    """
    mark = _MARK.search(got)
    came = got[mark.start() :] if mark else got  # a server may put words of its own before the text
    pairs = enumerate(zip(sent, came, strict=False))
    same = next((at for at, (one, other) in pairs if one != other), min(len(sent), len(came)))
    begin = max(0, same - SHOWN // 2)
    where = f" (character {same + 1} of {len(sent)})"
    return f"sent {_excerpt(sent, begin)}, got {_excerpt(came, begin)}{where if same else ''}"


def _excerpt(text: str, begin: int) -> str:
    shown = ascii(text[begin : begin + SHOWN])[1:-1]
    before, after = "…" if begin else "", "…" if len(text) > begin + SHOWN else ""
    return f'"{before}{shown}{after}"'
