"""The synthetic runs whose verdicts are kept in tests/data/golden/verdicts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from loadtest.session.recorder import Lifecycle
from tests.support.rundirs import write_run, write_server_log
from tests.support.runs import PLAN, manifest, tally

SECOND_NS = 10**9
STARTED_UNIX_NS = 1_795_443_815 * SECOND_NS

STORMY = msgspec.convert(
    msgspec.to_builtins(PLAN) | {"storms": [{"at_s": 10, "share_ratio": 0.5, "kind": "slow_reader"}]},
    type(PLAN),
)

RUNS: dict[str, dict[str, Any]] = {
    "killed": {"revision": "v0.8", "complete": False, "seconds": 9},
    "baseline": {"revision": "v0.9"},
    "failed": {
        "revision": "v1.0",
        "slower_ratio": 2.0,
        "counts": {"messaging.sent": 3, "messaging.lost": 3, "losses.1012": 2, "persistence.missing": 1},
        "errors": [
            tally("messaging", "no reply in 10 s", 3),
            tally("reconnect", "http_503", 2, session="ünï", at_s=1.25),
        ],
        "lifecycle": [
            Lifecycle(
                at_ns=number * SECOND_NS // 2, event="lost", session=f"s-{number}", cause="1012", code=1012
            )
            for number in (0, 1)
        ],
    },
    "unlike": {"revision": "v1.1", "plan": STORMY},
    "overloaded": {"revision": "v1.2", "gauges": {"cpu_ratio": 1.0}},
    "empty": {"revision": "v1.3", "complete": False, "seconds": 0},
}
"""Runs by name: arguments of `write_run`, with the manifest's revision and plan. They start an hour apart."""


def write_runs(results: Path) -> dict[str, Path]:
    """Write the runs and return their directories by name."""
    return {name: _write(results, name, number) for number, name in enumerate(RUNS)}


def _write(results: Path, name: str, number: int) -> Path:
    arguments = {"seconds": 20, **RUNS[name]}
    of = manifest(
        run_id=name,
        revision=arguments.pop("revision"),
        started_at=f"2026-11-23T{number:02}:00:00Z",
        started_unix_ns=STARTED_UNIX_NS + number * 3600 * SECOND_NS,
        run_plan=msgspec.structs.replace(arguments.pop("plan", PLAN), duration_s=20.0),
    )
    path = write_run(results, of=of, **arguments)
    if name in ("baseline", "failed"):
        write_server_log(path, wrong_kind="mid_reply" if name == "failed" else "")
    return path
