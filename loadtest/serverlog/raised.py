"""Which exceptions a record names: the one that reached the top, and all that it was raised from or after.

A disconnect's exception that was raised while a fault was being handled does not excuse the fault. So the
rules look at every exception of a chain, in the words of Python (`During handling of …`), Java
(`Caused by:`), .NET (`--->`), Node (`[cause]:`), Elixir (`** (`) and Go (`panic:`).
"""

import re

_PYTHON = "Traceback (most recent call last)"
_BAR = re.compile(r" *[|+] ?")
_MARKED = re.compile(
    r"^\s*(?:Caused by|Suppressed|Wrapped by|\[cause\]|panic): (?P<named>.+)"
    r"|^\s*\*\* (?P<elixir>\(.+)"
    r"|^(?P<plain>(?:Unhandled exception\. |Uncaught )?(?:[A-Za-z_$][\w$]*\.)*[A-Z][\w$]*"
    r"(?:Exception|Error|Throwable)(?: \[\w+\])?(?: \(\w+\))?(?::.*)?)$"
)
_INNER = " ---> "
MAX_RAISED = 40
"""Exceptions taken from one record; a chain has a handful."""


def raised(exception: str, cause: str, traceback: str) -> list[str]:
    """Return the lines that name exceptions: the record's own first, then those of the lines under it."""
    named = dict.fromkeys(text for text in (exception, cause) if text)
    if traceback:
        named |= dict.fromkeys(_in_lines(traceback.split("\n")))
    return [part for text in list(named)[:MAX_RAISED] for part in text.split(_INNER)]


def _in_lines(lines: list[str]) -> list[str]:
    found, within = [], False
    for line in lines:
        if _PYTHON in line:
            within = True
            continue
        if _INNER in line:
            found += [part.strip() for part in line.split(_INNER) if part.strip()]
            continue
        bare = _BAR.sub("", line, count=1) if within else line
        if within and bare and bare[0] not in " \t-+^~":
            found.append(bare)
            within = False
        elif mark := _MARKED.match(line):
            found.append(mark["named"] or mark["elixir"] or mark["plain"])
    return found
