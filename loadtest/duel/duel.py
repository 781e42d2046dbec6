"""Runs a duel: starts the servers, runs the pairs, evaluates the result at planned looks, judges at the end.

`loadtest.duel.stopping` decides the next step; this module performs it, saves the record after every pair and
reports progress. Ctrl-C, SIGTERM and SIGHUP stop the runs in progress; the completed pairs are judged.
"""

import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from loadtest.duel import output
from loadtest.duel.duel_record import (
    DuelRecord,
    RunPair,
    make_folder,
    read_record,
    write_record,
)
from loadtest.duel.forecast import Forecast
from loadtest.duel.judging import DuelPair, is_stuck, judged, latency_so_far, pooled_items, read_pair
from loadtest.duel.locust_runs import MakeRuns, run_at_once
from loadtest.duel.pairing import Pairing, pairing
from loadtest.duel.servers import Servers
from loadtest.duel.settings import DuelSettings
from loadtest.duel.stopping import End, Outcome, counting, is_look, next_step
from loadtest.errors import LoadtestError, RecordingFailed, ResultsUnwritable
from loadtest.report.judged_comparison import JudgedComparison
from loadtest.report.pair_sums import PairSums
from loadtest.results.directory import check_writable
from loadtest.results.environment import utc_text
from loadtest.runs.comparison_reports import write_comparison_reports
from loadtest.signals import ENDING, not_ignored
from loadtest.statistics.margins import margins_of
from loadtest.verdict.items import AnyItem
from loadtest.verdict.pooled import is_certain, is_open


@dataclass(frozen=True, slots=True)
class DuelResult:
    """A duel that has ended.

    Args:
        folder: folder of the duel.
        record: content of its duel.json.
        comparison: the same in the form for its reports.
        report: its report.html, None if that cannot be written.
        failure: the error that ended the duel after at least one pair, or why it cannot be saved; None if
            there was none.
    """

    folder: Path
    record: DuelRecord
    comparison: JudgedComparison
    report: Path | None
    failure: LoadtestError | None = None


def load_average_1m() -> float:
    """Return the machine's load average over the last minute; 0 if the system does not tell it."""
    try:
        return os.getloadavg()[0]
    except OSError:
        return 0.0


def run_duel(
    settings: DuelSettings,
    tell: Callable[[str], None],
    *,
    make_runs: MakeRuns = run_at_once,
    load_average: Callable[[], float] = load_average_1m,
) -> DuelResult:
    """Run a duel to its end.

    Args:
        settings: settings of the duel.
        tell: called with each line of progress.
        make_runs: makes the runs of some sides at the same time.
        load_average: returns the machine's load average over the last minute.

    Raises:
        UsageError: before the first pair was complete: a command starts no server, Locust refuses its
            arguments, or results cannot be written.
        LoadtestError: before the first pair was complete: Locust failed.
    """
    check_writable(settings.results)
    duel = Duel(settings, tell, make_runs, load_average)
    with _signals_as_ctrl_c():
        failure = duel.run()
    if failure is not None and not duel.record.pairs:
        raise failure
    return DuelResult(duel.folder, duel.record, duel.comparison, duel.report, failure)


