"""The method `read` of the generated dialect, with a case for each kind of server message. Pure."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from loadtest.capture.helper_sources import quoted
from loadtest.capture.id_source import keeps_ids, opening_owner
from loadtest.capture.inferred import Heard, Inferred, Meaning, Said, Speech
from loadtest.capture.message_ids import Style
from loadtest.capture.message_source import MessageWriter, guess
from loadtest.capture.python_source import INDENT, WIDTH, Call, Names, expression, laid_out
from loadtest.capture.read_patterns import Case, Node, types_of
from loadtest.capture.trees import Path, name_of

_CASE: Final = 3
"""Levels of indentation of a case in `read`."""


class ReadWriter:
    """Writes `read`.

    Args:
        inferred: the conversation.
        messages: writes the client's immediate answers.
    """

    def __init__(self, inferred: Inferred, messages: MessageWriter) -> None:
        self._inferred = inferred
        self._messages = messages

    def source(self) -> str:
        """Return the method, with another one for single records if a message may have several."""
        form = self._inferred.form
        plain = [
            line for heard in self._ordered() if heard.kind.records[0].plain for line in self._plain(heard)
        ]
        cases = [
            case
            for heard in self._ordered()
            if not heard.kind.records[0].plain
            for case in self._cases(heard)
        ]
        cases.sort(key=lambda case: -case.weight)
        cases = [*self._unseen_error(cases), *cases, *self._unseen_kinds()]
        several = any(
            (heard.texts_path or heard.setup) and heard.meaning is Meaning.ESTABLISHED
            for heard in self._inferred.heard.values()
        )
        one = "lt.Incoming | list[lt.Incoming] | None" if several else "lt.Incoming | None"
        if not cases:
            return self._without_form(plain)
        branches = 1 + len(cases) + sum(case.branches for case in cases)
        if form.several:
            return self._several(plain, cases, branches, one)
        branches += sum(line.lstrip().startswith("if ") for line in plain)
        lines = self._head("read", f"data: lt.Data) -> {one}:", branches)
        lines += plain
        lines += [
            f"{INDENT * 2}match {form.reading}:",
            *self._lines(cases),
            f"{INDENT * 2}return lt.unreadable(data)",
        ]
        return "\n".join(lines) + "\n"

    def _head(self, name: str, rest: str, branches: int) -> list[str]:
        noqa = "  # noqa: C901" if branches > 10 else ""
        return [f"{INDENT}def {name}(self, session: lt.DialectSession, {rest}{noqa}"]

    def _several(self, plain: Sequence[str], cases: Sequence[Case], branches: int, one: str) -> str:
        collected = [
            f"{INDENT * 2}found = (self.read_record(session, record) for record in records(data))",
            f"{INDENT * 2}return [incoming for incoming in found if incoming is not None]",
        ]
        if "list" in one:
            collected = [
                f"{INDENT * 2}found: list[lt.Incoming] = []",
                f"{INDENT * 2}for record in records(data):",
                f"{INDENT * 3}read = self.read_record(session, record)",
                f"{INDENT * 3}if read is not None:",
                f"{INDENT * 4}found += read if isinstance(read, list) else [read]",
                f"{INDENT * 2}return found",
            ]
        lines = [
            *self._head("read", "data: lt.Data) -> list[lt.Incoming]:", 0),
            *plain,
            *collected,
            "",
            *self._head("read_record", f"record: Any) -> {one}:", branches),
            f"{INDENT * 2}match record:",
            *self._lines(cases),
            f"{INDENT * 2}return lt.unreadable(str(record))",
        ]
        return "\n".join(lines) + "\n"

    def _lines(self, cases: Sequence[Case]) -> list[str]:
        lines = []
        for case in cases:
            if case.why:
                lines += guess(self._inferred.redactor.public(case.why), _CASE).rstrip("\n").split("\n")
            lines.append(f"{INDENT * _CASE}case {case.pattern}:")
            lines += [f"{INDENT * (_CASE + 1)}{line}" for line in case.lines]
        return lines

    def _ordered(self) -> list[Heard]:
        return sorted(
            self._inferred.heard.values(),
            key=lambda heard: heard.kind.records[0].order if heard.kind.records else 0,
        )

    # Plain messages.

    def _without_form(self, plain: Sequence[str]) -> str:
        lines = self._head("read", "data: lt.Data) -> lt.Incoming | None:", 0)
        rooms = [heard for heard in self._inferred.heard.values() if heard.meaning is Meaning.ROOM]
        if rooms and not rooms[0].kind.plain:
            others = [heard for heard in self._ordered() if heard is not rooms[0]]
            lines += [
                *(line for heard in others for line in self._plain(heard)),
                f"{INDENT * 2}if isinstance(data, bytes):",
                f"{INDENT * 3}return lt.unreadable(data)",
                *guess(rooms[0].why, 2).rstrip("\n").split("\n"),
                f"{INDENT * 2}own = session.sequence_of(data)",
                f"{INDENT * 2}return lt.Push() if own is None else lt.Reply(own, data)",
            ]
        else:
            lines += [*plain, f"{INDENT * 2}return lt.unreadable(data)"]
        return "\n".join(lines) + "\n"

    def _plain(self, heard: Heard) -> list[str]:
        record = heard.kind.records[0]
        if heard.kind.plain is not None:
            text = self._inferred.redactor.public(heard.kind.plain)
            condition = f"data == {quoted(text)}"
        else:
            condition = f"isinstance(data, {'bytes' if isinstance(record.tree, bytes) else 'str'})"
        if heard.kind.plain is None and isinstance(record.tree, str) and self._inferred.form.name != "text":
            condition = 'isinstance(data, str) and not data.lstrip().startswith(("{", "["))'
        lines = [*guess(heard.why, 2).rstrip("\n").split("\n"), f"{INDENT * 2}if {condition}:"]
        if heard.meaning is Meaning.ROOM:
            result = [
                "own = session.sequence_of(data)",
                "return lt.Push() if own is None else lt.Reply(own, data)",
            ]
        else:
            result = self._result(heard, {}, "None")
        if self._inferred.form.several:
            result = [_listed(line) for line in result]
        return [*lines, *(f"{INDENT * 3}{line}" for line in result)]

    # Messages in the form.

    def _cases(self, heard: Heard) -> list[Case]:
        if heard.end is None:
            place = heard.text_path
            if place and len(heard.kind.values(place)) < heard.kind.count:
                return [self._case(heard), self._case(replace(heard, text_path=None, why=""))]
            if heard.piece_path and len(heard.kind.values(heard.piece_path)) < heard.kind.count:
                return [self._case(heard), self._case(replace(heard, piece_path=None, why=""))]
            return [self._case(heard)]
        path, value = heard.end
        last = Heard(
            heard.kind,
            Meaning.REPLY,
            heard.why,
            heard.id_path,
            heard.text_path,
            gathers=heard.gathers,
            remembers=heard.remembers,
        )
        first = Heard(heard.kind, Meaning.PART, "", heard.id_path)
        places = [(last, {path: value}), (first, {})]
        if heard.piece_path is None:
            return [self._case(one, more) for one, more in places]
        pieced = [(replace(one, piece_path=heard.piece_path), more) for one, more in places]
        return [  # any part may have no piece
            self._case(one, more)
            for (one, more), (bare, _) in zip(pieced, places, strict=True)
            for one in (one, replace(bare, why=""))
        ]

    def _case(self, heard: Heard, more: Mapping[Path, Any] | None = None) -> Case:
        node, weight = self._conditions(heard, more or {})
        captured = self._capture(heard, node)
        if not heard.kind.constants and heard.kind.length is not None:
            for position, code in enumerate(types_of(heard)):
                if position not in node.below:
                    node.put((position,), code)
        lines = [
            f"session.memory[{quoted(name)}] = {captured[f'told {name}']}"
            for name in heard.remembers.values()
            if f"told {name}" in captured
        ]
        result = self._result(heard, captured, self._sequence(captured.get("number")))
        branches = sum(line.startswith("if ") for line in result)
        return Case(
            self._pattern(heard, node), [*lines, *result], heard.why, weight + len(captured), branches
        )

    def _conditions(self, heard: Heard, more: Mapping[Path, Any]) -> tuple[Node, int]:
        """Return the pattern for a message of this kind, and its number of conditions."""
        node, weight = Node(), 0
        public = self._inferred.redactor.public
        for path, value in (*heard.kind.constants, *more.items()):
            node.put(path, quoted(public(value)) if isinstance(value, str) else repr(value))
            weight += 10
        for key in heard.kind.keys[:6]:
            node.put((public(key),), "_")
            weight += 1
        return node, -1000 if heard.kind.label == "others" else weight

    def _capture(self, heard: Heard, node: Node) -> dict[str, str]:
        """Add captures for the result to a pattern; return their names by their use."""
        names, captured = Names(), dict[str, str]()
        public = self._inferred.redactor.public
        for use, path in self._captures(heard):
            if path is None or path in dict(heard.kind.constants):
                continue
            fallback = use.partition(" ")[0]
            label = use if use in ("number", "text") else public(name_of(path), 30) or fallback
            captured[use] = names.new(label, fallback)
            node.put(tuple(public(step) if isinstance(step, str) else step for step in path), captured[use])
        return captured

    def _pattern(self, heard: Heard, node: Node) -> str:
        if heard.kind.label == "others" and not node.below:
            return "_"
        if not node.below:
            return "{**rest} if not rest" if heard.kind.length is None else "[]"
        exact = heard.kind.length is not None and self._inferred.form.name != "lines of words"
        tree = node.tree(heard.kind.length if exact else None)
        return laid_out(tree, _CASE, len(INDENT) * _CASE + len("case "), 1)

    def _captures(self, heard: Heard) -> list[tuple[str, Path | None]]:
        found: list[tuple[str, Path | None]] = []
        match heard.meaning:
            case Meaning.REPLY | Meaning.ROOM:
                found = [("number", heard.id_path), ("text", heard.text_path)]
                found.append(("piece", heard.piece_path if heard.gathers else None))
                found.append(("status", heard.fine[0] if heard.fine else None))
            case Meaning.PART:
                found = [("number", heard.id_path), ("piece", heard.piece_path)]
            case Meaning.FAILED:
                found = [("number", heard.id_path), ("detail", heard.detail_path)]
            case Meaning.ESTABLISHED:
                found = [("session_id", heard.session_path), ("thread_id", heard.thread_path)]
                found.append(("earlier", heard.texts_path[0] if heard.texts_path else None))
            case Meaning.RESTORED:
                found = [("earlier", heard.texts_path[0] if heard.texts_path else None)]
            case Meaning.PUSH:
                found = [
                    ("count", heard.number_path),
                    ("at", heard.time_path[0] if heard.time_path else None),
                ]
            case Meaning.ASKING if heard.answer is not None:
                found = [(f"copy {place}", path) for place, (_, path) in enumerate(heard.answer.copies)]
        taken = {path for _, path in found}
        told = [(f"told {name}", path) for path, name in heard.remembers.items()]
        if any(path in taken for _, path in told):  # one name a place
            found += [(use, path) for use, path in told if path not in taken]
        else:
            found += told
        return found

    def _sequence(self, name: str | None) -> str:
        """Return the expression for the sequence number that an id names."""
        ids = self._inferred.ids
        if name is None or ids is None:
            return "None"
        if keeps_ids(self._inferred):
            return f"owner_of(session, {name})"
        less = f" - {ids.first}" if ids.first else ""
        if ids.style is Style.NUMBER:
            return f"{name}{less}"
        if ids.style is Style.PREFIXED:
            return f"int({name}.removeprefix({quoted(self._inferred.redactor.public(ids.prefix))})){less}"
        return f"int({name}){less}" if less else name

    def _result(self, heard: Heard, names: Mapping[str, str], seq: str) -> list[str]:
        match heard.meaning:
            case Meaning.REPLY:
                return self._reply(heard, names, seq)
            case Meaning.ROOM:
                return _of_room(names.get("text", "data"), beside=heard.beside)
            case Meaning.PART:
                part = f"return lt.StreamPart({seq if seq != 'None' else ''})"
                kept = f"keep(session, {names.get('number', 'None')}, {names.get('piece')})"
                return [kept, part] if "piece" in names else [part]
            case Meaning.FAILED:
                detail = f"str({names['detail']})" if "detail" in names else '"no error message"'
                return [f"return lt.Failed({_last(seq)}, {detail})"]
            case Meaning.ESTABLISHED:
                return self._established(heard, names)
            case Meaning.RESTORED:
                return _restored_lines(heard, names)
            case Meaning.ASKING if heard.answer is not None:
                answer = Call("lt.Send(", self._answer(heard.answer, names))
                return [f"return {laid_out(answer, _CASE + 1, 4 * (_CASE + 1) + len('return '))}"]
            case Meaning.IGNORED:
                return ["return None"]
        return self._push(heard, names)

    def _push(self, heard: Heard, names: Mapping[str, str]) -> list[str]:
        fields = [f"number={names['count']}"] if "count" in names else []
        if "at" in names and heard.time_path is not None:
            factor = "" if heard.time_path[1] == 1 else f" * {heard.time_path[1]}"
            fields.append(f"sent_at_ms={names['at']}{factor}")
        return [f"return lt.Push({', '.join(fields)})"]

    def _reply(self, heard: Heard, names: Mapping[str, str], seq: str) -> list[str]:
        lines = []
        seq = _last(seq)
        if "status" in names and heard.fine is not None:
            value = heard.fine[1]
            wrong = (
                f"{names['status']} is not {value}"
                if isinstance(value, bool) or value is None
                else f"{names['status']} != {laid_out(value, 0)}"
            )
            lines += [f"if {wrong}:", f"{INDENT}return lt.Failed({seq}, str({names['status']}))"]
        text = f", {names['text']}" if "text" in names else ""
        if heard.gathers:
            number = names.get("number", "None")
            lines += [f"keep(session, {number}, {names['piece']})"] if "piece" in names else []
            text = f", kept(session, {number})"
        if heard.halves:
            return [*lines, f"return acknowledged(session, {seq})"]
        if seq.startswith("owner_of"):
            return [
                *lines,
                f"return reply_to({seq.removeprefix('owner_of(').removesuffix(', last=True)')}{text})",
            ]
        return [*lines, f"return lt.Reply({seq}{text})"]

    def _established(self, heard: Heard, names: Mapping[str, str]) -> list[str]:
        fields = [f"{use}=str({names[use]})" for use in ("session_id", "thread_id") if use in names]
        read = [f"lt.Established({', '.join(fields)})"]
        if "earlier" in names:
            read.append(_restored(heard, names))
        for said in heard.setup:
            code = self._messages.body(said.kind.records[0]).written("session", "-1", said.kind.records[0])
            read.append(f"lt.Send({code})")
        return [f"return {read[0]}" if len(read) == 1 else f"return [{', '.join(read)}]"]

    def _answer(self, said: Said, names: Mapping[str, str]) -> Any:
        record = said.kind.records[0]
        if record.plain:
            return self._messages.plain_code(said, record)
        copies = {
            own: names[f"copy {place}"]
            for place, (own, _) in enumerate(said.copies)
            if f"copy {place}" in names
        }
        owner = opening_owner(self._inferred, said) if said.speech is Speech.LOGIN else '"login"'
        tree = self._messages.tree(said, record, copies=copies, owner=owner, records=said.kind.records)
        form = self._inferred.form
        return form.writing(tree, binary=record.binary)

    def _unseen_kinds(self) -> list[Case]:
        """Return cases for kinds that are not in the recording, which is only a sample."""
        if self._inferred.form.name == "Socket.IO":
            why = "other events are pushes; 44 refuses the connection"
            refused = 'return lt.AuthRequired(str(refused.get("data")))'
            return [
                Case('{"packet": "42"}', ["return lt.Push()"], why, -2),
                Case('{"packet": "44"} as refused', [refused], "", -2),
            ]
        paths = Counter(
            path
            for kind in self._inferred.kinds
            if not kind.sent
            for path, value in kind.constants
            if isinstance(value, str)
        )
        if not paths:
            return []
        path, _ = paths.most_common(1)[0]
        node = Node()
        public = self._inferred.redactor.public
        node.put(tuple(public(step) if isinstance(step, str) else step for step in path), "str(kind)")
        why = "kinds not in the recording: those with error in their name are errors, others are pushes"
        line = 'return lt.Failed(None, kind) if "error" in kind.lower() else lt.Push()'
        return [Case(expression(node.tree()), [line], why, -2)]

    def _unseen_error(self, cases: Sequence[Case]) -> list[Case]:
        """Return a case for errors in their most common form, if the recording has none."""
        ids = self._inferred.ids
        path = next(iter(ids.paths.values()), None) if ids is not None else None
        if path is None or len(path) != 1 or not isinstance(path[0], str):
            return []
        if any(re.search(r'"error": ', case.pattern) for case in cases) or self._inferred.form.hints:
            return []
        if any("error" in record.tree for record in self._inferred.records if isinstance(record.tree, dict)):
            return []
        seq = self._sequence("number")
        key = quoted(self._inferred.redactor.public(path[0]))
        why = "the recording has no error; this is their most common form"
        return [
            Case(
                f'{{{key}: number, "error": error}}', [f"return lt.Failed({_last(seq)}, str(error))"], why, -1
            )
        ]


def _listed(line: str) -> str:
    """Return the statement with its result wrapped in a list."""
    if line == "return None":
        return "return []"
    return f"return [{line.removeprefix('return ')}]" if line.startswith("return lt.") else line


def _last(seq: str) -> str:
    return seq[:-1] + ", last=True)" if seq.startswith("owner_of(") else seq


def _of_room(text: str, *, beside: bool) -> list[str]:
    if beside:
        return [f"return returned(session, {text})"]
    return [
        f"own = session.sequence_of({text})",
        f"return lt.Push() if own is None else lt.Reply(own, {text})",
    ]


def _restored_lines(heard: Heard, names: Mapping[str, str]) -> list[str]:
    line = f"return {_restored(heard, names)}"
    if len(INDENT) * (_CASE + 1) + len(line) <= WIDTH or ", count=" not in line:
        return [line]
    texts, _, count = line.removeprefix("return lt.Restored(").removesuffix(")").rpartition(", ")
    return ["return lt.Restored(", f"{INDENT}{texts},", f"{INDENT}{count},", ")"]


def _restored(heard: Heard, names: Mapping[str, str]) -> str:
    assert heard.texts_path is not None
    _, inner = heard.texts_path
    if not inner:
        return f"lt.Restored(texts={names['earlier']})"
    steps = "".join(f"[{laid_out(step, 0)}]" for step in inner)
    items = names["earlier"]
    if heard.own_role is None:
        return f"lt.Restored(texts=[item{steps} for item in {items}])"
    key, value = map(quoted, heard.own_role)
    own = f"[item{steps} for item in {items} if item[{key}] == {value}]"
    return f"lt.Restored(texts={own}, count=len({items}))"
