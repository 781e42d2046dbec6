"""The whole locustfile: comments on where it comes from, functions, the dialect, the user class. Pure."""

import ast
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote

from loadtest.capture import helper_sources
from loadtest.capture.helper_sources import quoted
from loadtest.capture.id_source import ids_source, keeps_ids
from loadtest.capture.inference import described_ids
from loadtest.capture.inferred import Inferred, Meaning, Speech
from loadtest.capture.known_protocols import bundled, recognised
from loadtest.capture.message_kinds import Record, looks_random
from loadtest.capture.message_source import (
    MessageWriter,
    described_text,
    guess,
    text_code,
)
from loadtest.capture.python_source import INDENT, Code, Names, comment, laid_out
from loadtest.capture.read_source import ReadWriter
from loadtest.capture.redaction import (
    TOKEN,
    Place,
    is_email_name,
    is_random_segment,
    is_secret_name,
    of_subprotocol,
)
from loadtest.capture.script_source import Step, refused, script_source, steps
from loadtest.capture.trees import leaves, name_of, shown
from loadtest.text import counted, public_url

DIALECT_CLASS: Final = "Recorded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Locustfile:
    """A generated locustfile.

    Args:
        imports: of the modules that the dialect needs.
        dialect: everything up to the user class.
        user: the user class, with its imports apart.
        head: the comments at the top.
        steps: of the script.
        writer: of the client's messages, for the replay.
    """

    imports: tuple[str, ...]
    head: str
    dialect: str
    user: str
    steps: tuple[Step, ...]
    writer: MessageWriter

    @property
    def source(self) -> str:
        """The file."""
        locust = [name for name in ("between", "task") if f"{name}(" in self.user or f"@{name} " in self.user]
        lines = [*self.imports, *([f"from locust import {', '.join(locust)}"] if locust else [])]
        lines.append("import loadtest as lt")
        outside = [line for line in lines if re.match(r"(?:import|from) (?:loadtest|msgspec|locust)\b", line)]
        inside = [line for line in lines if line not in outside]
        blocks = ["\n".join(sorted(block, key=_import_order)) for block in (inside, outside) if block]
        head = "\n\n".join([self.head.rstrip("\n"), *blocks])
        code = re.sub(r"^#.*\n", "", self.dialect, flags=re.MULTILINE)
        apart = "\n\n\n" if code.startswith(("def ", "class ")) else "\n\n"
        return f"{head}{apart}{self.dialect}\n\n{self.user}"

    @property
    def dialect_module(self) -> str:
        """The file without the user class, whose import would load Locust."""
        return "\n".join([*self.imports, "import loadtest as lt", "", self.dialect])


def _import_order(line: str) -> tuple[bool, str]:
    return (line.startswith("from "), line)


def locustfile(inferred: Inferred, *, file: str, creator: str, others: int) -> Locustfile:
    """Return the locustfile for a conversation.

    Args:
        inferred: the conversation.
        file: name of the recording.
        creator: the program that wrote it.
        others: number of the recording's other connections.
    """
    names = Names()
    writer = MessageWriter(inferred, names)
    found = steps(inferred, writer)
    dialect = DialectWriter(inferred, writer, found).source()
    user = _user(found, len(refused(inferred)))
    return Locustfile(
        imports=tuple(_imports(dialect)),
        head=_head(inferred, file, creator, others),
        dialect=dialect,
        user=user,
        steps=tuple(found),
        writer=writer,
    )


def _user(found: list[Step], wrong: int) -> str:
    lines = ["class RecordedUser(lt.WebSocketUser):", f"{INDENT}dialect = {DIALECT_CLASS}"]
    if found:
        lines += [f"{INDENT}wait_time = between(1, 3)  # seconds between two runs of the script", ""]
        lines.append(script_source(found, wrong).rstrip("\n"))
    return "\n".join(lines) + "\n"


_MODULES: Final = (
    ("json", "import json"),
    ("re", "import re"),
    ("time", "import time"),
    ("uuid", "import uuid"),
    ("Callable", "from collections.abc import Callable"),
    ("Any", "from typing import Any"),
    ("msgspec", "import msgspec"),
)


def _imports(dialect: str) -> Iterator[str]:
    """Yield the imports of what the code names; texts and comments name nothing."""
    named = {node.id for node in ast.walk(ast.parse(dialect)) if isinstance(node, ast.Name)}
    for name, line in _MODULES:
        if name in named:
            yield line


