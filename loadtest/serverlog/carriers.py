"""Carriers: what docker, Kubernetes, syslog, journald and clouds put before each line of a log.

A carrier is a row: the pattern of its prefix with its fields (time, source, part, priority); the rest of the
line is the server's. Several may be nested: `docker compose logs -t`. Carriers that wrap a line in JSON
are in `payloads`; those that only put a time before it (`kubectl logs --timestamps`, `docker logs -t`,
`gcloud run services logs read`) need no row, since a record's first time is found anyway.
"""

import re
from typing import NamedTuple

from loadtest.serverlog.times import CLOCK, ISO, MONTH, SECOND

_PARTS = {
    "TIME": rf"(?P<time>{ISO})",
    "MONTH_TIME": rf"(?P<time>{MONTH} [ \d]\d {CLOCK}(?:\.\d{{1,6}})?)",
    "PRI": r"(?:\d{1,5} )?<(?P<priority>\d{1,3})>",
    "HOST_APP_PID": r"(?P<source>\S{1,255} \S{1,48} \S{1,128})",
    "HOST_UNIT": r"(?P<source>[\w.-]{1,253} [\w.@/-]{1,80}(?:\[\d{1,9}\])?): ?",
    "HOST_PID": r"(?P<source>[\w.-]{1,253} [\w.@/-]{1,80}\[\d{1,9}\]): ?",
    "POD": r"(?P<source>[a-z0-9][a-z0-9.-]{0,200}-[a-z0-9]{5,10}-[a-z0-9]{5} [a-z0-9-]{1,63})",
    "DATA": r"(?:-|(?:\[[^\]]{0,1000}\])+)",
    "NO_LEVEL": r"(?!(?:TRACE|DEBUG|INFO|WARN|WARNING|ERROR|CRITICAL|FATAL|NOTICE)\b)",
}


class Carrier(NamedTuple):
    """A carrier.

    Args:
        name: its name.
        begins: characters that it may begin with.
        pattern: its prefix. Groups: `time`; `source`, the stream of lines that a line belongs to; `part`, P
            for a line that goes on in the next; `priority`, syslog's number.
        has: a character that it has; empty if that is not certain.
    """

    name: str
    begins: str
    pattern: re.Pattern[str]
    has: str = ""


def _carrier(name: str, begins: str, pattern: str, has: str = "") -> Carrier:
    for part, text in _PARTS.items():
        pattern = pattern.replace(f"<{part}>", text)
    return Carrier(name, begins, re.compile(pattern), has)


