"""The limit of open files, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

from loadtest.engine import monitor

RAISED = """
import resource
from loadtest.engine.monitor import raise_files_limit
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
told = raise_files_limit()
assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
print(told, hard)
"""


def test_the_files_limit_is_raised_to_the_systems() -> None:
    """A process that may open 64 files raises that as far as it is allowed, and says what it got."""
    told = subprocess.run([sys.executable, "-c", RAISED], check=True, capture_output=True, text=True)
    connections, hard = map(int, told.stdout.split())
    assert connections == hard - monitor.OTHER_FILES
