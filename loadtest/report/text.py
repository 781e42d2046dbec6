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
