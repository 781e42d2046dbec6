"""Python source from trees, texts and names of a recording. Pure.

A recording is untrusted, and its texts become part of a program. So every text becomes a literal of ASCII
characters (`helper_sources.quoted`), a comment cannot end early, and names consist of letters, digits and
underscores and never equal a keyword or another name of the program.
"""

import builtins
import keyword
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from loadtest.capture.helper_sources import quoted
from loadtest.text import one_line

WIDTH: Final = 110
"""Columns of a line of code; longer literals are broken."""

_COMMENT_WIDTH: Final = 100

INDENT: Final = "    "


@dataclass(frozen=True, slots=True)
class Code:
    """An expression in a tree, in place of a value."""

    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """A call with one argument.

    Args:
        head: text up to the opening bracket.
        argument: a tree.
        tail: text from the closing bracket on.
    """

    head: str
    argument: Any
    tail: str = ")"


_PLAIN: Final = re.compile(r"[\w .,:;/@=+*&%$!?<>()|~^-]*", re.ASCII)
"""A text that stands in an f-string as it is: no quote, brace, backslash or invisible character."""

_NAMED: Final = re.compile(r"[a-z_][\w.]*(?: \+ \d+|\[\"\w+\"\])?", re.ASCII)
"""An expression that may stand within an f-string."""


def joined(parts: Sequence[str | Code]) -> str:
    """Return the expression for a text with values in it.

    Nothing is escaped here: an f-string has only characters that need no escape. Other texts become literals,
    joined with +.
    """
    plain = all(_PLAIN.fullmatch(part) for part in parts if isinstance(part, str))
    if plain and all(_NAMED.fullmatch(part.text) for part in parts if isinstance(part, Code)):
        inner = (part if isinstance(part, str) else "{" + part.text.replace('"', "'") + "}" for part in parts)
        return f'f"{"".join(inner)}"'
    return " + ".join(
        quoted(part) if isinstance(part, str) else f"str({part.text})" for part in parts if part
    )


def expression(tree: Any) -> str:
    """Return the source of a tree on one line."""
    if isinstance(tree, Code):
        return tree.text
    if isinstance(tree, Call):
        return f"{tree.head}{expression(tree.argument)}{tree.tail}"
    if isinstance(tree, dict):
        return "{" + ", ".join(f"{expression(key)}: {expression(value)}" for key, value in tree.items()) + "}"
    if isinstance(tree, list):
        return "[" + ", ".join(map(expression, tree)) + "]"
    if isinstance(tree, str):
        return quoted(tree)
    if isinstance(tree, bytes):
        return repr(tree)
    if tree is None or isinstance(tree, bool | int | float):
        return repr(tree)
    raise TypeError(type(tree).__name__)


def laid_out(tree: Any, indent: int, before: int = 0, after: int = 0) -> str:
    """Return the source of a tree, over several lines if it does not fit on one.

    Args:
        tree: dicts, lists, scalars and `Code`.
        indent: indentation levels of its first line.
        before: columns before it on that line, including the indentation.
        after: columns that follow its last character.
    """
    line = expression(tree)
    if before + len(line) + after <= WIDTH:
        return line
    inner = INDENT * (indent + 1)
    width = len(inner)
    if isinstance(tree, Call):
        argument = laid_out(tree.argument, indent + 1, width)
        return f"{tree.head}\n{inner}{argument}\n{INDENT * indent}{tree.tail}"
    if isinstance(tree, dict) and tree:
        items = []
        for key, value in tree.items():
            name = expression(key)
            items.append(f"{inner}{name}: {laid_out(value, indent + 1, width + len(name) + 2, 1)},\n")
        return "{\n" + "".join(items) + INDENT * indent + "}"
    if isinstance(tree, list) and tree:
        items = [f"{inner}{laid_out(value, indent + 1, width, 1)},\n" for value in tree]
        return "[\n" + "".join(items) + INDENT * indent + "]"
    room = max(20, WIDTH - width)
    if isinstance(tree, str) and len(line) > room:
        pieces = "".join(f"{inner}{piece}\n" for piece in _pieces(tree, room))
        return f"(\n{pieces}{INDENT * indent})"
    return line


def _pieces(text: str, room: int) -> list[str]:
    """Return a text as consecutive literals, each within the given width."""
    pieces, begin = [], 0
    while begin < len(text):
        end = min(len(text), begin + room - 2)
        while end - begin > 1 and len(quoted(text[begin:end])) > room:
            end = begin + (end - begin) * 3 // 4
        pieces.append(quoted(text[begin:end]))
        begin = end
    return pieces


def comment(text: str, indent: int = 0, limit: int = 300) -> str:
    """Return a text as a comment of one or more lines, each ending in a line feed."""
    plain = one_line(text, limit).encode("ascii", "backslashreplace").decode()
    start = f"{INDENT * indent}# "
    wrapped = textwrap.wrap(plain, _COMMENT_WIDTH, initial_indent=start, subsequent_indent=f"{start}  ")
    return "".join(f"{line}\n" for line in wrapped)


_TAKEN: Final = frozenset(
    {
        *keyword.kwlist,
        *keyword.softkwlist,
        *dir(builtins),
        "session",
        "sequence",
        "data",
        "message",
        "self",
        "lt",
    }
    | {
        "json",
        "re",
        "time",
        "uuid",
        "msgspec",
        "task",
        "between",
        "Any",
        "Callable",
        "Body",
        "records",
        "words",
    }
    | {
        "line",
        "unpacked",
        "packed",
        "new_id",
        "owner_of",
        "keep",
        "kept",
        "acknowledged",
        "returned",
        "reply_to",
        "body",
        "owner",
        "own",
        "texts",
        "Recorded",
        "item",
    }
)


class Names:
    """Creates unique names."""

    def __init__(self) -> None:
        self._taken = set(_TAKEN)

    def new(self, label: str, fallback: str, *, constant: bool = False) -> str:
        """Return a name for something with this label: words joined by underscores."""
        spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", label)
        name = re.sub(r"[^A-Za-z0-9]+", "_", spaced).strip("_").lower()[:40].strip("_")
        if not name or name[0].isdigit():
            name = f"{fallback}_{name}" if name else fallback
        if constant:
            name = name.upper()
        wanted, number = name, 2
        while name in self._taken or (not constant and name.upper() in self._taken):
            name, number = f"{wanted}_{number}", number + 1
        self._taken.add(name)
        return name
