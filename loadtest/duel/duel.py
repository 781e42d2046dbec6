"""The course of a duel: servers up, pair after pair, a look where one is due, servers down, the verdict.

What happens next is decided by `loadtest.duel.stopping`; here it is done, written down after every pair, and
told as it goes. Ctrl-C, SIGTERM and SIGHUP end the runs under way; the pairs before stay and are judged.
"""

import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
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
    read_pair,
    read_record,
    write_record,
    write_summary,
)
from loadtest.duel.locust_runs import MakeRuns, run_at_once
from loadtest.duel.output import Prospect
from loadtest.duel.servers import Servers
from loadtest.duel.settings import DuelSettings
from loadtest.duel.stopping import End, Outcome, Pairing, is_look, next_step
from loadtest.errors import LoadtestError
from loadtest.report.markdown import sheet
from loadtest.results.directory import check_writable
from loadtest.results.environment import utc_text
from loadtest.statistics.margins import margins_of
from loadtest.verdict.items import AnyItem

_ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class DuelResult:
    """A duel that has ended.

    Args:
        folder: where it is written down.
        record: what is written down.
        failure: of the tool or of its use, which ended it after some pairs; None for none.
    """

    folder: Path
    record: DuelRecord
    failure: LoadtestError | None = None


def fight(
    settings: DuelSettings, tell: Callable[[str], None], *, make_runs: MakeRuns = run_at_once
) -> DuelResult:
    """Run a duel to its end.

    Args:
        tell: called with each line that says how it goes.
        make_runs: makes the runs of some sides at once.

    Raises:
        UsageError: before the first pair was through: a command starts no server, Locust refuses its
            arguments, results cannot be written.
        LoadtestError: before the first pair was through: Locust failed.
    """
    check_writable(settings.results)
    duel = Duel(settings, tell, make_runs)
    with _ended_as_by_ctrl_c():
        failure = duel.run()
    if failure is not None and not duel.record.pairs:
        raise failure
    return DuelResult(duel.folder, duel.record, failure)


class Duel:
    """A duel.

    Attributes:
        folder: where it is written down.
        record: what is written down so far.
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
        """Run it to its end, leave it written down and judged, and return what made it fail, if anything."""
        failure: LoadtestError | None = None
        end: End | None = None
        try:
            _write(self.folder, self.record)
            self._tell_all(output.opening_lines(self._settings))
            prospect = Prospect(self._settings, self.record.started_unix_ns)
            self._tell_all(prospect.before())
            with Servers(
                self._settings.sides, folder=self.folder, timeout_s=self._settings.start_timeout_s
            ) as servers:
                end = self._run_pairs(servers, prospect)
        except KeyboardInterrupt:
            end = end or End.INTERRUPTED
        except LoadtestError as error:
            failure, end = error, end or End.FAILED
        with _uninterrupted():
            self._conclude(end)
        return failure

    def _run_pairs(self, servers: Servers, prospect: Prospect) -> End:
        while True:
            step = next_step(self._outcomes, pairs=self._settings.pairs, order=self._settings.order)
            if isinstance(step, End):
                return step
            if step.number == 2:
                self._tell_all(prospect.after(self._pairs[0].a.timing))
            try:
                self._enter(self._run_pair(step, servers.urls))
            except LoadtestError:
                if not servers.ended():  # of which it would be the consequence
                    raise
            ended = servers.ended()
            if ended:
                self._tell_all(f"{role}: {what}" for role, what in ended.items())
                self.record = msgspec.structs.replace(self.record, ended_servers=ended)
                return End.SERVER_ENDED

    def _run_pair(self, pairing: Pairing, urls: Mapping[str, str]) -> RunPair:
        made: dict[str, Path] = {}
        for roles in pairing.turns:
            self._tell(output.turn_line(self._settings, pairing.number, roles))
            logs = {role: self.folder / f"{pairing.number:02}-{role}.log" for role in roles}
            made |= self._make_runs(self._settings, roles, urls=urls, logs=logs)
        names = {role: str(path.relative_to(self._settings.results)) for role, path in made.items()}
        return RunPair(a=names["a"], b=names["b"])

    def _enter(self, runs: RunPair) -> None:
        """Read a pair and write it down, look if it is time to, and tell what it brought."""
        pair = read_pair(runs, self._settings.results)
        self._pairs.append(pair)
        self.record = msgspec.structs.replace(self.record, pairs=[*self.record.pairs, runs])
        _write(self.folder, self.record)
        self._tell_all(output.pair_lines(len(self._pairs), pair))
        look = self._look()
        outcome = Outcome(
            fit=pair.fit,
            failed=bool(pair.failed_items),
            hopeless=bool(pair.lacks),
            latency=None if look is None else look.verdict,
        )
        self._outcomes.append(outcome)
        fit = [one for one in self._pairs if one.fit]
        self._tell(output.standing_line(fit, look, looks=self._settings.looks))

    def _look(self) -> AnyItem | None:
        """Judge latency if this is a number of pairs at which the duel looks."""
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
    """Judge a duel again from the files of its runs, and write it down anew.

    Args:
        folder: of the duel, where it lies in the results folder.

    Raises:
        RunUnreadable: a file of it, or of one of its runs, is missing or damaged.
        ResultsUnwritable: it cannot be written.
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
def _ended_as_by_ctrl_c() -> Iterator[None]:
    """Have a cancelled CI job or a closed terminal end a duel as Ctrl-C does; what is ignored stays so."""
    heeded = [number for number in _ENDINGS if signal.getsignal(number) is not signal.SIG_IGN]
    with _handled(heeded, signal.default_int_handler):
        yield


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Have another Ctrl-C wait for the verdict, which takes a second or two and would be lost."""
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
