"""Decode a text in every way in which it may encode another one: escapes, percent encoding, base64, hex.

A server may quote a token in another form than it was sent: a URL has `%2f` for a slash, JSON `\\/` or
`\\u002f`, HTML `&#x2F;`, a header `Basic` and base64, and a log may hold one within the other. Those
cannot be listed, because each character has several. So the text is decoded, and the results are searched:

    View        a text in bytes (UTF-8), and which characters of the original each byte came from
    views_of    the text itself, and the text with one kind of escape resolved, then another
    leaves_of   the decoded runs of base64 and hex characters in a view, at each bit offset

Two things are not resolved but ignored in comparisons (`folded`): backslashes and quotes, which shells,
`repr` and Markdown add in many ways, and the difference between space, line end and `+`.

Decoding is bounded: `_DEPTH` nested escapes, `MAX_VIEWS` views. The secrets are in `loadtest.scrubber`.
"""

import binascii
import html.entities
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

MAX_VIEWS: Final = 24
"""Ways in which one text is read: two or three for real ones, all for a text of escapes only."""

_DEPTH: Final = 3
"""Escapes within each other that are resolved: percent encoding, twice, in JSON."""


class View(NamedTuple):
    """A text decoded in one way.

    Args:
        data: UTF-8, or any bytes that were encoded.
        begins: for each byte, where in the original its spelling begins; None if the positions are equal.
        ends: where it ends.
    """

    data: bytes
    begins: Sequence[int] | None = None
    ends: Sequence[int] | None = None

    def span(self, begin: int, end: int) -> tuple[int, int]:
        """Return the characters of the original text that these bytes (at least one) came from."""
        if self.begins is None or self.ends is None:
            return begin, end
        return self.begins[begin], self.ends[end - 1]


class Leaf(NamedTuple):
    """The decoded bytes of a run of base64 or hex characters in a view.

    Args:
        data: the bytes.
        start: where in the view their spelling begins.
        bits: bits per character: 6 or 4.
        to_end: whether the run goes up to the view's end, where it may have been cut.
    """

    data: bytes
    start: int
    bits: int
    to_end: bool

    def in_view(self, begin: int, end: int) -> tuple[int, int]:
        """Return where in the view these bytes are spelled."""
        return self.start + begin * 8 // self.bits, self.start + (end * 8 - 1) // self.bits + 1


def utf8(text: str) -> bytes:
    """Return a text as UTF-8; it may contain lone surrogates."""
    return text.encode("utf-8", "surrogatepass")


def _plain(text: str) -> View:
    if text.isascii():
        return View(text.encode("ascii"))
    lengths = [len(utf8(one)) for one in text]
    begins = [at for at, length in enumerate(lengths) for _ in range(length)]
    return View(utf8(text), begins, [at + 1 for at in begins])


# Removed from both sides of a comparison.

_DROPPED: Final = b"\\'\"`"
_ALIKE: Final = bytes.maketrans(b"\t\n\v\f\r\x1c\x1d\x1e\x1f+", b" " * 10)


def folded(data: bytes) -> bytes:
    """Return bytes without quotes and backslashes, and with one kind of space, also for a form's `+`."""
    return data.translate(_ALIKE, _DROPPED)


def with_one_space(data: bytes) -> bytes:
    """Return bytes with one kind of space."""
    return data.translate(_ALIKE)


def trimmed(data: bytes) -> bytes:
    """Return bytes without quotes and backslashes at both ends."""
    return data.strip(_DROPPED)


class Folded:
    """Bytes with their folded form; the positions are computed once, because a server can repeat a token.

    Args:
        data: the bytes.

    Attributes:
        data: the same bytes.
        fold: their folded form.
    """

    __slots__ = ("_kept", "data", "fold")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.fold = folded(data)
        self._kept: Sequence[int] = range(len(data)) if len(self.fold) == len(data) else ()

    def in_data(self, begin: int, end: int) -> tuple[int, int]:
        """Return the position in the bytes of a part of their folded form, which must not be empty."""
        if not self._kept:
            self._kept = [at for at, one in enumerate(self.data) if one not in _DROPPED]
        return self._kept[begin], self._kept[end - 1] + 1


