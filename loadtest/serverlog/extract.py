"""What a run directory keeps of a server's log: what the judgement needs, bounded and without secrets.

A record that matters, because a client's leaving caused it or because it stands at ERROR or worse, is kept by
itself. Of all others only their number in each second is kept: that the server logged at all is what tells
whether a log covers the run. So an extract is small whatever the server is chatty about, and nothing of a
conversation gets into it.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Annotated

from msgspec import Meta, Struct, field

from loadtest.serverlog.records import MAX_NAME, Counts, Level, LogRecord, excerpt
from loadtest.serverlog.rules import DISCONNECTS, LogClass
from loadtest.serverlog.times import SECOND_NS

Text = Annotated[str, Meta(max_length=MAX_NAME)]
Moment = Annotated[int, Meta(ge=0, le=2**63 - 1)]

_LATEST_NS = 2**62
"""In the year 2116: a log may hold any number for a time, and what is beyond belongs to no run."""


class KeptRecord(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="logged", gc=False):
    """A record that matters, or `count` others of one second.

    `text` is an excerpt, given from WARNING upwards; `file` says of which log, where there are several. The
    rest is as in `LogRecord`.
    """

    level: Level
    log_class: LogClass
    at_ns: Moment | None = None
    arrival: bool = False
    session: Text = ""
    file: Text = ""
    line: int = 0
    text: Text = ""
    count: Annotated[int, Meta(ge=1, le=10**9)] = 1


class ReadStats(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="reading"):
    """How the reading of a run's logs went, once it is over.

    Args:
        files: what was read, by name.
        counts: of all of them together.
        problems: of the sources themselves, a sentence each.
        allowed_errors: how many real errors the run lets pass.
        left_out: records that matter and were too many to keep.
    """

    files: list[Text] = []
    counts: Counts = field(default_factory=Counts)
    problems: list[Text] = []
    allowed_errors: int = 0
    left_out: int = 0


def extract(classified: Iterable[tuple[LogRecord, LogClass]], file: str = "") -> list[KeptRecord]:
    """Return what is to be kept of some records."""
    kept = []
    others: Counter[tuple[int | None, bool]] = Counter()
    for record, log_class in classified:
        if record.at_ns is not None and not 0 <= record.at_ns < _LATEST_NS:
            continue
        if log_class in DISCONNECTS or record.level >= Level.ERROR:
            kept.append(_kept(record, log_class, file))
        else:
            second_ns = None if record.at_ns is None else record.at_ns // SECOND_NS * SECOND_NS
            others[second_ns, record.arrival] += 1
    for (second_ns, arrival), count in others.items():
        kept.append(
            KeptRecord(
                level=Level.INFO, log_class=LogClass.OTHER, at_ns=second_ns, arrival=arrival, count=count
            )
        )
    return kept


def _kept(record: LogRecord, log_class: LogClass, file: str) -> KeptRecord:
    return KeptRecord(
        level=record.level,
        log_class=log_class,
        at_ns=record.at_ns,
        arrival=record.arrival,
        session=record.session,
        file=file,
        line=record.line,
        text=excerpt(record) if record.level >= Level.WARNING else "",
    )
