"""`template`: any protocol that a TOML file describes (`loadtest.dialects.template_file`).

The first section whose condition holds decides the meaning of a server message: refused, established,
history, answer, error, stream, reply, push, ignore. A message that establishes the session may also contain
its history.
"""

import hashlib
import json
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar, Final

import msgspec

from loadtest.dialects.base import (
    EXCERPT_LENGTH,
    MALFORMED,
    AuthRequired,
    Dialect,
    Established,
    Failed,
    Incoming,
    Push,
    Read,
    Reply,
    Request,
    Restored,
    Sequence,
    StreamPart,
    lines,
    unreadable,
)
from loadtest.dialects.checked_fields import AUTO, checked_text
from loadtest.dialects.dialect_options import OPTION, DialectOption
from loadtest.dialects.dialect_session import DialectSession
from loadtest.dialects.dotted_paths import MISSING, marked_text, value_at, words_of
from loadtest.dialects.template_file import Document, Message, Protocol, Section, load, message_of
from loadtest.errors import InvalidSetting
from loadtest.events import Data, Send
from loadtest.values import FilePath

LONGEST_ANSWER: Final = 4 * 2**20
"""Characters of a streamed answer that are kept until its end."""

MOST_KEPT: Final = 10_000
"""UUIDs of requests, and streamed answers, that a session keeps at a time."""