# Escapes.


def _percent(found: re.Match[bytes]) -> bytes:
    return bytes.fromhex(found[1].decode())


_CONTROLS: Final = dict(zip(b"abefnrtv0", b"\a\b\x1b\f\n\r\t\v\0", strict=True))


def _backslash(found: re.Match[bytes]) -> bytes:
    escape = found[1]
    if escape[:1] in (b"u", b"U"):
        return _unicode(escape) if len(escape) > 1 else escape
    if escape[:1] == b"x" and len(escape) == 3:
        return bytes.fromhex(escape[1:].decode())
    if len(escape) == 3 and escape.isdigit():
        return bytes([int(escape, 8) & 0xFF])
    return bytes([_CONTROLS.get(escape[0], escape[0])])


def _unicode(escape: bytes) -> bytes:
    """Return the character of `u002f`, `u{2f}`, `U0000002f`, or of a surrogate pair `ud83d\\ude00`."""
    numbers = [int(one, 16) for one in re.findall(rb"[0-9A-Fa-f]+", escape)]
    if len(numbers) == 2:
        return chr(0x10000 + ((numbers[0] & 0x3FF) << 10) + (numbers[1] & 0x3FF)).encode()
    return _character(numbers[0])


def _character(number: int) -> bytes:
    return utf8(chr(number)) if number < 0x110000 else b"?"


def _backslash_characters(found: re.Match[bytes]) -> bytes:
    """As `_backslash`, where a `\\xe4` is a character, as in the `repr` of a text, and no byte."""
    one = _backslash(found)
    return utf8(chr(one[0])) if found[1][:1] == b"x" and len(one) == 1 else one


def _entity(found: re.Match[bytes]) -> bytes:
    name = found[1].decode().rstrip(";")
    if name.startswith(("#x", "#X")):
        return _character(int(name[2:], 16))
    if name.startswith("#"):
        return _character(int(name[1:]))
    return utf8(html.entities.html5.get(f"{name};", found[0].decode()))


class _Escapes(NamedTuple):
    sign: bytes
    pattern: re.Pattern[bytes]
    meaning: Callable[[re.Match[bytes]], bytes]


_BACKSLASHES: Final = re.compile(
    rb"\\((?:u[dD][89abAB][0-9A-Fa-f]{2}\\u[dD][c-fC-F][0-9A-Fa-f]{2}|u\{[0-9A-Fa-f]{1,6}\}|u[0-9A-Fa-f]{4}"
    rb"|U[0-9A-Fa-f]{8}|x[0-9A-Fa-f]{2}|[0-7]{3}|[^u]|u))",
    re.DOTALL,
)
_ENTITIES: Final = re.compile(rb"&(#[0-9]{1,7};|#[xX][0-9A-Fa-f]{1,6};|[A-Za-z][A-Za-z0-9]{1,31};)")
_ESCAPES: Final = (
    _Escapes(b"%", re.compile(rb"%([0-9A-Fa-f]{2})"), _percent),
    _Escapes(b"\\", _BACKSLASHES, _backslash),
    _Escapes(b"\\x", _BACKSLASHES, _backslash_characters),
    _Escapes(b"&", _ENTITIES, _entity),
)

_SIGNS: Final = (b"%", b"\\", b"&")

_CUT_ESCAPE: Final = re.compile(
    rb"(?:%[0-9A-Fa-f]?|\\+(?:u[0-9A-Fa-f]{0,3}|U[0-9A-Fa-f]{0,7}|x[0-9A-Fa-f]?|[0-7]{1,2})?|&#?\w{0,8})\Z"
)


def without_cut_escape(data: bytes) -> bytes:
    """Return bytes without an escape at their end that was cut off."""
    return _CUT_ESCAPE.sub(b"", data)


