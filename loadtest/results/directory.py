"""Names of a run's folders and files, and atomic writes: a reader never sees a partial JSON file.

A revision is arbitrary text, often a branch name. Its folder's name keeps only the safe characters; run.json
holds the full text.
"""

import contextlib
import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from loadtest import regular_files
from loadtest.errors import ANOTHER_FOLDER, MAKE_ROOM, ResultsUnwritable
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

COMPARISONS = "comparisons"
"""The folder of what `loadtest compare` wrote, next to the folders of the revisions."""

NOT_REVISIONS = (BASELINES, DUELS, COMPARISONS)
"""Folders next to those of the revisions that hold something else."""

_TAKEN = (*NOT_REVISIONS, "readme.md")
"""Names in the results folder that are not a revision's; results/README.md is part of the project."""

_NAME_LIMIT = 80

_ROOM_BYTES = 1 << 20
"""Room for the reports of a run: without it, none could be written at the end."""

_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextlib.contextmanager
def writing(path: Path, *, needs: str = "", advice: str = "") -> Iterator[None]:
    """Translate an OSError of the block into `ResultsUnwritable`.

    Args:
        path: named in the error.
        needs: how much room is needed, for the error of a full disk.
        advice: what to do, for a file outside the results folder.

    Raises:
        ResultsUnwritable: the block raised an OSError.
    """
    try:
        yield
    except OSError as error:
        problem = error.strerror or str(error)
        if error.errno in _FULL:
            raise ResultsUnwritable(path, problem + needs, advice or MAKE_ROOM) from error
        raise ResultsUnwritable(path, problem, advice or ANOTHER_FOLDER) from error


def check_writable(results: Path) -> None:
    """Check that runs can be written to a results folder; create it if it does not exist.

    Raises:
        ResultsUnwritable: the folder cannot be created or written to.
    """
    with writing(results, needs=f" (a run needs at least {_ROOM_BYTES >> 20} MiB)"):
        results.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=results) as file:
            file.write(bytes(_ROOM_BYTES))  # an empty file can be made on a full disk, too
            file.flush()


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
        if path.parent.is_symlink():
            raise ResultsUnwritable(path.parent, "is a link, not a folder")
        path.mkdir(parents=True)
    return path


def restore(path: Path, file: BinaryIO) -> None:
    """Write a deleted file again from what is left of it: the system keeps it as long as it is open.

    Args:
        path: where it was, in a folder that may have been deleted too.
        file: open for reading.

    Raises:
        ResultsUnwritable: it cannot be written.
    """
    if os.fstat(file.fileno()).st_nlink:
        return
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file.seek(0)
        with regular_files.create(path) as anew:
            shutil.copyfileobj(file, anew)


def write_json(path: Path, value: object) -> None:
    """Write a value as indented JSON, atomically: readers see the whole file or none.

    Raises:
        ResultsUnwritable: it cannot be written.
    """
    text = msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"
    with writing(path):
        regular_files.replace(path, text, sync=True)
