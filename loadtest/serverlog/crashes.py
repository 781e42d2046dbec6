"""Crashes that a runtime prints itself, bypassing the logger: they have no time, level or head.

Such text follows whatever record was logged before it, mostly one at INFO. It is not part of that
record. An exception that the record logged on purpose (`logger.info("client gone", exc_info=True)`) looks the
same; it is one if the built-in rules know it, together with the record's message, as a client's leaving.
"""

import re
from functools import lru_cache

from loadtest.serverlog.records import LogRecord
from loadtest.serverlog.rules import RuleTable, load_rules
from loadtest.serverlog.tracebacks import raises, starts_traceback

_CRASH = re.compile(
    r"Exception in thread |Unhandled [Ee]xception[.:] |Fatal Python error: |[Ff]atal error: |panic: "
    r"|(?:Segmentation fault|Bus error|Illegal instruction|Aborted)(?: \(core dumped\))?$"
    r"|terminate called |PHP (?:Fatal|Parse) error: |# A fatal error has been detected by "
    r"|thread '[^']{0,80}' (?:\(\d{1,9}\) )?(?:panicked at |has overflowed its stack)"
    r"|\(node:\d{1,9}\) (?:\[\w+\] )?(?:Unhandled|Uncaught)\w*|\[UnhandledPromiseRejection: "
    r"|=(?:ERROR|CRASH) REPORT====|java\.lang\.OutOfMemoryError\b"
    r"|#<Thread:.{1,200} terminated with exception|\S{1,300}\.rb:\d{1,6}:in .{0,1000}\([\w:]{1,120}\)$"
)
_LINKED = ("Caused by: ", " ---> ", "---> ")


def is_crash(text: str) -> bool:
    """Whether a line is the first of what only a runtime prints, and no logger."""
    return _CRASH.match(text) is not None


def may_crash(text: str) -> bool:
    """Whether a line may also begin what a logger prints of an exception."""
    return starts_traceback(text) or (raises(text) and not text.startswith(_LINKED))


def on_purpose(record: LogRecord) -> bool:
    """Whether a record and its exception are of a client's disconnect, logged on purpose at a low level."""
    return _rules().excuses(record)


@lru_cache(maxsize=1)
def _rules() -> RuleTable:
    return load_rules()
