"""Shuts down a process's runs in order on a signal.

The first signal raises KeyboardInterrupt in the greenlet in which Locust waits. Locust then shuts down, which
ends the run: the sessions are closed, and the verdict is made and printed. Further signals have no effect,
because they would only interrupt that. Signals are handled between greenlet switches: Python would raise in
the middle of running code, and data being written would be lost.

Before a headless run begins there is nothing to judge, so the process exits with the signal's code.
"""

import logging
import signal
import sys
from collections.abc import Collection
from typing import Any

import gevent

from loadtest.locust_plugin.lifecycle import Lifecycle
from loadtest.signals import AT_ONCE, exit_code_of, ignore_signals, not_ignored, nothing_judged

logger = logging.getLogger("loadtest")


class Interrupts:
    """Handles the signals of this process. Create it in the main greenlet.

    Args:
        lifecycles: of the environments of this process; empty until the first one is ready.
    """

    def __init__(self, lifecycles: Collection[Lifecycle]) -> None:
        self._lifecycles = lifecycles
        self._main = gevent.getcurrent()
        self._number = 0  # of the signal received
        self._told = False

    def listen(self) -> None:
        """Start handling signals, including Locust's own: Locust's shutdown would run once per signal."""
        handle = gevent.signal_handler
        for number in not_ignored():
            handle(number, self._take, number)

        def unless_locusts(number: int, handler: Any, *arguments: Any, **named: Any) -> Any:
            if getattr(handler, "__module__", "") != "locust.main":
                return handle(number, handler, *arguments, **named)
            return None

        vars(gevent).update(signal_handler=unless_locusts)

    def _take(self, number: int) -> None:
        if self._number:
            self._tell()
            return
        self._number = number
        if any(one.concluding for one in self._lifecycles):
            self._tell()
        for one in tuple(self._lifecycles):
            one.wait_concluded()
        if any(one.ending for one in self._lifecycles):
            self._tell()
        elif self._lifecycles and all(self._interrupted(number)):
            if self._records:  # a terminal's Ctrl-C reaches the workers, too
                logger.info("%s: shutting down", signal.Signals(number).name)
            gevent.kill(self._main, KeyboardInterrupt)
        else:
            self._told = True
            print(nothing_judged(number), file=sys.stderr)
            ignore_signals()
            gevent.kill(self._main, SystemExit(exit_code_of(number)))

    def _interrupted(self, number: int) -> list[bool]:
        """Notify all lifecycles; return for each whether Locust shuts it down in order."""
        return [one.interrupted(exit_code_of(number)) for one in tuple(self._lifecycles)]

    @property
    def _records(self) -> bool:
        return any(one.records for one in self._lifecycles)

    def _tell(self) -> None:
        if not self._told and self._records:
            self._told = True
            logger.warning("already shutting down: please wait for the verdict. %s", AT_ONCE)
