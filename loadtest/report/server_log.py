"""The item `server_log`, from a run's own files; and a log that is given to a run when it is over.

Some logs can be read only afterwards (`gcloud logging read`): then what the run directory keeps of the log
is written now, and everything else is as if it had been followed.
"""

import itertools
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from loadtest.evidence import Evidence
from loadtest.run import LogWriter, read_drops, read_server_log
from loadtest.run.directory import writing
from loadtest.schedule import NS_PER_S
from loadtest.serverlog import Counts, LogReader, Reading, Record, RuleTable, Window, extract, judge, read
from loadtest.verdict import Item, Ruling

_AT_ONCE = 10_000


def log_item(run: Path, evidence: Evidence) -> Item | None:
    """Judge what a run keeps of the server's log, None if it keeps none.

    Raises:
        RunUnreadable: it is damaged.
    """
    log = read_server_log(run)
    if log is None:
        return None
    manifest = evidence.manifest
    start_ns = manifest.started_unix_ns
    end_ns = start_ns + int(evidence.length_s * NS_PER_S)
    drops = read_drops(run, started_unix_ns=start_ns, ended_unix_ns=end_ns)
    window = Window(start_ns=start_ns, end_ns=end_ns)
    account = judge(log.records, drops, window=window, reading=log.reading)
    verdict, summary = Ruling(account.verdict), account.summary
    if not manifest.plan.drops_planned and verdict is not Ruling.FAIL:
        verdict = Ruling.NOT_JUDGED
        summary = f"no drops are planned, and no error was logged in {account.evidence['records']} records"
    return Item(item="server_log", verdict=verdict, summary=summary, evidence=account.evidence)


def attach_logs(
    run: Path,
    files: Sequence[Path],
    *,
    rules: RuleTable,
    format: str = "auto",  # noqa: A002 - the setting's name
) -> None:
    """Give a run the server's log, read from files or, for `-`, from standard input.

    It takes the place of what the run kept of a log before, once it has been read to its end.

    Raises:
        InvalidSetting: a file cannot be read, or there is no such format.
        ResultsUnwritable: it cannot be kept.
    """
    counts = Counts()
    with writing(run), tempfile.TemporaryDirectory(dir=run, prefix=".server_log-") as beside:
        with LogWriter(Path(beside)) as writer:
            for file in files:
                reader = LogReader(format=format)
                for batch in _batches(read(file, reader)):
                    classified = ((record, rules.classify(record)) for record in batch)
                    writer.append(extract(classified, file.name if len(files) > 1 else ""))
                counts = counts.plus(reader.counts)
            writer.finish(Reading(files=[file.name for file in files], counts=counts))
        writer.path.replace(run / writer.path.name)


def _batches(records: Iterator[Record]) -> Iterator[list[Record]]:
    while batch := list(itertools.islice(records, _AT_ONCE)):
        yield batch
