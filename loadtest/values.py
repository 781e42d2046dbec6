"""Kinds of value: how a setting's value is read and checked.

Values come as text (command line, environment, web form) or as Python objects (class attributes). `read`
accepts both, so every source is checked in the same way. A kind's text completes the sentence "--ws-rate must
be …" in errors and in the documentation.

`Number.read` is the package's only range check: it refuses values out of range, NaN, infinity, and text that
is not a number. Which settings exist does not belong here; see `loadtest.options`.
"""

import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

from loadtest.errors import NOT_SHOWN, InvalidSetting


class Kind(Protocol):
    """A kind of value."""

    @property
    def metavar(self) -> str:
        """The placeholder for a value in a command's help; empty for a flag, which takes no value."""

    def read(self, given: Any, option: str) -> Any:
        """Return the value.

        Args:
            given: text or a Python object.
            option: name of the option in errors.

        Raises:
            InvalidSetting: the value is not of this kind.
        """

    def __str__(self) -> str:
        """Complete the sentence "It must be …"."""


@dataclass(frozen=True, slots=True)
class Number:
    """A finite number within bounds.

    Args:
        least, most: inclusive bounds; `most` may be infinite.
        unit: unit of the value, in the plural.
        metavar: placeholder in a command's help.
        or_zero: whether 0 is also allowed.
        above: whether `least` itself is excluded.
    """

    least: float = 0
    most: float = math.inf
    unit: str = ""
    _: KW_ONLY
    metavar: str = "N"
    or_zero: bool = False
    above: bool = False

    def admits(self, value: float) -> bool:
        """Return whether a number is within the bounds."""
        if not math.isfinite(value):
            return False
        in_range = self.least < value <= self.most if self.above else self.least <= value <= self.most
        return in_range or (self.or_zero and value == 0)

    def read(self, given: Any, option: str, part: str = "", hint: str = "") -> float:
        """Return the number; see `Kind.read`.

        Args:
            part: the name of the part of the setting that is read, if not the whole: `weight of close`.
            hint: what to do; added to the error.
        """
        try:
            if isinstance(given, bool):
                raise TypeError
            value = self._converted(given)
            admitted = self.admits(value)
        except (TypeError, ValueError, OverflowError):  # not a number, or too large for a float
            admitted = False
        if not admitted:
            problem = f"{part} must be {self}" if part else f"must be {self}"
            raise InvalidSetting(option, given, problem, hint)
        return value

    def _converted(self, given: Any) -> float:
        return float(_digits(given))

    def __str__(self) -> str:
        least, most = _plain(self.least), _plain(self.most)
        if math.isinf(self.most):
            limits = f"above {least}" if self.above else f"{least} or more"
        else:
            limits = f"above {least} and at most {most}" if self.above else f"{least}–{most}"
        return f"{'0 or ' if self.or_zero else ''}{limits} {self.unit}".rstrip()


class Whole(Number):
    """A whole number within bounds."""

    __slots__ = ()

    def read(self, given: Any, option: str, part: str = "", hint: str = "") -> int:
        """Return the number; see `Number.read`."""
        return int(super().read(given, option, part, hint))

    def _converted(self, given: Any) -> int:
        value = int(_digits(given))
        if not isinstance(given, str | bytes) and value != given:
            raise ValueError
        return value

    def __str__(self) -> str:
        return f"a whole number, {super().__str__()}"


def _digits(given: Any) -> Any:
    """Return a number as given; refuse Python-only forms: `1_000`, and digits of other scripts."""
    if isinstance(given, str) and not (given.isascii() and "_" not in given):
        raise ValueError
    return given


