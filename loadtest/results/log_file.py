"""server_log.jsonl: the records a run keeps of the server's log, and the drops they are judged against.

    {"type": "logged", "level": 40, "log_class": "real_error", "at_ns": …, "text": "…"}     a record
    {"type": "logged", "level": 20, "log_class": "other", "at_ns": …, "count": 17}          others, per second
    {"type": "reading", "files": ["server.log"], "counts": {…}}                             the last line

Lines are written while the log is read, so a killed run keeps everything up to that point except the last
line.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import msgspec

from loadtest import regular_files
from loadtest.drops.kinds import disconnects
from loadtest.results import directory
from loadtest.results.interval import public_id
from loadtest.results.reader import read_lines
from loadtest.scrubber import NO_SECRETS, Secrets, public_line
from loadtest.serverlog.extract import KeptRecord, ReadStats
from loadtest.serverlog.known_sessions import KnownSessions
from loadtest.serverlog.matching import END_OF_RUN, MAX_SIGHTINGS, DropMade
from loadtest.serverlog.records import is_error
from loadtest.session.recorder import Lifecycle
from loadtest.session.schedule import NS_PER_S

RECORDS_LIMIT = 2 * MAX_SIGHTINGS
"""Maximum number of lines kept: twice what is judged, because a piped log may begin before the run."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(KeptRecord | ReadStats).decode
_decode_event = msgspec.json.Decoder(Lifecycle).decode


class LogWriter:
    """Writes a run's server_log.jsonl, replacing an existing one.

    Args:
        run: the run directory.
        secrets: returns the texts that must not be written.
        run_id: the run's id. An id that holds a secret is written as the run's events have it.

    Attributes:
        path: path of the file.

    Raises:
        ResultsUnwritable: the file cannot be written; `append` and `finish` raise it too.
    """

    def __init__(
        self, run: Path, secrets: Callable[[], Secrets] = lambda: NO_SECRETS, run_id: str = ""
    ) -> None:
        self.path = run / directory.SERVER_LOG
        self._secrets = secrets
        self._run_id = run_id
        self._written = 0
        self._left_out = 0
        with directory.writing(self.path):
            self.path.unlink(missing_ok=True)
            self._file = regular_files.create(self.path)

    def append(self, kept: Iterable[KeptRecord]) -> None:
        """Write kept records; those beyond `RECORDS_LIMIT` are only counted."""
        secrets = self._secrets()
        lines = []
        for logged in kept:
            if self._written >= RECORDS_LIMIT:
                self._left_out += logged.count
                continue
            self._written += 1
            texts = {name: public_line(getattr(logged, name), secrets) for name in ("file", "text")}
            session, *also = (public_id(one, secrets, self._run_id) for one in logged.ids or ("",))
            lines.append(msgspec.structs.replace(logged, session=session, also=tuple(also), **texts))
        self._write(lines)

    def finish(self, reading: ReadStats) -> None:
        """Write the last line, the reading's statistics, and close the file."""
        secrets = self._secrets()
        public = {
            "files": [public_line(name, secrets) for name in reading.files],
            "problems": [public_line(problem, secrets) for problem in reading.problems],
        }
        self._write([msgspec.structs.replace(reading, **public, left_out=self._left_out)])
        directory.restore(self.path, self._file)
        self.close()

    def close(self) -> None:
        """Close the file."""
        # `append` and `finish` have already raised for data that could not be written.
        with suppress(OSError):
            self._file.close()

    def _write(self, lines: Sequence[KeptRecord | ReadStats]) -> None:
        with directory.writing(self.path):
            self._file.write(b"".join(_encode(line) + b"\n" for line in lines))
            self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class ServerLog:
    """The records a run kept of the server's log; `reading` is None if the run was killed."""

    records: list[KeptRecord]
    reading: ReadStats | None


def read_server_log(run: Path) -> ServerLog | None:
    """Read a run's server_log.jsonl; return None if the run has none.

    Raises:
        RunUnreadable: the file is damaged.
    """
    file = run / directory.SERVER_LOG
    if not os.path.lexists(file):
        return None
    records: list[KeptRecord] = []
    readings: list[ReadStats] = []

    def enter(line: bytes) -> None:
        found = _decode(line)
        if isinstance(found, ReadStats):
            readings.append(found)
        elif len(records) < RECORDS_LIMIT:
            records.append(found)

    read_lines(file, enter)
    return ServerLog(records, readings[-1] if readings else None)


def errors_per_s(
    log: ServerLog, *, started_unix_ns: int, length_s: float, clock_offset_s: float
) -> dict[int, int]:
    """Return how many of a log's records are at ERROR or worse in each second of the run that has any.

    Records without a time, and those before the run's start or after its end, have no place in it.

    Args:
        log: the records kept.
        started_unix_ns: the run's start in Unix time.
        length_s: the run's length.
        clock_offset_s: how far the server's clock is ahead. Times of arrival are the tool's own.
    """
    offset_ns = round(clock_offset_s * NS_PER_S)
    found: Counter[int] = Counter()
    for record in log.records:
        if record.at_ns is None or not is_error(record.level):
            continue
        at_ns = record.at_ns - started_unix_ns - (0 if record.arrival else offset_ns)
        if 0 <= at_ns < length_s * NS_PER_S:
            found[at_ns // NS_PER_S] += record.count
    return dict(sorted(found.items()))


def read_drops(run: Path, *, started_unix_ns: int, ended_unix_ns: int) -> list[DropMade]:
    """Read the drops of a run, and add an end-of-run drop for each session that may have been connected then.

    That is one that ever connected and has made an attempt since its last drop or loss.

    Args:
        run: the run directory.
        started_unix_ns, ended_unix_ns: the run's start and end in Unix time.

    Raises:
        RunUnreadable: events.jsonl is damaged.
    """
    drops: list[DropMade] = []
    connected: dict[str, bool] = {}  # by session that ever was: whether it may be now

    def enter(line: bytes) -> None:
        event = _decode_event(line)
        if event.event == "connected" or event.session in connected:
            connected[event.session] = not _disconnects(event)
        if event.event == "dropped":
            at_ns = started_unix_ns + event.at_ns
            drops.append(DropMade(at_ns=at_ns, session=event.session, kind=event.kind or ""))

    read_lines(run / directory.EVENTS, enter)
    ended = (session for session, may_be in connected.items() if may_be)
    ends = (DropMade(at_ns=ended_unix_ns, session=session, kind=END_OF_RUN) for session in ended)
    return [*drops, *ends]


def _disconnects(event: Lifecycle) -> bool:
    """Whether a session has no connection after this event, until it tries again."""
    return event.event in ("failed", "lost") or (event.event == "dropped" and disconnects(event.kind or ""))


def read_known_sessions(run: Path) -> KnownSessions:
    """Read the ids of all sessions of a run.

    Raises:
        RunUnreadable: events.jsonl is damaged.
    """
    known = KnownSessions()

    def enter(line: bytes) -> None:
        event = _decode_event(line)
        known.add(event.session)
        if event.known_as:
            known.add(event.session, event.known_as)

    read_lines(run / directory.EVENTS, enter)
    return known
