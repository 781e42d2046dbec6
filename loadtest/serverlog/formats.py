"""Text formats that a user names: the `%`-format of Python's logging that wrote the lines.

A format such as `%(asctime)s - %(name)s - %(levelname)s - %(message)s` becomes a regular expression with
one group per field. Every field except the message ends at the character that follows it in the format, and
is bounded, so parsing any line takes time linear in its length. A line that the format does not match belongs
to the record before it. Without a named format, `heads` reads the lines.
"""

import re

from loadtest.serverlog.entries import Entry
from loadtest.serverlog.records import LEVELS
from loadtest.serverlog.times import CLOCK, ISO, number_time, parse_time

KNOWN_FORMATS = {
    "dashes-short": "%(asctime)s - %(levelname)s - %(message)s",
    "gunicorn": "[%(asctime)s] [%(process)d] [%(levelname)s] %(message)s",
    "flask": "[%(asctime)s] %(levelname)s in %(module)s: %(message)s",
    "hydra": "[%(asctime)s][%(name)s][%(levelname)s] - %(message)s",
    "structlog": "%(asctime)s [%(levelname)-9s] %(message)s",
    "plain": "%(asctime)s %(levelname)s %(message)s",
}
"""Formats by name, for logs that `heads` misreads; the other usual ones need no name."""

_EXAMPLE = "%(asctime)s - %(name)s - %(levelname)s - %(message)s"

_FIELD = re.compile(r"%\((\w+)\)[#0\- +]*\d*(?:\.\d+)?[a-zA-Z]")
_TIME = (
    rf"(?P<time>{ISO}"
    rf"|\d\d/\w{{3}}/\d{{4}}[: ]{CLOCK}(?: [+-]\d{{4}})?"
    rf"|{CLOCK}(?:[.,]\d{{1,9}})?)"
)
_LEVEL = r" {0,16}(?P<level>[A-Za-z]{3,9}) {0,16}"
_PATTERNS = {
    "asctime": _TIME,
    "created": r"(?P<created>\d{9,11}(?:\.\d{1,9})?)",
    "msecs": r" {0,3}(?P<msecs>\d{1,3})(?:\.\d{1,6})?",
    "levelname": _LEVEL,
    "levelprefix": r"(?P<level>[A-Za-z]{3,9}):",
    "message": "(?P<message>.*)",
}
_GROUPS = {"name": "logger", "session": "session", "session_id": "session"}
_MAX_HEAD = 4096
"""Characters of a line that are matched; messages are cut shorter later."""


class TextFormat:
    """One text format of heads."""

    def __init__(self, template: str) -> None:
        """Compile `template`, a format string of Python's logging.

        Raises:
            ValueError: the format is malformed; the text completes "It …", for example "must have …".

        """
        self.template = template
        self._match = re.compile(_expression(template)).fullmatch

    def parse(self, text: str) -> Entry | None:
        """Return the entry that begins with this line; None if it is not a head in this format."""
        found = self._match(text, 0, min(len(text), _MAX_HEAD))
        if found is None:
            return None
        fields = found.groupdict()
        level = LEVELS.get(name) or LEVELS.get(name.upper()) if (name := fields.get("level")) else None
        if level is None and fields.get("level"):
            return None
        return Entry(
            message=fields["message"],
            level=level,
            at_ns=self._time(fields),
            logger=fields.get("logger") or "",
            session=fields.get("session") or "",
        )

    def _time(self, fields: dict[str, str | None]) -> int | None:
        at_ns = parse_time(text) if (text := fields.get("time")) else None
        if at_ns is None and (created := fields.get("created")):
            at_ns = number_time(float(created))
        if at_ns is not None and (milliseconds := fields.get("msecs")):
            at_ns += int(milliseconds) * 1_000_000
        return at_ns


def _expression(template: str) -> str:
    """Return a regular expression that matches the output of a format string."""
    parts: list[str] = []
    position = 0
    seen: set[str] = set()
    for field in _FIELD.finditer(template):
        parts.append(_literal(template[position : field.start()]))
        position = field.end()
        parts.append(_group(field[1], template, position, seen))
    if "message" not in seen:
        raise ValueError(f"must have %(message)s, for example {_EXAMPLE!r}")
    return "".join([*parts, _literal(template[position:])])


def _literal(text: str) -> str:
    """Return the expression for text between fields; spaces also match the extra spaces of padding."""
    return re.sub(r"(?:\\ )+", " {1,16}", re.escape(text.replace("%%", "%")))


def _group(name: str, template: str, end: int, seen: set[str]) -> str:
    kind = "level" if name.startswith("level") else _GROUPS.get(name, name)
    if kind in seen:
        raise ValueError(f"must have %({name})s once")
    seen.add(kind)
    if name in _PATTERNS:
        return _PATTERNS[name]
    following = template[end : end + 1]
    if following == "%" and template[end : end + 2] != "%%":
        raise ValueError(f"must have a space or another character after %({name})s")
    anything = f"[^{re.escape(following)}]{{0,200}}" if following else ".*"
    return f"(?P<{_GROUPS[name]}>{anything})" if name in _GROUPS else f"(?:{anything})"