def seconds(least: float, most: float = math.inf, *, or_zero: bool = False, above: bool = False) -> Number:
    """Return the kind of a duration in seconds; see `Number`."""
    return Number(least, most, "seconds", metavar="SECONDS", or_zero=or_zero, above=above)


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of a few whole numbers."""

    numbers: Sequence[int]
    metavar: str = "N"

    def read(self, given: Any, option: str) -> int:
        """Return the number; see `Kind.read`."""
        for number in self.numbers:
            if given == str(number) or (given == number and type(given) is int):
                return number
        raise InvalidSetting(option, given, f"must be {self}")

    def __str__(self) -> str:
        return str(Choice([str(number) for number in self.numbers]))


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a set of names."""

    names: Sequence[str]
    metavar: str = "NAME"

    def read(self, given: Any, option: str, part: str = "") -> str:
        """Return the name; see `Number.read`."""
        if given not in self.names:
            problem = f"{part} must be {self}" if part else f"must be {self}"
            raise InvalidSetting(option, given, problem)
        return str(given)

    def __str__(self) -> str:
        return " or ".join(filter(None, (", ".join(self.names[:-1]), self.names[-1])))


_WEIGHT = Number(0, 1e9, above=True)
MAX_WEIGHTED = 100
"""Numbers that can be told apart in a run, and few enough for a report's table."""


@dataclass(frozen=True, slots=True)
class Weighted:
    """A whole number, or several with weights: `64=9,100000=1`.

    Args:
        number: kind of the numbers.
        noun: the noun for a number in errors, in the singular.
    """

    number: Whole
    noun: str
    metavar: str = "N[=WEIGHT],…"

    def read(self, given: Any, option: str) -> int | dict[int, float]:
        """Return the number, or {number: weight} of several in ascending order; the default weight is 1."""
        weights: dict[int, float] = {}
        for number, weight in self._pairs(given, option):
            read = self.number.read(number, option, self.noun)
            if read in weights:
                raise InvalidSetting(option, given, f"must name each {self.noun} once")
            weights[read] = _WEIGHT.read(weight, option, f"weight of {read}")
        if not 1 <= len(weights) <= MAX_WEIGHTED:
            raise InvalidSetting(option, given, f"must have 1–{MAX_WEIGHTED} {self.noun}s")
        return dict(sorted(weights.items())) if len(weights) > 1 else next(iter(weights))

    def _pairs(self, given: Any, option: str) -> Iterable[tuple[Any, Any]]:
        if isinstance(given, Mapping):
            return given.items()
        if isinstance(given, str) and ("=" in given or "," in given):
            parts = [part.partition("=") for part in given.split(",") if part.strip()]
            return [(number.strip(), weight if equals else 1) for number, equals, weight in parts]
        try:
            return [(self.number.read(given, option), 1)]
        except InvalidSetting:
            raise InvalidSetting(option, given, f"must be {self}") from None

    def __str__(self) -> str:
        least, most = _plain(self.number.least), _plain(self.number.most)
        return f"{self.number}, or several with weights: {least}=9,{most}=1"


MAX_TEXT = 1 << 16
"""Characters of a text: far more than a token or a command needs; headers of servers end at 8 KiB or so."""


def text_problem(text: str, *, one_line: bool = False) -> str:
    """Return why a text cannot be used, to continue a sentence after the option; empty if it can.

    Args:
        text: the text.
        one_line: whether line ends and other control characters are refused, too: they would end a header.
    """
    if len(text) > MAX_TEXT:
        return f"must have at most {MAX_TEXT:,} characters"
    if any("\ud800" <= one <= "\udfff" for one in text):
        return "must be text in UTF-8"
    if one_line and any(ord(one) < _SPACE or ord(one) == _DELETE for one in text):
        broken = any(one in text for one in "\r\n")
        return "must not contain a line break" if broken else "must not contain a control character"
    return "must not contain a NUL character" if "\0" in text else ""


_SPACE, _DELETE = 0x20, 0x7F