DIGITS, LOWER = "0123456789", "abcdefghijklmnopqrstuvwxyz"
LETTERS = LOWER + LOWER.upper()
CARRIERS = (
    _carrier("cri", DIGITS, r"<TIME> (?P<source>stdout|stderr) (?P<part>[FP])(?: |$)"),
    _carrier("kubectl --prefix", "[", r"\[(?P<source>pod/[\w.-]{1,253}/[\w.-]{1,63})\] "),
    _carrier("docker compose, docker service", LETTERS, r"<NO_LEVEL>(?P<source>[\w.@-]{1,120}) *\| ?", "|"),
    _carrier("stern", LOWER + DIGITS, r"<POD> (?:\u203a |\| )?"),
    _carrier(
        "stern --timestamps=off",
        LOWER + DIGITS + "+-",
        r"(?P<source>[a-z0-9][a-z0-9.-]{0,200} \u203a [a-z0-9-]{1,63}) (?:\| )?",
        "\u203a",
    ),
    _carrier("kubetail", "[", r"\[(?P<source>[a-z0-9][a-z0-9.-]{0,200}-[a-z0-9]{5,10}-[a-z0-9]{5})\] "),
    _carrier(
        "pm2 --timestamp",
        DIGITS,
        r"(?P<source>\d{1,4}\|[\w.@-]{1,80}) *\| (?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d): ",
        "|",
    ),
    _carrier("pm2", DIGITS, r"(?P<source>\d{1,4}\|[\w.@-]{1,80}) *\| ", "|"),
    _carrier("foreman, honcho", DIGITS, r"\d\d:\d\d:\d\d (?P<source>[\w-]{1,60}\.\d{1,4}) +\| ?", "|"),
    _carrier("cf logs", " ", r" {3}<TIME> \[(?P<source>[\w./-]{1,80})\] (?:OUT|ERR) ?"),
    _carrier("journalctl -o short-monotonic", "[", r"\[ *\d{1,9}\.\d{6}\] <HOST_PID>"),
    _carrier("heroku, papertrail", DIGITS, r"<TIME> (?P<source>(?:app|heroku)\[[\w.-]{1,40}\]): ?"),
    _carrier("fly", DIGITS, r"<TIME> \w+\[(?P<source>[\w-]{1,40})\] \w{3} \[\w+\] ?"),
    _carrier("syslog RFC 5424", "<" + DIGITS, r"<PRI>1 <TIME> <HOST_APP_PID> \S{1,32} <DATA>(?: \ufeff?|$)"),
    _carrier("heroku drain", "<" + DIGITS, r"<PRI>1 <TIME> <HOST_APP_PID> - ?"),
    _carrier("syslog RFC 3164", "<", r"<PRI><MONTH_TIME> <HOST_UNIT>"),
    _carrier("journalctl, syslog files", "JFMASOND", r"<MONTH_TIME> <HOST_UNIT>"),
    _carrier("journalctl -o short-full", "MTWFS", r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) <TIME> <HOST_UNIT>"),
    _carrier("journalctl -o short-iso, rsyslog", DIGITS, r"<TIME> <HOST_PID>"),
    _carrier("journalctl -o short-unix", "1", r"(?P<time>1\d{9}\.\d{6}) <HOST_UNIT>"),
    _carrier(
        "aws logs tail", DIGITS, r"<TIME> (?P<source>(?=\S{0,500}[A-Za-z])(?=\S{0,500}/)[\w./$\[\]-]{3,500}) "
    ),
    _carrier("loki", DIGITS, r"<TIME> (?P<source>\{\w+=[^{}]{1,500}\}) ?"),
    _carrier("a time before JSON", DIGITS, r"<TIME>[ \t]+(?=\{[\s\"}])"),
    _carrier("gcloud --format=value(timestamp,severity,textPayload)", DIGITS, r"<TIME>\t(?:DEFAULT)?\t"),
)
"""The carriers, the most telling first: name, first characters, pattern."""

_BY_FIRST = {first: tuple(c for c in CARRIERS if first in c.begins) for c in CARRIERS for first in c.begins}
_AFTER_TIME = re.compile(
    rf"{SECOND}\S*(?: UTC)?"
    r"(?:[ \t]+\{|\t(?:DEFAULT)?\t| (?:std|\w+\[[\w.-]+\]|[^ |/]*/\S* |[\w.-]+ \S+\]:))"
)
"""What follows the time in the rows that begin with one: one look instead of one a row."""


class Carried(NamedTuple):
    """The fields of a line's carriers, and the line itself."""

    text: str
    time: str = ""
    source: str = ""
    part: str = ""
    priority: int | None = None


class Unwrapping:
    """Strips carriers. A log has mostly one, so the last that fitted is tried first."""

    def __init__(self) -> None:
        self._last: Carrier | None = None

    def strip(self, line: str, depth: int = 0) -> Carried:
        """Return the line without its carriers, and their fields."""
        last = self._last
        found = last.pattern.match(line) if last is not None and depth == 0 else None
        if found is None:
            last, found = self._search(line)
            if depth == 0 and last is not None:
                self._last = last
        if found is None:
            return Carried(line)
        rest = line[found.end() :]
        inner = self.strip(rest, depth + 1) if depth < 2 else Carried(rest)
        fields = found.groupdict()
        time, source = fields.get("time") or "", fields.get("source") or ""
        part, priority = fields.get("part") or "", fields.get("priority")
        if inner.text is not rest:  # another carrier within
            time, source, part = inner.time or time, f"{source} {inner.source}".strip(), inner.part or part
        return Carried(inner.text, time, source, part, int(priority) % 8 if priority else inner.priority)

    def _search(self, line: str) -> tuple[Carrier | None, re.Match[str] | None]:
        first = line[:1]
        if (first in DIGITS and line[4:5] == "-" and _AFTER_TIME.match(line) is None) or not first:
            return None, None
        for carrier in _BY_FIRST.get(first, ()):
            found = carrier.pattern.match(line) if carrier.has in line else None
            if found is not None:
                return carrier, found
        return None, None
