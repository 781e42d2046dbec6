"""Functions and constants that write the client's messages, and the expressions in them. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from loadtest.capture.helper_sources import quoted
from loadtest.capture.id_source import id_code, keeps_ids, opening_owner
from loadtest.capture.inferred import Inferred, Said, Speech
from loadtest.capture.message_kinds import Kind, Record, looks_random
from loadtest.capture.python_source import INDENT, WIDTH, Code, Names, comment, expression, joined, laid_out
from loadtest.capture.redaction import Place, Redactor, is_email_name, is_secret_name, login_word, name_in
from loadtest.capture.trees import MISSING, Path, at, leaves, mapped, name_of, shape, shown

MAX_BINARY: Final = 2_000
"""Bytes of a binary message that stand in the file; a longer one is replaced by as many zeros."""

MAX_VARIANTS: Final = 20
"""Forms of one kind of message that get a function of their own."""

MAX_PARAMETERS: Final = 4
LONGEST_CALL: Final = 50
"""Characters of a call in the script; a longer one gets a name."""

_LEAST_PIN: Final = 1000
"""Numbers below are no secrets: `token_count`, `pin` of a chip."""


@dataclass(slots=True, kw_only=True)
class Body:
    """A function or constant of the locustfile that writes messages of one kind and form.

    Args:
        name: its name in the locustfile.
        said: the kind.
        source: its definition.
        parameters: paths of the values that it takes, with their names.
        constant: whether it is a constant instead of a function.
        names: names of the locustfile, for long calls.
        calls: names for its results with long arguments, by the call.
    """

    name: str
    said: Said
    source: str
    parameters: Mapping[Path, str] = field(default_factory=dict)
    constant: bool = False
    names: Names | None = None
    calls: dict[str, str] = field(default_factory=dict)

    def called(self, record: Record) -> str:
        """Return the expression for the message of a record."""
        if not self.parameters:
            return self.name
        values = (at(record.tree, path) for path in self.parameters)
        call = f"{self.name}({', '.join(map(expression, values))})"
        if len(call) <= LONGEST_CALL or self.names is None:
            return call
        if call not in self.calls:
            self.calls[call] = self.names.new(self.name, "message", constant=True)
        return self.calls[call]

    def definitions(self) -> str:
        """Return its source, and that of its results for long arguments."""
        lines = (f"{name} = {self._laid_out(call, name)}\n" for call, name in self.calls.items())
        called = "".join(lines)
        return f"{self.source}\n\n{called}" if called else self.source

    def _laid_out(self, call: str, name: str) -> str:
        if len(name) + 3 + len(call) <= WIDTH:
            return call
        return f"{self.name}(\n{INDENT}{call.removeprefix(self.name)[1:-1]}\n)"

    def written(self, session: str, sequence: str, record: Record) -> str:
        """Return the expression for a message."""
        return self.called(record) if self.constant else f"{self.called(record)}({session}, {sequence})"


def place_code(place: Place) -> str:
    """Return the expression that replaces a secret."""
    return "session.token" if place.is_token else f"session.data[{quoted(place.name)}]"


def text_code(parts: Sequence[str | Place], redactor: Redactor) -> Code | str:
    """Return a text with places for secrets, as an expression; the text itself if it has none."""
    if all(isinstance(part, str) for part in parts):
        return "".join(redactor.public(part) for part in parts if isinstance(part, str))
    if len(parts) == 1:
        (place,) = parts
        assert isinstance(place, Place)
        return Code(place_code(place))
    return Code(
        joined(
            [Code(place_code(part)) if isinstance(part, Place) else redactor.public(part) for part in parts]
        )
    )


class MessageWriter:
    """Writes the bodies of a conversation.

    Args:
        inferred: the conversation.
        names: names of the locustfile.
    """

    def __init__(self, inferred: Inferred, names: Names) -> None:
        self._inferred = inferred
        self._names = names
        self._greeting_ids = self._ids_of_greeting()
        self.bodies: dict[tuple[Kind, Any], Body] = {}

    def _ids_of_greeting(self) -> set[str]:
        ids = self._inferred.ids
        if ids is None:
            return set()
        return {name for record in self._inferred.greeting if (name := ids.of(record)) is not None}

    def body(self, record: Record) -> Body:
        """Return the body that writes a record."""
        said = self._inferred.said[record.kind]
        key = (record.kind, self._form_of(record))
        variants = [body for (kind, _), body in self.bodies.items() if kind is record.kind]
        if key not in self.bodies:
            if len(variants) >= MAX_VARIANTS:
                return variants[0]
            self.bodies[key] = self._new(
                said, [one for one in record.kind.records if self._form_of(one) == key[1]]
            )
        return self.bodies[key]

    def _form_of(self, record: Record) -> Any:
        return (record.plain, record.binary, None if record.plain else shape(record.tree))

    def _new(self, said: Said, records: Sequence[Record]) -> Body:
        first = records[0]
        words = " ".join(value for _, value in said.kind.constants if isinstance(value, str))
        label = self._inferred.redactor.public(words or said.kind.label, 60)
        if first.plain:
            return self._define(said, label, {}, self.plain_code(said, first))
        parameters = self._parameters(said, records)
        greeting = opening_owner(self._inferred, said)
        owner = {Speech.GREETING: greeting, Speech.HEARTBEAT: '"heartbeat"', Speech.SETUP: '"setup"'}.get(
            said.speech, "sequence"
        )
        tree = self.tree(said, first, owner=owner, parameters=parameters, records=records)
        return self._defined(said, tree, label, parameters, binary=first.binary)

    def plain_code(self, said: Said, first: Record) -> Any:
        """Return the code for a plain message, a text or bytes, without its secrets."""
        data: Any = first.tree
        if isinstance(data, str):
            data = Code("session.text(sequence)") if said.text_path == () else self._text("", data)
            if isinstance(data, Code) and data.text == "session.token":
                data = Code('session.token or ""')
        elif len(data) > MAX_BINARY:
            data = Code(f"bytes({len(data)})")
        elif self._inferred.redactor.public(data.decode("latin-1")) != data.decode("latin-1"):
            data = Code(f"bytes({len(data)})")  # a secret may stand in it
        return data

    def _defined(
        self, said: Said, tree: Any, label: str, parameters: Mapping[Path, str], *, binary: bool
    ) -> Body:
        return self._define(said, label, parameters, self._inferred.form.writing(tree, binary=binary))

    def _define(self, said: Said, label: str, parameters: Mapping[Path, str], code: Any) -> Body:
        line = expression(code)
        uses = {
            name for name in ("session", "sequence") if re.search(rf"(?<![\w.\"']){name}\b(?!['\"])", line)
        }
        if not uses and not parameters and not re.search(r"\b(?:uuid\.uuid4|time\.time)\(", line):
            name = self._names.new(label, "message", constant=True)
            source = f"{name} = {laid_out(code, 0, len(name) + 3)}\n"
            return Body(name=name, said=said, source=source, constant=True)
        name = self._names.new(label, "message")
        indent = 2 if parameters else 1
        written = laid_out(code, indent, 4 * indent + len("return "))
        session, sequence = (one if one in uses else f"_{one}" for one in ("session", "sequence"))
        arguments = f"{session}: lt.DialectSession, {sequence}: int"
        if not parameters:
            source = f"def {name}({arguments}) -> lt.Data:\n    return {written}\n"
            return Body(name=name, said=said, source=source)
        types = ", ".join(f"{one}: {self._type(said, path)}" for path, one in parameters.items())
        source = (
            f"def {name}({types}) -> Body:\n    def body({arguments}) -> lt.Data:\n"
            f"        return {written}\n\n    return body\n"
        )
        return Body(name=name, said=said, source=source, parameters=parameters, names=self._names)

    def _type(self, said: Said, path: Path) -> str:
        kinds = {type(value).__name__ for value in said.kind.values(path)}
        return kinds.pop() if len(kinds) == 1 and kinds <= {"str", "int", "float", "bool"} else "object"

    def tree(
        self,
        said: Said,
        record: Record,
        *,
        owner: str = "sequence",
        parameters: Mapping[Path, str] | None = None,
        records: Sequence[Record] = (),
        copies: Mapping[Path, str] | None = None,
    ) -> Any:
        """Return a record's tree, with expressions for the values that are new in each message."""

        def change(path: Path, value: Any) -> Any:
            if copies and path in copies:
                return Code(copies[path])
            if parameters and path in parameters:
                return Code(parameters[path])
            return self._value(said, record, path, value, owner, records or (record,))

        return _public_keys(mapped(record.tree, change), self._inferred.redactor)

    def _value(
        self, said: Said, record: Record, path: Path, value: Any, owner: str, records: Sequence[Record]
    ) -> Any:
        """Return the code for a recorded value: an expression if it differs in each message."""
        ids = self._inferred.ids
        if (
            said.speech is not Speech.ANSWER
            and ids is not None
            and path == ids.path
            and ids.of(record) is not None
        ):
            return self._id(said, record, path, value, owner)
        if path == said.text_path:
            return Code("session.text(sequence)")
        if path in said.remembered:
            first = f", {value!r}" if isinstance(value, int) and said.speech is Speech.GREETING else ""
            told = f"session.memory.get({quoted(said.remembered[path])}{first})"
            if path in said.first_own:
                told += f" or {expression(self._text(name_of(path), value))}"
            return Code(told)
        if self._greeting_ids and said.speech is not Speech.LOGIN and self._joins(path, records):
            if said.speech is Speech.GREETING:
                return self._id(said, record, path, value, owner)
            return Code('session.memory.get("greeting")')
        if isinstance(value, str):
            return self._string(path, value, record, records)
        if isinstance(value, bytes):
            return value if len(value) <= MAX_BINARY else Code(f"bytes({len(value)})")
        if isinstance(value, int | float) and not isinstance(value, bool):
            return self._number(said, path, value, owner, records)
        return value

    def _id(self, said: Said, record: Record, path: Path, value: Any, owner: str) -> Code:
        if said.speech is Speech.GREETING and _first_with(record, value) != path:
            return Code('session.memory["greeting"]')
        return Code(id_code(self._inferred, owner))

    def _number(self, said: Said, path: Path, value: float, owner: str, records: Sequence[Record]) -> Any:
        name = name_of(path)
        if isinstance(value, int) and value >= _LEAST_PIN and is_secret_name(name):
            place = self._inferred.redactor.place(name, str(value))
            return Code(f"int({place_code(place)}{' or 0' if place.is_token else ''})")
        if isinstance(value, int) and owner == "sequence" and _counts(path, said.kind):
            first = min(said.kind.values(path))
            return Code(f"sequence + {first}" if first else "sequence")
        return _clock(value, path, records)

    def _joins(self, path: Path, records: Sequence[Record]) -> bool:
        """Return whether a field always has the id of the greeting, as `join_ref` of Phoenix has."""
        ids = self._inferred.ids
        assert ids is not None
        values = [at(one.tree, path) for one in records]
        if path == ids.path or not keeps_ids(self._inferred) or not all(map(_is_ref, values)):
            return False
        similar = len(path) == len(ids.path) and (name_of(path) == "" or "ref" in name_of(path).lower())
        return similar and all(str(value) in self._greeting_ids for value in values)

    def _string(self, path: Path, value: str, record: Record, records: Sequence[Record]) -> Any:
        name = name_in(path)
        if isinstance(record.tree, list) and len(path) == 1 and isinstance(path[0], int) and path[0] > 0:
            before = record.tree[path[0] - 1]
            if not name and isinstance(before, str) and login_word(before):
                name = before.lower()
        values = [at(one.tree, path) for one in records]
        if not is_secret_name(name) and _are_new(values):
            return (
                Code("str(uuid.uuid4())")
                if "-" in value
                else Code(f"uuid.uuid4().hex[:{min(32, len(value))}]")
            )
        return self._text(name, value)

    def _text(self, name: str, value: str) -> Any:
        return text_code(self._inferred.redactor.parts(name, value), self._inferred.redactor)

    def _parameters(self, said: Said, records: Sequence[Record]) -> dict[Path, str]:
        """Return the paths of values that differ, and are neither ids, texts, secrets nor times."""
        found: dict[Path, str] = {}
        names = Names()
        for path in dict.fromkeys(path for record in records for path in _paths(record.tree)):
            values = [at(record.tree, path) for record in records]
            if all(value == values[0] and type(value) is type(values[0]) for value in values):
                continue
            if any(value is MISSING or isinstance(value, dict | list | bytes) for value in values):
                continue
            code = self._value(said, records[0], path, values[0], "sequence", records)
            if isinstance(code, Code) or len(found) == MAX_PARAMETERS:
                continue
            if any(self._is_private(path, value) for value in values):
                continue
            label = self._inferred.redactor.public(name_of(path), 40) or "value"
            found[path] = names.new(label, "value")
        return found

    def _is_private(self, path: Path, value: Any) -> bool:
        if not isinstance(value, str):
            return False
        return (
            is_secret_name(name_in(path))
            or is_email_name(name_in(path))
            or self._text(name_in(path), value) != value
        )


