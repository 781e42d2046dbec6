"""Workers that run unit tests with what the real runs leave of the CPU.

The tests of `tests/e2e` and `tests/wire` mostly wait, and those that judge times want the machine for
themselves; the unit tests only compute. So a third of the workers run nothing but unit tests, and yield to
everything else: beside a process that they would hold up they do not run at all. The other workers begin with
the folders that wait, and take unit tests when these are done.

A process may give up its priority but mostly not take it back, so this is a matter of workers, not of tests.
"""

import os
from contextlib import suppress
from typing import Any

from xdist.scheduler import LoadFileScheduling

FOLDER = "tests/unit/"

PATIENCE_S = 900
"""How long a test of such a worker may take: it may get no CPU for minutes."""


def is_background(worker: str, workers: int) -> bool:
    """Return whether a worker is one of these.

    Args:
        worker: its name, `gw` and a number from 0; a higher one replaces a worker that crashed.
        workers: how many there are.
    """
    return workers - workers // 3 <= int(worker.removeprefix("gw")) < workers


def here() -> bool:
    """Return whether this process is such a worker."""
    worker, workers = (os.environ.get(f"PYTEST_XDIST_WORKER{name}") for name in ("", "_COUNT"))
    return worker is not None and workers is not None and is_background(worker, int(workers))


def give_way() -> None:
    """Let all other processes of this machine go first."""
    os.nice(19)
    if hasattr(os, "SCHED_IDLE"):
        with suppress(OSError):  # where the system has no such policy, the lowest priority must do
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


class Scheduling(LoadFileScheduling):  # type: ignore[misc]  # has no annotations
    """Whole files, in their order; to these workers unit tests only."""

    def _assign_work_unit(self, node: Any) -> None:
        background = is_background(node.gateway.id, self.numnodes)
        scopes = (scope for scope in self.workqueue if not background or scope.startswith(FOLDER))
        scope = next(scopes, None)
        if scope is None:
            node.shutdown()
            return
        self.workqueue.move_to_end(scope, last=False)  # where the next unit of work is taken from
        super()._assign_work_unit(node)

    def _reschedule(self, node: Any) -> None:
        # A worker needs to know the next test, no more: a file that waits behind a long one would come late.
        if self._pending_of(self.assigned_work[node]) <= 1:
            super()._reschedule(node)
