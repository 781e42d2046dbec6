"""Signals that ask a process to end, and how it exits before a run has begun.

SIGINT is Ctrl-C, SIGTERM a cancelled job or a stopped container, SIGHUP a closed terminal. A signal that was
ignored when the process started stays ignored, as `nohup` and shells expect. SIGQUIT (Ctrl-\\) and SIGKILL
are not handled: they always end the process at once.
"""

import os
import signal
import sys
from collections.abc import Iterable
from types import FrameType
from typing import Final

ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

AT_ONCE: Final = "SIGQUIT (Ctrl-\\) ends it at once, without a verdict"
"""How to end what does not end by itself."""

_SIGNAL_EXIT = 128
"""Added to a signal's number, as shells do, where there is no verdict to exit with."""


def exit_code_of(number: int) -> int:
    """Return the exit code of a process that a signal has ended before anything could be judged."""
    return _SIGNAL_EXIT + number


def not_ignored() -> Iterable[signal.Signals]:
    """Return the signals that end this process now, or that this package handles."""
    return [number for number in ENDING if signal.getsignal(number) is not signal.SIG_IGN]


def exit_on_signals() -> None:
    """Exit with one line, rather than a traceback, if a signal comes while modules are loaded."""
    begun_by = os.getpid()

    def end(number: int, _frame: FrameType | None) -> None:
        for one in ENDING:
            signal.signal(one, signal.SIG_IGN)  # the exit is under way
        if os.getpid() != begun_by:  # a worker: its master says it
            sys.exit(1)
        print(nothing_judged(number), file=sys.stderr)
        sys.exit(exit_code_of(number))

    for number in not_ignored():
        signal.signal(number, end)


def ignore_signals() -> None:
    """Ignore these signals from now on: the verdict is made, and the process exits with its exit code.

    Blocking counts where the system's default comes back, as when gevent's loop is taken down at the end.
    """
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)


def nothing_judged(number: int) -> str:
    """Return the message that nothing was judged."""
    return f"ended by {signal.Signals(number).name} before the run began: nothing was judged"
