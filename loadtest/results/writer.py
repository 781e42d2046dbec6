"""Writes a run directory during the run, so that a killed run can be read up to its last second.

Every write is flushed at once. Counts, errors, gauges and events are written as they arrive. Histograms wait:
those of several workers for the same second are merged into one line per tag, once every worker has delivered
that second, or once a second more than `HORIZON_S` newer has arrived. Later histograms are not lost but
written as separate lines; readers add up all lines of a second.
"""

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import msgspec

from loadtest import histograms, regular_files
from loadtest.errors import ResultsUnwritable
from loadtest.results import directory, hlog
from loadtest.results.interval import IntervalLine, PackedInterval, second_of
from loadtest.results.manifest import DrillRun, Manifest, ServerGauge
from loadtest.results.origin import WorkerShare

HORIZON_S = 10
"""How many seconds to wait for workers that have not delivered a second yet."""

_KEEP = "Keep a run's folder until the run has ended"

_encode = msgspec.json.Encoder().encode


class RunWriter:
    """Writes the files of one run. Not thread-safe: use it from one thread.

    Args:
        results: the folder of all runs.
        manifest: manifest of the run; written at once, as incomplete.

    Attributes:
        path: the run directory.

    Raises:
        ResultsUnwritable: the directory cannot be written; `append` and `finish` raise it too.
    """

    def __init__(self, results: Path, manifest: Manifest) -> None:
        self.path = directory.make_directory(results, manifest)
        self._manifest = msgspec.structs.replace(manifest, complete=False, ended_at=None)
        self._shares: dict[int | None, WorkerShare] = {}
        self._newest: dict[int | None, int] = {}  # by worker, the newest second delivered
        self._waiting: dict[int, list[PackedInterval]] = {}  # by second
        self._first_users = (None, *(one.name for one in manifest.classes[:1]))  # whose intervals are counted
        directory.write_json(self.path / directory.MANIFEST, self._manifest)
        self._files: list[BinaryIO] = []
        self._hlog = self._open(directory.HISTOGRAMS)
        self._events = self._open(directory.EVENTS)
        self._intervals = self._open(directory.INTERVALS)
        self._write(self._hlog, hlog.head(manifest.started_unix_ns, manifest.started_at).encode())

    def _open(self, name: str) -> BinaryIO:
        path = self.path / name
        try:
            with directory.writing(path):
                file = regular_files.create(path)
        except ResultsUnwritable:
            self.close()
            raise
        self._files.append(file)
        return file

    def append(self, packed: PackedInterval) -> None:
        """Write one interval of one process."""
        if not os.fstat(self._intervals.fileno()).st_nlink:
            raise ResultsUnwritable(self.path, "the folder was deleted during the run", _KEEP)
        self._write(self._events, b"".join(_encode(record) + b"\n" for record in packed.lifecycle))
        line = IntervalLine(
            start_ns=packed.start_ns,
            stop_ns=packed.stop_ns,
            worker=packed.worker,
            user=packed.user,
            counts=packed.counts,
            errors=packed.errors,
            gauges=packed.gauges,
        )
        self._write(self._intervals, _encode(line) + b"\n")
        self._share(packed)
        second = second_of(packed.start_ns)
        self._waiting.setdefault(second, []).append(packed)
        self._newest[packed.worker] = max(second, self._newest.get(packed.worker, second))
        for waiting in sorted(self._waiting):
            if self._is_due(waiting):
                self._write_second(self._waiting.pop(waiting))

    def _share(self, packed: PackedInterval) -> None:
        known = self._shares.get(packed.worker)
        self._shares[packed.worker] = WorkerShare(
            worker=packed.worker,
            intervals=(known.intervals if known else 0) + (packed.user in self._first_users),
            sent=(known.sent if known else 0) + packed.counts.get("messaging.sent", 0),
            answered=(known.answered if known else 0) + packed.counts.get("messaging.answered", 0),
        )

    def _is_due(self, second: int) -> bool:
        """Return whether a second can be written: every worker has delivered it, or the wait is over."""
        if None in self._newest:  # a run of one process: no other worker to wait for
            return True
        newest = max(self._newest.values())
        # Hold a second until a newer one arrives: at first not all workers have reported yet.
        delivered = newest > second and all(reached >= second for reached in self._newest.values())
        return delivered or newest > second + HORIZON_S

    def _write_second(self, parts: list[PackedInterval]) -> None:
        texts: dict[str, list[str]] = {}
        for part in parts:
            for tag, text in part.histograms.items():
                texts.setdefault(hlog.tag_of(part.user, tag), []).append(text)
        start_ns, stop_ns = min(part.start_ns for part in parts), max(part.stop_ns for part in parts)
        lines = [_line(tag, of_tag, start_ns, stop_ns) for tag, of_tag in texts.items()]
        self._write(self._hlog, "".join(lines).encode())

    def gauge(self, gauge: ServerGauge | None) -> None:
        """Take the server's gauge after the run; it is written with the rest of the manifest."""
        self._manifest = msgspec.structs.replace(self._manifest, server_gauge=gauge)

    def drills(self, drills: tuple[DrillRun, ...]) -> None:
        """Take how the drills went so far; run.json is written at once, so that a killed run has it."""
        self._manifest = msgspec.structs.replace(self._manifest, drills=drills)
        directory.write_json(self.path / directory.MANIFEST, self._manifest)

    def same_id_asked(self, user: str | None = None) -> None:
        """Take that all sessions, or those of a class, asked for the id that they share.

        run.json is written at once.
        """
        if user is None:
            changes: dict[str, Any] = {"same_id_asked": True}
        else:
            changes = {
                "user_classes": tuple(
                    msgspec.structs.replace(one, same_id_asked=one.same_id_asked or one.name == user)
                    for one in self._manifest.classes
                )
            }
        self._manifest = msgspec.structs.replace(self._manifest, **changes)
        directory.write_json(self.path / directory.MANIFEST, self._manifest)

    def finish(
        self, ended_at: str, missing_workers: Iterable[int] = (), *, ended_early: str | None = None
    ) -> None:
        """Write the waiting histograms and mark the run as complete.

        Args:
            ended_at: ISO 8601 in UTC (`loadtest.results.environment.utc_text`).
            missing_workers: workers that did not deliver everything they recorded.
            ended_early: why the run had no prospects any more and was ended before its time; None if not.
        """
        self._end(
            ended_at=ended_at,
            complete=True,
            missing_workers=sorted(missing_workers),
            ended_early=ended_early,
        )

    def fail(self, failure: str, missing_workers: Iterable[int] = (), *, usage_error: bool = False) -> None:
        """Write the waiting histograms and the error that ended the run, which stays incomplete."""
        with suppress(ResultsUnwritable):  # this may be the failure itself
            self._end(failure=failure, usage_error=usage_error, missing_workers=sorted(missing_workers))

    def _end(self, **changes: Any) -> None:
        try:
            self._write_rest()
        finally:
            self.close()
        shares = sorted(self._shares.values(), key=lambda share: -1 if share.worker is None else share.worker)
        self._manifest = msgspec.structs.replace(self._manifest, workers=shares, **changes)
        directory.write_json(self.path / directory.MANIFEST, self._manifest)

    def _write_rest(self) -> None:
        """Write the waiting histograms, and deleted files again: what was written is still in the open ones.

        Raises:
            ResultsUnwritable: the first of what cannot be written; the rest is.
        """
        first: ResultsUnwritable | None = None
        steps: list[Callable[[], None]] = [self._write_waiting]
        steps += [partial(directory.restore, Path(file.name), file) for file in self._files]
        for write in steps:
            try:
                write()
            except ResultsUnwritable as error:
                first = first or error
        if first is not None:
            raise first

    def _write_waiting(self) -> None:
        for second in sorted(self._waiting):
            self._write_second(self._waiting.pop(second))

    def close(self) -> None:
        """Close the files; a run that was not finished stays incomplete."""
        for file in self._files:
            # `append` has already raised for data that could not be written.
            with suppress(OSError):
                file.close()

    def _write(self, file: BinaryIO, data: bytes) -> None:
        with directory.writing(self.path):
            file.write(data)
            file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _line(tag: str, texts: list[str], start_ns: int, stop_ns: int) -> str:
    decoded = [histograms.decode(text) for text in texts]
    if len(texts) == 1:
        return hlog.line(tag, start_ns=start_ns, stop_ns=stop_ns, histogram=decoded[0], text=texts[0])
    return hlog.line(tag, start_ns=start_ns, stop_ns=stop_ns, histogram=histograms.merged(decoded))
