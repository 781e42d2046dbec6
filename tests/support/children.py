"""Child processes of tests."""

import os
import signal
import sys
from pathlib import Path


def python(code: str, *arguments: str) -> list[str]:
    """Return a command that runs this Python code."""
    return [sys.executable, "-c", code, *arguments]


def is_running(pid: int) -> bool:
    """Return whether a process is running; a zombie, which may stay if init does not reap, is not."""
    try:
        os.kill(pid, 0)
        status = Path(f"/proc/{pid}/stat").read_text() if Path("/proc/self").exists() else ""
    except (ProcessLookupError, FileNotFoundError):
        return False
    return ") Z " not in status


def heed_in_children(number: signal.Signals) -> None:
    """Let processes started from now on get a signal's default where this one ignores it, as under `nohup`.

    Children inherit that a signal is ignored, but get the default of one that is handled. This process still
    does nothing on it.
    """
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, lambda _number, _frame: None)
