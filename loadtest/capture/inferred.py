"""What an inference found out about a conversation. Pure."""

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
    """Why the client says something."""

    GREETING = "begins the conversation"
    LOGIN = "is a step of the login"
    SETUP = "follows the established session at once"
    HEARTBEAT = "is a heartbeat"
    ANSWER = "answers the server at once"
    REQUEST = "asks, and one message answers"
    STREAM = "asks, and several messages answer"
    SEND = "gets no reply"


class Meaning(Enum):
    """What a message of the server means."""

    ESTABLISHED = "the session is established"
    REPLY = "a reply"
    ROOM = "the client's own text, or one of another client"
    PART = "a part of a streamed reply"
    FAILED = "an error"
    RESTORED = "the restored history"
    ASKING = "asks the client, which answers at once"
    PUSH = "a push"
    IGNORED = "answers a heartbeat"


@dataclass(slots=True, eq=False)
class Said:
    """A kind of message that the client sends.

    Args:
        kind: its messages.
        speech: why they are sent.
        why: the evidence.
        text_path: where the user's text stands; None if there is none that the server returns or answers.
        checked: whether the text comes back where the dialect reads it.
        remembered: paths of values that the server has told, with their names in `session.memory`.
        first_own: paths of those that the client said itself at first: a token that the server renews.
        answers: the kind that it answers at once, with (own path, path there) of what it copies.
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
        meaning: what they mean.
        why: the evidence.
        id_path: of the id that names the request; None for the oldest one.
        text_path: where the text of the request comes back.
        piece_path: of a piece of the text in a part of a streamed reply.
        gathers: whether the reply is the end of such pieces.
        beside: whether the text of a request comes back in this message, and its reply is another one.
        halves: whether it is such a reply: it counts once the text has come back, too.
        end: path and value that only the last part of a streamed reply has.
        fine: path and value of what says that all is well; another value there is an error.
        detail_path: of the server's words about an error.
        number_path: of a number that counts pushes.
        time_path: of the server's clock, with the factor that makes it milliseconds.
        session_path, thread_path: of the ids of the session that stay the same.
        texts_path: of the list with the restored history, and the path of the text in each item.
        own_role: key and value of the client's own items in that list; None if all are its own.
        remembers: names in `session.memory` for values that the client says later, by their paths.
        answer: what the client says at once.
        setup: what the client says at once when the session is established.
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
    """A conversation, understood as far as it could be.

    Args:
        connection: the recorded one.
        form: of its messages.
        redactor: knows its secrets.
        records: of the connection, in order.
        kinds: of its messages.
        ids: how requests are named; None if they are not.
        said: the client's kinds.
        heard: the server's kinds.
        greeting: what the client says first on each connection.
        resuming: what it says first on a later connection, if that is of another form.
        resumes_with: name in `session.memory` of what the server told for that.
        establishing_id: whether the reply to the greeting, named by its id, establishes the session.
        heartbeat_s: seconds between heartbeats; None if there are none.
        identifies: whether the recording shows that an id of the session stays the same.
        path_ids: names of those ids, by their values in the connection's path.
        left: how many messages of the connection were not looked at.
        ordered: whether replies came in the order of their requests.
        notes: guesses about no kind of message in particular.
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
        """Return the client's kinds that are sent for one of these reasons."""
        return [said for said in self.said.values() if said.speech in speeches]
