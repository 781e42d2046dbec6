"""The bare Go client: built once per machine, skipped without a Go compiler.

Its source is in go_client/. It uses only the standard library, so building it downloads nothing.
"""

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

from loadtest.session.schedule import Pace
from tests.benchmarks.locust_process import HERE, pinned
from tests.benchmarks.work import Seen, Work

SOURCE = HERE / "go_client"

WARMUP_S = 2


def missing() -> str | None:
    """Return why the Go client cannot be measured, None if it can."""
    return None if shutil.which("go") else "no 'go' on PATH"


def built(cache: Path | None = None) -> Path:
    """Return the Go client's executable; builds it unless this compiler has built this source before.

    Args:
        cache: folder for the executable; None for one in the user's cache.
    """
    cache = cache or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "loadtest-benchmarks"
    digest = hashlib.sha256(subprocess.run(["go", "version"], check=True, capture_output=True).stdout)
    for path in sorted(SOURCE.iterdir()):
        digest.update(path.read_bytes())
    executable = cache / f"go_client-{digest.hexdigest()[:16]}"
    if not executable.exists():
        cache.mkdir(parents=True, exist_ok=True)
        beside = executable.with_suffix(f".{os.getpid()}")  # another benchmark may build it at the same time
        environment = {**os.environ, "CGO_ENABLED": "0"}  # needs no C compiler
        subprocess.run(["go", "build", "-o", str(beside), "."], cwd=SOURCE, env=environment, check=True)
        beside.rename(executable)
    return executable


def measure(port: int, work: Work, *, warmup_s: float = WARMUP_S, on_core: int | None = 1) -> Seen:
    """Measure the Go client.

    Args:
        port: port of the server on this machine.
        work: the work to measure. Messages are planned as in this tool.
        warmup_s: seconds between the last connect and the measurement.
        on_core: the core to pin it to, with GOMAXPROCS 1; None for all cores.
    """
    told = subprocess.run(
        [
            *(str(built()), "-port", str(port), "-sessions", str(work.sessions), "-rate", str(work.rate)),
            *("-seconds", str(work.seconds), "-warmup", str(warmup_s), "-ca", str(work.ca or "")),
        ],
        check=True,
        input="".join(f"{phase}\n" for phase in phases_ns(work)),
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=pinned(on_core),
    )
    return Seen(**json.loads(told.stdout))


def phases_ns(work: Work) -> list[int]:
    """Return when each session's first message is due, as planned by this tool; empty for a closed loop."""
    pace = Pace(work.rate)
    phases = (pace.gap_ns(number, 0) for number in range(work.sessions))
    return [phase for phase in phases if phase is not None]
