"""Follows the server's log during a run, in the process that records the run: a local run or a master.

A greenlet reads new lines about once a second, a little at a time and never on the engine's thread, so that
measurements are not disturbed. The server goes on logging after the load has ended, above all the ends of the
last connections, so the log is followed until it falls silent. A command that has ended by then, such as one
that prints the log so far (`gcloud logging read`), is run once more.
"""

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import gevent

from loadtest.command_lines import command_words
from loadtest.locust_plugin.load_settings import LogSettings
from loadtest.results.log_file import LogWriter
from loadtest.serverlog.extract import ReadStats, extract
from loadtest.serverlog.follow import COMMAND_OPTION, Follower, follow, follow_command, source_of
from loadtest.serverlog.known_sessions import KnownSessions
from loadtest.serverlog.log_reader import LogReader
from loadtest.serverlog.records import Counts, LogRecord
from loadtest.serverlog.rules import LogClass, load_rules
from loadtest.session.recorder import Lifecycle
from loadtest.text import Secrets

logger = logging.getLogger("loadtest")

LOOK_EVERY_S = 1.0
BEHIND_PAUSE_S = 0.05
"""Between reads while a log has more to read: about 1 MB per second, at an eighth of a core."""

SILENT_S = 2.0
"""A log with no relevant record for this long counts as silent; `docker logs` and pipes lag by less."""

MAX_GRACE_S = 15.0
COMMAND_GRACE_S = 15.0
"""How long a command that is run once more may take to print everything and end."""


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
            logger.warning("server log %s does not exist yet: it will be read once it does", path)
    if settings.command is not None:
        command_words(settings.command, COMMAND_OPTION)


@dataclass(slots=True)
class _Followed:
    name: str
    follower: Follower
    newest_ns: int = 0  # by the server's clock


class LogWatch:
    """Follows the logs of a run and records their relevant lines.

    Args:
        settings: which logs to follow, and how to read them.
        run: the run directory.
        run_id: the run's id.
        secrets: returns the texts that must not be written.

    Raises:
        InvalidSetting: a log cannot be followed, or the command cannot be started.
    """

    def __init__(self, settings: LogSettings, run: Path, run_id: str, secrets: Callable[[], Secrets]) -> None:
        self._settings = settings
        self._rules = load_rules(settings.rules)
        self._followed = [
            _Followed(Path(path).name, follow(path, format=settings.format)) for path in settings.paths
        ]
        if settings.command is not None:
            self._followed.append(self._command(settings.command))
        self._several = len(self._followed) > 1
        self._problems: list[str] = []
        self._counts = Counts()
        self._known = KnownSessions(run_id)
        self._writer = LogWriter(run, secrets, run_id)
        self._greenlet = gevent.spawn(self._keep_looking)

    def learn(self, events: Iterable[Lifecycle]) -> None:
        """Take the ids that the server gave to sessions, so that records which name them are known."""
        for event in events:
            if event.known_as:
                self._known.add(event.session, event.known_as)

    def _command(self, command: str) -> _Followed:
        """Start the command. Files name only its program, since its arguments may contain secrets."""
        return _Followed(
            Path(command_words(command, COMMAND_OPTION)[0]).name,
            follow_command(command, format=self._settings.format),
        )

    def _keep_looking(self) -> None:
        while True:
            self._look()
            behind = any(followed.follower.behind for followed in self._followed)
            gevent.sleep(BEHIND_PAUSE_S if behind else LOOK_EVERY_S)

    def _look(self) -> bool:
        """Read new records; return whether any log had a relevant one or has more to read."""
        active = False
        for followed in self._followed:
            relevant = self._take(followed, followed.follower.poll(time.time_ns()))
            active = active or relevant or followed.follower.behind
        return active

    def _take(self, followed: _Followed, records: list[LogRecord], after_ns: int = 0) -> bool:
        """Keep what matters of these records; return whether any was relevant.

        Records at or before `after_ns` are skipped.
        """
        classified = [
            (record, self._rules.classify(record))
            for record in records
            if record.at_ns is None or record.at_ns > after_ns
        ]
        times_ns = (record.at_ns for record in records if record.at_ns is not None and not record.arrival)
        followed.newest_ns = max(followed.newest_ns, *times_ns, 0)
        kept = extract(classified, followed.name if self._several else "", known=self._known)
        self._writer.append(kept)
        return any(logged.log_class is not LogClass.OTHER for logged in kept)

    def finish(self) -> None:
        """Follow the logs until they fall silent, then close them."""
        self._greenlet.kill()
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
        """Run the command once more; keep records newer than the newest of its first run."""
        before.follower.close(time.time_ns())
        self._followed[-1] = followed = self._command(command)
        over_s = time.monotonic() + COMMAND_GRACE_S
        while not followed.follower.ended and time.monotonic() < over_s:
            self._take(followed, followed.follower.poll(time.time_ns()), before.newest_ns)
            gevent.sleep(0 if followed.follower.behind else BEHIND_PAUSE_S)
        self._take(followed, followed.follower.close(time.time_ns()), before.newest_ns)

    def _close(self, followed: _Followed) -> None:
        self._take(followed, followed.follower.close(time.time_ns()))
        self._counts = self._counts.plus(followed.follower.counts)
        if followed.follower.problem:
            self._problems.append(f"{followed.name}: {followed.follower.problem}")
