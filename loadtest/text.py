"""Foreign text made harmless, once for each place where it is shown.

Errors, close reasons, revisions and excerpts come from servers and from files that anyone may have written.
A control character can clear a terminal, a direction override can turn a sentence round, a pipe can break a
table, markup can become a link. Nothing of that is ever removed silently: what cannot be shown is shown as
its escape, what is too long ends in an ellipsis. HTML is the business of the template's autoescape and XML
that of ElementTree; both get `printable` text, because neither format can carry control characters.
"""

import re
import unicodedata

LINE_LENGTH = 200

# Control, format (direction overrides, zero widths), surrogate, private, unassigned; line and paragraph ends.
_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_MARKDOWN_PROSE = re.compile(r"([\\`*_{}\[\]<>|~#$!&])")
_BACKTICKS = re.compile(r"`+")


def printable(text: str, limit: int = LINE_LENGTH) -> str:
    """Return the text as one line of printable characters, at most `limit` of them."""
    head = text[: limit + 1]
    if not (head.isascii() and head.isprintable()):
        head = "".join(_shown(character) for character in head)
    return head if len(head) <= limit else f"{head[: limit - 3]}..."


def _shown(character: str) -> str:
    if unicodedata.category(character) in _UNPRINTABLE:
        return character.encode("unicode_escape").decode("ascii")
    return character


def markdown_code(text: str, limit: int = LINE_LENGTH) -> str:
    """Return foreign text as a code span: no links, mentions or HTML.

    The fence is longer than any run of backticks inside (CommonMark 0.31 section 6.1).
    """
    line = printable(text, limit)
    if not line.strip():
        return ""
    longest = max((len(run) for run in _BACKTICKS.findall(line)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if line[0] in "` " or line[-1] in "` " else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def markdown_cell(text: str, limit: int = LINE_LENGTH) -> str:
    """Return foreign text as a code span for a cell of a table.

    Pipes are escaped there even in code: tables are cut into cells before anything else is read (GitHub
    Flavored Markdown section 4.10).
    """
    return markdown_code(text, limit).replace("|", "\\|")


def markdown_prose(text: str, limit: int = 1000) -> str:
    """Return a sentence of our own, which may quote foreign words, with its punctuation escaped."""
    line = _MARKDOWN_PROSE.sub(r"\\\1", printable(text, limit))
    return line.replace("://", ":\\//").replace("@", "`@`")


UNKNOWN = "-"


def count(number: int) -> str:
    """Write a whole number, thousands apart."""
    return f"{number:,}"


def counted(number: int, noun: str) -> str:
    """Write so many of something, in the plural but for one."""
    return f"{count(number)} {noun}{'s' * (number != 1)}"


def span(us: float | None) -> str:
    """Write a time given in microseconds, in milliseconds or, from one second on, in seconds."""
    if us is None:
        return UNKNOWN
    return f"{_figures(us / 1e6)} s" if us >= 1_000_000 else f"{_figures(us / 1000)} ms"


def clock(seconds: float) -> str:
    """Write a duration as minutes and seconds, with hours where there are any."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"


def change(ratio: float | None) -> str:
    """Write a relative change with its sign, in percent."""
    # Adding zero makes a rounded -0.0 a 0.0.
    return UNKNOWN if ratio is None else f"{round(100 * ratio, 1) + 0.0:+,.1f} %"


def share(ratio: float | None) -> str:
    """Write a ratio in percent."""
    return UNKNOWN if ratio is None else f"{100 * ratio:.3g} %"


def _figures(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    if value >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 1 else f"{value:.3g}"
