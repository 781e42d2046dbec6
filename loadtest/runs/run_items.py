"""Judge the items of a run from its files, and those of a baseline by the rules of its candidate.

The items of a baseline are judged again, not read from its verdict.json, which may be made by another
version's rules or with other limits and allowances: a changed rule would look like a changed server. The
candidate's limits and allowances are used for it. Counts made by a rule during the run cannot be made again:
if such a rule differs, the change is unclear (`loadtest.verdict.differences.judged_otherwise`).
"""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import msgspec

from loadtest.results.data import RunData
from loadtest.results.log_file import (
    ServerLog,
    errors_per_s,
    read_drops,
    read_known_sessions,
    read_server_log,
)
from loadtest.results.manifest import Manifest, UserClass
from loadtest.serverlog.extract import ReadStats
from loadtest.verdict import server_log
from loadtest.verdict.items import AnyItem, Item
from loadtest.verdict.log_evidence import ServerLogEvidence
from loadtest.verdict.run import judge
from loadtest.verdict.server_log import Window


def log_item(
    path: Path, run: RunData, *, allowed_errors: int | None = None
) -> Item[ServerLogEvidence] | None:
    """Judge the server's log in a run directory; return None if there is none.

    Args:
        path: the run directory.
        run: the run's data.
        allowed_errors: how many real errors are allowed, None for as many as the run itself allows.

    Raises:
        RunUnreadable: server_log.jsonl or events.jsonl is damaged.
    """
    log = read_server_log(path)
    return None if log is None else _judged(log, path, run, allowed_errors)


def with_log(path: Path, run: RunData) -> tuple[Item[ServerLogEvidence] | None, RunData]:
    """Return the result of `log_item`, and the run with the log's errors per second, by that item's clock.

    Args:
        path: the run directory.
        run: the run's data.

    Raises:
        RunUnreadable: server_log.jsonl or events.jsonl is damaged.
    """
    log = read_server_log(path)
    if log is None:
        return None, run
    item = _judged(log, path, run)
    errors = errors_per_s(
        log,
        started_unix_ns=run.manifest.started_unix_ns,
        length_s=run.length_s,
        clock_offset_s=item.evidence.clock_offset_s or 0.0,
    )
    return item, replace(run, log_errors_per_s=errors)


def _judged(
    log: ServerLog, path: Path, run: RunData, allowed_errors: int | None = None
) -> Item[ServerLogEvidence]:
    reading = log.reading
    if allowed_errors is not None:
        reading = msgspec.structs.replace(reading or ReadStats(), allowed_errors=allowed_errors)
    window = Window.of(run)
    drops = read_drops(path, started_unix_ns=window.start_ns, ended_unix_ns=window.end_ns)
    known = read_known_sessions(path)
    return server_log.judge(run, log.records, drops, reading=reading, known=known)


def baseline_items(
    path: Path, run: RunData, *, like: Manifest, candidate: Iterable[AnyItem]
) -> list[AnyItem]:
    """Judge a baseline's items with the candidate's limits and allowances; `latency` by its limits alone.

    Args:
        path: the baseline's run directory.
        run: its data.
        like: the candidate's manifest.
        candidate: the candidate's items.

    Raises:
        RunUnreadable: server_log.jsonl or events.jsonl of the baseline is damaged.
    """
    of_classes = {one.name: one for one in like.classes}
    classes = {
        name: _by_rules_of(own, of_classes[name]) if name in of_classes else own
        for name, own in run.classes.items()
    }
    judged = replace(_by_rules_of(run, like), classes=classes)
    logs = (item.evidence for item in candidate if isinstance(item.evidence, ServerLogEvidence))
    allowed_errors = next((log.allowed_errors for log in logs), None)
    return judge(judged, None, log_item(path, judged, allowed_errors=allowed_errors)).items


def _by_rules_of(run: RunData, like: Manifest | UserClass) -> RunData:
    """Return a run with the limits and allowances of another."""
    rules = msgspec.structs.replace(run.manifest, limits=like.limits, allowed_losses=like.allowed_losses)
    return replace(run, manifest=rules)
