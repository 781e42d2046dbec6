"""A process that ends the children of another process after it is gone, even if that one was killed.

Run as a script. Standard input is a pipe whose other end only the guarded process has: lines `+GROUP` and
`-GROUP` add and remove a process group. When the pipe ends, all remaining groups get SIGTERM, and SIGKILL
after a grace period. It imports nothing from the package, so that it starts within milliseconds.
"""

import os
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import suppress

GRACE_S = 5.0
"""Between SIGTERM and SIGKILL."""

_LOOK_EVERY_S = 0.05


def left_over(lines: Iterable[str]) -> set[int]:
    """Return the groups that were added and not removed."""
    groups: set[int] = set()
    for line in lines:
        change = groups.add if line.startswith("+") else groups.discard
        change(int(line[1:]))
    return groups


def end(groups: set[int], grace_s: float = GRACE_S) -> None:
    """End process groups."""
    alive = {group for group in groups if _signal(group, signal.SIGTERM)}
    over_s = time.monotonic() + grace_s
    while alive and time.monotonic() < over_s:
        time.sleep(_LOOK_EVERY_S)
        alive = {group for group in alive if _signal(group, 0)}
    for group in alive:
        _signal(group, signal.SIGKILL)


def _signal(group: int, number: int) -> bool:
    """Signal a group; return whether it exists."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
        return True
    return False


if __name__ == "__main__":
    end(left_over(sys.stdin))
