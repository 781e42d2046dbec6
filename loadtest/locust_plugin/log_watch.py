"""Follows the server's log during a run, in the process that records the run: a local run or a master.

A greenlet reads new lines four times a second, a few at a time and never on the engine's thread, so that
measurements are not disturbed. The server goes on logging after the load has ended, above all the ends of the
last connections, so the log is followed until no new lines appear. A command that has ended by then, such as
one that prints the log so far (`gcloud logging read`), is run once more. Its second output must go back to
the end of the first. If it does not, as with `docker logs -f --tail 0` after it was cut off, the report says
what is missing.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import gevent
import msgspec

from loadtest.command_lines import command_words
from loadtest.errors import ResultsUnwritable
from loadtest.locust_plugin.load_settings import LogSettings
from loadtest.results.log_file import LogWriter
from loadtest.scrubber import Secrets, public_line
from loadtest.serverlog.command_output import COMMAND_OPTION
from loadtest.serverlog.extract import KeptRecord, ReadStats, extract
from loadtest.serverlog.follow import Follower, follow, follow_command, source_of
from loadtest.serverlog.known_sessions import KnownSessions
from loadtest.serverlog.log_reader import LogReader
from loadtest.serverlog.records import Counts, LogRecord
from loadtest.serverlog.rules import LogClass, load_rules
from loadtest.session.recorder import Lifecycle

logger = logging.getLogger("loadtest")

LOOK_EVERY_S = 0.25
"""If a log is truncated (not rotated), its lines since the last poll are lost. A poll costs microseconds."""

BEHIND_PAUSE_S = 0.05
"""Between reads while a log has more to read: about 1 MB per second, at an eighth of a core."""

SILENT_S = 2.0
"""A log with no relevant record for this long counts as silent; `docker logs` and pipes lag by less."""

MAX_GRACE_S = 15.0
COMMAND_GRACE_S = 15.0
"""How long a command that is run once more may take to print everything and end."""


_ENDED = "the command ended"


def check_logs(settings: LogSettings) -> None:
    """Check that all logs can be followed, before a run.

    Raises:
        InvalidSetting: a log cannot be followed, the command is not found, or format or rules are malformed.
    """
    load_rules(settings.rules)
    LogReader(format=settings.format)
    for path in settings.paths:
        source_of(path).close()
        if path != "-" and not Path(path).exists():
            logger.warning("server log %s does not exist yet: it will be read once it is created", path)
    if settings.command is not None:
        command_words(settings.command, COMMAND_OPTION)


@dataclass(slots=True)
class _Printed:
    """The records of a command's first output, to skip each of them once in the second.

    Several records may have the newest time, above all in a log with whole seconds. The second output may
    have more records with that time, and in another order, so those are identified by their texts.
    """

    newest_ns: int = 0  # by the server's clock
    at_newest: Counter[int] = field(default_factory=Counter)  # hashes of the records of that time
    untimed: int = 0  # records
    met: bool = False  # the second output has shown a timed one

    def add(self, record: LogRecord) -> None:
        """Add a record of the first output."""
        if record.at_ns is None or record.arrival:
            self.untimed += 1
            return
        if record.at_ns > self.newest_ns:
            self.newest_ns = record.at_ns
            self.at_newest.clear()
        if record.at_ns == self.newest_ns:
            self.at_newest[_text_hash(record)] += 1

    def pass_over(self, record: LogRecord) -> bool:
        """Skip a record of the second output if the first had it; return whether it had."""
        if record.at_ns is None or record.arrival:
            self.untimed -= 1
            return self.untimed >= 0
        known = record.at_ns < self.newest_ns
        if record.at_ns == self.newest_ns and self.at_newest[_text_hash(record)]:
            self.at_newest[_text_hash(record)] -= 1
            known = True
        self.met = self.met or known
        return known


def _text_hash(record: LogRecord) -> int:
    """Hash of a record's head: at the end of the first output, the lines below it may have been cut off."""
    return hash((record.logger, record.message))


@dataclass(slots=True)
class _Followed:
    name: str
    follower: Follower
    live: bool = False  # all of it is written during the run
    printed: _Printed | None = None  # by a command
    ended_s: float | None = None  # seconds into the run, noted once a command has ended
    told: bool = False  # whether the failure of its command was reported


