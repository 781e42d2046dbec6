"""Reads a user's file of rules within bounds, before anything parses it.

A user's file may come from anywhere. `tomllib` needs quadratic time and memory for a key of many parts
(`a.a.a.…`), recurses for nested brackets and converts numbers of any length, so a file is scanned first:
what no rules file needs is refused before it is parsed.
"""

import os
import re
import stat
from pathlib import Path

from loadtest.errors import InvalidSetting

MAX_BYTES = 256 * 1024
"""Size of a file; the built-in table, with all its examples, is a fraction of it."""

MAX_DEPTH = 4
"""Brackets within each other: `[[rule]]` has two."""

MAX_KEY = 64
MAX_DOTS = 4
"""Characters and dots of a key (on one line, outside texts); no number is needed at all."""

_TOKEN = re.compile(r"""\"{3}|'{3}|["'#\[\]{}\n.]|[\w+-]+""")
_ENDS = {
    '"""': re.compile(r'(?:[^"\\]|\\.|"(?!""))*+"{3,5}', re.DOTALL),
    "'''": re.compile(r"(?:[^']|'(?!''))*+'{3,5}"),
    '"': re.compile(r'(?:[^"\\\n]|\\.)*+"'),
    "'": re.compile(r"[^'\n]*+'"),
    "#": re.compile(r"[^\n]*+"),
}


def read_bounded(path: Path, option: str) -> str:
    """Return a file's text.

    Args:
        path: the file, which must be a regular one.
        option: the option named in errors.

    Raises:
        InvalidSetting: the file cannot be read, or is too large.
    """
    try:
        # A FIFO would be waited for, and a device never ends.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise InvalidSetting(option, str(path), "must be a regular file")
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise InvalidSetting(option, str(path), f"must have at most {MAX_BYTES // 1024} KiB")
        return content.decode()
    except (OSError, ValueError) as error:
        reason = (error.strerror or error) if isinstance(error, OSError) else error
        raise InvalidSetting(option, str(path), f"must be a file that can be read ({reason})") from error


def excess(text: str) -> str:
    """Return what a TOML text has too much of; empty if it can be parsed at once."""
    position = depth = dots = 0
    while token := _TOKEN.search(text, position):
        position, found = token.end(), token[0]
        if found in _ENDS:
            end = _ENDS[found].match(text, position)
            if end is None:
                return ""  # tomllib ends here too, and says why
            position = end.end()
        depth += (found in "[{") - (found in "]}")
        dots = 0 if found == "\n" else dots + (found == ".")
        if problem := _token_problem(found, depth, dots):
            return f"line {text.count(chr(10), 0, token.start()) + 1} has {problem}"
    return ""


def _token_problem(token: str, depth: int, dots: int) -> str:
    if depth > MAX_DEPTH:
        return f"more than {MAX_DEPTH} nested brackets"
    if dots > MAX_DOTS:
        return f"a key of more than {MAX_DOTS + 1} parts"
    if len(token) > MAX_KEY:
        return f"a key or number of more than {MAX_KEY} characters"
    return ""
