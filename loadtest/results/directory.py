"""Names of a run's folders and files, and writing them so that a reader never sees half of one.

A revision is text that somebody chose, a branch name or worse: the folder's name is made of its harmless
characters, and run.json holds the text itself.
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
BASELINES = "baselines"
"""The folder of pinned runs, beside those of the revisions."""
DUELS = "duels"
"""The folder of what is written of duels; their runs lie with all others."""

_TAKEN = (BASELINES, DUELS, "readme.md")
"""Names in the results folder that are not a revision's; results/README.md is part of the project."""

_NAME_LIMIT = 80


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Translate what the system says of a failed write.

    Raises:
        ResultsUnwritable: something of this path could not be written.
    """
    try:
        yield
    except OSError as error:
        raise ResultsUnwritable(path, error.strerror or str(error)) from error


def check_writable(results: Path) -> None:
    """Make sure that runs can be written there; the folder is made if need be.

    Raises:
        ResultsUnwritable: they cannot.
    """
    with writing(results):
        results.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=results):
            pass


def folder_name(revision: str) -> str:
    """Return a folder's name for a revision: letters, digits, dot, dash and underscore of it."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", revision).strip(".-")[:_NAME_LIMIT]
    return f"{name}-" if name.lower() in _TAKEN else name or "unknown"


def make_directory(results: Path, manifest: Manifest) -> Path:
    """Make the directory of a new run and return it.

    Raises:
        ResultsUnwritable: it cannot be made.
    """
    started = re.sub(r"[-:]|\.\d+", "", manifest.started_at)
    path = results / folder_name(manifest.revision) / f"{started}-{folder_name(manifest.run_id)}"
    with writing(path):
        path.mkdir(parents=True)
    return path


def write_json(path: Path, value: object) -> None:
    """Write a file as JSON for people; it is there whole or not at all.

    Raises:
        ResultsUnwritable: it cannot be written.
    """
    text = msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"
    beside = path.with_name(f".{path.name}.partial")
    with writing(path):
        with beside.open("wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
