"""The result of `loadtest dialect check`, for people and programs: transcript, findings, what is unjudged.

    00.012  login     Chat.login   set 1 cookie (sid)
    00.034  upgrade   GET /ws/1b5e…  subprotocols jwt   101
    00.035  <-        {"type":"ws:session_established",…}
                        Established(session_id='…')

What a message was read as is shown beside it, if there is room. Where something may be wrong, both are shown
as far as possible, one below the other.
"""

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rich.text import Text

from loadtest.dialects.base import Dialect
from loadtest.engine.conversation import Conversation, Ending, Entry, What
from loadtest.report.dialect_findings import Finding, Level, Unjudged, findings, unjudged
from loadtest.report.terminal_tables import new_console
from loadtest.session.schedule import NS_PER_S
from loadtest.text import counted, one_line

_INDENT = 18
"""Where the text of an entry begins, after time and kind."""

_TEXT_RATIO = 0.55
"""Share of the rest of a line that a text may take if its meaning is shown beside it."""

_DETAIL = 60
"""Characters of an example that the headline has room for."""

_NO_TOKEN = Finding(
    level=Level.NOTE,
    what="{token} in the path is empty: no token is given",
    hint="Set LOCUST_WS_TOKEN, or use --token",
)

_STYLES = {Level.MISTAKE: "bold red", Level.FAIL: "bold red", Level.NOTE: "yellow"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of output and its style."""

    text: str
    style: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DialectCheck:
    """A checked dialect.

    Args:
        conversation: the conversation that was held.
        dialect: the dialect.
        target: the server's URL.
        run: the command that runs the locustfile against the server.
        lacks_token: whether the path has a place for a token, and none was given.
    """

    conversation: Conversation
    dialect: Dialect
    target: str
    run: str
    lacks_token: bool = False

    @property
    def findings(self) -> list[Finding]:
        """What the conversation shows."""
        return [*findings(self.conversation), *([_NO_TOKEN] if self.lacks_token else [])]

    @property
    def unjudged(self) -> list[Unjudged]:
        """What a run would not judge."""
        return unjudged(self.conversation, self.dialect)

    @property
    def exit_code(self) -> int:
        """0 if the conversation worked, 1 if it failed or was interrupted, 2 for a mistake in the dialect."""
        levels = {finding.level for finding in self.findings}
        if Level.MISTAKE in levels:
            return 2
        return int(Level.FAIL in levels or self.conversation.ending is not Ending.DONE)

    @property
    def headline(self) -> str:
        """The result in one line."""
        name = type(self.dialect).__name__
        if self.exit_code == 2:
            return f"{name}: mistake in the dialect"
        if self.conversation.ending is Ending.INTERRUPTED:
            return f"{name}: interrupted"
        if self.exit_code:
            first = next(finding for finding in self.findings if finding.level is Level.FAIL)
            detail = f": {first.detail}" if 0 < len(first.detail) <= _DETAIL else ""
            return f"{name}: the conversation failed: {first.what}{detail}"
        return f"{name}: the conversation worked: {self._done()}"

    def _done(self) -> str:
        counts = self.conversation.counts
        answered, sent = counts.get("messaging.answered", 0), counts.get("messaging.sent", 0)
        silent = counts.get("messaging.unanswerable", 0)
        said = [f"{answered} of {counted(sent - silent, 'request')} answered"] if sent > silent else []
        said += [f"{counted(silent, 'request')} sent that no reply is expected to"] if silent else []
        said += [] if sent else [f"{counted(self.conversation.seen.get('Push', 0), 'message')} read as Push"]
        return ", ".join([*said, "1 resume"])

    def to_json(self) -> dict[str, Any]:
        """Return the check for programs."""
        conversation = self.conversation
        return {
            "exit_code": self.exit_code,
            "headline": self.headline,
            "dialect": type(self.dialect).__name__,
            "target": self.target,
            "ending": conversation.ending,
            "transcript": [
                {
                    "at_s": round(entry.at_ns / NS_PER_S, 6),
                    "what": entry.what,
                    "text": entry.text,
                    "meaning": entry.meaning,
                    "bad": entry.bad,
                }
                for entry in conversation.entries
            ],
            "omitted": conversation.omitted,
            "findings": self.findings,
            "unjudged": self.unjudged,
            "counts": {name: count for name, count in conversation.counts.items() if count},
            "run": self.run,
        }


def print_check(check: DialectCheck) -> None:
    """Print a check for people."""
    console = new_console()
    for line in lines(check, console.width):
        console.print(Text(line.text, line.style), soft_wrap=True)


def lines(check: DialectCheck, width: int) -> Iterator[Line]:
    """Yield the output for a terminal of this width."""
    for entry in check.conversation.entries:
        yield from _entry(entry, width)
    if check.conversation.omitted:
        yield Line(text=f"… and {counted(check.conversation.omitted, 'further message')}")
    if check.findings:
        yield from _heading("Findings")
        for finding in check.findings:
            yield from _finding(finding, width)
    if check.unjudged and _was_established(check) and check.exit_code != 2:
        yield from _heading("Left unjudged")
        for row in check.unjudged:
            word = "Set" if row.declare.startswith("--") else "Declare"
            declare = f". {word}: {row.declare}" if row.declare else ""
            yield from _hanging(f"  {row.what:<11}", f"{row.means}{declare}", width)
    yield Line(text="")
    yield from _hanging("", check.headline, width, "bold green" if check.exit_code == 0 else "bold red")
    if check.exit_code == 0:
        yield Line(text=f"next: {check.run}")


def _was_established(check: DialectCheck) -> bool:
    counts = check.conversation.counts
    return bool(counts.get("connect.established") or counts.get("connect.unproven"))


def _heading(text: str) -> Iterator[Line]:
    yield Line(text="")
    yield Line(text=text, style="bold")


def _entry(entry: Entry, width: int) -> Iterator[Line]:
    head = f"{entry.at_ns / NS_PER_S:06.3f}  {entry.what:<{_INDENT - 9}} "
    room = max(20, width - _INDENT)
    column = int(room * _TEXT_RATIO)
    style = "red" if entry.bad else ""
    sound = entry.what is What.SENT or (entry.what is What.RECEIVED and not entry.bad)
    text = one_line(entry.text, column) if sound else entry.text
    if max(len(text), column if entry.meaning else 0) + 2 + len(entry.meaning) <= room:
        yield Line(text=f"{head}{text:<{column}}  {entry.meaning}".rstrip(), style=style)
        return
    yield Line(text=f"{head}{one_line(entry.text, room)}".rstrip(), style=style)
    if entry.meaning:
        indent = " " * (_INDENT + 2)
        yield from _wrapped(indent, indent, entry.meaning, width, style)


def _finding(finding: Finding, width: int) -> Iterator[Line]:
    yield from _hanging(f"  {finding.level:<8} ", finding.what, width, _STYLES[finding.level])
    for text in (finding.detail, finding.hint):
        if text:
            yield from _hanging(" " * 11, text, width)


def _hanging(first: str, text: str, width: int, style: str = "") -> Iterator[Line]:
    yield from _wrapped(first, " " * len(first), text, width, style)


def _wrapped(first: str, further: str, text: str, width: int, style: str = "") -> Iterator[Line]:
    wrapped = textwrap.wrap(
        text,
        max(width, len(further) + 30),
        initial_indent=first,
        subsequent_indent=further,
        break_on_hyphens=False,
    )
    yield from (Line(text=line, style=style) for line in wrapped)
