"""Make untrusted text safe, keep secrets out of it, and write numbers in one way.

Errors, close reasons, log records and revisions come from servers and from files that anyone may have
written. A control character can clear a terminal, a direction override can reverse a sentence, a pipe can
break a table, markup can become a link, an error can quote a token. So untrusted text is treated twice:

    where it enters a record or a file    one_line, or public_line if it may hold a secret
    where it is shown                     one_line in a terminal, markdown_* in Markdown; in HTML and XML
                                          one_line, then the escaping of their libraries

`one_line` removes nothing silently: line ends and tabs become spaces, other unprintable characters become
escapes, and a text that is too long ends in "...". It is idempotent. Secrets are removed before a text is
cut, because a cut could leave the beginning of one.

This module imports nothing from the package and contains no domain terms.
"""

import json
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from urllib.parse import quote, urlsplit, urlunsplit

LINE_LENGTH = 200
"""Characters kept of an untrusted text by default."""

HIDDEN = "***"
"""Replaces a secret."""

_ELLIPSIS = "..."


def one_line(text: str, limit: int = LINE_LENGTH) -> str:
    """Return the text as one line of printable characters, at most `limit` (3 or more) of them."""
    head = text[: limit + 1]
    if not head.isprintable():  # the hot path: called for every line of a server's log
        head = _escaped(head)
    return head if len(head) <= limit else f"{head[: limit - len(_ELLIPSIS)]}{_ELLIPSIS}"


def _escaped(text: str) -> str:
    return "".join(one if one.isprintable() else _escape(one) for one in text)


def _escape(character: str) -> str:
    return " " if character.isspace() else character.encode("unicode_escape").decode("ascii")


# Secrets.

_MIN_PREFIX = 4
"""Minimum length for the end of a text to count as the beginning of a secret that was cut off."""

_MIN_PART = 8
"""Minimum length of a value to be hidden as a part of a word, or by its beginning."""

_FEW = 256
"""Beginnings of secrets up to which searching for each is faster than looking each piece of a text up."""

_UNRESERVED = re.compile(r"[\w.~-]*", re.ASCII)
"""What no spelling changes (RFC 3986, section 2.3)."""

_UNESCAPED = re.compile(r"[ !#-&(-\[\]-~]*")
"""What only a URL spells in another way."""


def _spellings(secret: str) -> Iterator[str]:
    """Yield the forms in which a text may contain a secret."""
    yield secret
    if _UNRESERVED.fullmatch(secret):
        return
    yield quote(secret, safe="", errors="replace")
    if not _UNESCAPED.fullmatch(secret):
        yield _escaped(secret)  # after one_line
        yield from (json.dumps(secret, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False))


_LIKELY_SECRET = re.compile(
    r"eyJ[\w.-]{8,}"  # a JWT
    r"|(?<=://)(?!\*\*\*@)[^\s/\"'<>]+(?=@)"  # user:password in a URL, which may have an @ itself
    r"|(?i:\bbearer\s+)[^\s\"']+"
    r"|(?i:\bjwt[\"']?,\s?[\"']?)[^\s\"']+"  # the subprotocols ["jwt", TOKEN]
    r"|(?i:\b(?:access_token|token|api_key|apikey|key|secret|password|passwd|authorization|cookie|jwt))"
    r"[\"']?\s?[=:]\s?[\"']?(?i:(?:bearer|basic)\s+)?[^\s\"'&,;]+"
)


