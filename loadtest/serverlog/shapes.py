"""Groups records by shape: their text without what varies from one occurrence to the next.

One fault often logs the same text for every session, so the first few records say the same and the fault
behind them is not among them. Grouped, each shape is shown once, with its count. Numbers, ids, addresses,
mail addresses, quoted values, all but the first part of paths and the values of queries become `#`. Words
stay, because they tell faults apart: names of exceptions, and what an exception quotes of the code
(`KeyError: 'thread'`). So do the codes of HTTP and of WebSocket closes, where a text calls them that
(`returned 502`, `code=1006`).

Memory is bounded for any log. When there are too many shapes, the rarer half is forgotten: a shape that
recurs is soon counted again, while a log of nothing but unlike records leaves only their number. So the count
of a shape may be too low in such a log, and is never too high.
"""

import re
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

MAX_SHAPES = 500
"""Shapes kept at a time; a server has a few dozen log statements that report errors."""

SHAPE_LENGTH = 120
"""Characters of a shape. Less than what is kept of a text: where that was cut depends on the ids in it."""

_MAX_TEXT = 300
_MIN_ID = 3
_VARIES = "#"

_PIECE = re.compile(
    r"""(?P<code>["']?(?i:\b(?:\w{0,40}_)?(?:code|status|returned|http(?:/\d(?:\.\d)?)?))["']?"""
    r"""(?:[=: ]|: | code )(?:[1-5]\d\d|[1-4]\d{3})(?![\w-]|\.\d))"""
    r"""|(?P<quoted>(?<!\w)(?P<quote>['"`])(?P<value>[^'"`]{0,200})(?P=quote)(?!\w))"""
    r"""|(?P<id>\b(?:\w{0,40}_)?(?:(?:session|user|thread|client|request|uu|s)?[iI][dD]|session|user|thread"""
    r"""|client)=)[^\s,;&)\]}'"]+"""
    r"""|(?P<parameter>[?&][\w.%-]{1,60}=)[^\s&'")]+"""
    r"""|(?P<exception>(?:[^\W\d]\w{0,60}\.){0,9}[^\W\d]\w{0,60}(?:Error|Exception)\b)"""
    r"""|(?P<address>(?<![\w:])(?:[0-9A-Fa-f]{0,4}:){2,}[0-9A-Fa-f:]*)"""
    r"""|(?P<mail>(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,9})"""
    r"""|(?P<path>(?<![\w/.])(?P<root>/[\w.%@+-]{1,60}/)[\w.%@+/-]+)"""
    r"""|(?P<word>\w[\w-]*)"""
)
_REPEATED = re.compile(r"#(?:[.,:/ -]{1,2}#)+")
_OF_THE_CODE = re.compile(r"\b(?:Key|Attribute|Name|UnboundLocal|Import|ModuleNotFound|Type)Error\b")
_IDENTIFIER = re.compile(r"[^\W\d]+(?:\.[^\W\d]+)*")
_HEX = re.compile(r"[0-9a-f]{8,}")


def shape_of(text: str, ids: Iterable[str] = ()) -> str:
    """Return the shape of a record's text.

    Args:
        text: one line.
        ids: all ids of the sessions that the record names, of whatever form.
    """
    text = text[:_MAX_TEXT]
    for one in sorted(ids, key=len, reverse=True):  # one id may be part of another
        if len(one) >= _MIN_ID and one in text:
            text = re.sub(rf"(?<!\w){re.escape(one)}(?!\w)", _VARIES, text)
    of_the_code = _OF_THE_CODE.search(text) is not None

    def replaced(found: re.Match[str]) -> str:
        match found.lastgroup:
            case "exception" | "code":
                return found[0]
            case "word":
                return _word(found[0])
            case "quoted":
                keeps = of_the_code and _IDENTIFIER.fullmatch(found["value"])
                return found[0] if keeps else _VARIES
            case "id" | "parameter":
                return f"{found[found.lastgroup]}{_VARIES}"
            case "path":
                return f"{found['root']}{_VARIES}"
        return _VARIES

    return _REPEATED.sub(_VARIES, _PIECE.sub(replaced, text))[:SHAPE_LENGTH]


def _word(word: str) -> str:
    """Return a word, or `#` for one with a digit or of hexadecimal letters: a number, a hash or an id."""
    return _VARIES if any(map(str.isdigit, word)) or _HEX.fullmatch(word) else word


_T = TypeVar("_T")


@dataclass(slots=True)
class Group(Generic[_T]):
    """Records of one shape.

    Args:
        first: the earliest of them; the first that came, if they have no times.
        at_ns: its time, None if unknown.
        count: how many there are.
        last_ns: the latest one's time, None if unknown.
    """

    first: _T
    at_ns: int | None
    count: int = 1
    last_ns: int | None = None


class Shapes(Generic[_T]):
    """Groups by shape, `MAX_SHAPES` at most.

    Attributes:
        forgotten: how many times a shape was forgotten.
    """

    def __init__(self) -> None:
        self.forgotten = 0
        self._groups: dict[Hashable, Group[_T]] = {}

    def __len__(self) -> int:
        return len(self._groups)

    def add(self, shape: Hashable, one: _T, at_ns: int | None = None) -> Group[_T]:
        """Count a record, and return its group."""
        group = self._groups.get(shape)
        if group is None:
            if len(self._groups) >= MAX_SHAPES:
                self._forget_rarer_half()
            group = self._groups[shape] = Group(one, at_ns, last_ns=at_ns)
            return group
        group.count += 1
        if at_ns is not None and (group.at_ns is None or at_ns < group.at_ns):
            group.first, group.at_ns = one, at_ns
        if at_ns is not None and (group.last_ns is None or at_ns > group.last_ns):
            group.last_ns = at_ns
        return group

    def by_shape(self) -> Mapping[Hashable, Group[_T]]:
        """Return the groups by their shapes."""
        return self._groups

    def by_count(self) -> list[Group[_T]]:
        """Return the groups, the most frequent first; of equals, the one that came first."""
        return sorted(self._groups.values(), key=lambda group: -group.count)

    def _forget_rarer_half(self) -> None:
        ordered = sorted(self._groups.items(), key=lambda item: -item[1].count)
        self._groups = dict(ordered[: MAX_SHAPES // 2])
        self.forgotten += len(ordered) - len(self._groups)
