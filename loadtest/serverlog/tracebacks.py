"""The lines under a record's head: a traceback of any common language, or the rest of a message.

In Python the exception is the first line after `Traceback (most recent call last):` that is not indented. A
chain ("The above exception was the direct cause …") has several; the last one reached the top and counts, and
the first of its direct causes is kept too. A group of one exception counts as that exception (anyio's task
groups wrap exceptions so); a group of several stays a group, since one of them may be a real fault. In Java,
.NET and Node the exception stands above its frames (`at …`), and the last `Caused by:` is its root cause. Go
has panics and goroutines, Elixir `** (KeyError) …`. Memory is bounded for any length: the first and the last
lines are kept.
"""

import re
from collections.abc import Iterable

from loadtest.serverlog.records import MAX_MESSAGE
from loadtest.text import one_line

_STARTS = ("Traceback (most recent call last)", "Exception Group Traceback (most recent call last)")
_DIRECT = "The above exception was the direct cause"
_LINKS = (_DIRECT, "During handling of the above exception")
_RAISED = re.compile(
    r"(?:Uncaught |Unhandled exception\.? |Exception in thread (?:\"[^\"]{0,200}\"|\S+) "
    r"|Caused by: | ---> |\*\* \()?"
    r"(?P<name>(?:[A-Za-z_]\w{0,60}[.$/]){0,9}[A-Z]\w{0,60}"
    r"(?:Error|Exception|Throwable|Interrupt|Disconnect|Disconnected|ClosedOK|Closed|Exit|Fault))"
    r"(?: \[\w+\])?(?: \(\w+\))?(?:[:)] ?|$)"
    r"|panic: |fatal error: |thread '[^']{0,80}' (?:\(\d{1,9}\) )?panicked at |PHP (?:Fatal|Parse) error: "
)
"""The line that names an exception, in Python, Java, .NET, Node, Go, Elixir, Rust and PHP."""

_FRAME = re.compile(r"\s+(?:at |in \S+:\d|\.\.\. \d+ |\([\w ]+\d[\d.]*\) |\S+\.ex:\d)|goroutine \d+ \[|#\d+ ")
_CAUSED = ("Caused by: ", "---> ")
_GROUP_PREFIX = re.compile(r" *[|+] ?")


def starts_traceback(text: str) -> bool:
    """Whether a line is the first of a traceback."""
    return "Traceback (most recent call" in text[:80] and text.lstrip(" +|").startswith(_STARTS)


def raises(text: str) -> bool:
    """Whether a line names an exception, as it stands above its frames or under them."""
    return _RAISED.match(text) is not None


def is_frame(text: str) -> bool:
    """Whether a line is a frame of a stack under its exception: `    at …`."""
    return _FRAME.match(text) is not None


class Tail:
    """Collects the lines under one record's head.

    Attributes:
        exception: the line that names the exception; empty without a traceback.
        cause: the line that names its root cause (`raise … from …`); empty without one.
        stray: the last line outside any traceback.
        framed: whether there are the frames of a stack.
        goroutines: whether it is Go's stack, whose lines are not all indented.
    """

    MAX_LINES = 60
    MAX_LINE = 300

    def __init__(self) -> None:
        self.exception = ""
        self.cause = ""
        self.stray = ""
        self.framed = False
        self.goroutines = False
        self._first: list[str] = []
        self._last: list[str] = []
        self._left_out = 0
        self._within = False
        self._linked = False
        self._caused = False
        self._in_group = False
        self._many = False

    def extend(self, lines: Iterable[str]) -> None:
        """Add complete lines."""
        for line in lines:
            self.add(line)

    def add(self, line: str) -> None:
        """Add one line."""
        kept = line[: self.MAX_LINE].rstrip()
        self._follow(kept)
        if len(self._first) < self.MAX_LINES:
            self._first.append(kept)
            return
        self._last.append(kept)
        if len(self._last) > 2 * self.MAX_LINES:
            del self._last[: self.MAX_LINES]
            self._left_out += self.MAX_LINES

    def expects(self, line: str) -> bool:
        """Whether a line belongs here; a second traceback does so only in a chain or group."""
        return not starts_traceback(line) or not self.exception or self._linked or line[:1] == " "

    @property
    def framed_or_named(self) -> bool:
        """Whether there is a stack or an exception."""
        return self.framed or bool(self.exception)

    @property
    def within(self) -> bool:
        """Whether a traceback has begun and not ended."""
        return self._within or self._linked

    def text(self) -> str:
        """Return the kept lines, printable, with a note of how many were left out."""
        left_out = [f"... {self._left_out} lines left out"] if self._left_out else []
        lines = [*self._first, *left_out, *self._last]
        return "\n".join(one_line(line, self.MAX_LINE) for line in lines)

    def _follow(self, line: str) -> None:
        if "Exception Group Traceback (most recent" in line:
            self._in_group = True
        prefixed = self._in_group and line[:1] == " "
        bare = _GROUP_PREFIX.sub("", line, count=1) if prefixed else line
        if bare.startswith(_STARTS) or starts_traceback(line):
            self._within, self._linked = True, False
            self._many = self._many and prefixed
        elif bare.startswith(_LINKS):
            self._linked = True
            self._caused = bare.startswith(_DIRECT)
        elif not self._within and _FRAME.match(line):
            self.framed = True
            self.goroutines = self.goroutines or line.startswith("goroutine")
            self.exception = self.exception or (self.stray if raises(self.stray) else "")
        elif bare.lstrip().startswith(_CAUSED) and (self.framed or raises(self.stray)):
            self.cause = one_line(bare.strip().partition(" ")[2].removeprefix("by: "), MAX_MESSAGE)
        elif line[:1] == " " and not (self._within or self.framed or prefixed) and raises(line.strip()):
            self.stray = line.strip()  # .NET's console indents all lines under a head
        elif bare and bare[0] not in " \t-+^~>":
            self._end(bare)

    def _end(self, bare: str) -> None:
        if not self._within:
            self.stray = bare
            if bare.startswith("** ("):
                self.framed, self.exception = True, one_line(bare, MAX_MESSAGE)
        elif not self._many:
            self.cause = (self.cause or self.exception) if self._caused else ""
            self._caused = False
            self.exception = one_line(bare.strip(), MAX_MESSAGE)
            self._many = bare.endswith("sub-exceptions)")
        self._within = False
