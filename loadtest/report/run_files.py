"""The files of a run's directory that a page links to."""

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from loadtest import text

_FILES = {
    "run.json": "plan, target, versions, host",
    "verdict.json": "the verdict with its evidence",
    "summary.json": "key figures under documented names",
    "series.csv": "one line per second",
    "latency.hlog": "histograms, an HdrHistogram interval log",
    "events.jsonl": "each drop, loss, attempt and return",
    "intervals.jsonl": "counts and gauges per second",
    "server_log.jsonl": "records of the server's log",
    "summary.md": "short version of this report",
    "junit.xml": "the items as test cases",
}
"""What each holds. Nothing else is linked to: a folder from elsewhere may hold anything."""

_KIB = 1024


@dataclass(frozen=True, slots=True)
class RunFile:
    """A file beside the page: its name, size and content in words."""

    name: str
    size: str
    content: str


def files_of(folder: Path) -> list[RunFile]:
    """Return the files that exist in a run's directory; never a link."""
    return list(_found(folder))


def _found(folder: Path) -> Iterator[RunFile]:
    for name, content in _FILES.items():
        try:
            status = (folder / name).lstat()
        except OSError:
            continue
        if stat.S_ISREG(status.st_mode):
            yield RunFile(name, _size(status.st_size), content)


def _size(size: int) -> str:
    """Return a size in bytes in words."""
    if size < _KIB:
        return text.counted(size, "byte")
    return f"{text.figures(size / _KIB)} KiB" if size < _KIB**2 else f"{text.figures(size / _KIB**2)} MiB"
