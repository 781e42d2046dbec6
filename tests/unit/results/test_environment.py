"""What a new manifest tells of the machine."""

from __future__ import annotations

from loadtest.results.environment import beginning
from loadtest.results.manifest import Manifest
from tests.support.runs import plan


def test_a_new_manifest_tells_host_and_versions() -> None:
    """What a reader needs to repeat the run."""
    made = Manifest(**beginning(1_795_443_815_000_000_000), revision="v1", target="ws://h", plan=plan())
    assert made.started_at == "2026-11-23T14:23:35Z"
    assert {"python", "loadtest", "websockets", "hdrhistogram"} <= made.versions.keys()
    assert made.host.cpus >= 1
    assert made.host.memory_mb > 0
    assert not made.complete
    assert made.run_id != beginning()["run_id"]
