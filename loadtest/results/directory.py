"""Names of a run's folders and files, and atomic writes: a reader never sees a partial JSON file.

A revision is arbitrary text, often a branch name. Its folder's name keeps only the safe characters; run.json
holds the full text.
"""

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from loadtest.errors import ResultsUnwritable
from loadtest.results.manifest import Manifest

MANIFEST = "run.json"
HISTOGRAMS = "latency.hlog"
EVENTS = "events.jsonl"
INTERVALS = "intervals.jsonl"
SERVER_LOG = "server_log.jsonl"
VERDICT = "verdict.json"
DRILL_LOG = "drill-{}.log"
"""What a drill's command printed; the number counts from 1."""
BASELINES = "baselines"
"""The folder of pinned runs, next to the folders of the revisions."""
DUELS = "duels"
"""The folder of duel records; the runs of a duel are stored with all other runs."""

_TAKEN = (BASELINES, DUELS, "readme.md")
"""Names in the results folder that are not a revision's; results/README.md is part of the project."""

_NAME_LIMIT = 80


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Translate an OSError of the block into `ResultsUnwritable`.

    Args:
        path: named in the error.

    Raises:
        ResultsUnwritable: the block raised an OSError.
    """
    try:
        yield
    except OSError as error:
        raise ResultsUnwritable(path, error.strerror or str(error)) from error


def check_writable(results: Path) -> None:
    """Check that runs can be written to a results folder; create it if it does not exist.

    Raises:
        ResultsUnwritable: the folder cannot be created or written to.
    """
    with writing(results):
        results.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=results):
            pass


def folder_name(revision: str) -> str:
    """Return a revision's folder name: its letters, digits, dots, dashes and underscores."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", revision).strip(".-")[:_NAME_LIMIT]
    return f"{name}-" if name.lower() in _TAKEN else name or "unknown"


def make_directory(results: Path, manifest: Manifest) -> Path:
    """Create the directory of a new run and return its path.

    Raises:
        ResultsUnwritable: it cannot be created.
    """
    started = re.sub(r"[-:]|\.\d+", "", manifest.started_at)
    path = results / folder_name(manifest.revision) / f"{started}-{folder_name(manifest.run_id)}"
    with writing(path):
        path.mkdir(parents=True)
    return path


def write_json(path: Path, value: object) -> None:
    """Write a value as indented JSON, atomically: readers see the whole file or none.

    Raises:
        ResultsUnwritable: it cannot be written.
    """
    text = msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"
    partial = path.with_name(f".{path.name}.partial")
    with writing(path):
        with partial.open("wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
