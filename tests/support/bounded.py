"""Runs Python code in a process that has little memory and time, for tests with hostile input."""

import resource
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def run_bounded(script: str, *, memory_mb: int, seconds: float) -> str:
    """Run a script and return what it prints; fail if it fails, or needs more.

    Args:
        script: Python code.
        memory_mb: address space of the process, in MiB; the interpreter and the imports need some 200.
        seconds: time, generous enough for a busy machine.
    """

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (memory_mb << 20, memory_mb << 20))

    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=seconds,
        preexec_fn=limit,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout
