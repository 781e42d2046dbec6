"""verdict.json of a run: read and written."""

import os
from pathlib import Path

from loadtest.errors import RunUnreadable
from loadtest.results.directory import VERDICT, write_json
from loadtest.results.reader import read_json
from loadtest.verdict.items import Verdict


def read_verdict(path: Path) -> Verdict | None:
    """Return a run's verdict.json, None if it has none.

    Raises:
        RunUnreadable: the file is damaged or has another schema.
    """
    file = path / VERDICT
    return read_json(file, Verdict) if os.path.lexists(file) else None


def readable_verdict(path: Path) -> Verdict | None:
    """Return a run's verdict.json, None if it has none or it is unreadable."""
    try:
        return read_verdict(path)
    except RunUnreadable:
        return None


def write_verdict(path: Path, verdict: Verdict) -> None:
    """Write verdict.json into a run directory.

    Raises:
        ResultsUnwritable: it cannot be written.
    """
    write_json(path / VERDICT, verdict)
