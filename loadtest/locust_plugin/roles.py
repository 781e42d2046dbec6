"""Chooses a process's lifecycle by its role in Locust: local, master or worker.

A lifecycle is stored on its environment and lives as long. A worker connects to its master before Locust's
`init` event, so its first users may start before there is a lifecycle; they wait for it.
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
"""Attribute of an environment: an AsyncResult, set once the environment has a lifecycle."""

_lifecycles: "WeakSet[Lifecycle]" = WeakSet()
"""This process's lifecycles, for the Ctrl-C handler."""


def attach(environment: Environment, base: type) -> None:
    """Give an environment its lifecycle, or exit: Locust only logs what its listeners raise.

    Raises:
        SystemExit: a setting has a bad value; a one-line message has been printed.
    """
    try:
        give_lifecycle(environment, base)
    except LoadtestError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def give_lifecycle(environment: Environment, base: type) -> None:
    """Give an environment its lifecycle if one of its user classes has this base.

    Raises:
        LoadtestError: a setting has a bad value, or a run could not begin for another reason.
    """
    classes = [kind for kind in environment.user_classes if issubclass(kind, base)]
    if not classes:
        return
    _handle_interrupts()
    lifecycle = _role(environment.runner)(environment, classes)
    lifecycle.check()
    lifecycle.listen()
    _lifecycles.add(lifecycle)
    _result(environment).set(lifecycle)  # last: users that wait for it need a run that has begun


def _role(runner: object) -> type[Lifecycle]:
    if isinstance(runner, MasterRunner):
        return MasterLifecycle
    return WorkerLifecycle if isinstance(runner, WorkerRunner) else LocalLifecycle


def lifecycle_of(environment: Environment) -> Lifecycle:
    """Return an environment's lifecycle, waiting for it if necessary.

    Raises:
        LoadtestError: there is none after START_S.
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
    """Handle Ctrl-C between greenlet switches, and raise it in the greenlet in which Locust waits.

    Python would raise it in the middle of whatever runs. In the writing of an interval that would lose what
    was recorded; in a finalizer the interrupt itself would be lost.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else ignored or already handled
        gevent.signal_handler(signal.SIGINT, _interrupt, gevent.getcurrent())


def _interrupt(main: Any) -> None:
    if any(lifecycle.concluding for lifecycle in _lifecycles):
        logger.warning("making the verdict: please wait a moment")
    else:
        gevent.kill(main, KeyboardInterrupt)
