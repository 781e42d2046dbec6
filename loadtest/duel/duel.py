"""Runs a duel: starts the servers, runs pair after pair, looks when a look is due, and judges at the end.

`loadtest.duel.stopping` decides what comes next; this module does it, saves the record after every pair and
reports progress. Ctrl-C, SIGTERM and SIGHUP stop the runs in progress; the completed pairs are judged.
"""

import signal
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from loadtest.duel import output
from loadtest.duel.judging import (
    DuelPair,
    DuelRecord,
    RunPair,
    judged,
    latency_so_far,
    make_folder,
    pooled_items,
    read_pair,
    read_record,
    write_record,
    write_summary,
)
from loadtest.duel.locust_runs import MakeRuns, run_at_once
from loadtest.duel.output import Forecast
from loadtest.duel.servers import Servers
from loadtest.duel.settings import DuelSettings
from loadtest.duel.stopping import End, Outcome, Pairing, is_look, next_step
from loadtest.errors import LoadtestError
from loadtest.report.markdown import sheet
from loadtest.results.directory import check_writable
from loadtest.results.environment import utc_text
from loadtest.statistics.margins import margins_of
from loadtest.verdict.items import AnyItem
from loadtest.verdict.pooled import is_certain, is_open

_ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class DuelResult:
    """A duel that has ended.

    Args:
        folder: folder of the duel.
        record: content of its duel.json.
        failure: the error that ended the duel after at least one pair, None if there was none.
    """

    folder: Path
    record: DuelRecord
    failure: LoadtestError | None = None


def run_duel(
    settings: DuelSettings, tell: Callable[[str], None], *, make_runs: MakeRuns = run_at_once
) -> DuelResult:
    """Run a duel to its end.

    Args:
        settings: settings of the duel.
        tell: called with each line of progress.
        make_runs: makes the runs of some sides at the same time.

    Raises:
        UsageError: before the first pair was complete: a command starts no server, Locust refuses its
            arguments, or results cannot be written.
        LoadtestError: before the first pair was complete: Locust failed.
    """
    check_writable(settings.results)
    duel = Duel(settings, tell, make_runs)
    with _signals_as_ctrl_c():
        failure = duel.run()
    if failure is not None and not duel.record.pairs:
        raise failure
    return DuelResult(duel.folder, duel.record, failure)


