"""Makes a script from the asynchronous tasks of a user class, by Locust's rules.

Locust collects tasks by weight, and before a run starts removes those that `--tags` does not name. Of the
rest, the `async def` tasks are the script, which each session runs in the engine's thread. Locust runs the
others in the user's greenlet. A TaskSet may also be a script, if all its tasks are async.
"""

import inspect
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from locust import SequentialTaskSet, TaskSet, constant
from locust.exception import InterruptTaskSet
from locust.user.task import is_markov_taskset

from loadtest.errors import ScriptMistake, UsageError
from loadtest.session.script import Script, Task, Tasks

ON_START = "script_on_start"
"""Attribute of a user class: its `async def on_start(self, session)`."""

_AT_ONCE: Callable[[Any], float] = constant(0)  # Locust's default


def is_script(task: Any) -> bool:
    """Return whether a task is a coroutine function, or a TaskSet that contains one."""
    if isinstance(task, type):
        return any(map(is_script, getattr(task, "tasks", ())))
    return inspect.iscoroutinefunction(task) or inspect.isasyncgenfunction(task)


def has_script(kind: Any) -> bool:
    """Return whether a user class still has asynchronous tasks."""
    return any(map(is_script, kind.tasks))


def script_of(kind: Any, base: Any) -> Script | None:
    """Return the script of a user class; None if it has none.

    Args:
        kind: the class.
        base: `WebSocketUser`, whose default wait time does not apply to scripts.

    Raises:
        ScriptMistake: a task has wrong arguments, or cannot be part of a script.
        UsageError: `--tags` has removed all tasks of the class's script.
    """
    _check_weights(kind)
    if not has_script(kind):
        if getattr(kind, "scripted", False):
            name = kind.__name__
            raise UsageError(
                f"--tags and --exclude-tags must leave {name} at least one async task (got none)"
            )
        _check_others(kind)
        return None
    _check_others(kind)
    own = kind.wait_time is not base.wait_time
    wait_s = kind.wait_time if own else _AT_ONCE
    scripts = [task for task in kind.tasks if is_script(task)]
    tasks = Tasks(
        name=kind.__name__,
        tasks=tuple(_task(task, kind.__name__, wait_s) for task in scripts),
        wait_s=wait_s,
        on_start=_checked_start(getattr(kind, ON_START, None), kind.__name__),
    )
    return Script(tasks=tasks, weights=Counter(_names(scripts)), leave=InterruptTaskSet)


def _names(tasks: Iterable[Any]) -> Iterator[str]:
    for task in tasks:
        if isinstance(task, type):
            yield from (f"{task.__name__}.{name}" for name in _names(getattr(task, "tasks", ())))
        else:
            yield task.__name__


def _task(task: Any, name: str, wait_s: Callable[[Any], float]) -> Task | Tasks:
    if isinstance(task, type):
        return _task_set(task, wait_s)
    where = f"{name}.{task.__name__}"
    if inspect.isasyncgenfunction(task):
        raise ScriptMistake(where, "must not yield")
    _check_arguments(task, where)
    return task  # type: ignore[no-any-return]  # a coroutine function


def _check_arguments(task: Any, where: str) -> None:
    try:
        inspect.signature(task).bind("self", "session")
    except TypeError:
        raise ScriptMistake(where, "must take (self, session)") from None


def _check_weights(kind: Any) -> None:
    """Refuse async tasks with a weight below 1, which Locust would silently leave out."""
    for base in kind.__mro__:
        for name, member in vars(base).items():
            weight = getattr(member, "locust_task_weight", 1)
            if is_script(member) and isinstance(weight, int) and weight < 1:
                problem = f"must have a weight of at least 1 (got {weight}). Remove @task to leave it out"
                raise ScriptMistake(f"{kind.__name__}.{name}", problem)


def _task_set(kind: Any, around_s: Callable[[Any], float]) -> Tasks:
    name = kind.__name__
    _check_weights(kind)
    if others := [task.__name__ for task in kind.tasks if not is_script(task)]:
        raise ScriptMistake(name, f"must not mix async tasks with others ({others[0]} is not async)")
    for method in ("on_start", "on_stop"):
        given = getattr(kind, method)
        if given is not getattr(TaskSet, method) and (
            method == "on_stop" or not inspect.iscoroutinefunction(given)
        ):
            raise ScriptMistake(f"{name}.{method}", _HOOKS[method])
    own = kind.wait_time is not TaskSet.wait_time
    wait_s = kind.wait_time if own else around_s
    started = None if kind.on_start is TaskSet.on_start else kind.on_start
    return Tasks(
        name=name,
        tasks=tuple(_task(task, name, wait_s) for task in kind.tasks),
        wait_s=wait_s,
        in_order=issubclass(kind, SequentialTaskSet),
        on_start=_checked_start(started, name),
        new=kind,
    )


_NO_MARKOV = "must not be a MarkovTaskSet. For a script, use TaskSet or SequentialTaskSet"

_HOOKS = {
    "on_start": "must be async and take (self, session): the tasks of this TaskSet are",
    "on_stop": "must not be defined beside async tasks: a script is cancelled at the end. Use try/finally",
}


def _checked_start(on_start: Any, name: str) -> Task | None:
    if on_start is not None:
        _check_arguments(on_start, f"{name}.on_start")
    return on_start  # type: ignore[no-any-return]  # a coroutine function


def _check_others(kind: Any) -> None:
    """Refuse tasks and hooks that look like a script but cannot be one."""
    name = kind.__name__
    if inspect.iscoroutinefunction(kind.on_stop):
        raise ScriptMistake(
            f"{name}.on_stop", "must not be async: a script is cancelled at the end. Use try/finally"
        )
    if getattr(kind, ON_START, None) is not None and not has_script(kind):
        raise ScriptMistake(f"{name}.on_start", "must not be async unless the class has an async task")
    for task in kind.tasks:
        if is_markov_taskset(task) and any(map(inspect.iscoroutinefunction, vars(task).values())):
            raise ScriptMistake(task.__name__, _NO_MARKOV)
        if inspect.isfunction(task) and not is_script(task):
            try:
                inspect.signature(task).bind("self")
            except TypeError:
                problem = "must be async if it takes a session: async def {}(self, session)"
                raise ScriptMistake(f"{name}.{task.__name__}", problem.format(task.__name__)) from None
