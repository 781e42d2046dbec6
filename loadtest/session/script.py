"""A script: the tasks that each session of a user class runs, and the messages they receive. Pure.

`loadtest.locust_plugin.scripts` creates a Script from a user class, `loadtest.engine.script_runner` runs it
once for each session, and `loadtest.session.scripted_traffic` handles its messages.
"""

import random
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Struct

from loadtest.dialects.base import Incoming
from loadtest.events import Data

Task = Callable[..., Any]
"""A coroutine function that takes the user and the session."""


class Message(Struct, frozen=True):
    """A message from the server, as a script receives it.

    Args:
        read: the message as read by the dialect: a Reply, a StreamPart or a Push.
        data: the whole message as received.
        at_s: when it arrived, in seconds of Unix time.
    """

    read: Incoming
    data: Data
    at_s: float = 0.0

    @property
    def text(self) -> str | None:
        """The text that the dialect found in the message; None if there is none."""
        found = getattr(self.read, "text", None)
        return found if isinstance(found, str) else None

    def json(self) -> Any:
        """Return the message, decoded from JSON.

        Raises:
            msgspec.MsgspecError: the message is not JSON.
        """
        return msgspec.json.decode(self.data)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tasks:
    """Tasks to choose from: those of a user class, or of a TaskSet in it.

    Args:
        name: of the class.
        tasks: coroutine functions and nested Tasks, each repeated by its weight, or in order.
        in_order: whether they run one after the other, as in a SequentialTaskSet.
        wait_s: returns the seconds to wait after a task; takes an object that represents the user.
        on_start: runs once before the first task; None if there is none.
        new: returns the `self` of the tasks; takes the user or the TaskSet around it.
    """

    name: str
    tasks: tuple["Task | Tasks", ...]
    wait_s: Callable[[Any], float]
    in_order: bool = False
    on_start: Task | None = None
    new: Callable[[Any], Any] = lambda around: around


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Script:
    """The script of a user class.

    Args:
        tasks: tasks of the class.
        weights: weights of its tasks by name, for the plan of a run.
        leave: the exception by which a task leaves its TaskSet.
    """

    tasks: Tasks
    weights: Mapping[str, int]
    leave: type[BaseException]


def drawing_from(function: Callable[[Any], float], generator: random.Random) -> Callable[[Any], float]:
    """Return a copy of a function that draws from this generator instead of the module `random`.

    So the waits of a session follow from the run's seed, including those of Locust's `between`.
    """
    if not isinstance(function, types.FunctionType) or function.__globals__.get("random") is not random:
        return function
    return types.FunctionType(
        function.__code__,
        {**function.__globals__, "random": generator},
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
