"""The inferred meaning of a conversation. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from loadtest.capture.message_forms import Form
from loadtest.capture.message_ids import Ids
from loadtest.capture.message_kinds import Kind, Record
from loadtest.capture.recorded import Connection
from loadtest.capture.redaction import Redactor
from loadtest.capture.trees import Path


class Speech(Enum):
    """The purpose of a client message."""

    GREETING = "begins the conversation"
    LOGIN = "is a step of the login"
    SETUP = "immediately follows the established session"
    HEARTBEAT = "is a heartbeat"
    ANSWER = "immediately answers the server"
    REQUEST = "is a request with one reply"
    STREAM = "is a request with a streamed reply"
    SEND = "gets no reply"


class Meaning(Enum):
    """The meaning of a server message."""

    ESTABLISHED = "the session is established"
    REPLY = "a reply"
    ROOM = "a text of this client or of another one"
    PART = "a part of a streamed reply"
    FAILED = "an error"
    RESTORED = "the restored history"
    ASKING = "a question that the client answers immediately"
    PUSH = "a push"
    IGNORED = "an answer to a heartbeat"


@dataclass(slots=True, eq=False)
class Said:
    """A kind of message that the client sends.

    Args:
        kind: its messages.
        speech: their purpose.
        why: the evidence.
        text_path: path of the user's text; None if there is none that the server returns or answers.
        checked: whether the text is returned in a field that the dialect reads.
        remembered: paths of values from earlier server messages, with their names in `session.memory`.
        first_own: paths of those that the client chose itself at first: a token that the server renews.
        answers: the kind that it immediately answers, with (own path, path there) of the copied values.
    """

    kind: Kind
    speech: Speech
    why: str = ""
    text_path: Path | None = None
    text_why: str = ""
    checked: bool = False
    remembered: dict[Path, str] = field(default_factory=dict)
    first_own: set[Path] = field(default_factory=set)
    answers: Kind | None = None
    copies: Sequence[tuple[Path, Path]] = ()


@dataclass(slots=True, eq=False)
class Heard:
    """A kind of message that the server sends.

    Args:
        kind: its messages.
        meaning: their meaning.
        why: the evidence.
        id_path: path of the request's id; None for the oldest request.
        text_path: path of the request's text, if it is returned.
        piece_path: path of a piece of the text in a part of a streamed reply.
        gathers: whether the reply is the end of such pieces.
        beside: whether it returns the text of a request, whose reply is another message.
        halves: whether it is such a reply, which counts only when the text has been returned, too.
        end: path and value that only the last part of a streamed reply has.
        fine: path and value that mean success; another value there is an error.
        detail_path: path of the server's error message.
        number_path: path of a number that counts pushes.
        time_path: path of the server's clock, with the factor that converts it to milliseconds.
        session_path, thread_path: paths of the ids of the session that stay the same.
        texts_path: path of the list with the restored history, and the path of the text in each item.
        own_role: key and value of the client's own items in that list; None if all are its own.
        remembers: names in `session.memory` for values that the client sends later, by their paths.
        answer: the client's immediate answer.
        setup: the client's messages immediately after the session is established.
    """

    kind: Kind
    meaning: Meaning
    why: str = ""
    id_path: Path | None = None
    text_path: Path | None = None
    piece_path: Path | None = None
    gathers: bool = False
    beside: bool = False
    halves: bool = False
    end: tuple[Path, Any] | None = None
    fine: tuple[Path, Any] | None = None
    detail_path: Path | None = None
    number_path: Path | None = None
    time_path: tuple[Path, int] | None = None
    session_path: Path | None = None
    thread_path: Path | None = None
    texts_path: tuple[Path, Path] | None = None
    own_role: tuple[str, str] | None = None
    remembers: dict[Path, str] = field(default_factory=dict)
    answer: Said | None = None
    setup: Sequence[Said] = ()


@dataclass(slots=True, kw_only=True)
class Inferred:
    """A conversation with its inferred meaning.

    Args:
        connection: the recorded connection.
        form: form of its messages.
        redactor: has its secrets.
        records: records of the connection, in order.
        kinds: kinds of its messages.
        ids: the ids of requests; None if they have none.
        said: the client's kinds.
        heard: the server's kinds.
        greeting: the client's first messages on each connection.
        resuming: its first messages on a later connection, if they differ.
        resumes_with: name in `session.memory` of the value from the server that they contain.
        establishing_id: whether the reply to the greeting, matched by id, establishes the session.
        heartbeat_s: seconds between heartbeats; None if there are none.
        identifies: whether the recording shows that an id of the session stays the same.
        path_ids: names of those ids, by their values in the connection's path.
        left: number of messages of the connection that were not analysed.
        ordered: whether replies arrived in the order of their requests.
        notes: guesses that do not belong to one kind of message.
    """

    connection: Connection
    form: Form
    redactor: Redactor
    records: Sequence[Record]
    kinds: Sequence[Kind]
    ids: Ids | None = None
    said: Mapping[Kind, Said] = field(default_factory=dict)
    heard: Mapping[Kind, Heard] = field(default_factory=dict)
    greeting: Sequence[Record] = ()
    resuming: Sequence[Record] = ()
    resumes_with: str = ""
    establishing_id: bool = False
    established: Kind | None = None
    heartbeat: Kind | None = None
    heartbeat_s: float | None = None
    left: int = 0
    ordered: bool = True
    identifies: bool = False
    path_ids: Mapping[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def meanings(self, meaning: Meaning) -> list[Heard]:
        """Return the server's kinds of one meaning."""
        return [heard for heard in self.heard.values() if heard.meaning is meaning]

    def speeches(self, *speeches: Speech) -> list[Said]:
        """Return the client's kinds with one of these purposes."""
        return [said for said in self.said.values() if said.speech in speeches]