class LogWatch:
    """Follows the logs of a run and records their relevant lines.

    Args:
        settings: the logs to follow, and how to read them.
        run: the run directory.
        run_id: the run's id.
        secrets: returns the texts that must not be written.
        failed: called with an error that ends the recording of the log.
        tell: called with the kept records that arrive during the run.

    Raises:
        InvalidSetting: a log cannot be followed, or the command cannot be started.
    """

    def __init__(
        self,
        settings: LogSettings,
        run: Path,
        run_id: str,
        secrets: Callable[[], Secrets],
        failed: Callable[[BaseException], None],
        tell: Callable[[Iterable[KeptRecord]], None] = lambda _: None,
    ) -> None:
        self._settings = settings
        self._failed = failed
        self._tell = tell
        self._secrets = secrets
        self._rules = load_rules(settings.rules)
        self._followed = [
            # A file is read from its end. Output of a pipe or a command may be older.
            _Followed(Path(path).name, follow(path, format=settings.format), live=path != "-")
            for path in settings.paths
        ]
        if settings.command is not None:
            self._followed.append(self._command(settings.command))
        self._several = len(self._followed) > 1
        self._problems: list[str] = []
        self._counts = Counts()
        self._known = KnownSessions(run_id)
        self._started_s = time.monotonic()
        self._started_unix_ns = time.time_ns()
        self._writer = LogWriter(run, secrets, run_id)
        self._greenlet = gevent.spawn(self._keep_looking)

    def learn(self, events: Iterable[Lifecycle]) -> None:
        """Store the ids that the server gave to sessions, to recognise records that name them."""
        for event in events:
            if event.known_as:
                self._known.add(event.session, event.known_as)

    def _command(self, command: str) -> _Followed:
        """Start the command. Files name only its program, because its arguments may contain secrets."""
        return _Followed(
            Path(command_words(command, COMMAND_OPTION)[0]).name,
            follow_command(command, format=self._settings.format),
            printed=_Printed(),
        )

    def _keep_looking(self) -> None:
        try:
            while True:
                self._look()
                behind = any(followed.follower.behind for followed in self._followed)
                gevent.sleep(BEHIND_PAUSE_S if behind else LOOK_EVERY_S)
        except ResultsUnwritable as error:
            self._failed(error)

    def _look(self) -> bool:
        """Read new records; return whether any log had a relevant one or has more to read."""
        active = False
        for followed in self._followed:
            relevant = self._take(followed, followed.follower.poll(time.time_ns()))
            if followed.follower.ended and followed.ended_s is None:
                followed.ended_s = time.monotonic() - self._started_s
            self._warn(followed)
            active = active or relevant or followed.follower.behind
        return active

    def _warn(self, followed: _Followed) -> None:
        """Warn once, at once, that a command failed: the rest of the run has no log from it."""
        if followed.follower.status and not followed.told:
            followed.told = True
            problem = f"{followed.name}: {followed.follower.problem}"
            logger.warning("server log: %s", public_line(problem, self._secrets()))

    def _take(self, followed: _Followed, records: list[LogRecord], before: _Printed | None = None) -> bool:
        """Keep the relevant parts of these records; return whether any record was relevant.

        Args:
            followed: their log.
            records: new records.
            before: the first output of the same command; its records are skipped.
        """
        if before is not None:
            records = [record for record in records if not before.pass_over(record)]
        elif followed.printed is not None:
            for record in records:
                followed.printed.add(record)
        classified = [(record, self._rules.classify(record)) for record in records]
        name = followed.name if self._several else ""
        kept = extract(classified, name, known=self._known, live=followed.live)
        self._writer.append(kept)
        self._tell(map(self._public, self._of_this_run(kept)))
        return any(logged.log_class is not LogClass.OTHER for logged in kept)

    def _of_this_run(self, kept: Iterable[KeptRecord]) -> Iterator[KeptRecord]:
        """Yield the records that are not known to be older than the run."""
        for record in kept:
            if record.live or record.arrival or record.at_ns is None or record.at_ns >= self._started_unix_ns:
                yield record

    def _public(self, record: KeptRecord) -> KeptRecord:
        return msgspec.structs.replace(record, text=public_line(record.text, self._secrets()))

    def finish(self) -> None:
        """Follow the logs until no new lines appear, then close them.

        Raises:
            ResultsUnwritable: records cannot be written.
        """
        self._greenlet.kill()
        try:
            self._finish()
        finally:
            for followed in self._followed:
                followed.follower.close(time.time_ns())
            self._writer.close()

    def _finish(self) -> None:
        silent_s, over_s = time.monotonic() + SILENT_S, time.monotonic() + MAX_GRACE_S
        while time.monotonic() < min(silent_s, over_s):
            if self._look():
                silent_s = time.monotonic() + SILENT_S
            gevent.sleep(BEHIND_PAUSE_S)
        command = self._settings.command
        if command is not None and self._followed[-1].follower.ended:
            self._read_again(self._followed[-1], command)
        for followed in self._followed:
            self._close(followed)
        reading = ReadStats(
            files=[followed.name for followed in self._followed],
            counts=self._counts,
            problems=self._problems,
            allowed_errors=self._settings.allowed_errors,
        )
        self._writer.finish(reading)

    def _read_again(self, before: _Followed, command: str) -> None:
        """Run the command once more; keep the records that its first run did not have."""
        self._take(before, before.follower.close(time.time_ns()))
        printed = before.printed
        assert printed is not None  # it is a command
        self._followed[-1] = followed = self._command(command)
        over_s = time.monotonic() + COMMAND_GRACE_S
        while not followed.follower.ended and time.monotonic() < over_s:
            self._take(followed, followed.follower.poll(time.time_ns()), printed)
            gevent.sleep(0 if followed.follower.behind else BEHIND_PAUSE_S)
        self._take(followed, followed.follower.close(time.time_ns()), printed)
        if not _reaches_back(followed, printed):
            self._problems.append(f"{followed.name}: {_unread(followed, before)}")
            followed.told = _failed_again(followed, before)

    def _close(self, followed: _Followed) -> None:
        self._take(followed, followed.follower.close(time.time_ns()))
        self._counts = self._counts.plus(followed.follower.counts)
        if followed.follower.problem and not followed.told:
            self._problems.append(f"{followed.name}: {followed.follower.problem}")


def _failed_again(followed: _Followed, before: _Followed) -> bool:
    return bool(before.follower.status and followed.follower.status)


def _unread(followed: _Followed, before: _Followed) -> str:
    """Return that a command ended, and that running it again did not show the rest."""
    after = "" if before.ended_s is None else f" {before.ended_s:.0f} s after its start"
    if _failed_again(followed, before):
        how = followed.follower.problem.removeprefix(_ENDED)
        return f"the command failed{after}, and again after the run, {how.strip()}"
    how = before.follower.problem.removeprefix(_ENDED)
    return f"{_ENDED}{after}{how}; when run again after the run, its output did not go back to that time"


def _reaches_back(followed: _Followed, printed: _Printed) -> bool:
    """Whether the second output of a command covers everything since the end of the first."""
    if printed.newest_ns:
        return printed.met
    return printed.untimed <= 0 and followed.follower.status == 0