def _head(inferred: Inferred, file: str, creator: str, others: int) -> str:
    connection, redactor = inferred.connection, inferred.redactor
    sent = sum(frame.sent for frame in connection.frames)
    lines = ['"""A locustfile that `loadtest dialect from` made: check its guesses, and mend them."""\n\n']
    where = redactor.public(public_url(connection.url), 200)
    text = f"From connection {connection.number} of {others + 1} in {redactor.public(file, 80)}"
    by = f", recorded by {redactor.public(creator, 60)}" if creator else ""
    lines.append(comment(f"{text}{by}: {where}"))
    received = len(connection.frames) - sent
    lines.append(
        comment(
            f"{counted(sent, 'message')} of the client, {received:,} of the server. "
            f"The messages are {inferred.form.name}."
        )
    )
    known = recognised(inferred)
    if known is not None:
        protocol, shown_by = known
        uses = f'. The tool has a dialect for it: dialect = "{protocol.dialect}"' if bundled(protocol) else ""
        lines.append(comment(f"This looks like {protocol.title}, by {shown_by}{uses}."))
    lines += [comment(text) for text in _needs(inferred)]
    lines += [guess(redactor.public(note)) for note in inferred.notes]
    lines += [comment(redactor.public(text)) for text in not_checked(inferred)]
    return "".join(lines)


_NONCE: Final = re.compile(r"(?i)nonce|challenge|salt")


def _computed(inferred: Inferred) -> Iterator[str]:
    """Yield which values of a login may be computed from what the server has told."""
    for said in inferred.speeches(Speech.LOGIN):
        asked = said.answers.records[0].tree if said.answers is not None else None
        record = said.kind.records[0]
        nonces = [path for path, value in leaves(asked) if _NONCE.search(name_of(path))]
        told = {value for _, value in leaves(asked)}
        for path, value in () if record.plain or not nonces else leaves(record.tree):
            is_id = inferred.ids is not None and path == inferred.ids.path
            random = isinstance(value, str) and (looks_random(value) or is_random_segment(value))
            if random and not is_id and value not in told and path not in said.remembered:
                yield (
                    f"{shown(path)} may be computed from {shown(nonces[0])}: write how. "
                    "No recording shows it, and a constant is refused."
                )


def not_checked(inferred: Inferred) -> list[str]:
    """Return what a run does not check of this conversation, and what the file cannot do, a line each."""
    wrong = refused(inferred)
    asking = (said for said in inferred.speeches(Speech.REQUEST, Speech.STREAM) if not said.checked)
    unread = [said.kind.label for said in asking if any(one not in wrong for one in said.kind.records)]
    found = list(_computed(inferred))
    most = max(Counter(record.frame for record in inferred.records if record.sent).values(), default=0)
    if most > 1:
        sent = f"The client sent up to {most} records in a message; the file sends each alone."
        found.append(f"Not checked: batches. {sent}")
    if unread:
        more = f" and {len(unread) - 5} more" if len(unread) > 5 else ""
        found.append(
            f"Not checked: the texts of replies to {', '.join(unread[:5])}{more}. Any reply counts: a run "
            "that passes says nothing about what is in them."
        )
    heard = [one.kind.label for one in inferred.meanings(Meaning.PUSH) if one.number_path is None]
    if heard:
        more = f" and {len(heard) - 5} more" if len(heard) > 5 else ""
        found.append(f"Not checked: whether each push came, of {', '.join(heard[:5])}{more}.")
    return found


def _needs(inferred: Inferred) -> Iterator[str]:
    redactor, connection = inferred.redactor, inferred.connection
    if redactor.has_token:
        yield "A token stood in the recording. It is not here: give yours with --ws-token or --ws-token-cmd."
    if columns := redactor.columns():
        yield (
            f"Credentials stood in the recording. They are not here: give yours with --ws-data FILE, "
            f"with the columns {', '.join(columns)}."
        )
    if connection.header("cookie"):
        needed = "If the server needs them, log in (docs/logins.md) or give --ws-header 'Cookie: ...'."
        yield f"The browser sent cookies. {needed}"
    origin = connection.header("origin")
    if origin:
        said = redactor.public(public_url(origin), 100)
        yield f"The browser sent the Origin {said}. If the server checks it, give --ws-origin."


