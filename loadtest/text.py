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

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable
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

_SPELLINGS: tuple[Callable[[str], str], ...] = (
    str,
    lambda secret: quote(secret, safe="", errors="replace"),  # in a URL
    _escaped,  # after one_line
)
"""The forms in which a text may contain a secret."""

_LIKELY_SECRET = re.compile(
    r"eyJ[\w.-]{8,}"  # a JWT
    r"|(?i:\bbearer\s+)[^\s\"']+"
    r"|(?i:\bjwt[\"']?,\s?[\"']?)[^\s\"']+"  # the subprotocols ["jwt", TOKEN]
    r"|(?i:\b(?:access_token|token|api_key|apikey|key|secret|password|passwd|authorization|cookie|jwt))"
    r"[\"']?\s?[=:]\s?[\"']?(?i:(?:bearer|basic)\s+)?[^\s\"'&,;]+"
)


class Secrets:
    """Known secrets in all their spellings, indexed so that searching for thousands of them is cheap.

    Args:
        secrets: tokens, passwords, header values; empty ones are ignored.
    """

    __slots__ = ("_by_start", "_short", "_sorted")

    def __init__(self, secrets: Iterable[str]) -> None:
        spelled = {spell(secret) for secret in secrets if secret for spell in _SPELLINGS}
        self._sorted = sorted(spelled)
        self._short = [text for text in self._sorted if len(text) < _MIN_PREFIX]
        self._by_start: dict[str, list[str]] = {}
        for text in self._sorted:
            if len(text) >= _MIN_PREFIX:
                self._by_start.setdefault(text[:_MIN_PREFIX], []).append(text)

    def in_text(self, text: str) -> list[str]:
        """Return the spellings that occur in a text, longest first."""
        if len(self._by_start) < len(text):
            starts = [start for start in self._by_start if start in text]
        else:
            windows = {text[at : at + _MIN_PREFIX] for at in range(len(text))}
            starts = [start for start in windows if start in self._by_start]
        candidates = [*self._short, *(secret for start in starts for secret in self._by_start[start])]
        return sorted((secret for secret in candidates if secret in text), key=len, reverse=True)

    def beginning_at_end(self, text: str) -> int:
        """Return how many characters at the end of a text are the beginning of a secret, or 0."""
        longest = max(map(len, self._sorted), default=0)
        for at in range(max(0, len(text) - longest), len(text) - _MIN_PREFIX + 1):
            if text[at : at + _MIN_PREFIX] in self._by_start:
                end = text[at:]
                found = bisect_left(self._sorted, end)
                if found < len(self._sorted) and self._sorted[found].startswith(end):
                    return len(end)
        return 0


def without_secrets(text: str, secrets: Secrets) -> str:
    """Return the text with `***` for every known secret, including one cut off at the end."""
    for secret in secrets.in_text(text):
        text = text.replace(secret, HIDDEN)
    body = text.removesuffix(_ELLIPSIS)
    if cut := secrets.beginning_at_end(body):
        return f"{body[:-cut]}{HIDDEN}{text[len(body) :]}"
    return text


def public_line(text: str, secrets: Secrets, limit: int = LINE_LENGTH) -> str:
    """Return untrusted text that is safe to store: one line, without secrets."""
    return one_line(without_secrets(text, secrets), limit)


def without_likely_secrets(text: str) -> str:
    """Return the text with `[secret removed]` for anything like a JWT, a bearer token or a named secret."""
    return _LIKELY_SECRET.sub("[secret removed]", text)


def public_url(url: str) -> str:
    """Return the URL without userinfo, query and fragment, which may hold tokens and passwords."""
    try:
        parts = urlsplit(url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    except ValueError:  # not a URL: any part of it may be secret
        return HIDDEN


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


def counted(number: int, noun: str) -> str:
    """Write a count with its noun: `1 run`, `1,234 runs`."""
    return f"{count(number)} {noun}{'s' * (number != 1)}"


def span(us: float | None) -> str:
    """Write a time given in microseconds: `2.5 ms`; from one second on, `1.23 s`."""
    if us is None:
        return UNKNOWN
    return f"{_figures(us / 1e6)} s" if us >= 1_000_000 else f"{_figures(us / 1000)} ms"


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
    return UNKNOWN if ratio is None else f"{_figures(100 * ratio)}%"


def _figures(value: float) -> str:
    """Write three significant figures, or the whole integer part: `1,234`, `95`, `2.5`, `0.064`."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
