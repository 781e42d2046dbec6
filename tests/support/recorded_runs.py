"""Small runs in a results folder that differ in revision, start and rate."""

from __future__ import annotations

from pathlib import Path

from loadtest.results.environment import utc_text
from loadtest.results.interval import pack
from loadtest.results.manifest import Manifest
from loadtest.results.writer import RunWriter
from loadtest.session.schedule import NS_PER_S
from tests.support.runs import SOUND_COUNTS, interval, manifest, plan

ENDED_AT = "2026-11-23T14:24:35Z"


def begun(run_id: str, revision: str, *, at_s: int, rate: float = 1.0) -> Manifest:
    """Return the manifest of a run that began so many seconds after a fixed moment."""
    started_unix_ns = (1_795_443_815 + at_s) * NS_PER_S
    return manifest(
        run_plan=plan(rate=rate),
        run_id=run_id,
        revision=revision,
        started_unix_ns=started_unix_ns,
        started_at=utc_text(started_unix_ns),
    )


def recorded(
    results: Path, run_id: str, revision: str, *, at_s: int, complete: bool = True, rate: float = 1.0
) -> Path:
    """Write a minimal run with one interval; return its directory."""
    of = begun(run_id, revision, at_s=at_s, rate=rate)
    with RunWriter(results, of) as writer:
        writer.append(pack(interval(0, counts=SOUND_COUNTS)))
        if complete:
            writer.finish(ENDED_AT)
    return writer.path