class Secrets:
    """Known secrets in all their spellings, indexed so that 100,000 of them cost a text little more than one.

    Args:
        secrets: tokens, passwords, header values, hidden wherever they occur; empty ones are ignored.
        values: secrets that may be ordinary words. Under 8 characters they are hidden only as whole words,
            under 4 not at all: hiding "user" in "users" or each 12 would garble other text.
    """

    __slots__ = ("_known", "_lengths", "_longest", "_short", "_spelled", "_tokens", "_values")

    def __init__(self, secrets: Iterable[str] = (), values: Iterable[str] = ()) -> None:
        tokens = {spelling for secret in secrets if secret for spelling in _spellings(secret)}
        others = {
            spelling for value in values if len(value) >= _MIN_PREFIX for spelling in _spellings(value)
        } - tokens
        self._known: Secrets | None = None
        self._short = [text for text in tokens if len(text) < _MIN_PREFIX]
        self._spelled = dict.fromkeys(tokens, False)  # whether hidden as a whole word only
        self._spelled.update((text, len(text) < _MIN_PART) for text in others)
        self._tokens, self._values = sorted(tokens), sorted(others)
        self._longest = max(map(len, self._spelled), default=0)
        lengths: dict[str, set[int]] = {}
        for text in self._spelled:
            if len(text) >= _MIN_PREFIX:
                lengths.setdefault(text[:_MIN_PREFIX], set()).add(len(text))
        self._lengths = {start: sorted(found, reverse=True) for start, found in lengths.items()}

    def plus(self, secrets: Iterable[str]) -> "Secrets":
        """Return these and others; the index of these is used again."""
        both = Secrets(secrets)
        both._known = self
        return both

    def spans_in(self, text: str) -> list[tuple[int, int]]:
        """Return where secrets stand in a text, as (start, end); some may overlap."""
        found = [] if self._known is None else self._known.spans_in(text)
        for short in self._short:
            found += [(at, at + len(short)) for at in _occurrences(short, text)]
        for at in self._candidates(text):
            for length in self._lengths[text[at : at + _MIN_PREFIX]]:  # the longest covers the others
                as_word = self._spelled.get(text[at : at + length])
                if as_word is False or (as_word and _is_word(text, at, at + length)):
                    found.append((at, at + length))
                    break
        return found

    def _candidates(self, text: str) -> Iterator[int]:
        """Yield the places in a text where a secret may begin."""
        if len(self._lengths) < min(len(text), _FEW):
            for start in self._lengths:
                yield from _occurrences(start, text)
        else:
            for at in range(len(text) - _MIN_PREFIX + 1):
                if text[at : at + _MIN_PREFIX] in self._lengths:
                    yield at

    def beginning_at_end(self, text: str, *, cut: bool) -> int:
        """Return how many characters at the end of a text are the beginning of a secret, or 0.

        Args:
            text: which somebody else may have cut.
            cut: whether it certainly was; otherwise it may end in a word with which many values begin.
        """
        known = 0 if self._known is None else self._known.beginning_at_end(text, cut=cut)
        for at in range(max(0, len(text) - self._longest), len(text) - _MIN_PREFIX + 1):
            if text[at : at + _MIN_PREFIX] in self._lengths and self._begins(text[at:], cut):
                return max(known, len(text) - at)
        return known

    def _begins(self, text: str, cut: bool) -> bool:
        """Return whether a text is the beginning of a secret."""
        for least, ordered in ((0, self._tokens), (0 if cut else _MIN_PART, self._values)):
            found = bisect_left(ordered, text)
            if len(text) >= least and found < len(ordered) and ordered[found].startswith(text):
                return True
        return False


NO_SECRETS = Secrets()

_MOST_PARTS = 16
"""Indexes that one search may go through, one after the other."""


class GrowingSecrets:
    """Secrets of which there are more and more: only those that are new are indexed.

    Args:
        always: secrets that stay.
    """

    __slots__ = ("_always", "_indexed", "_parts", "_secrets")

    def __init__(self, always: Secrets) -> None:
        self._always = self._secrets = always
        self._indexed: frozenset[str] = frozenset()
        self._parts = 0

    def now(self, secrets: frozenset[str]) -> Secrets:
        """Return those that stay and these; earlier ones may be among them for a while."""
        new = secrets - self._indexed
        if not new:
            return self._secrets
        if self._parts == _MOST_PARTS:
            self._indexed, self._parts, self._secrets, new = frozenset(), 0, self._always, secrets
        self._indexed |= new
        self._parts += 1
        self._secrets = self._secrets.plus(new)
        return self._secrets


def _occurrences(part: str, text: str) -> Iterator[int]:
    """Yield where a part begins in a text, overlapping occurrences too."""
    at = text.find(part)
    while at >= 0:
        yield at
        at = text.find(part, at + 1)


def _is_word(text: str, begin: int, end: int) -> bool:
    """Return whether a part of a text does not begin or end within a word."""
    return not (_joined(text[begin - 1 : begin + 1]) or _joined(text[end - 1 : end + 1]))


def _joined(pair: str) -> bool:
    """Return whether two characters belong to one word."""
    return len(pair) == 2 and all(one.isalnum() or one == "_" for one in pair)


SHORTEST_SECRET = 8
"""Shorter values of headers, cookies and queries are not secrets: to hide them would garble other text."""


def secrets_in(headers: Iterable[str], others: Iterable[str] = ()) -> list[str]:
    """Return the values that must be hidden: of headers whole and word by word, of others whole.

    Args:
        headers: values of headers or cookies; of `Bearer X` or `sid=X; Path=/` a server may quote X alone.
        others: other values.
    """
    values = tuple(headers)
    words = [word.partition("=")[2] or word for value in values for word in value.replace(";", " ").split()]
    return [text for text in (*values, *words, *others) if len(text) >= SHORTEST_SECRET]


