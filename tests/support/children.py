"""Child processes of tests, and whether they run."""

import os
import sys
from pathlib import Path


def python(code: str, *arguments: str) -> list[str]:
    """Return a command that runs some Python."""
    return [sys.executable, "-c", code, *arguments]


def is_running(pid: int) -> bool:
    """Tell whether a process runs; a zombie, which may wait for an init that does not reap, does not."""
    try:
        os.kill(pid, 0)
        status = Path(f"/proc/{pid}/stat").read_text() if Path("/proc/self").exists() else ""
    except (ProcessLookupError, FileNotFoundError):
        return False
    return ") Z " not in status
