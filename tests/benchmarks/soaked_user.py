"""The locustfile of a soak: the main locustfile, in a process that reports its allocated memory.

Resident memory is a poor measure of a leak. Each second's histograms are large and form reference cycles, so
they stay until the next full collection, and the allocator keeps freed memory: resident memory jumps by up to
10 MiB within a minute without any leak. So the process runs a garbage collection and then asks the allocator
for the memory in use. With PYTHONMALLOC=malloc this includes all Python objects.
"""

import ctypes
import gc
import os
from pathlib import Path

import gevent

from locustfiles.ws import ChatUser

__all__ = ["ChatUser"]


class _Allocated(ctypes.Structure):
    """The result of mallinfo2(3)."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def _write_allocated(path: Path, every_s: float) -> None:
    """Append the bytes in use to a file from time to time."""
    mallinfo2 = ctypes.CDLL("libc.so.6").mallinfo2
    mallinfo2.restype = _Allocated
    while True:
        gevent.sleep(every_s)
        gc.collect()
        allocated = mallinfo2()
        with path.open("a") as lines:
            print(allocated.uordblks + allocated.hblkhd, file=lines)


if path := os.environ.get("SOAK_MEMORY"):
    gevent.spawn(_write_allocated, Path(path), float(os.environ["SOAK_EVERY_S"]))
