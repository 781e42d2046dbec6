"""The server's log, followed while a run goes, in the process that records it: a local run or a master.

A greenlet reads what is new about once a second, in short turns and never on the engine's thread, so that
measurements are not disturbed. When the load is over the server still logs, above all the ends of the last
connections: the log is followed until it falls silent. A command that ended earlier, such as one that prints
what there is (`gcloud logging read`), is run once more then.
"""

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import gevent

from loadtest.locust_plugin.load_settings import LogSettings
from loadtest.results.log_file import LogWriter
from loadtest.serverlog.extract import ReadStats, extract
from loadtest.serverlog.follow import Follower, command_words, follow, follow_command, source_of
from loadtest.serverlog.log_reader import LogReader
from loadtest.serverlog.records import Counts, LogRecord
from loadtest.serverlog.rules import LogClass, load_rules

logger = logging.getLogger("loadtest")

LOOK_EVERY_S = 1.0
BEHIND_PAUSE_S = 0.05
"""Between reads of a log that has more to read: a megabyte per second, an eighth of a core's time."""

SILENT_S = 2.0
"""A log without a relevant record for this long has fallen silent; `docker logs` and pipes lag by less."""

MAX_GRACE_S = 15.0
COMMAND_GRACE_S = 15.0
"""For a command that is run once more, to print everything and end."""


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
        command_words(settings.command)


@dataclass(slots=True)
class _Followed:
    name: str
    follower: Follower
    newest_ns: int = 0  # by the server's clock


class LogWatch:
    """Follows the logs of a run and records what they say.

    Args:
        settings: what to follow.
        run: the run directory.
        secrets: returns the texts that must not be written.

    Raises:
        InvalidSetting: a log cannot be followed, or the command not be started.
    """

    def __init__(self, settings: LogSettings, run: Path, secrets: Callable[[], Iterable[str]]) -> None:
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
        self._writer = LogWriter(run, secrets)
        self._greenlet = gevent.spawn(self._keep_looking)

    def _command(self, command: str) -> _Followed:
        """Start the command; only its program is named in files, since its arguments may hold secrets."""
        return _Followed(
            Path(command_words(command)[0]).name, follow_command(command, format=self._settings.format)
        )

    def _keep_looking(self) -> None:
        while True:
            self._look()
            behind = any(followed.follower.behind for followed in self._followed)
            gevent.sleep(BEHIND_PAUSE_S if behind else LOOK_EVERY_S)

    def _look(self) -> bool:
        """Read what is new; return whether the logs have not fallen silent."""
        speaking = False
        for followed in self._followed:
            telling = self._take(followed, followed.follower.poll(time.time_ns()))
            speaking = speaking or telling or followed.follower.behind
        return speaking

    def _take(self, followed: _Followed, records: list[LogRecord], after_ns: int = 0) -> bool:
        """Record what is relevant of some records; return whether anything was."""
        classified = [
            (record, self._rules.classify(record))
            for record in records
            if record.at_ns is None or record.at_ns > after_ns
        ]
        times_ns = (record.at_ns for record in records if record.at_ns is not None and not record.arrival)
        followed.newest_ns = max(followed.newest_ns, *times_ns, 0)
        kept = extract(classified, followed.name if self._several else "")
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
        """Run the command once more; record what is newer than what it printed before."""
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
