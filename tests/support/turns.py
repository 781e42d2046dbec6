"""Whose turn it is: tests that judge times run alone, all others beside each other.

The suite runs in several processes, because its real runs mostly wait. A test marked `alone` waits until no
other runs, and none begins before it has ended: a lock that others share and it does not, behind a turnstile
that keeps those who come later from overtaking it. Locks are on files, so they hold between processes and go
with them.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def turn(folder: Path, *, alone: bool) -> Iterator[None]:
    """Wait for a turn, and hold it.

    Args:
        folder: that all processes of the suite share.
        alone: whether nothing else may run meanwhile.
    """
    with (folder / "turnstile").open("w") as turnstile, (folder / "room").open("w") as room:
        fcntl.flock(turnstile, fcntl.LOCK_EX)
        fcntl.flock(room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(turnstile, fcntl.LOCK_UN)
        yield
