"""Scripts of user classes: what Locust has collected is read, and what cannot be run is refused by name.

`test_script_classes.py` runs this file in a process of its own.
"""

import random
from pathlib import Path
from typing import Any

import pytest
from locust import MarkovTaskSet, SequentialTaskSet, TaskSet, between, task, transition

from loadtest import WebSocketUser
from loadtest.errors import ScriptMistake
from loadtest.locust_plugin.class_code import code_of
from loadtest.locust_plugin.load_locustfile import user_class
from loadtest.session.script import Tasks, drawing_from


async def asks(self: Any, session: Any) -> None:
    """Be a script."""


def made(**attributes: Any) -> Any:
    """Return a user class with these attributes."""
    return type("ChatUser", (WebSocketUser,), {"host": "ws://127.0.0.1", **attributes})


def test_a_class_without_async_tasks_has_no_script() -> None:
    """It sends planned messages at the usual rate, and its sync tasks stay Locust's."""
    kind = made(work=task(lambda self: None))
    assert kind.script() is None
    assert kind.values()["rate"] == WebSocketUser.rate


@pytest.mark.parametrize("tasks", [{asks: 3}, [asks] * 3, [(asks, 3)]])
def test_weights(tasks: Any) -> None:
    """All of Locust's forms of weights are read, and nothing is planned unless a rate is set."""
    kind = made(tasks=tasks)
    script = kind.script()
    assert script.tasks.tasks == (asks, asks, asks)
    assert script.weights == {"asks": 3}
    assert kind.values()["rate"] == 0
    assert made(tasks=tasks, rate=2.0).values()["rate"] == 2.0
    child: Any = type("Child", (made(tasks=tasks, rate=2.0),), {})
    assert child.values()["rate"] == 2.0


@pytest.mark.parametrize("weight", [0, -1])
def test_weights_below_one_are_refused(weight: int) -> None:
    """Locust would leave such a task out in silence; other users' tasks are its own."""

    async def script(self: Any, session: Any) -> None:
        """Be a script."""

    ask: Any = script
    told = rf"ask must have a weight of at least 1 \(got {weight}\)"
    with pytest.raises(ScriptMistake, match=told):
        made(ask=task(weight)(ask)).script()
    page = type("Page", (TaskSet,), {"ask": ask, "tasks": [asks]})
    with pytest.raises(ScriptMistake, match=told):
        made(tasks=[page]).script()
    assert made(work=task(weight)(lambda self: None)).script() is None


def test_waits_are_drawn_from_the_session() -> None:
    """Locust's waits draw from a session's generator; without a wait of its own a class waits for nothing."""
    wait_s = drawing_from(made(tasks=[asks], wait_time=between(1, 3)).script().tasks.wait_s, random.Random(7))
    other_s = drawing_from(between(1, 3), random.Random(7))
    drawn = [wait_s(None) for _ in range(20)]
    assert drawn == [other_s(None) for _ in range(20)]
    assert len(set(drawn)) == 20
    assert all(1 <= seconds <= 3 for seconds in drawn)
    assert made(tasks=[asks]).script().tasks.wait_s(None) == 0


def test_on_start_of_both_kinds() -> None:
    """An async one is the sessions', a sync one the user's, which still starts its sessions."""
    both: list[str] = []

    async def on_start(self: Any, session: Any) -> None:
        """Begin."""

    kind = made(tasks=[asks], on_start=on_start)
    assert kind.script().tasks.on_start is on_start
    assert kind.on_start is WebSocketUser.on_start
    other = made(on_start=lambda self: both.append("own"), _start=lambda self: both.append("sessions"))
    other.on_start(object.__new__(other))
    assert both == ["own", "sessions"]