class TemplateDialect(Dialect):
    """A protocol that a TOML file describes."""

    name = "template"
    file: ClassVar[Path | str] = ""
    protocol: ClassVar[Protocol | None] = None

    options = (DialectOption("file", FilePath(), "TOML file that describes the protocol. Required."),)

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "file" in cls.__dict__:
            cls._describe(load(Path(cls.file)))

    @classmethod
    def _describe(cls, protocol: Protocol) -> None:
        """Set the attributes of the class from a file."""
        top, get = protocol.top.values, protocol.get
        cls.protocol = protocol
        cls.default_path = top.get("path", "/")
        cls.health_path = top.get("health_path")
        cls.subprotocols = top.get("subprotocols", ())
        cls.ordered = top.get("ordered", True)
        cls.cleanup_s = top.get("cleanup_s")
        codes = top.get("forbidding_close_codes")
        cls.forbidding_close_codes = Dialect.forbidding_close_codes if codes is None else frozenset(codes)
        established, history, heartbeat = get("established"), get("history"), get("heartbeat")
        cls.establishes = established is not None
        cls.identifies = established is not None and ("session" in established or "thread" in established)
        cls.keeps_history = history is not None
        cls.history_window = history.values.get("window") if history else None
        cls.shares_history = history.values.get("shared") if history else None
        cls.pushes = get("push") is not None
        cls.heartbeat_s = heartbeat.values["every_s"] if heartbeat else None
        if get("request") is None:
            cls.request = Dialect.request  # type: ignore[method-assign]  # its sessions only listen
        if get("probe") is None:
            cls.probe = Dialect.probe  # type: ignore[method-assign]

    def __init__(self, *, path: str | None = None) -> None:
        super().__init__(path=path)
        if self.protocol is None:
            problem = "is required: the TOML file that describes the protocol, as in file=chat.toml"
            raise InvalidSetting(f"{OPTION} file", ..., problem)
        self._format: str = self.protocol.top.values.get("format", "json")
        self._lines = self.protocol.top.values.get("lines", False)
        self._unwrap = self.protocol.top.path("unwrap")
        self._prefix: str = self.protocol.top.values.get("id_prefix", "")
        self._others: str = self.protocol.top.values.get("others", "unreadable")
        fields = {"uuid": _new_uuid, "token": lambda session, _: session.token or "", "resume": _resume}
        self._messages = {
            name: message_of(self.protocol, section, fields)
            for name, section in self.protocol.sections.items()
            if "message" in section
        }
        self._answers = [(section, self._answer(section)) for section in self.protocol.answers]
        request = self.protocol.get("request")
        self._silent = request is not None and request.values.get("replies") is False

    def _answer(self, section: Section) -> Message:
        assert self.protocol is not None
        taken = {name: _taken(name) for name in section.values.get("fields", {})}
        return message_of(self.protocol, section, taken)

    def message_templates(self) -> Iterable[tuple[str, Any]]:
        assert self.protocol is not None
        answers = [("answer", message) for _, message in self._answers]
        named = [*self._messages.items(), *answers]
        return [(f"{self.protocol.file}: [{name}].message", message) for name, message in named]

    # What the client says.

    def _said(self, name: str, session: DialectSession, sequence: int = 0) -> Data:
        return self._encoded(self._messages[name](session, sequence))

    def _encoded(self, message: str) -> Data:
        return msgspec.msgpack.encode(json.loads(message)) if self._format == "msgpack" else message

    def greeting(self, session: DialectSession) -> Iterable[Data]:
        session.memory["answers"], session.memory["uuids"] = {}, {}
        resumes = "resume" in self._messages and ("resume" in session.memory or session.connection > 0)
        name = "resume" if resumes else "login"
        return (self._said(name, session),) if name in self._messages else ()

    def request(self, session: DialectSession, sequence: int) -> Data | Request:
        message = self._said("request", session, sequence)
        return Request(message, replies=False) if self._silent else message

    def heartbeat(self, session: DialectSession) -> Data:
        return self._said("heartbeat", session)

    def probe(self, session: DialectSession) -> Data | None:
        return self._said("probe", session)

    # What the server says.

    def read(self, session: DialectSession, data: Data) -> Read:
        if self._lines:
            return [one for line in lines(data) if line.strip() for one in self._read(session, line)]
        return list(self._read(session, data))

    def _read(self, session: DialectSession, data: Data) -> Iterator[Incoming]:
        try:
            documents = self._documents(data)
        except (*MALFORMED, TypeError):  # a map of MessagePack may have a list as a key
            yield unreadable(data)
            return
        try:
            for document in documents:
                yield from self._meanings(session, document, data)
        except RecursionError:  # the decoder reads what is too deep to be written
            yield unreadable(data)

    def _documents(self, data: Data) -> list[Document]:
        """Return the messages within a message, without their envelope."""
        if self._format == "text":
            return [data if isinstance(data, str) else data.decode()]
        if self._format == "msgpack":
            if isinstance(data, str):
                raise UnicodeError
            document = msgspec.msgpack.decode(data)
        else:
            document = msgspec.json.decode(data)
        if not self._unwrap:
            return [document]
        inner = value_at(document, self._unwrap)
        if inner is MISSING:
            return [document]
        found = inner if isinstance(inner, list) else [inner]
        return [msgspec.json.decode(one) if isinstance(one, str) else one for one in found]

    def _meanings(self, session: DialectSession, document: Document, data: Data) -> Iterator[Incoming]:
        said = False
        for name in ("refused", "established", "history", "history_end"):
            if (fields := self._fields(name, document)) is not MISSING:
                said = True
                yield getattr(self, f"_read_{name}")(session, fields)
        if said:
            return
        for section, message in self._answers:
            if (fields := section.when.fields(document)) is not MISSING:
                session.memory["taken"] = {
                    name: value_at(fields, path) for name, path in section.values.get("fields", {}).items()
                }
                yield Send(self._encoded(message(session, 0)))
                return
        for name in ("error", "stream", "reply", "push"):
            if (fields := self._fields(name, document)) is not MISSING:
                yield getattr(self, f"_read_{name}")(session, fields)
                return
        if self._fields("ignore", document) is MISSING and self._others != "ignore":
            yield Push() if self._others == "push" else unreadable(data)

    def _fields(self, name: str, document: Document) -> Document:
        """Return the fields of a message if a section's condition holds, else MISSING."""
        assert self.protocol is not None
        section = self.protocol.get(name)
        if section is None:
            return MISSING
        fields = section.when.fields(document)
        if fields is MISSING or section.when.alternatives or section.when.pattern is not None:
            return fields
        if name == "error":
            found = value_at(fields, section.path("text"))
            return MISSING if found is MISSING or not found else fields
        path = section.path("id")
        return MISSING if path and value_at(fields, path) is MISSING else fields

    def _section(self, name: str) -> Section:
        assert self.protocol is not None
        return self.protocol.sections[name]

    def _text_at(self, name: str, key: str, fields: Document) -> str | None:
        """Return a field as text, None if the section does not name it or the message lacks it."""
        section = self._section(name)
        value = value_at(fields, section.path(key)) if section.values.get(key) else MISSING
        return None if value is MISSING or value is None else value if isinstance(value, str) else str(value)

    def _read_refused(self, session: DialectSession, fields: Document) -> Incoming:
        reason = self._text_at("refused", "reason", fields)
        return AuthRequired(words_of(reason or "the server refused the session", EXCERPT_LENGTH))

    def _read_established(self, session: DialectSession, fields: Document) -> Incoming:
        resume = self._text_at("established", "resume", fields)
        if resume is not None:
            session.memory["resume"] = resume
        return Established(
            session_id=self._text_at("established", "session", fields),
            thread_id=self._text_at("established", "thread", fields),
        )

    def _read_history(self, session: DialectSession, fields: Document) -> Incoming:
        section = self._section("history")
        found = value_at(fields, section.path("items"))
        items = found if isinstance(found, list) else [] if found is MISSING else [found]
        path = section.path("text")
        found_in = (value_at(item, path) if path else marked_text(session, item) for item in items)
        texts = [text for text in found_in if isinstance(text, str)]
        if self.shares_history:
            texts = [text for text in texts if session.sequence_of(text) is not None]
        assert self.protocol is not None
        return Restored(
            texts=texts,
            count=len(items),
            complete=self.protocol.get("history_end") is None,
        )

    def _read_history_end(self, session: DialectSession, fields: Document) -> Incoming:
        return Restored()

    def _read_error(self, session: DialectSession, fields: Document) -> Incoming:
        said = value_at(fields, self._section("error").path("text"))
        words = "an error without a message" if said is MISSING or said is None else words_of(said)
        return Failed(self._sequence("error", session, fields), words)

    def _read_stream(self, session: DialectSession, fields: Document) -> Incoming:
        sequence = self._sequence("stream", session, fields)
        piece = value_at(fields, self._section("stream").path("text", "text"))
        answers: dict[Sequence, str] = session.memory.setdefault("answers", {})
        if isinstance(piece, str) and (sequence in answers or len(answers) < MOST_KEPT):
            answers[sequence] = (answers.get(sequence, "") + piece)[:LONGEST_ANSWER]
        return StreamPart(sequence)

    def _read_reply(self, session: DialectSession, fields: Document) -> Incoming:
        section = self._section("reply")
        sequence = self._sequence("reply", session, fields)
        named = section.values.get("text", AUTO)
        text = checked_text(session, fields, named)
        streamed = session.memory.setdefault("answers", {}).pop(sequence, None)
        if streamed is not None and named and not isinstance(text, str):
            text = marked_text(session, streamed) or text
        if "id" not in section and isinstance(text, str):
            sequence = session.sequence_of(text)
        return Reply(sequence, text)

    def _read_push(self, session: DialectSession, fields: Document) -> Incoming:
        section = self._section("push")
        values = {
            key: value_at(fields, section.path(key)) if section.values.get(key) else MISSING
            for key in ("text", "number", "sent_at_ms")
        }
        text, sent_at_ms = values["text"], values["sent_at_ms"]
        return Push(
            text=text if isinstance(text, str) else None,
            number=_whole(values["number"]),
            sent_at_ms=sent_at_ms if isinstance(sent_at_ms, float) else _whole(sent_at_ms),
        )

    def _sequence(self, name: str, session: DialectSession, fields: Document) -> Sequence:
        """Return the request that a message names; None if the section has no id."""
        path = self._section(name).path("id")
        if not path:
            return None
        named = value_at(fields, path)
        if isinstance(named, int) and not isinstance(named, bool):
            return named
        if not isinstance(named, str):
            return ""  # of no request
        uuids: dict[str, int] = session.memory.get("uuids", {})
        known = uuids.get(named)
        if known is not None and name != "stream":
            del uuids[named]
        return named.removeprefix(self._prefix) if known is None else known


def _whole(value: Any) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < len(str(10**18)):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _new_uuid(session: DialectSession, sequence: int) -> str:
    """Return the UUID of a request, the same at each call."""
    digest = hashlib.blake2b(session.text(sequence).encode(), digest_size=16).digest()
    made = str(uuid.UUID(bytes=digest, version=4))
    known: dict[str, int] = session.memory.setdefault("uuids", {})
    while len(known) >= MOST_KEPT:
        del known[next(iter(known))]
    known[made] = sequence
    return made


def _resume(session: DialectSession, _sequence: int) -> str:
    return str(session.memory.get("resume", ""))


def _taken(name: str) -> Message:
    """Return a function that writes a field of the message being answered."""

    def write(session: DialectSession, _sequence: int) -> str:
        value = session.memory["taken"][name]
        if value is MISSING:
            return ""
        return value if isinstance(value, str) else json.dumps(value)

    return write