class DialectWriter:
    """Writes the functions and the dialect class.

    Args:
        inferred: the conversation.
        writer: of the client's messages.
        found: the steps of the script.
    """

    def __init__(self, inferred: Inferred, writer: MessageWriter, found: list[Step]) -> None:
        self._inferred = inferred
        self._writer = writer
        self._steps = found

    def source(self) -> str:
        """Return the source, without imports."""
        inferred = self._inferred
        greeting = self._greeting()
        beat = self._heartbeat()
        methods = [
            self._endpoint(),
            greeting,
            self._request(),
            beat,
            ReadWriter(inferred, self._writer).source(),
        ]
        head = self._attributes()
        bodies = list(self._writer.bodies.values())
        blocks = [inferred.form.helpers.strip("\n") + "\n"] if inferred.form.helpers else []
        ids = inferred.ids
        if ids is not None and keeps_ids(inferred):
            blocks.append(
                guess(described_ids(ids))
                + ids_source(ids, inferred.redactor, greets=inferred.establishing_id)
            )
        if any(heard.gathers for heard in inferred.heard.values()):
            blocks.append(helper_sources.PIECES.strip("\n") + "\n")
        if any(heard.halves for heard in inferred.heard.values()):
            blocks.append(helper_sources.HALVES.strip("\n") + "\n")
        constants = "".join(self._commented(body.source, body.said) for body in bodies if body.constant)
        if any(body.parameters for body in bodies):
            constants = "Body = Callable[[lt.DialectSession, int], lt.Data]\n" + constants
        if constants:
            blocks.append(constants)
        blocks += [self._commented(body.definitions(), body.said) for body in bodies if not body.constant]
        methods = [method for method in methods if method]
        blocks.append("\n".join([head, *methods]) if methods else head)
        return "\n\n".join(blocks)

    def _commented(self, source: str, said: object) -> str:
        found = next((one for one in self._inferred.said.values() if one is said), None)
        texts = []
        if found is not None:
            first = next(body for body in self._writer.bodies.values() if body.said is found)
            if source.startswith(first.source):
                texts = [found.why] if found.why else []
                if found.text_path is not None:
                    texts.append(described_text(found))
                texts += [
                    f"field {self._last(path)} is what the server told before"
                    + (", and at first the client's own" if path in found.first_own else "")
                    for path in found.remembered
                ]
        return "".join(guess(self._inferred.redactor.public(text)) for text in texts) + source

    def _last(self, path: tuple[str | int, ...]) -> str:
        return str(path[-1]) if path else ""

    def _attributes(self) -> str:
        inferred = self._inferred
        lines = [f"class {DIALECT_CLASS}(lt.Dialect):", f'{INDENT}name = "recorded"']
        path = self._path()
        lines.append(f"{INDENT}default_path = {laid_out(path, 1, len(INDENT) + 15)}")
        plain = [part for part in self._subprotocols() if isinstance(part, str)]
        if plain and len(plain) == len(self._subprotocols()):
            lines.append(
                f"{INDENT}subprotocols = ({', '.join(map(quoted, plain))}{',' if len(plain) == 1 else ''})"
            )
        if inferred.established is not None:
            lines.append(f"{INDENT}establishes = True")
        if inferred.identifies:
            lines.append(f"{INDENT}identifies = True")
        if any(heard.texts_path for heard in inferred.heard.values()):
            lines.append(f"{INDENT}keeps_history = True")
        if inferred.meanings(Meaning.PUSH) or inferred.meanings(Meaning.ROOM):
            lines.append(f"{INDENT}pushes = True")
        ids = inferred.ids
        if ids is not None and not keeps_ids(inferred):
            lines.append(guess(described_ids(ids), 1).rstrip("\n"))
        if ids is not None and inferred.meanings(Meaning.REPLY):
            seen = (
                "overtook each other in the recording"
                if not inferred.ordered
                else "have ids: they may overtake each other"
            )
            lines.append(f"{INDENT}ordered = False  # replies {seen}")
        if inferred.heartbeat is not None and inferred.heartbeat_s is not None:
            said = inferred.said[inferred.heartbeat]
            lines.append(
                guess(
                    f"{inferred.redactor.public(inferred.heartbeat.label, 60)} is the heartbeat: {said.why}",
                    1,
                ).rstrip("\n")
            )
            lines.append(f"{INDENT}heartbeat_s = {inferred.heartbeat_s:g}")
        return "\n".join(lines) + "\n"

    def _path(self) -> str:
        """Return the path with placeholders for what must be another for each session or user."""
        bare, mark, query = self._inferred.connection.path.partition("?")
        segments = [self._placed("", segment) for segment in bare.split("/")]
        parameters = []
        for parameter in query.split("&") if mark else ():
            name, equals, value = parameter.partition("=")
            if name == "sid" and self._inferred.form.name == "Socket.IO":
                continue
            key = self._inferred.redactor.public(_safe(name))
            parameters.append(f"{key}{equals}{self._placed(unquote(name), value)}")
        return "/".join(segments) + mark + "&".join(parameters)

    def _placed(self, name: str, value: str) -> str:
        plain = unquote(value)
        if plain in self._inferred.path_ids:
            return f"{{{self._inferred.path_ids[plain]}}}"
        redactor = self._inferred.redactor
        secret = is_secret_name(name) or is_email_name(name) or is_random_segment(plain)
        parts: list[str | Place] = (
            [redactor.place(name or TOKEN, plain)] if secret and plain else redactor.parts("", plain)
        )
        return "".join(
            _safe(quote(redactor.public(part), safe="!$'()*,:@~[]-._+", errors="replace"))
            if isinstance(part, str)
            else f"{{{part.name}}}"
            for part in parts
        )

    def _subprotocols(self) -> list[str | Code]:
        offered = self._inferred.connection.header("sec-websocket-protocol") or ""
        redactor = self._inferred.redactor
        return [
            text_code(self._offered(one.strip()), redactor) for one in offered.split(",")[:20] if one.strip()
        ]

    def _offered(self, one: str) -> list[str | Place]:
        word, secret = of_subprotocol(one)
        redactor = self._inferred.redactor
        return [word, redactor.place(TOKEN, secret)] if secret else redactor.parts("", word)

    def _endpoint(self) -> str:
        offered = self._subprotocols()
        if not any(isinstance(one, Code) for one in offered):
            return ""
        items = ", ".join(
            f'{one.text} or ""' if isinstance(one, Code) and one.text == "session.token" else laid_out(one, 0)
            for one in offered
        )
        items += "," if len(offered) == 1 else ""
        return (
            f"{INDENT}def endpoint(self, session: lt.DialectSession) -> lt.Endpoint:\n"
            f"{INDENT * 2}path = super().endpoint(session).path\n"
            f"{INDENT * 2}return lt.Endpoint(path=path, subprotocols=({items}))\n"
        )

    def _greeting(self) -> str:
        renewed = {said.remembered[path] for said in self._inferred.said.values() for path in said.first_own}
        if not self._inferred.greeting and not self._inferred.resuming and not renewed:
            return ""
        calls = self._calls(self._inferred.greeting)
        again = "".join(
            f"{INDENT * 2}session.memory.pop({quoted(name)}, None)  # each connection begins with its own\n"
            for name in sorted(renewed)
        )
        if self._inferred.resuming:
            resumed = ", ".join(self._calls(self._inferred.resuming))
            condition = f"{INDENT * 2}if {quoted(self._inferred.resumes_with)} in session.memory:\n"
            again += f"{condition}{INDENT * 3}return [{resumed}]\n"
        return (
            f"{INDENT}def greeting(self, session: lt.DialectSession) -> list[lt.Data]:\n"
            f"{again}{INDENT * 2}return [{', '.join(calls)}]\n"
        )

    def _calls(self, records: Sequence[Record]) -> list[str]:
        return [self._writer.body(record).written("session", "-1", record) for record in records]

    def _heartbeat(self) -> str:
        kind = self._inferred.heartbeat
        if kind is None:
            return ""
        record = kind.records[0]
        call = self._writer.body(record).written("session", "-1", record)
        head = f"{INDENT}def heartbeat(self, session: lt.DialectSession) -> lt.Data:\n"
        return f"{head}{INDENT * 2}return {call}\n"

    def _request(self) -> str:
        step = self._main()
        if step is None:
            return ""
        call = step.body.written("session", "sequence", step.record)
        returned = "lt.Data"
        if step.speech is Speech.SEND:
            returned, call = "lt.Request", f"lt.Request({call}, replies=False)"
        return (
            f"{INDENT}def request(self, session: lt.DialectSession, sequence: int) -> {returned}:\n"
            f"{INDENT * 2}return {call}\n"
        )

    def _main(self) -> Step | None:
        """Return the step that stands for what a client says: answered, with a text, and often."""
        counts = {step.body.name: sum(one.body is step.body for one in self._steps) for step in self._steps}

        def rank(step: Step) -> tuple[bool, bool, bool, int]:
            said = step.body.said
            asks = step.speech is not Speech.SEND
            return (asks, not said.remembered, said.text_path is not None, counts[step.body.name])

        return max(self._steps, key=rank, default=None)


def _safe(text: str) -> str:
    """Return a part of a path without braces, which would be placeholders, and without line ends."""
    return re.sub(r"[{}\s]|[^ -~]", lambda found: quote(found[0], safe="", errors="replace"), text)