def _first_with(record: Record, value: Any) -> Path:
    """Return the first path of a value, which Python evaluates first."""
    return next(path for path, found in leaves(record.tree) if found == value)


def _paths(tree: Any) -> list[Path]:
    found: list[Path] = []
    mapped(tree, lambda path, _: found.append(path))
    return found


def _is_ref(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _are_new(values: Sequence[Any]) -> bool:
    """Return whether each message has a new random text here."""
    texts = [value for value in values if isinstance(value, str)]
    random = len(texts) == len(values) and all(
        looks_random(text) and re.search(r"\d", text) for text in texts
    )
    return random and len(texts) > 1 and len(set(texts)) == len(texts)


_COUNTER_NAME = re.compile(r"(?i)(?:id|seq|sequence|no|num|number|counter|index|ref|nonce)$")


def _counts(path: Path, kind: Kind) -> bool:
    """Return whether a number counts the client's messages, though no reply names it."""
    values = kind.values(path)
    if (
        len(values) < 3
        or not _COUNTER_NAME.search(name_of(path))
        or not all(type(one) is int for one in values)
    ):
        return False
    return all(after - before == 1 for before, after in pairwise(values)) and values[0] < 10_000


_CLOCK_ERROR_S: Final = 300.0


def _clock(value: float, path: Path, records: Sequence[Record]) -> Any:
    """Return an expression for the client's clock if the number was a time, else the number."""
    for unit, code in ((1000.0, "round(time.time() * 1000)"), (1.0, "round(time.time())")):
        pairs = [(at(one.tree, path), one.at_s) for one in records]
        if all(
            isinstance(found, int | float) and at_s is not None and abs(found / unit - at_s) < _CLOCK_ERROR_S
            for found, at_s in pairs
        ):
            return Code(code if isinstance(value, int) else code.removeprefix("round(").removesuffix(")"))
    return value


def _public_keys(tree: Any, redactor: Redactor) -> Any:
    """Return a tree whose keys are public: a token may be one."""
    if isinstance(tree, dict):
        return {_public_key(key, redactor): _public_keys(value, redactor) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_public_keys(value, redactor) for value in tree]
    return tree


def _public_key(key: Any, redactor: Redactor) -> Any:
    return redactor.public(key) if isinstance(key, str) else key


def guess(text: str, indent: int = 0) -> str:
    """Return the comment for a guess."""
    return comment(f"guess: {text}", indent)


def described_text(said: Said) -> str:
    """Write the path of the user's text, with the evidence."""
    where = "the whole message" if said.text_path == () else f"field {shown(said.text_path or ())}"
    return f"{where} is the user's text: {said.text_why}"
