"""What a run directory keeps of a server's log: what the verdict needs, bounded and without secrets.

A record is kept on its own if a client's leaving caused it or if its level is ERROR or higher. All others are
only counted per second: that the server logged anything shows that the log covers the run. So an extract is
small however much the server logs, and contains no part of a conversation.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Annotated

from msgspec import Meta, Struct, field

from loadtest.serverlog.known_sessions import KnownSessions
from loadtest.serverlog.records import MAX_NAME, Counts, Level, LogRecord, excerpt, is_error
from loadtest.serverlog.rules import DISCONNECTS, LogClass
from loadtest.serverlog.times import SECOND_NS

Text = Annotated[str, Meta(max_length=MAX_NAME)]
Moment = Annotated[int, Meta(ge=0, le=2**63 - 1)]

_LATEST_NS = 2**62
"""In the year 2116. A log may contain any number as a time; a later one belongs to no run."""


class KeptRecord(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="logged", gc=False):
    """A record kept on its own, or `count` other records of one second.

    `text` is an excerpt, present from WARNING upwards and without a level; `file` names the log if there are
    several; `session` and `also` are the ids of sessions that the record has (`KnownSessions.ids_in`); `live`
    says that it was written while the run went on, so that it is this run's whatever its time. The other
    fields are as in `LogRecord`.
    """

    level: Level | None
    log_class: LogClass
    at_ns: Moment | None = None
    arrival: bool = False
    live: bool = False
    session: Text = ""
    also: tuple[Text, ...] = ()
    file: Text = ""
    line: int = 0
    text: Text = ""
    count: Annotated[int, Meta(ge=1, le=10**9)] = 1

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of sessions that the record has."""
        return (self.session, *self.also) if self.session else ()


class ReadStats(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="reading"):
    """Summary of reading a run's logs.

    Args:
        files: names of the logs.
        counts: reading counts over all logs.
        problems: problems with the sources themselves, one sentence each.
        allowed_errors: how many real errors the run allows.
        left_out: records that should have been kept but were too many.
    """

    files: list[Text] = []
    counts: Counts = field(default_factory=Counts)
    problems: list[Text] = []
    allowed_errors: int = 0
    left_out: int = 0


def extract(
    classified: Iterable[tuple[LogRecord, LogClass]],
    file: str = "",
    *,
    known: KnownSessions | None = None,
    live: bool = False,
) -> list[KeptRecord]:
    """Return what to keep of these classified records.

    Args:
        classified: records with their classes.
        file: name of their log; empty if there is only one.
        known: the run's sessions; None if they are unknown.
        live: whether the records were written while the run went on.
    """
    known = KnownSessions() if known is None else known
    kept = []
    others: Counter[tuple[int | None, bool]] = Counter()
    for record, log_class in classified:
        if record.at_ns is not None and not 0 <= record.at_ns < _LATEST_NS:
            continue
        if log_class in DISCONNECTS or is_error(record.level):
            kept.append(_kept(record, log_class, file, known=known, live=live))
        else:
            second_ns = None if record.at_ns is None else record.at_ns // SECOND_NS * SECOND_NS
            others[second_ns, record.arrival] += 1
    return kept + [_counted(*second, count) for second, count in others.items()]


def _counted(second_ns: int | None, arrival: bool, count: int) -> KeptRecord:
    """Return the entry that counts the other records of a second."""
    return KeptRecord(
        level=Level.INFO, log_class=LogClass.OTHER, at_ns=second_ns, arrival=arrival, count=count
    )


def _kept(
    record: LogRecord, log_class: LogClass, file: str, *, known: KnownSessions, live: bool
) -> KeptRecord:
    ids = known.ids_in(record)
    return KeptRecord(
        level=record.level,
        log_class=log_class,
        at_ns=record.at_ns,
        arrival=record.arrival,
        live=live,
        session=ids[0] if ids else "",
        also=ids[1:],
        file=file,
        line=record.line,
        text=excerpt(record) if record.level is None or record.level >= Level.WARNING else "",
    )
