"""Find known secrets in a text, however they are spelled, and hide them.

All output goes through here: the run directory, the terminal, logs, the web page, the output of commands.
`loadtest.spellings` decodes a text in every way; this module holds the secrets and finds them.

    Secrets          an index of secrets: searching for 100,000 takes little longer than for one
    GrowingSecrets   the same for tokens that are issued during a run: only new ones are indexed
    without_secrets  the text with *** for each secret, also for one that is cut off at the end

Secrets are compared in folded form (`loadtest.spellings.folded`). A secret that is too short when folded is
searched for unchanged and percent-encoded.
"""

import base64
import binascii
import json
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Final, NamedTuple
from urllib.parse import quote, unquote

from loadtest.spellings import (
    Folded,
    Runs,
    View,
    folded,
    leaves_of,
    read_leaf,
    runs_for,
    trimmed,
    utf8,
    views_of,
    with_one_space,
    without_cut_escape,
)
from loadtest.text import HIDDEN, LINE_LENGTH, escaped, one_line

_ELLIPSIS = "..."

_MIN_PREFIX = 4
"""Minimum length in bytes of a secret that is hidden within other text, and of the beginning of one that was
cut off."""

_MIN_PART = 8
"""Minimum length of a value to be hidden as a part of a word, or by its beginning."""

_FEW = 256
"""Beginnings of secrets up to which searching for each is faster than looking each piece of a text up."""

_MAX_LEAVES_READ = 16
"""Runs of base64 in one text whose content is read on, as a text with escapes of its own."""

_LEAVES_WITHIN = 1
"""Base64 within base64 that is read."""

_CLOSING = (b"'", b'"', b"`")
"""A text that ends in a closing quote was not cut off."""

_UNCHANGED = re.compile(r"[ !#-&(*-[\]-_a-~]*")
"""ASCII that folding and `one_line` leave as it is."""


def _forms(secret: str) -> set[bytes]:
    """Return the possible bytes of a secret, before any escaping: servers use UTF-8, old ones Latin-1."""
    if _UNCHANGED.fullmatch(secret):
        forms = {secret.encode()}
    else:
        spaced = re.sub(r"\s", " ", secret)  # one_line keeps no line end, and escapes what cannot be printed
        forms = {*map(utf8, (secret, spaced, escaped(secret))), secret.encode(errors="replace")}
        if not secret.isascii():
            with suppress(UnicodeEncodeError):
                forms.add(secret.encode("latin-1"))
    if "%" in secret and len(read := unquote(secret)) >= _MIN_PART:
        forms.add(utf8(read))  # it was given percent-encoded; a server quotes what it has read
    return forms


def _listed(secret: str) -> Iterator[bytes]:
    """Yield the spellings of a secret that is too short when folded."""
    yield utf8(secret)
    yield utf8(quote(secret, safe="", errors="replace"))
    yield from (utf8(json.dumps(secret, ensure_ascii=ascii_only)[1:-1]) for ascii_only in (True, False))
    yield utf8(escaped(secret))


