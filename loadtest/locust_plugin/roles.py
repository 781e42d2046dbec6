"""Chooses a process's lifecycle by its role in Locust: local, master or worker.

The environment holds its lifecycle. A worker connects to its master before Locust's `init` event, so its
first users may start before there is a lifecycle; they wait for it.
"""

import logging
import sys
from functools import cache
from typing import Any
from weakref import WeakSet

import gevent
from gevent.event import AsyncResult
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

from loadtest.errors import LoadtestError, ResultsUnwritable
from loadtest.locust_plugin.agreement import misspelled
from loadtest.locust_plugin.configuration import ci_output
from loadtest.locust_plugin.interrupts import Interrupts
from loadtest.locust_plugin.lifecycle import Lifecycle
from loadtest.locust_plugin.recording_lifecycle import LocalLifecycle
from loadtest.locust_plugin.scrubbed_output import keep_out_of_output
from loadtest.locust_plugin.workers import MasterLifecycle, WorkerLifecycle
from loadtest.output_streams import drop_unwritable_output
from loadtest.runs.ci_output import nothing_judged
from loadtest.text import without_commands

logger = logging.getLogger("loadtest")

START_S = 60.0
"""How long a user waits for its environment's lifecycle: longer than any `init` listener should take."""

_ATTRIBUTE = "loadtest_lifecycle"
"""Attribute of an environment: an AsyncResult, set once the environment has a lifecycle."""

_lifecycles: "WeakSet[Lifecycle]" = WeakSet()
"""This process's lifecycles, for the signal handler."""


def attach(environment: Environment, base: type) -> None:
    """Give an environment its lifecycle, or exit: Locust only logs what its listeners raise.

    Raises:
        SystemExit: a setting has a bad value; a one-line message has been printed.
    """
    try:
        give_lifecycle(environment, base)
    except LoadtestError as error:
        print(without_commands(f"Error: {error}"), file=sys.stderr)
        if not isinstance(environment.runner, WorkerRunner):
            _write_for_ci(environment, base, str(error))
        sys.exit(error.exit_code)


def _write_for_ci(environment: Environment, base: type, error: str) -> None:
    """Write the files for CI: nothing was judged, because of an error."""
    classes = [kind for kind in environment.user_classes if issubclass(kind, base)]
    try:
        ci_output(environment.parsed_options, classes).admissible().write(nothing_judged(error))
    except ResultsUnwritable as problem:
        print(without_commands(f"Error: {problem}"), file=sys.stderr)


def give_lifecycle(environment: Environment, base: type) -> None:
    """Give an environment its lifecycle if one of its user classes has this base.

    Raises:
        LoadtestError: a setting has a bad value, or a run could not begin for another reason.
    """
    classes = [kind for kind in environment.user_classes if issubclass(kind, base)]
    if not classes:
        return
    if not isinstance(environment.runner, WorkerRunner):  # the master has reported it
        for warning in (one for kind in classes for one in misspelled(kind, base)):
            logger.warning("%s", warning)
    drop_unwritable_output()
    _handle_interrupts()
    lifecycle = _role(environment.runner)(environment, classes)
    keep_out_of_output(lambda: lifecycle.secrets, environment.runner)
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
            f"the users' environment was not ready within {START_S:g} s: "
            "is there a listener of Locust's `init` event that does not return?"
        ) from error
    return lifecycle


def _result(environment: Environment) -> Any:
    return vars(environment).setdefault(_ATTRIBUTE, AsyncResult())


@cache
def _handle_interrupts() -> None:
    """Handle signals, once per process."""
    Interrupts(_lifecycles).listen()
