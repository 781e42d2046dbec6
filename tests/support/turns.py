"""Turns for tests: tests that judge times run alone, all others in parallel.

The suite runs in several processes, because its real runs mostly wait. A test marked `alone` waits until no
other test runs, and none starts before it has ended. This is a readers-writer lock, behind a turnstile that
keeps later tests from overtaking a waiting one. The locks are file locks, so they work across processes and
are released when a process ends.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def turn(folder: Path, *, alone: bool) -> Iterator[None]:
    """Wait for a turn, then hold it.

    Args:
        folder: a folder shared by all processes of the suite.
        alone: whether no other test may run at the same time.
    """
    with (folder / "turnstile").open("w") as turnstile, (folder / "room").open("w") as room:
        fcntl.flock(turnstile, fcntl.LOCK_EX)
        fcntl.flock(room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(turnstile, fcntl.LOCK_UN)
        yield
