"""The folders of runs in a results folder. A link that leads out of it is reported and not followed.

The results folder itself may be a link: the user chose it. Its content may come from anywhere.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from loadtest.errors import RunUnreadable
from loadtest.results.directory import BASELINES, MANIFEST, NOT_REVISIONS

_LINK = "is a link out of the results folder, which is not followed. Name the folder that it points to"


def run_folders(results: Path) -> Iterator[Path | RunUnreadable]:
    """Yield the folders with a run.json, at results/REVISION/RUN and results/baselines/REVISION/RUN.

    Unreadable folders, and links to folders elsewhere, are yielded as errors.
    """
    for parent in (results, results / BASELINES):
        for revision in _folders(parent, results):
            if isinstance(revision, RunUnreadable):
                yield revision
            elif parent != results or revision.name not in NOT_REVISIONS:
                yield from _runs(revision, results)


def _runs(revision: Path, results: Path) -> Iterator[Path | RunUnreadable]:
    for run in _folders(revision, results):
        if isinstance(run, RunUnreadable) or os.path.lexists(run / MANIFEST):
            yield run
        elif not os.access(run, os.R_OK | os.X_OK):
            yield RunUnreadable(run, "Permission denied")


def _folders(parent: Path, results: Path) -> Iterator[Path | RunUnreadable]:
    """Yield the subfolders of a folder by name, except hidden ones and links within the results folder."""
    try:
        names = sorted(os.listdir(parent))
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        yield RunUnreadable(parent, error.strerror or str(error))
        return
    for path in (parent / name for name in names if not name.startswith(".")):
        if not path.is_dir():
            continue
        if not path.is_symlink():
            yield path
        elif not _is_within(path, results):
            yield RunUnreadable(path, _LINK)


def _is_within(path: Path, results: Path) -> bool:
    return path.resolve().is_relative_to(results.resolve())


def own_folder(path: Path, results: Path) -> Path:
    """Return the folder of a run or duel, without links.

    Args:
        path: the folder. Below the results folder no part of it may be a link that leads out of it; elsewhere
            it must not be a link itself.
        results: the folder of all runs.

    Raises:
        RunUnreadable: it is such a link.
    """
    if not path.is_symlink() and not _below(path, results):
        return path
    real = path.resolve()
    if _below(path, results) and real == results.resolve() / Path(os.path.abspath(path)).relative_to(
        os.path.abspath(results)
    ):
        return path
    if real.is_relative_to(results.resolve()):
        return real
    raise RunUnreadable(path, _LINK)


def _below(path: Path, results: Path) -> bool:
    return Path(os.path.abspath(path)).is_relative_to(os.path.abspath(results))
