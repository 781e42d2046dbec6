"""Forms of messages: how to read them into trees, and the code for it in a locustfile. Pure.

A form reads a message as one or more trees: several if a message has one record per line, or is a batch. A
message in another form (such as a `ping` among JSON) is a plain message: its text or bytes, unchanged.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import msgspec

from loadtest.capture import helper_sources
from loadtest.capture.python_source import Call, laid_out
from loadtest.capture.trees import Path, Tree, is_too_deep
from loadtest.events import Data


class Form(Protocol):
    """A way to read and write messages.

    Attributes:
        name: for people.
        imports: modules that the generated code needs.
        helpers: source of functions that the generated code needs.
        reading: expression that reads the message `data`.
        hints: paths that distinguish the kinds of messages, if the form defines them.
    """

    @property
    def name(self) -> str: ...
    @property
    def imports(self) -> tuple[str, ...]: ...
    @property
    def helpers(self) -> str: ...
    @property
    def reading(self) -> str: ...
    @property
    def hints(self) -> tuple[Path, ...]: ...
    @property
    def several(self) -> bool:
        """Whether one message may hold several records; `reading` is then iterable."""
        ...

    def read(self, data: Data) -> list[Tree]:
        """Return the records of a message.

        Raises:
            ValueError: it is not in this form.
        """
        ...

    def write(self, trees: Sequence[Tree], *, binary: bool) -> Data:
        """Return a message with these records."""
        ...

    def writing(self, tree: Tree, *, binary: bool) -> Call:
        """Return the expression that writes a tree."""
        ...


def text_of(data: Data) -> str:
    """Return a message as text.

    Raises:
        ValueError: it is binary, and not UTF-8.
    """
    return data if isinstance(data, str) else data.decode()  # UnicodeDecodeError is a ValueError


def _json(text: str) -> Tree:
    try:
        tree = msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise ValueError(str(error)) from None
    if not isinstance(tree, dict | list) or is_too_deep(tree):
        raise ValueError("is not a JSON object or array, or is nested too deeply")
    return tree


def _written(tree: Tree) -> str:
    return msgspec.json.encode(tree).decode()


@dataclass(frozen=True, slots=True)
class Json:
    """JSON objects or arrays.

    Args:
        separator: between and after the records of a message; None if each message is one record.
        batches: whether an array of objects is a batch of records.
        wrapped: whether each message is an array of records, which are arrays.
    """

    separator: str | None = None
    batches: bool = False
    wrapped: bool = False
    name: str = "JSON"
    hints: tuple[Path, ...] = ()

    @property
    def several(self) -> bool:
        return self.separator is not None or self.batches or self.wrapped

    @property
    def imports(self) -> tuple[str, ...]:
        return ("json",)

    @property
    def helpers(self) -> str:
        if self.separator is not None:
            source = helper_sources.RECORDS + ("" if self.separator == "\n" else helper_sources.RECORD_OF)
            return source.replace("SEPARATOR", helper_sources.quoted(self.separator))
        if self.wrapped:
            return helper_sources.WRAPPED
        return helper_sources.BATCHES if self.batches else ""

    @property
    def reading(self) -> str:
        return "records(data)" if self.several else "json.loads(data)"

    def read(self, data: Data) -> list[Tree]:
        text = text_of(data)
        if self.separator is not None:
            trees = [_json(record) for record in text.split(self.separator) if record.strip()]
            if not trees:
                raise ValueError("has no record")
            return trees
        tree = _json(text)
        if self.wrapped:
            if not is_wrapped(tree):
                raise ValueError("is not an array of arrays")
            return list(tree)
        if self.batches and isinstance(tree, list) and tree and all(isinstance(one, dict) for one in tree):
            return tree
        return [tree]

    def write(self, trees: Sequence[Tree], *, binary: bool) -> Data:
        if self.separator is not None:
            text = "".join(_written(tree) + self.separator for tree in trees)
        else:
            text = _written(trees[0] if len(trees) == 1 and not self.wrapped else list(trees))
        return text.encode() if binary else text

    def writing(self, tree: Tree, *, binary: bool) -> Call:
        if self.wrapped:
            return Call("json.dumps(", [tree], ").encode()" if binary else ")")
        function = "json.dumps" if self.separator in (None, "\n") else "record_of"
        return Call(f"{function}(", tree, ").encode()" if binary else ")")


def is_wrapped(tree: Tree) -> bool:
    """Return whether a message is an array of arrays that begin with their kind."""
    return (
        isinstance(tree, list)
        and bool(tree)
        and all(isinstance(one, list) and one and isinstance(one[0], str | int) for one in tree)
    )


def unread(data: Tree, form: Form) -> str:
    """Return why a message that looks like MessagePack or JSON could not be read; empty for any other."""
    if isinstance(data, bytes):
        if form.name != "MessagePack":
            return ""
        try:
            form.read(data)
        except ValueError as error:
            return f"could not be read as MessagePack: {error}"
        return ""
    if not isinstance(data, str) or data.lstrip()[:1] not in ("{", "["):
        return ""
    try:
        json.loads(data)
        _json(data)
    except json.JSONDecodeError:
        return ""  # it only begins like JSON
    except (RecursionError, ValueError):
        return "could not be read as JSON: it has NaN or Infinity, or is nested too deeply"
    return ""  # JSON is not the form of most messages


@dataclass(frozen=True, slots=True)
class MessagePack:
    """MessagePack objects in binary messages."""

    name: str = "MessagePack"
    imports: tuple[str, ...] = ("msgspec",)
    helpers: str = helper_sources.MESSAGE_PACK
    reading: str = "unpacked(data)"
    hints: tuple[Path, ...] = ()
    several: bool = False

    def read(self, data: Data) -> list[Tree]:
        if isinstance(data, str):
            raise ValueError("is text")
        try:
            tree = msgspec.msgpack.decode(data)
        except (msgspec.MsgspecError, RecursionError, UnicodeError, TypeError) as error:
            raise ValueError(str(error)) from None
        if not isinstance(tree, dict | list) or is_too_deep(tree) or not _is_plain(tree):
            raise ValueError("it is not a map or array, or has keys or values that JSON does not have")
        return [tree]

    def write(self, trees: Sequence[Tree], *, binary: bool) -> Data:
        return msgspec.msgpack.encode(trees[0])

    def writing(self, tree: Tree, *, binary: bool) -> Call:
        return Call("msgspec.msgpack.encode(", tree)


def _is_plain(tree: Tree) -> bool:
    if isinstance(tree, dict):
        return all(isinstance(key, str) and _is_plain(value) for key, value in tree.items())
    if isinstance(tree, list):
        return all(map(_is_plain, tree))
    return tree is None or isinstance(tree, bool | int | float | str | bytes)


@dataclass(frozen=True, slots=True)
class SocketIo:
    """Packets of Socket.IO 3 and 4: a number for the kind, a namespace, an id, JSON.

    Source: the protocols Engine.IO 4 and Socket.IO 5, socket.io/docs/v4/socket-io-protocol.
    """

    name: str = "Socket.IO"
    imports: tuple[str, ...] = ("json", "re", "typing.Any")
    helpers: str = helper_sources.SOCKET_IO
    reading: str = "unpacked(data)"
    hints: tuple[Path, ...] = (("packet",), ("data", 0))
    several: bool = False

    def read(self, data: Data) -> list[Tree]:
        found = PACKET.fullmatch(text_of(data)) if isinstance(data, str) else None
        if found is None:
            raise ValueError("is not a packet")
        packet, namespace, number, content = found.groups()
        tree: dict[str, Any] = {"packet": packet}
        if namespace:
            tree["namespace"] = namespace
        if number:
            tree["id"] = int(number[:18])
        if content:
            tree["data"] = _json(content) if content[0] in "[{" else content
        return [tree]

    def write(self, trees: Sequence[Tree], *, binary: bool) -> Data:
        tree = trees[0]
        namespace = f"{tree['namespace']}," if "namespace" in tree else ""
        data = tree.get("data", "")
        content = data if isinstance(data, str) else _written(data)
        return f"{tree['packet']}{namespace}{tree.get('id', '')}{content}"

    def writing(self, tree: Tree, *, binary: bool) -> Call:
        return Call("packed(", tree)


PACKET: Final = re.compile(r"([0-3]|4[0-4]|[56])(?:(/[^,]{0,200}),)?(\d*)(.*)", re.DOTALL)
"""Kind, namespace, id and content of a packet; the ids of 0 to 3 are always empty."""


@dataclass(frozen=True, slots=True)
class HeadedFrames:
    """A command, one header per line, an empty line, a body, a NUL: as in STOMP."""

    name: str = "frames of a command, headers and a body"
    imports: tuple[str, ...] = ("typing.Any",)
    helpers: str = helper_sources.HEADED_FRAMES
    reading: str = "unpacked(data)"
    hints: tuple[Path, ...] = (("command",),)
    several: bool = False

    def read(self, data: Data) -> list[Tree]:
        found = _FRAME.fullmatch(text_of(data))
        if found is None:
            raise ValueError("is not a frame")
        command, lines, body = found.groups()
        pairs = (line.split(":", 1) for line in lines.split("\n") if line)
        return [{"command": command, "headers": dict(pairs), "body": body}]

    def write(self, trees: Sequence[Tree], *, binary: bool) -> Data:
        tree = trees[0]
        lines = [tree["command"], *(f"{name}:{value}" for name, value in tree["headers"].items())]
        return "\n".join([*lines, "", f"{tree['body']}\0"])

    def writing(self, tree: Tree, *, binary: bool) -> Call:
        return Call("packed(", tree)


_FRAME = re.compile(r"([A-Z]{2,20})\n((?:[^\n:\0]{1,200}:[^\n\0]*\n)*)\n([^\0]*)\0\n*")


@dataclass(frozen=True, slots=True)
class Words:
    """Lines of words.

    Args:
        separator: text between two words.
        end: ends each line.
        splits: number of times to split a line, by its first word; the last word is the rest of the line.
    """

    separator: str
    end: str = ""
    splits: dict[str, int] = field(default_factory=dict)
    name: str = "lines of words"
    imports: tuple[str, ...] = ()
    hints: tuple[Path, ...] = ((0,),)
    several: bool = False

    @property
    def helpers(self) -> str:
        filled = helper_sources.WORDS.replace("SEPARATOR", helper_sources.quoted(self.separator))
        filled = filled.replace("END", helper_sources.quoted(self.end))
        return filled.replace("SPLITS", laid_out(self.splits, 0, len("LINES = ")))

    @property
    def reading(self) -> str:
        return "words(data)"

    def read(self, data: Data) -> list[Tree]:
        text = text_of(data).removesuffix(self.end)
        first = text.partition(self.separator)[0]
        if not WORD.fullmatch(first) or "\n" in text:
            raise ValueError("is not a line of words")
        return [text.split(self.separator, self.splits.get(first, -1))]

    def write(self, trees: Sequence[Tree], *, binary: bool) -> Data:
        text = self.separator.join(map(str, trees[0])) + self.end
        return text.encode() if binary else text

    def writing(self, tree: Tree, *, binary: bool) -> Call:
        return Call("line(", tree, ").encode()" if binary else ")")


WORD: Final = re.compile(r"[A-Za-z][\w.:/-]{0,30}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Text:
    """Texts without any structure, as for an echo server."""

    name: str = "text"
    imports: tuple[str, ...] = ()
    helpers: str = ""
    reading: str = "data"
    hints: tuple[Path, ...] = ()
    several: bool = False

    def read(self, data: Data) -> list[Tree]:
        raise ValueError("has no structure")

    def write(self, trees: Sequence[Tree], *, binary: bool) -> Data:
        raise NotImplementedError

    def writing(self, tree: Tree, *, binary: bool) -> Call:
        raise NotImplementedError