class Duel:
    """A running duel.

    Attributes:
        folder: folder of the duel.
        record: content of its duel.json so far.
    """

    def __init__(self, settings: DuelSettings, tell: Callable[[str], None], make_runs: MakeRuns) -> None:
        started_unix_ns = time.time_ns()
        self.record = DuelRecord(
            a=settings.a.revision,
            b=settings.b.revision,
            order=str(settings.order),
            pairs_planned=settings.pairs,
            looks=list(settings.looks),
            duration_s=settings.duration_s,
            margins=margins_of(settings.gates),
            followed=list(settings.followed),
            started_at=utc_text(started_unix_ns),
            started_unix_ns=started_unix_ns,
        )
        self.folder = make_folder(settings.results, self.record.started_at)
        self._settings = settings
        self._tell = tell
        self._make_runs = make_runs
        self._pairs: list[DuelPair] = []
        self._outcomes: list[Outcome] = []

    def run(self) -> LoadtestError | None:
        """Run the duel to its end, judge and save it, and return the error that ended it, if any."""
        failure: LoadtestError | None = None
        end: End | None = None
        try:
            _write(self.folder, self.record)
            self._tell_all(output.opening_lines(self._settings))
            forecast = Forecast(self._settings, self.record.started_unix_ns)
            self._tell_all(forecast.before())
            with Servers(
                self._settings.sides, folder=self.folder, timeout_s=self._settings.start_timeout_s
            ) as servers:
                end = self._run_pairs(servers, forecast)
        except KeyboardInterrupt:
            end = end or End.INTERRUPTED
        except LoadtestError as error:
            failure, end = error, end or End.FAILED
        with _uninterrupted():
            self._conclude(end)
        return failure

    def _run_pairs(self, servers: Servers, forecast: Forecast) -> End:
        while True:
            step = next_step(self._outcomes, pairs=self._settings.pairs, order=self._settings.order)
            if isinstance(step, End):
                return step
            if step.number == 2:
                self._tell_all(forecast.after(self._pairs[0].a.timing))
            try:
                self._record_pair(self._run_pair(step, servers))
            except LoadtestError:
                if not servers.ended():  # else the run failed because its server ended
                    raise
            ended = servers.ended()
            if ended:
                self._tell_all(f"{role}: {what}" for role, what in ended.items())
                self.record = msgspec.structs.replace(self.record, ended_servers=ended)
                return End.SERVER_ENDED

    def _run_pair(self, pairing: Pairing, servers: Servers) -> RunPair:
        made: dict[str, Path] = {}
        followed = {role: servers.logs[role] for role in self.record.followed}
        for roles in pairing.turns:
            self._tell(output.turn_line(self._settings, pairing.number, roles))
            logs = {role: self.folder / f"{pairing.number:02}-{role}.log" for role in roles}
            made |= self._make_runs(self._settings, roles, urls=servers.urls, logs=logs, server_logs=followed)
        names = {role: str(path.relative_to(self._settings.results)) for role, path in made.items()}
        return RunPair(a=names["a"], b=names["b"])

    def _record_pair(self, runs: RunPair) -> None:
        """Read a completed pair, save it in the record, look if a look is due, and report the result."""
        pair = read_pair(runs, self._settings.results)
        self._pairs.append(pair)
        self.record = msgspec.structs.replace(self.record, pairs=[*self.record.pairs, runs])
        _write(self.folder, self.record)
        self._tell_all(output.pair_lines(len(self._pairs), pair, self._settings.order))
        look, items = self._look(), list(pooled_items(self.record, self._pairs).values())
        certain = [item for item in items if is_certain(item, at_look=look is not None)]
        outcome = Outcome(
            fit=pair.fit,
            failed=bool(certain),
            unsettled=any(map(is_open, items)),
            hopeless=pair.fit and bool(pair.lacks),
            latency=None if look is None else look.verdict,
        )
        self._outcomes.append(outcome)
        fit = [one for one in self._pairs if one.fit]
        self._tell_all(output.both_lines(items))
        self._tell(output.standing_line(fit, look, looks=self._settings.looks, end=self._ending(certain)))

    def _ending(self, certain: Sequence[AnyItem]) -> str:
        """Return why the pair just made is the last one, empty if it is not."""
        step = next_step(self._outcomes, pairs=self._settings.pairs, order=self._settings.order)
        return output.end_text(step, certain) if isinstance(step, End) else ""

    def _look(self) -> AnyItem | None:
        """Judge latency if a look is due, else return None."""
        fit = [pair.fit for pair in self._pairs]
        if not is_look(fit, pairs=self._settings.pairs, looks=self._settings.looks):
            return None
        return latency_so_far(self.record, self._pairs, results=self._settings.results)

    def _conclude(self, end: End) -> None:
        ended = msgspec.structs.replace(self.record, end=str(end))
        self.record = judged(ended, self._pairs, results=self._settings.results)
        _write(self.folder, self.record)

    def _tell_all(self, lines: Iterable[str]) -> None:
        for line in lines:
            self._tell(line)


def rejudge(folder: Path) -> DuelRecord:
    """Judge a duel again from the files of its runs, and save the result.

    Args:
        folder: folder of the duel, inside its results folder.

    Raises:
        RunUnreadable: a file of the duel, or of one of its runs, is missing or damaged.
        ResultsUnwritable: the record cannot be written.
    """
    record, results = read_record(folder), folder.resolve().parents[1]
    again = judged(record, [read_pair(pair, results) for pair in record.pairs], results=results)
    _write(folder, again)
    return again


def _write(folder: Path, record: DuelRecord) -> None:
    write_record(folder, record)
    if record.verdict is not None:
        write_summary(folder, sheet(output.duel_sheet(record, folder)))


@contextmanager
def _signals_as_ctrl_c() -> Iterator[None]:
    """Make SIGTERM (a cancelled CI job) and SIGHUP (a closed terminal) act like Ctrl-C, unless ignored."""
    active = [number for number in _ENDINGS if signal.getsignal(number) is not signal.SIG_IGN]
    with _handled(active, signal.default_int_handler):
        yield


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ignore further signals while the verdict is made and saved, which takes a second or two."""
    with _handled(_ENDINGS, signal.SIG_IGN):
        yield


@contextmanager
def _handled(numbers: Iterable[signal.Signals], handler: Any) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