def _resolved(view: View, escapes: _Escapes) -> View | None:
    """Return the view with these escapes resolved; None if there are none."""
    data, at = bytearray(), 0
    begins: list[int] = []
    ends: list[int] = []
    for found in escapes.pattern.finditer(view.data):
        _copy(view, at, found.start(), data, begins, ends)
        meaning, (begin, end) = escapes.meaning(found), view.span(*found.span())
        data += meaning
        begins += [begin] * len(meaning)
        ends += [end] * len(meaning)
        at = found.end()
    if not at:
        return None
    _copy(view, at, len(view.data), data, begins, ends)
    return View(bytes(data), begins, ends)


def _copy(view: View, begin: int, end: int, data: bytearray, begins: list[int], ends: list[int]) -> None:
    data += view.data[begin:end]
    if view.begins is None or view.ends is None:
        begins += range(begin, end)
        ends += range(begin + 1, end + 1)
    else:
        begins += view.begins[begin:end]
        ends += view.ends[begin:end]


def views_of(text: str) -> list[View]:
    """Return the text as it is, then with its escapes resolved, in each order."""
    return _read_on([_plain(text)])


def _read_on(views: list[View]) -> list[View]:
    """Extend these views, in place, by the results of resolving their escapes."""
    latest = views[:]
    seen = {view.data for view in views}
    for _ in range(_DEPTH):
        latest = [view for view in latest if any(sign in view.data for sign in _SIGNS)]
        new: list[View] = []
        for view in latest:
            for escapes in _ESCAPES:
                resolved = _resolved(view, escapes) if escapes.sign in view.data else None
                if resolved is not None and resolved.data not in seen:
                    seen.add(resolved.data)
                    new.append(resolved)
        views += new
        latest = new
        if len(views) >= MAX_VIEWS:
            del views[MAX_VIEWS:]
            break
    return views


# Base64 and hex.

_URL_SAFE: Final = bytes.maketrans(b"-_", b"+/")
_CONTROL: Final = re.compile("[\x00-\x08\x0e-\x1f\x7f\ufffd]")
"""What a text hardly has, and a run that is read from a wrong place does."""

Runs = tuple[re.Pattern[bytes], re.Pattern[bytes]]


def runs_for(least: int) -> Runs:
    """Return the patterns of runs of base64 and hex characters that may encode this number of bytes."""
    return (
        re.compile(rb"[0-9A-Za-z+/_-]{%d,}" % -(-least * 8 // 6)),
        re.compile(rb"[0-9A-Fa-f]{%d,}" % (2 * least)),
    )


def leaves_of(view: View, runs: Runs) -> Iterator[Leaf]:
    """Yield the decoded runs of base64 and hex characters in a view, at each bit offset."""
    base64, hexadecimal = runs
    data = view.data
    shown = len(data.rstrip(b"=."))
    for found in base64.finditer(data):
        start, run = found.start(), found.group().translate(_URL_SAFE)
        to_end = found.end() >= shown
        for skipped in range(4):
            part = run[skipped:]
            read = binascii.a2b_base64(part + b"A" * (-len(part) % 4))
            yield Leaf(read[: len(part) * 6 // 8], start + skipped, 6, to_end)
    for found in hexadecimal.finditer(data):
        run, to_end = found.group(), found.end() == len(data)
        for skipped in range(2):
            part = run[skipped : skipped + (len(run) - skipped) // 2 * 2]
            yield Leaf(binascii.a2b_hex(part), found.start() + skipped, 4, to_end)


def read_leaf(view: View, leaf: Leaf, runs: Runs) -> list[View]:
    """Return the views of a leaf with its escapes resolved; none if it has no escapes or is not text."""
    data = leaf.data
    if not (any(sign in data for sign in _SIGNS) or any(pattern.search(data) for pattern in runs)):
        return []
    if len(_CONTROL.findall(data.decode(errors="replace"))) * 6 > len(data):
        return []
    spans = [view.span(*leaf.in_view(at, at + 1)) for at in range(len(data))]
    return _read_on([View(data, [begin for begin, _ in spans], [end for _, end in spans])])
