"""The bare Go client: built once per machine, left out where there is no Go compiler.

Its source is in go_client/. It needs the standard library only, so building it downloads nothing.
"""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loadtest.session.schedule import Pace
from tests.benchmarks.locust_process import HERE, pinned

SOURCE = HERE / "go_client"


def missing() -> str | None:
    """Return why the Go client cannot be measured, None if it can."""
    return None if shutil.which("go") else "the Go client is left out: there is no 'go' on PATH"


def built(cache: Path | None = None) -> Path:
    """Return the Go client's executable; builds it unless this source was built before.

    Args:
        cache: the folder for it; None for one in the user's cache.
    """
    cache = cache or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "loadtest-benchmarks"
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(SOURCE.iterdir())))
    version = subprocess.run(["go", "version"], check=True, capture_output=True).stdout
    digest.update(version)
    executable = cache / f"go_client-{digest.hexdigest()[:16]}"
    if not executable.exists():
        cache.mkdir(parents=True, exist_ok=True)
        beside = executable.with_suffix(f".{os.getpid()}")  # another benchmark may build it at the same time
        subprocess.run(["go", "build", "-o", str(beside), "."], cwd=SOURCE, check=True)
        beside.rename(executable)
    return executable


def run(
    port: int,
    *,
    sessions: int,
    seconds: float,
    per_s: float = 0,
    warmup_s: float = 2,
    ca: Path | None = None,
    on_core: int | None = 1,
    executable: Path | None = None,
) -> dict[str, Any]:
    """Run the Go client on echo sessions and return what it printed.

    Args:
        port: of the server on this machine.
        sessions: to hold.
        seconds: to measure.
        per_s: messages of all sessions a second, 0 for a closed loop. They are planned as this tool plans them.
        warmup_s: seconds between the last connect and the measurement.
        ca: certificates to trust (PEM), which makes it wss.
        on_core: the core it is pinned to, so that GOMAXPROCS is 1; None for all.
        executable: the built client, None to build it.
    """
    rate = per_s / sessions
    told = subprocess.run(
        [
            *(str(executable or built()), "-port", str(port), "-sessions", str(sessions), "-rate", str(rate)),
            *("-seconds", str(seconds), "-warmup", str(warmup_s), "-ca", str(ca or "")),
        ],
        check=True,
        input="".join(f"{phase}\n" for phase in phases_ns(sessions, rate)),
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=pinned(on_core),
    )
    figures: dict[str, Any] = json.loads(told.stdout)
    return figures


def phases_ns(sessions: int, rate: float) -> Sequence[int | None]:
    """Return when each session's first message is due, as this tool plans it; nothing for a closed loop."""
    pace = Pace(rate)
    return [pace.gap_ns(number, 0) for number in range(sessions)] if rate else []
