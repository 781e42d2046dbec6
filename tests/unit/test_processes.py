"""Child processes: the one guard that ends them when this process is gone."""

from __future__ import annotations

import contextlib
import os
import threading

from loadtest import processes


class Guard(processes._Guard):
    """A guard that starts no process; what it would be told is read from its pipes."""

    def __init__(self) -> None:
        super().__init__()
        self.reading: list[int] = []
        self.meeting = threading.Barrier(2)

    def _started(self) -> int:
        with contextlib.suppress(threading.BrokenBarrierError):
            self.meeting.wait(0.2)  # for a second start
        reading, writing = os.pipe()
        self.reading.append(reading)
        return writing

    def close(self) -> list[bytes]:
        """Return what each pipe holds."""
        if self._pipe is not None:
            os.close(self._pipe)
        told = [os.read(one, 1000) for one in self.reading]
        for one in self.reading:
            os.close(one)
        return told


def test_threads_share_one_guard() -> None:
    """While one starts it, another waits: what one adds the other may remove."""
    guard = Guard()
    threads = [threading.Thread(target=guard.tell, args=("+", group)) for group in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [sorted(told.splitlines()) for told in guard.close()] == [[b"+1", b"+2"]]