@dataclass(frozen=True, slots=True)
class Text:
    """Text.

    Args:
        metavar: placeholder in a command's help.
        or_object: the Python objects that a locustfile may give instead, for errors; empty if none. This kind
            does not check them: `loadtest.locust_plugin.load_settings` knows their types.
        one_line: whether it must hold no line break or other control character: it becomes part of a header.
        most: maximum length in characters.
    """

    metavar: str = "TEXT"
    or_object: str = ""
    one_line: bool = False
    most: int = MAX_TEXT

    def read(self, given: Any, option: str) -> Any:
        """Return the text or object unchanged."""
        if not (self.or_object or isinstance(given, str)):
            raise InvalidSetting(option, given, f"must be {self}")
        if isinstance(given, str):
            if problem := text_problem(given, one_line=self.one_line):
                raise InvalidSetting(option, given, problem)
            if len(given) > self.most:
                raise InvalidSetting(option, given, f"must have at most {self.most} characters")
        return given

    def __str__(self) -> str:
        return f"text or {self.or_object}" if self.or_object else "text"


_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


@dataclass(frozen=True, slots=True)
class Token:
    """A token of HTTP (RFC 7230, section 3.2.6), as WebSocket subprotocols are (RFC 6455, section 4.1)."""

    metavar: str = "NAME"

    @staticmethod
    def admits(given: object) -> bool:
        """Return whether this is such a token."""
        return isinstance(given, str) and len(given) <= MAX_TEXT and _TOKEN.fullmatch(given) is not None

    def read(self, given: Any, option: str) -> str:
        """Return the token."""
        if not self.admits(given):
            raise InvalidSetting(option, given, f"must be {self}")
        return str(given)

    def __str__(self) -> str:
        return "a token (RFC 7230): letters, digits and !#$%&'*+-.^_`|~"


_MAX_PATH = 4095
"""Bytes of a path (PATH_MAX of Linux, less the NUL at its end)."""


@dataclass(frozen=True, slots=True)
class FilePath:
    """The path of a file or a folder."""

    metavar: str = "FILE"

    def read(self, given: Any, option: str) -> Path:
        """Return the path."""
        if not (given and isinstance(given, str | os.PathLike)):
            raise InvalidSetting(option, given, f"must be {self}")
        try:
            size = len(os.fsencode(given))
        except UnicodeEncodeError:
            raise InvalidSetting(option, given, "must be a path in UTF-8") from None
        if size > _MAX_PATH or "\0" in os.fsdecode(given):
            raise InvalidSetting(option, given, f"must be {self} of at most {_MAX_PATH} bytes, without NUL")
        return Path(given)

    def __str__(self) -> str:
        return "a path"


@dataclass(frozen=True, slots=True)
class Pair:
    """A name and a value: text with a separator between them, or a tuple.

    Args:
        metavar: the form, such as NAME:VALUE.
        separator: text between name and value.
    """

    metavar: str
    separator: str

    def read(self, given: Any, option: str) -> tuple[str, str]:
        """Return name and value without surrounding blanks; errors hide them, as they may be secret."""
        match given.split(self.separator, 1) if isinstance(given, str) else given:
            case [str() as name, str() as value] if name.strip():
                if problem := text_problem(name) or text_problem(value):
                    raise InvalidSetting(option, NOT_SHOWN, problem)
                return name.strip(), value.strip(" \t")
        raise InvalidSetting(option, NOT_SHOWN, f"must be {self}")

    def __str__(self) -> str:
        return self.metavar


@dataclass(frozen=True, slots=True)
class Flag:
    """On or off."""

    metavar: str = ""

    def read(self, given: Any, option: str) -> bool:
        """Return whether it is on."""
        text = str(given).lower()
        if text in ("true", "1", "yes", "on"):
            return True
        if text in ("false", "0", "no", "off"):
            return False
        raise InvalidSetting(option, given, f"must be {self}")

    def __str__(self) -> str:
        return "true or false"


def _plain(number: float) -> str:
    """Return a number as text, without an exponent."""
    return f"{Decimal(str(number)).normalize():f}" if math.isfinite(number) else str(number)