def test_task_sets() -> None:
    """A TaskSet of async tasks becomes one, nested as in Locust; one with an order keeps it."""

    class Steps(SequentialTaskSet):
        wait_time = between(1, 1)
        one = task(asks)  # type: ignore[type-var]  # Locust's annotations know no coroutines

    class Outer(TaskSet):
        tasks: Any = {Steps: 2, asks: 1}  # noqa: RUF012

    script = made(tasks=[Outer], wait_time=between(2, 2)).script()
    (outer,) = script.tasks.tasks
    assert isinstance(outer, Tasks)
    steps = outer.tasks[0]
    assert isinstance(steps, Tasks)
    assert steps.in_order
    assert not outer.in_order
    assert (outer.wait_s(None), steps.wait_s(None)) == (2, 1)
    assert script.weights == {"Outer.Steps.asks": 2, "Outer.asks": 1}


class Mixed(TaskSet):
    """Both kinds of tasks."""

    tasks = [asks, lambda self: None]  # noqa: RUF012


class Hooked(TaskSet):
    """A sync hook of async tasks."""

    tasks = [asks]  # noqa: RUF012

    def on_start(self) -> None:
        """Begin."""


class Markov(MarkovTaskSet):
    """Tasks that choose the next one."""

    @transition("again")  # type: ignore[arg-type]  # likewise
    async def again(self, session: Any) -> None:
        """Ask."""


async def _wide(self: Any) -> None:
    """Lack the session."""


async def _starts(self: Any, session: Any) -> None:
    """Be a hook."""


async def _yields(self: Any, session: Any) -> Any:
    """Be a generator."""
    yield 1


def _sync(self: Any, session: Any) -> None:
    """Lack `async`."""


@pytest.mark.parametrize(
    ("attributes", "says"),
    [
        ({"tasks": [_wide]}, "ChatUser._wide must take (self, session)"),
        ({"tasks": [_yields]}, "ChatUser._yields must not yield"),
        (
            {"tasks": [_sync]},
            "ChatUser._sync must be async if it takes a session: async def _sync(",
        ),
        ({"tasks": [asks], "on_start": _wide}, "ChatUser.on_start must take (self, session)"),
        ({"on_start": _starts}, "ChatUser.on_start must not be async unless the class has an async task"),
        ({"tasks": [asks], "on_stop": _starts}, "ChatUser.on_stop must not be async"),
        ({"tasks": [Mixed]}, "Mixed must not mix async tasks with others (<lambda> is not async)"),
        ({"tasks": [Hooked]}, "Hooked.on_start must be async"),
        ({"tasks": [Markov]}, "Markov must not be a MarkovTaskSet"),
    ],
)
def test_what_is_refused(attributes: dict[str, Any], says: str) -> None:
    """What would not run as it is written is refused before the first connection, by class and method."""
    with pytest.raises(ScriptMistake) as refused:
        made(**attributes).script()
    assert str(refused.value).startswith(f"mistake in the script: {says}")


LOCUSTFILE = """
from locust import task
from loadtest import WebSocketUser

class ChatUser(WebSocketUser):
    host = "ws://127.0.0.1:1"
    revision = "v1"

    @task
    async def ask(self, session):
        await session.request("hello")
"""


def code_in(path: Path, program: str) -> str | None:
    """Return the hash of the code of the user class in a locustfile with this program."""
    path.write_text(program)
    return code_of(user_class(path))


def test_the_code_of_a_class_is_known_by_its_hash(tmp_path: Path) -> None:
    """An edit changes it, also of the wait time; comments, docstrings and where the run goes do not."""
    path = tmp_path / "locustfile.py"
    usual = code_in(path, LOCUSTFILE)
    assert usual is not None
    alike = (
        ("class ChatUser", "# a comment\n\nclass ChatUser"),
        ('"v1"', '"v2"'),
        ("127.0.0.1:1", "127.0.0.1:2"),
        ("        await", '        """Ask."""\n        await'),
    )
    for before, after in alike:
        assert code_in(path, LOCUSTFILE.replace(before, after)) == usual, after
    edits = (
        ('"hello"', '"hullo"'),
        ("    @task", "    wait_time = lambda self: 3\n    @task"),
        ("@task", "@task(2)"),
    )
    for before, after in edits:
        assert code_in(path, LOCUSTFILE.replace(before, after)) not in (None, usual), after


def test_code_that_cannot_be_read_is_not_known() -> None:
    """The tool's own class has none of the user's."""
    assert code_of(WebSocketUser) is None
