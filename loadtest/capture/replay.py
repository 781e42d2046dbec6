"""Replays a recording through its generated dialect, to see which messages the dialect explains.

The generated module is run as written, without the user class. Its functions write the client's messages
again, with new ids and texts; in the server's messages these replace the recorded ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from loadtest.capture.generated_code import check_code
from loadtest.capture.inferred import Inferred, Speech
from loadtest.capture.locustfile_source import DIALECT_CLASS, Locustfile
from loadtest.capture.message_forms import unread
from loadtest.capture.message_ids import answers_of
from loadtest.capture.message_kinds import Record
from loadtest.capture.redaction import TOKEN
from loadtest.capture.said_again import Said
from loadtest.capture.script_source import refused
from loadtest.capture.trees import MISSING, Path, at, leaves, mapped
from loadtest.dialects.base import (
    AuthRequired,
    Dialect,
    Established,
    Failed,
    Reply,
    Request,
    StreamPart,
    Unreadable,
)
from loadtest.dialects.calls import listed, number, wrong_field
from loadtest.dialects.dialect_session import DialectSession
from loadtest.errors import LoadtestError
from loadtest.events import Data, Identity, Send
from loadtest.text import counted, one_line

_RECENT_TEXTS: Final = 50
"""Texts of the client that the server may still return."""

MAX_SHOWN: Final = 5
"""Messages that are not explained, of which the reason is given."""


@dataclass(frozen=True, slots=True)
class Unexplained:
    """A server message that the dialect does not explain.

    Args:
        message: its position among the connection's messages, from 1.
        label: label of its kind.
        reason: why the dialect does not explain it.
    """

    message: int
    label: str
    reason: str


@dataclass(slots=True, kw_only=True)
class Replay:
    """The result of a replay.

    Args:
        received: number of server messages.
        unexplained: the first `MAX_SHOWN` that the dialect does not explain.
        wrong: number of messages that it does not explain.
        unanswered: requests without a reply in the recording.
        said: comparison of the dialect's messages with the client's.
        left: number of messages of the recording that were not analysed.
        unestablished: whether no message established the session, though the dialect waits for one.
    """

    said: Said

    received: int = 0
    unexplained: list[Unexplained] = field(default_factory=list)
    wrong: int = 0
    unanswered: int = 0
    left: int = 0
    unestablished: bool = False

    def __str__(self) -> str:
        """Return the result in one line."""
        explained = self.received - self.wrong
        text = f"{explained:,} of {counted(self.received, 'message')} from the server explained"
        if self.left:
            text += f" ({counted(self.left, 'message')} more were not analysed)"
        if self.unestablished:
            text += "; none of them establishes the session"
        if not self.unexplained:
            return text
        shown = "; ".join(f"message {one.message} ({one.label}): {one.reason}" for one in self.unexplained)
        others = "not explained:"
        more = (
            f"; and {self.wrong - len(self.unexplained):,} more" if self.wrong > len(self.unexplained) else ""
        )
        return f"{text}; {others} {shown}{more}"


def replayed(inferred: Inferred, locustfile: Locustfile) -> Replay:
    """Replay the recorded conversation through the generated dialect."""
    module = _module(locustfile.dialect_module)
    return _Player(inferred, locustfile, module).play()


def _module(source: str) -> dict[str, Any]:
    """Return the namespace of the generated module, with its dialect unregistered again."""
    known = dict(Dialect.dialects)
    module: dict[str, Any] = {"__name__": "recorded"}
    check_code(source)
    try:
        exec(compile(source, "locustfile.py", "exec"), module)  # noqa: S102  # checked
    finally:
        Dialect.dialects.clear()
        Dialect.dialects.update(known)
    return module


_DIGITS: Final = "471147114711"
"""Stands for a secret that was a number."""


class _Columns(dict[str, str]):
    """A row of `--ws-data` with every column.

    Args:
        numbers: columns whose secrets were numbers.
    """

    def __init__(self, numbers: set[str]) -> None:
        super().__init__()
        self._numbers = numbers

    def __missing__(self, column: str) -> str:
        return _DIGITS if column in self._numbers else f"{column}-of-the-replay"


def pieces_of(inferred: Inferred) -> dict[Record, tuple[Path, str]]:
    """Return the new pieces of streamed texts: the whole text in the first piece, the others empty."""
    found: dict[Record, tuple[Path, str]] = {}
    for _, answers in answers_of(inferred.records, inferred.ids):
        pieces = [
            (record, path, at(record.tree, path))
            for record in answers
            if (path := inferred.heard[record.kind].piece_path) is not None
        ]
        pieces = [piece for piece in pieces if isinstance(piece[2], str)]
        for place, (record, path, _) in enumerate(pieces):
            found[record] = (path, "" if place else "".join(piece for _, _, piece in pieces))
    return found


class _Player:
    def __init__(self, inferred: Inferred, locustfile: Locustfile, module: Mapping[str, Any]) -> None:
        self._inferred = inferred
        self._writer = locustfile.writer
        self._module = module
        self._dialect: Dialect = module[DIALECT_CLASS]()
        self._session = DialectSession(
            Identity(number=0, session_id="session-0", thread_id="thread-0", user=0), run_id="replay"
        )
        places = inferred.redactor.places
        numbers = {place.name for value, place in places.items() if value.isdecimal()}
        self._session.data = _Columns(numbers)
        self._session.token = _DIGITS if TOKEN in numbers else "token-of-the-replay"
        self._new: dict[Any, Any] = {}  # ids by the recorded ones, as text
        self._texts: dict[str, str] = {}
        self._pending: list[int] = []
        self._awaiting: list[Data] = []  # what the dialect said at once
        self._replay = Replay(said=Said(inferred.redactor), left=inferred.left)
        self._established = False
        self._refused = refused(inferred)
        self._sequence = 0
        self._pieces = pieces_of(inferred)

    def play(self) -> Replay:
        opening = {id(record) for record in self._inferred.greeting}
        for record in self._inferred.records:
            if record.sent:
                self._say(record, greets=id(record) in opening)
            else:
                self._hear(record)
        self._replay.unanswered = len(self._pending)
        self._replay.unestablished = self._dialect.establishes and not self._established
        return self._replay

    def _say(self, record: Record, *, greets: bool) -> None:
        said = self._inferred.said[record.kind]
        if said.speech in (Speech.ANSWER, Speech.LOGIN, Speech.SETUP):
            data: Any = self._awaiting.pop(0) if self._awaiting else None
            self._compare(record, data)
            return
        asks = said.speech in (Speech.REQUEST, Speech.STREAM) and not greets
        sequence = self._sequence if asks or said.speech is Speech.SEND else -1
        data = self._said(record, sequence)
        if sequence >= 0:
            self._sequence += 1
        if asks:
            self._pending.append(sequence)
        self._compare(record, data)

    def _said(self, record: Record, sequence: int) -> Data:
        if record in self._refused:  # it is not in the file: another request gets its id
            request = self._dialect.request(self._session, sequence)
            return request.data if isinstance(request, Request) else request
        code = self._writer.body(record).written("session", str(sequence), record)
        check_code(code, (*self._module, "session"))
        said: Data = eval(code, {**self._module, "session": self._session})  # noqa: S307  # as in the file
        return said

    def _compare(self, record: Record, data: Data | None) -> None:
        """Compare a written message with the recorded one; store the new ids and texts."""
        if data is None:
            self._replay.said.compare(record, MISSING)
            return
        if record.plain:
            self._replay.said.compare(record, data)
            if isinstance(record.tree, str) and isinstance(data, str) and record.tree != data:
                self._texts[record.tree] = data
            return
        tree = self._inferred.form.read(data)[0]
        if record not in self._refused:
            self._replay.said.compare(record, tree)
        ids, said = self._inferred.ids, self._inferred.said[record.kind]
        for path, value in leaves(record.tree):
            new = at(tree, path)
            if new == value:
                continue
            if ids is not None and path == ids.path:
                self._new[str(value)] = new
            elif path == said.text_path and isinstance(value, str) and isinstance(new, str):
                self._texts[value] = new

    def _hear(self, record: Record) -> None:
        self._replay.received += 1
        reason = self._problem(record)
        if reason:
            self._replay.wrong += 1
            if len(self._replay.unexplained) < MAX_SHOWN:
                label = self._inferred.redactor.public(record.kind.label, 60)
                told = self._inferred.redactor.public(reason, 160)
                self._replay.unexplained.append(Unexplained(record.frame + 1, label, told))

    def _problem(self, record: Record) -> str:
        if record.plain and (reason := unread(record.tree, self._inferred.form)):
            return reason
        data = self._told(record)
        try:
            read = self._dialect.read(self._session, data)
            said = listed(self._dialect, read, data)
        except LoadtestError as error:
            return str(error)
        except Exception as error:
            return f"read raised {type(error).__name__}: {one_line(str(error))}"
        mistake = wrong_field(self._dialect, said, data)
        if mistake is not None:
            return str(mistake)
        return next(filter(None, map(self._judged, said)), "")

    def _told(self, record: Record) -> Data:
        """Return a server message with the new ids and texts."""
        if record.plain:
            return self._with_texts(record.tree) if isinstance(record.tree, str) else record.tree
        ids = self._inferred.ids
        path_of_id = ids.paths.get(record.kind) if ids is not None else None

        def change(path: Any, value: Any) -> Any:
            if path == path_of_id:
                return self._new.get(str(value), value)
            return self._with_texts(value) if isinstance(value, str) else value

        tree = mapped(record.tree, change)
        if record in self._pieces:
            path, text = self._pieces[record]
            tree = mapped(tree, lambda place, value: self._with_texts(text) if place == path else value)
        return self._inferred.form.write([tree], binary=record.binary)

    def _with_texts(self, value: str) -> str:
        for old, new in islice(reversed(self._texts.items()), _RECENT_TEXTS):
            if value == old or (len(old) >= 4 and old in value):
                return value.replace(old, new)
        return value

    def _judged(self, incoming: Any) -> str:
        """Return what is wrong with a result of `read`; empty if nothing is."""
        match incoming:
            case Established():
                self._established = True
            case Unreadable():
                return "no case matches it"
            case AuthRequired(detail=detail):
                return f"read as AuthRequired({detail})"
            case Send(data=data):
                self._awaiting.append(data)
            case Reply(sequence=sequence, text=text):
                return self._answered(sequence, text)
            case Failed(sequence=sequence):
                if self._pending:
                    return self._answered(sequence, None)
            case StreamPart(sequence=sequence):
                if self._number(sequence) not in self._pending:
                    return "a part of a reply to an unknown request"
        return ""

    def _number(self, sequence: Any) -> int:
        return number(self._dialect, sequence, self._pending[0] if self._pending else -1)

    def _answered(self, sequence: Any, text: Any) -> str:
        try:
            found = self._number(sequence)
        except LoadtestError as error:
            return str(error)
        if found not in self._pending:
            return "a reply to an unknown request, or a second reply"
        self._pending.remove(found)
        if isinstance(text, str) and self._session.text(found) not in text:
            return "a reply without the text of its request"
        return ""


def explains(replay: Replay) -> bool:
    """Return whether the dialect explains at least something."""
    return replay.received == 0 or replay.wrong < replay.received
