"""Which role a process has in Locust, and the lifecycle that goes with it.

A lifecycle lives as long as its environment, on which it is kept. A worker connects to its master before
Locust's `init` event, so its first users may start before it has a lifecycle: they wait for it.
"""

import logging
import signal
import sys
from functools import cache
from typing import Any
from weakref import WeakSet

import gevent
from gevent.event import AsyncResult
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

from loadtest.errors import LoadtestError
from loadtest.locust_plugin.lifecycle import Lifecycle, LocalLifecycle
from loadtest.locust_plugin.workers import MasterLifecycle, WorkerLifecycle

logger = logging.getLogger("loadtest")

START_S = 60.0
"""How long a user waits for its environment's lifecycle: longer than any `init` listener should take."""

_ATTRIBUTE = "loadtest_lifecycle"
"""Of an environment: an AsyncResult that is set once it has a lifecycle."""

_lifecycles: "WeakSet[Lifecycle]" = WeakSet()
"""Those of this process, for Ctrl-C."""


def attach(environment: Environment, base: type) -> None:
    """Give an environment with a user class of this base its lifecycle.

    Raises:
        SystemExit: a setting has a bad value; the line that says so has been printed.
    """
    classes = [kind for kind in environment.user_classes if issubclass(kind, base)]
    if not classes:
        return
    _handle_interrupts()
    lifecycle = _role(environment.runner)(environment, classes)
    try:
        lifecycle.check()
    except LoadtestError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    lifecycle.listen()
    _lifecycles.add(lifecycle)
    _result(environment).set(lifecycle)  # last: a worker that joined late has begun its run by now


def _role(runner: object) -> type[Lifecycle]:
    if isinstance(runner, MasterRunner):
        return MasterLifecycle
    return WorkerLifecycle if isinstance(runner, WorkerRunner) else LocalLifecycle


def lifecycle_of(environment: Environment) -> Lifecycle:
    """Return the lifecycle of an environment; wait for it if need be.

    Raises:
        LoadtestError: it has none after START_S.
    """
    try:
        lifecycle: Lifecycle = _result(environment).get(timeout=START_S)
    except gevent.Timeout as error:
        raise LoadtestError(
            f"the users' environment was not ready after {START_S:g} s: "
            "is there a listener of Locust's `init` event that does not return?"
        ) from error
    return lifecycle


def _result(environment: Environment) -> Any:
    return vars(environment).setdefault(_ATTRIBUTE, AsyncResult())


@cache
def _handle_interrupts() -> None:
    """Take Ctrl-C between two greenlets' turns, and raise it where Locust waits.

    Python would raise it in the middle of whatever runs, which may be the writing of an interval or a
    finalizer: the one would lose what was recorded, the other the interrupt.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it is ignored, or handled
        gevent.signal_handler(signal.SIGINT, _interrupt, gevent.getcurrent())


def _interrupt(main: Any) -> None:
    if any(lifecycle.concluding for lifecycle in _lifecycles):
        logger.warning("making the verdict: please wait a moment")
    else:
        gevent.kill(main, KeyboardInterrupt)