class _Index:
    """An index of some secrets, in all their forms.

    Args:
        secrets: hidden wherever they occur, as whole words if they are short.
        values: hidden as whole words if they are short, and by a beginning only if that is long.
    """

    __slots__ = ("_lengths", "_literal", "_longest", "_quoted", "_spelled", "_tokens", "_values", "least")

    def __init__(self, secrets: Iterable[str], values: Iterable[str]) -> None:
        literal: set[bytes] = set()
        tokens: set[bytes] = set()
        words = set(values)
        self._quoted: dict[bytes, set[bytes]] = {}
        for secret in secrets:
            if len(secret) < _MIN_PART:
                words.add(secret)
            else:
                tokens |= self._folded(secret)
            if len(secret) >= _MIN_PREFIX > len(folded(utf8(secret))):
                literal.update(_listed(secret))
        long_enough = (value for value in words if len(value) >= _MIN_PREFIX)
        others = {form: len(value) < _MIN_PART for value in long_enough for form in self._folded(value)}
        self._literal = sorted(literal)
        self._spelled = dict.fromkeys(tokens, False)  # whether hidden as a whole word only
        self._spelled |= {form: as_word for form, as_word in others.items() if form not in tokens}
        self._tokens, self._values = sorted(tokens), sorted(others)
        self._longest = max(map(len, self._spelled), default=0)
        self.least = min(map(len, self._spelled), default=0)
        lengths: dict[bytes, set[int]] = {}
        for form in self._spelled:
            lengths.setdefault(form[:_MIN_PREFIX], set()).add(len(form))
        self._lengths = {start: sorted(found, reverse=True) for start, found in lengths.items()}

    def _folded(self, secret: str) -> set[bytes]:
        """Return a secret's folded forms; remember which of them folding has changed."""
        forms = set()
        for form in _forms(secret):
            if len(fold := folded(form)) >= _MIN_PREFIX:
                forms.add(fold)
                if len(fold) < len(form):
                    self._quoted.setdefault(fold, set()).add(with_one_space(trimmed(form)))
        return forms

    def _is_found(self, fold: bytes, data: bytes) -> bool:
        """Return whether the bytes of a folded form have what folding left out, and perhaps more: `a\\"b`."""
        quoted = self._quoted.get(fold)
        return quoted is None or any(_is_within(form, with_one_space(data)) for form in quoted)

    @property
    def has_literals(self) -> bool:
        """Whether there are secrets to search for unchanged."""
        return bool(self._literal)

    def literals_in(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Yield the positions of the secrets that are searched for unchanged."""
        for literal in self._literal:
            for at in _occurrences(literal, data):
                yield at, at + len(literal)

    def spans_in(self, text: Folded) -> Iterator[tuple[int, int]]:
        """Yield the positions of secrets in bytes."""
        data, fold = text.data, text.fold
        for at in self._candidates(fold):
            for length in self._lengths[fold[at : at + _MIN_PREFIX]]:  # the longest covers the others
                form = fold[at : at + length]
                as_word = self._spelled.get(form)
                if as_word is None or len(form) < length:
                    continue
                begin, end = text.in_data(at, at + length)
                if self._is_found(form, data[begin:end]) and not (as_word and not _is_word(data, begin, end)):
                    yield begin, end
                    break

    def _candidates(self, data: bytes) -> Iterator[int]:
        """Yield the positions where a secret may begin."""
        if len(self._lengths) < min(len(data), _FEW):
            for start in self._lengths:
                if start in data:
                    yield from _occurrences(start, data)
        else:
            for at in range(len(data) - _MIN_PREFIX + 1):
                if data[at : at + _MIN_PREFIX] in self._lengths:
                    yield at

    def beginning_at_end(self, fold: bytes, *, cut: bool) -> int | None:
        """Return where, at the end of folded bytes, the beginning of a secret starts, or None.

        Args:
            fold: the folded bytes of a text that may have been cut off.
            cut: whether it certainly was; otherwise it may end in a common first word of values.
        """
        for at in range(max(0, len(fold) - self._longest), len(fold) - _MIN_PREFIX + 1):
            if fold[at : at + _MIN_PREFIX] in self._lengths and self._begins(fold[at:], cut):
                return at
        return None

    def _begins(self, data: bytes, cut: bool) -> bool:
        """Return whether bytes are the beginning of a secret."""
        for least, ordered in ((0, self._tokens), (0 if cut else _MIN_PART, self._values)):
            found = bisect_left(ordered, data)
            if len(data) >= least and found < len(ordered) and ordered[found].startswith(data):
                return True
        return False


def _occurrences(part: bytes, data: bytes) -> Iterator[int]:
    """Yield the start of each occurrence of a part, overlapping ones too."""
    at = data.find(part)
    while at >= 0:
        yield at
        at = data.find(part, at + 1)


def _is_within(part: bytes, data: bytes) -> bool:
    """Return whether the bytes of a part occur in this order, with anything between them."""
    left = iter(data)
    return all(one in left for one in part)


def _is_word(data: bytes, begin: int, end: int) -> bool:
    """Return whether a part does not begin or end within a word."""
    return not (_joined(data[max(0, begin - 1) : begin + 1]) or _joined(data[end - 1 : end + 1]))


def _joined(pair: bytes) -> bool:
    """Return whether two bytes belong to one word: all letters beyond ASCII do."""
    return len(pair) == 2 and all(one >= 0x80 or one == 0x5F or chr(one).isalnum() for one in pair)


class Secrets:
    """Known secrets, indexed.

    Args:
        secrets: tokens, passwords, header values, hidden wherever they occur.
        values: secrets that may be ordinary words; their beginning alone is hidden only if it is long.

    Of both, those under 8 characters are hidden only as whole words, under 4 not at all: hiding "user" in
    "users" or each 12 would garble other text.
    """

    __slots__ = ("_parts", "_runs")

    def __init__(self, secrets: Iterable[str] = (), values: Iterable[str] = ()) -> None:
        self._set((_Index(secrets, values),))

    def _set(self, parts: tuple[_Index, ...]) -> None:
        self._parts = parts
        least = min((part.least for part in parts if part.least), default=0)
        self._runs: Runs | None = runs_for(least) if least else None

    def plus(self, secrets: Iterable[str]) -> "Secrets":
        """Return these and others; the index of these is used again."""
        both = Secrets.__new__(Secrets)
        both._set((*self._parts, _Index(secrets, ())))
        return both

    def spans_in(self, text: str) -> list[tuple[int, int]]:
        """Return the positions of secrets in a text as (start, end); some may overlap."""
        if not self._runs and not any(part.has_literals for part in self._parts):
            return []
        views = views_of(text)
        found = [*self._complete(views, _LEAVES_WITHIN), *self._beginnings(views, len(text), cut=False)]
        body = text.removesuffix(_ELLIPSIS)
        if body != text:
            found += self._beginnings(views_of(body), len(body), cut=True)
        return found

    def _complete(self, views: Iterable[View], within: int) -> Iterator[tuple[int, int]]:
        """Yield the positions of secrets, also in base64, nested up to the given depth."""
        for view in views:
            text = Folded(view.data)
            for part in self._parts:
                for begin, end in (*part.literals_in(view.data), *part.spans_in(text)):
                    yield view.span(begin, end)
            if self._runs:
                yield from self._in_leaves(view, self._runs, within)

    def _in_leaves(self, view: View, runs: Runs, within: int) -> Iterator[tuple[int, int]]:
        left_to_read = _MAX_LEAVES_READ
        for leaf in leaves_of(view, runs):
            text = Folded(leaf.data)
            for part in self._parts:
                for begin, end in part.spans_in(text):
                    yield view.span(*leaf.in_view(begin, end))
                if leaf.to_end and (at := part.beginning_at_end(text.fold, cut=False)) is not None:
                    begin, _ = text.in_data(at, at + 1)
                    yield view.span(leaf.in_view(begin, begin + 1)[0], len(view.data))
            if within and left_to_read and (read := read_leaf(view, leaf, runs)):
                left_to_read -= 1
                yield from self._complete(read, within - 1)

    def _beginnings(self, views: Iterable[View], length: int, *, cut: bool) -> Iterator[tuple[int, int]]:
        """Yield where the beginning of a secret, cut off by the end of the text, starts."""
        for view in views:
            if not cut and view.data.endswith(_CLOSING):
                continue
            for data in {view.data, without_cut_escape(view.data)}:
                text = Folded(data)
                for part in self._parts:
                    if (at := part.beginning_at_end(text.fold, cut=cut)) is not None:
                        begin, _ = text.in_data(at, at + 1)
                        yield view.span(begin, begin + 1)[0], length


NO_SECRETS = Secrets()

_MAX_PARTS = 16
"""Indexes that one search may go through, one after the other."""


class _Indexed(NamedTuple):
    """The indexed secrets: the permanent ones and `texts`, in several parts."""

    texts: frozenset[str]
    parts: int
    secrets: Secrets


def joined(secrets: Sequence[Secrets]) -> Secrets:
    """Return all these secrets together; their indexes are used again."""
    if len(secrets) == 1:
        return secrets[0]
    both = Secrets.__new__(Secrets)
    both._set(tuple(part for one in secrets for part in one._parts))
    return both


class GrowingSecrets:
    """Secrets whose number grows during a run: only new ones are indexed.

    Thread-safe. If two threads index at the same time, one result is kept; the other's secrets are indexed
    again at the next call.

    Args:
        always: permanent secrets.
    """

    __slots__ = ("_always", "_indexed")

    def __init__(self, always: Secrets) -> None:
        self._always = always
        self._indexed = _Indexed(frozenset(), 0, always)

    def now(self, secrets: frozenset[str]) -> Secrets:
        """Return the permanent secrets and these; earlier ones may remain for a while."""
        indexed = self._indexed  # read once and replaced as a whole: other threads may run this, too
        new = secrets - indexed.texts
        if not new:
            return indexed.secrets
        if indexed.parts == _MAX_PARTS:
            indexed, new = _Indexed(frozenset(), 0, self._always), secrets
        indexed = _Indexed(indexed.texts | new, indexed.parts + 1, indexed.secrets.plus(new))
        self._indexed = indexed
        return indexed.secrets


SHORTEST_SECRET = 8
"""Shorter values of headers, cookies and queries are not secrets: to hide them would garble other text."""


def secrets_in(headers: Iterable[str], others: Iterable[str] = ()) -> list[str]:
    """Return the values that must be hidden: of headers whole and word by word, of others whole.

    Args:
        headers: values of headers or cookies; a server may quote only the X of `Bearer X` or `sid=X; Path=/`.
        others: other values.
    """
    values = tuple(headers)
    words = [word.partition("=")[2] or word for value in values for word in value.replace(";", " ").split()]
    found = (*values, *words, *_of_basic(words), *others)
    return [text for text in found if len(text) >= SHORTEST_SECRET]


def _of_basic(words: Iterable[str]) -> Iterator[str]:
    """Yield user:password and the password of each word that is an HTTP Basic credential."""
    for word in words:
        with suppress(binascii.Error, ValueError):
            read = base64.b64decode(word, validate=True).decode()
            if ":" in read and read.isprintable():
                yield from (read, read.partition(":")[2])


def without_secrets(text: str, secrets: Secrets) -> str:
    """Return the text with `***` for every known secret, including one cut off at the end."""
    shown, done = "", 0
    for begin, end in sorted(secrets.spans_in(text)):
        if begin >= done:
            shown += text[done:begin] + HIDDEN
        done = max(done, end)
    return shown + text[done:]


MAX_READ: Final = 2**13
"""Characters of an untrusted text that are read: a text of escapes only costs 0.1 s then, others far less."""


def beginning(text: str) -> str:
    """Return the beginning of an untrusted text, with "..." at its end if it was cut."""
    return text if len(text) <= MAX_READ else text[:MAX_READ] + _ELLIPSIS


def public_line(text: str, secrets: Secrets, limit: int = LINE_LENGTH) -> str:
    """Return untrusted text in a form that is safe to store: one line, without secrets, cut if it is long."""
    return one_line(without_secrets(beginning(text), secrets), limit)
