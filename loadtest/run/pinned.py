"""Baselines that are kept: copies of runs under results/baselines/, the one folder there that git tracks.

A copy holds what a comparison needs, the evidence and the verdict; reports are made again from it with
`loadtest report`. One run is pinned for a plan: pinning another takes its place, so that nobody has to guess
which of two baselines was meant.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from loadtest.errors import InvalidSetting
from loadtest.run import directory
from loadtest.run.catalogue import FoundRun, find_runs
from loadtest.run.reader import read_manifest

_KEPT = (
    directory.HISTOGRAMS,
    directory.EVENTS,
    directory.INTERVALS,
    directory.SERVER_LOG,
    directory.VERDICT,
    directory.MANIFEST,  # last: it makes a folder a run
)


@dataclass(frozen=True, slots=True)
class Pinned:
    """A run that was pinned, and those whose place it took."""

    path: Path
    replaced: Sequence[Path]


def pin(run: Path, results: Path) -> Pinned:
    """Keep a run as the baseline of its plan.

    Args:
        run: its directory.
        results: the folder of all runs.

    Raises:
        RunUnreadable: it is no run.
        InvalidSetting: it was not ended in good order.
        ResultsUnwritable: it cannot be copied.
    """
    manifest = read_manifest(run)
    if not manifest.complete:
        raise InvalidSetting("RUN", str(run), "was not ended in good order", "Pin a complete run")
    kept = results / directory.BASELINES / directory.folder_name(manifest.revision) / run.resolve().name
    others = [
        one.path
        for one in find_runs(results).of_plan(manifest.comparability_hash)
        if one.pinned and one.path.resolve() != kept.resolve()
    ]
    if kept.resolve() != run.resolve():
        _copy(run, kept)
    for path in others:
        _remove(path)
    return Pinned(kept, others)


def unpin(runs: Sequence[FoundRun]) -> None:
    """Take kept baselines away; the runs that they are copies of stay.

    Raises:
        ResultsUnwritable: one cannot be removed.
    """
    for run in runs:
        assert run.pinned, "only copies are removed"
        _remove(run.path)


def _copy(run: Path, kept: Path) -> None:
    """Copy what is kept; the copy is there whole or not at all."""
    beside = kept.with_name(f".{kept.name}.partial")
    with directory.writing(kept):
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        for name in _KEPT:
            if (run / name).is_file():
                shutil.copyfile(run / name, beside / name)
        shutil.rmtree(kept, ignore_errors=True)
        beside.rename(kept)


def _remove(kept: Path) -> None:
    with directory.writing(kept):
        shutil.rmtree(kept)
        if not any(kept.parent.iterdir()):
            kept.parent.rmdir()