class Duel:
    """A running duel.

    Attributes:
        folder: folder of the duel.
        record: content of its duel.json so far.
        report: its report.html, None until it has been written.
    """

    def __init__(
        self,
        settings: DuelSettings,
        tell: Callable[[str], None],
        make_runs: MakeRuns,
        load_average: Callable[[], float],
    ) -> None:
        started_unix_ns = time.time_ns()
        self.record = DuelRecord(
            a=settings.a.revision,
            b=settings.b.revision,
            order=str(settings.order),
            restart_every=settings.restart_every,
            restarted=list(settings.restarted),
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
        self._load_average = load_average
        self._pairs: list[DuelPair] = []
        self._drawn = PairSums()
        self.report: Path | None = None
        self._outcomes: list[Outcome] = []

    def run(self) -> LoadtestError | None:
        """Run the duel to its end, judge and save it, and return the error that ended it, if any."""
        failure: LoadtestError | None = None
        end: End | None = None
        try:
            write_record(self.folder, self.record)
            self._tell_all(output.opening_lines(self._settings))
            forecast = Forecast(self._settings, self.record.started_unix_ns)
            self._tell_all(forecast.before())
            if busy := output.busy_line(self._load_average(), os.cpu_count() or 1):
                self._tell(busy)
            with Servers(
                self._settings.sides, folder=self.folder, timeout_s=self._settings.start_timeout_s
            ) as servers:
                end = self._run_pairs(servers, forecast)
        except KeyboardInterrupt:
            end = end or End.INTERRUPTED
        except LoadtestError as error:
            failure, end = error, end or End.FAILED
        with _uninterrupted():
            unwritable = self._conclude(end)
        return unwritable or failure

    def _run_pairs(self, servers: Servers, forecast: Forecast) -> End:
        self._start(servers)
        while True:
            step = next_step(self._outcomes, pairs=self._settings.pairs)
            if isinstance(step, End):
                return step
            fit = [pair for pair in self._pairs if pair.fit]
            if len(fit) == 1 and self._pairs[-1].fit:  # a pair that does not count is no basis for a forecast
                self._tell_all(forecast.after(fit[0].a.timing))
            try:
                self._record_pair(self._run_pair(self._pairing(step), servers))
            except LoadtestError:
                if not servers.ended():  # else the run failed because its server ended
                    raise
            ended = servers.ended()
            if ended:
                self._tell_all(f"{role}: {what}" for role, what in ended.items())
                self.record = msgspec.structs.replace(self.record, ended_servers=ended)
                return End.NOT_RESTARTED if servers.not_restarted else End.SERVER_ENDED

    def _start(self, servers: Servers) -> None:
        """Start both servers, so that a command that starts none ends the duel before the first run.

        The server with the first run starts last, so that both are equally fresh at their first run.
        """
        for roles in reversed(self._pairing(1).turns):
            servers.start(roles)

    def _pairing(self, number: int) -> Pairing:
        settings = self._settings
        return pairing(
            number,
            order=settings.order,
            seed=settings.order_seed,
            pairs_per_unit=settings.pairs_per_unit,
            restarts=bool(settings.restarted),
        )

    def _run_pair(self, planned: Pairing, servers: Servers) -> RunPair:
        made: dict[str, Path] = {}
        for turn, roles in enumerate(planned.turns):
            if planned.restarts and (planned.number, turn) != (1, 0):
                servers.start(roles)
            self._tell(output.turn_line(self._settings, planned.number, roles))
            logs = {role: self.folder / f"{planned.number:02}-{role}.log" for role in roles}
            followed = {role: servers.logs[role] for role in self.record.followed}
            made |= self._make_runs(self._settings, roles, urls=servers.urls, logs=logs, server_logs=followed)
        names = {role: str(path.relative_to(self._settings.results)) for role, path in made.items()}
        return RunPair(a=names["a"], b=names["b"], order=planned.order, unit=planned.unit)

    def _record_pair(self, runs: RunPair) -> None:
        """Read a completed pair, save it in the record, look if a look is due, and report the result."""
        settings, pair = self._settings, read_pair(runs, self._settings.results, self._drawn)
        self._pairs.append(pair)
        self.record = msgspec.structs.replace(self.record, pairs=[*self.record.pairs, runs])
        write_record(self.folder, self.record)
        self._tell_all(output.pair_lines(len(self._pairs), pair, settings))
        look, items = self._look(), list(pooled_items(self.record, self._pairs).values())
        certain = [item for item in items if is_certain(item, at_look=look is not None)]
        outcome = Outcome(
            fit=pair.fit,
            failed=bool(certain),
            unsettled=any(map(is_open, items)),
            hopeless=pair.fit and bool(pair.lacks(pairs=settings.pairs, units=settings.units)),
            stuck=look is not None and is_stuck(look),
            latency=None if look is None else look.verdict,
        )
        self._outcomes.append(outcome)
        self._tell_all(output.both_lines(items))
        self._tell(self._standing(look, certain))

    def _standing(self, look: AnyItem | None, certain: Sequence[AnyItem]) -> str:
        step = next_step(self._outcomes, pairs=self._settings.pairs)
        return output.standing_line(
            [pair for pair in self._pairs if pair.fit],
            look,
            made=len(self._pairs),
            units=sum(counting([pair.fit for pair in self._pairs], self._settings.pairs_per_unit)),
            settings=self._settings,
            end=output.end_text(step, certain) if isinstance(step, End) else "",
        )

    def _look(self) -> AnyItem | None:
        """Judge latency if a look is due, else return None."""
        fit = [pair.fit for pair in self._pairs]
        of = self._settings
        if not is_look(fit, pairs=of.pairs, looks=of.looks, pairs_per_unit=of.pairs_per_unit):
            return None
        return latency_so_far(self.record, self._pairs, results=self._settings.results)

    def _conclude(self, end: End) -> LoadtestError | None:
        """Judge the duel and save it; return why it cannot be saved, since it can still be printed."""
        ended = msgspec.structs.replace(self.record, end=str(end))
        self.record = judged(ended, self._pairs, results=self._settings.results)
        try:
            self.report = _write(self.folder, self.record, self.comparison)
        except ResultsUnwritable as error:
            return RecordingFailed(error)
        return None

    @property
    def comparison(self) -> JudgedComparison:
        """The duel in the form for its reports; it must have ended."""
        return output.judged_duel(self.record, self._pairs, self._drawn)

    def _tell_all(self, lines: Iterable[str]) -> None:
        for line in lines:
            self._tell(line)


def rejudge(folder: Path) -> DuelResult:
    """Judge a duel again from the files of its runs, and save the result.

    Args:
        folder: folder of the duel, inside its results folder.

    Raises:
        RunUnreadable: a file of the duel, or of one of its runs, is missing or damaged.
    """
    record, results = read_record(folder), folder.resolve().parents[1]
    drawn = PairSums()
    pairs = [read_pair(pair, results, drawn) for pair in record.pairs]
    again = judged(record, pairs, results=results)
    comparison = output.judged_duel(again, pairs, drawn)
    try:
        report = _write(folder, again, comparison)
    except ResultsUnwritable as error:  # of a full disk or an archive: the verdict is still worth printing
        return DuelResult(folder, again, comparison, None, error)
    return DuelResult(folder, again, comparison, report)


def _write(folder: Path, record: DuelRecord, comparison: JudgedComparison) -> Path:
    """Write the record and the reports of a duel that was judged; return report.html."""
    write_record(folder, record)
    return write_comparison_reports(folder, comparison)


@contextmanager
def _signals_as_ctrl_c() -> Iterator[None]:
    """Make SIGTERM (a cancelled CI job) and SIGHUP (a closed terminal) act like Ctrl-C, unless ignored."""
    with _handled(not_ignored(), signal.default_int_handler):
        yield


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ignore further signals while the duel is judged and saved, which takes a second or two."""
    with _handled(ENDING, signal.SIG_IGN):
        yield


@contextmanager
def _handled(numbers: Iterable[signal.Signals], handler: Any) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
