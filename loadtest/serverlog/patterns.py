"""Patterns of rules, and an index that finds the few rules that can match a text.

A pattern is plain text found anywhere, in upper or lower case; `*` matches anything in between, `^` and `$`
anchor it to the start and end. There are no regular expressions: a pattern is a short sequence of text
searches, so no log and no user's rule can take more than linear time.

Most records match no rule, and hundreds of patterns would have to be searched to know. The index finds all of
them in one pass over a text.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

import ahocorasick

MAX_INDEXED = 40
"""Characters of a pattern's part that are indexed: enough to be rare; a long one takes no more memory."""


class Pattern:
    """A pattern, compiled for searching in lower-case text."""

    def __init__(self, text: str) -> None:
        at_start, at_end = text.startswith("^"), text.endswith("$")
        body = text.removeprefix("^").removesuffix("$").lower()
        parts = body.split("*")
        self._whole = body if at_start and at_end and "*" not in body else None
        self._head = parts.pop(0) if at_start else ""
        self._tail = parts.pop() if at_end and parts else ""
        self._between = [part for part in parts if part]
        self.needle = max((self._head, *self._between, self._tail), key=len)

    def fits(self, text: str) -> bool:
        """Whether a text in lower case has all parts, in order and without overlap."""
        if self._whole is not None:
            return text == self._whole
        if not (text.startswith(self._head) and text.endswith(self._tail)):
            return False
        position, end = len(self._head), len(text) - len(self._tail)
        for part in self._between:
            found = text.find(part, position, end)
            if found < 0:
                return False
            position = found + len(part)
        return position <= end


Patterns = tuple[Pattern, ...]


def compiled(texts: str | Iterable[str]) -> Patterns:
    """Return the patterns of one text or several."""
    return tuple(map(Pattern, [texts] if isinstance(texts, str) else texts))


def fit(patterns: Patterns, text: str) -> bool:
    """Whether any of the patterns fits a text in lower case."""
    return any(pattern.fits(text) for pattern in patterns)


_BEGINS = re.compile(r"\b(?=\w)")


def words_marked(text: str) -> str:
    """Return a text, or a pattern, with a mark where each word begins: then one is found only there."""
    return _BEGINS.sub("\0", text)


class Index:
    """Finds which rows can match a text, by the longest part of each of their patterns (Aho and Corasick)."""

    def __init__(self, rows: Sequence[Patterns]) -> None:
        """Index rows of patterns; one without any never matches, one with an empty pattern always can."""
        owners: defaultdict[str, set[int]] = defaultdict(set)
        for number, patterns in enumerate(rows):
            for pattern in patterns:
                owners[pattern.needle[:MAX_INDEXED]].add(number)
        self._always = owners.pop("", set())
        self._automaton = ahocorasick.Automaton()
        for needle, numbers in owners.items():
            self._automaton.add_word(needle, numbers)
        self._automaton.make_automaton()
        self._empty = not owners

    def candidates(self, text: str) -> list[int]:
        """Return the numbers of the rows that can match a text in lower case, in order."""
        found = None
        if not self._empty:
            for _, numbers in self._automaton.iter(text):
                found = numbers if found is None else found | numbers
        return sorted(self._always if found is None else self._always | found)


class Finder:
    """Tells whether any of many patterns fits a text."""

    def __init__(self, patterns: Patterns) -> None:
        self._patterns = patterns
        self._index = Index([(pattern,) for pattern in patterns])

    def fits(self, text: str) -> bool:
        """Whether any pattern fits a text in lower case."""
        return any(self._patterns[number].fits(text) for number in self._index.candidates(text))
