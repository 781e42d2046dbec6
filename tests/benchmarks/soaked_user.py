"""The locustfile of a soak: the main one, in a process that tells how much memory it has allocated.

Resident memory is a poor measure of a leak. Each second's histograms are large and refer to each other in
circles, so they stay until the next full collection, and the allocator keeps what it gets back: resident
memory jumps by up to ten MiB within a minute in which nothing leaks. So the process itself collects its
garbage and then asks the allocator what is in use. With PYTHONMALLOC=malloc that includes all of Python's
objects.
"""

import ctypes
import gc
import os
from pathlib import Path

import gevent

from locustfiles.ws import ChatUser

__all__ = ["ChatUser"]


class _Allocated(ctypes.Structure):
    """What mallinfo2(3) returns."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def _write_allocated(path: Path, every_s: float) -> None:
    """Append a line to a file from time to time: the bytes in use."""
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