def without_secrets(text: str, secrets: Secrets) -> str:
    """Return the text with `***` for every known secret, including one cut off at the end."""
    shown, done = "", 0
    for begin, end in sorted(secrets.spans_in(text)):
        if begin >= done:
            shown += text[done:begin] + HIDDEN
        done = max(done, end)
    shown += text[done:]
    body = shown.removesuffix(_ELLIPSIS)
    if length := secrets.beginning_at_end(body, cut=body != shown):
        return f"{body[:-length]}{HIDDEN}{shown[len(body) :]}"
    return shown


def public_line(text: str, secrets: Secrets, limit: int = LINE_LENGTH) -> str:
    """Return untrusted text that is safe to store: one line, without secrets."""
    return one_line(without_secrets(text, secrets), limit)


def without_likely_secrets(text: str) -> str:
    """Return the text with `[secret removed]` for a JWT, a bearer token, a URL's user, a named secret."""
    return _LIKELY_SECRET.sub("[secret removed]", text)


def public_url(url: str) -> str:
    """Return the URL without userinfo, query and fragment, which may hold tokens and passwords."""
    try:
        parts = urlsplit(url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    except ValueError:  # not a URL: any part of it may be secret
        return HIDDEN


def public_locustfiles(given: str) -> str:
    """Return locustfiles, separated by commas as Locust takes them, with public URLs."""
    return ",".join(public_url(one) if "://" in one else one for one in given.split(","))


def public_path(path: str) -> str:
    """Return a path with `***` for each value in its query, except a dialect's `{placeholder}`."""
    bare, mark, query = path.partition("#")[0].partition("?")
    return bare + mark + "&".join(map(_public_parameter, query.split("&")))


def _public_parameter(parameter: str) -> str:
    name, equals, value = parameter.partition("=")
    if not equals:  # the secret may be alone, as in "?TOKEN"
        return HIDDEN if parameter else ""
    return parameter if value.startswith("{") and value.endswith("}") else f"{name}={HIDDEN}"


# Markdown.

_MARKDOWN_PROSE = re.compile(r"([\\`*_{}\[\]<>|~#$!&])")
_BACKTICKS = re.compile(r"`+")


def markdown_code(text: str, limit: int = LINE_LENGTH) -> str:
    """Return untrusted text as a code span: no links, mentions or HTML.

    The fence is longer than any run of backticks in the text (CommonMark 0.31 section 6.1).
    """
    line = one_line(text, limit)
    if not line.strip():
        return ""
    longest = max((len(run) for run in _BACKTICKS.findall(line)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if line[0] in "` " or line[-1] in "` " else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def markdown_cell(text: str, limit: int = LINE_LENGTH) -> str:
    """Return untrusted text as a code span for a table cell.

    Pipes are escaped even in code: tables are split into cells before inline code is parsed (GitHub Flavored
    Markdown section 4.10).
    """
    return markdown_code(text, limit).replace("|", "\\|")


def markdown_prose(text: str, limit: int = 1000) -> str:
    """Return a sentence of the tool, which may quote untrusted text, with its punctuation escaped."""
    line = _MARKDOWN_PROSE.sub(r"\\\1", one_line(text, limit))
    return line.replace("://", ":\\//").replace("@", "`@`")


# Numbers: 100%, 1,234, 2.5 ms, 00:30.

UNKNOWN = "-"
"""Written for an unknown number."""


def count(number: int) -> str:
    """Write a whole number: `1,234`."""
    return f"{number:,}"


def counted(number: int, noun: str, plural: str = "") -> str:
    """Write a count with its noun: `1 run`, `1,234 runs`; a plural not in -s must be given."""
    return f"{count(number)} {noun if number == 1 else plural or noun + 's'}"


def span(us: float | None) -> str:
    """Write a time given in microseconds: `2.5 ms`; from one second on, `1.23 s`."""
    if us is None:
        return UNKNOWN
    return f"{figures(us / 1e6)} s" if us >= 1_000_000 else f"{figures(us / 1000)} ms"


def clock(seconds: float) -> str:
    """Write a duration in seconds as `00:30`; from one hour on, as `1:00:30`."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"


def change(ratio: float | None) -> str:
    """Write a relative change: `+1.2%`."""
    # Adding zero turns a rounded -0.0 into 0.0.
    return UNKNOWN if ratio is None else f"{round(100 * ratio, 1) + 0.0:+,.1f}%"


def share(ratio: float | None) -> str:
    """Write a ratio: `100%`, `0.05%`, `1,200%`."""
    return UNKNOWN if ratio is None else f"{figures(100 * ratio)}%"


def figures(value: float) -> str:
    """Write three significant figures, or the whole integer part: `1,234`, `95`, `2.5`, `0.064`."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
