"""Runs the script of one session: its tasks, one after the other, from the first establishment to the end.

A session has an asyncio task only if there is a script. The asyncio task begins once the session is
established for the first time and is cancelled when the session is stopped: requests outstanding then are
`unfinished`, as with planned traffic. The order of tasks and the waits between them are drawn from a
generator seeded with the run's seed and the session's number.

An exception from a task is its author's mistake and ends the run, unless it is a ScriptInterrupted, which the
ledger has already recorded.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from loadtest.dialects.dialect_session import DialectSession
from loadtest.dialects.mistakes import described
from loadtest.engine.link import Link, LinkContext
from loadtest.engine.script_places import place_of
from loadtest.engine.script_session import ScriptSession
from loadtest.errors import DialectMistake, Dropped, ReplyTimeout, ScriptInterrupted, ScriptMistake
from loadtest.events import Data, Event, Received, Swept
from loadtest.session.script import Script, Task, Tasks, drawing_from
from loadtest.session.scripted_traffic import ScriptedMachine, Waiter
from loadtest.session.state import State

_ENDED = State.ENDED  # on the hot path, where an enum's attribute costs as much as a call
_OVER = frozenset({State.DRAINING, State.ENDED})


class LinkWithScript(Link):
    """A link whose session runs a script.

    Args:
        about: the session.
        context: context of the engine.
        user: the Locust user that holds the session, `self` of its tasks.
    """

    __slots__ = ("_run", "_script", "_traffic", "talking")

    session_type = ScriptedMachine
    session: ScriptedMachine

    def __init__(self, about: DialectSession, context: LinkContext, user: Any = None) -> None:
        super().__init__(about, context)
        self.talking = False
        self._traffic = self.session.traffic
        config = context.config
        assert config.script is not None  # else it would be a Link
        self._script = ScriptSession(
            about,
            self,
            self._traffic,
            reply_timeout_ns=config.reply_timeout_ns,
            clock=context.clock,
            timers=context.timers,
            recorder=context.recorder,
        )
        self._traffic.listener = self._script
        self._run: ScriptRun | None = ScriptRun(
            config.script, self._script, user, seed=config.pace.seed, failed=context.fail
        )

    def received(self, data: Data) -> None:
        """Pass on a message from this link's connection."""
        session = self.session
        if session.state is not _ENDED:
            self._traffic.received, self._traffic.received_at_s = data, time.time()
            super()._feed(Received(data))
            if session.talking is not self.talking or not session.talking:
                self._look()

    def _feed(self, event: Event) -> None:
        super()._feed(event)
        session = self.session
        if session.talking is not self.talking or not session.talking:
            self._look()

    def _look(self) -> None:
        """Resume or end the script according to the session's state."""
        came_up = self.session.talking and not self.talking
        self.talking = self.session.talking
        if came_up:
            self._script.came_up()
            if self._run is not None:
                self._run.start()
        elif self.session.state in _OVER:
            self._end()

    def _end(self) -> None:
        if self._run is not None:
            self._run.end()
            self._run = None

    def abort(self) -> None:
        """Detach from the connection and abort it."""
        self._end()
        super().abort()

    # loadtest.engine.script_session.ScriptLink

    def ask(self, body: Any, name: str, waiter: Waiter | None, *, fixed: bool) -> None:
        """Send a message of the script; errors are raised where the script sends it."""
        data = self.session.ask(body, name, waiter, self._context.clock(), fixed=fixed)
        if self._connection is not None:
            self._connection.send(data)

    @property
    def room(self) -> asyncio.Future[None] | None:
        """Resolved when less is unsent; None if there is room."""
        unsent = None if self._connection is None else self._connection.unsent
        return None if unsent is None else unsent.room

    def look_for_overdue(self) -> None:
        """Give up overdue requests now."""
        if self.session.state not in _OVER:
            self._feed(Swept())

    def read_since_ns(self) -> int | None:
        """Return since when the session has read without a stall; None if it does not read now."""
        return self._traffic.steady_since_ns if self.talking else None


def link_of_run(about: DialectSession, context: LinkContext, user: object) -> Link:
    """Return the link of a session in a run; it runs the script if there is one."""
    return Link(about, context) if context.config.script is None else LinkWithScript(about, context, user)


class Self:
    """Replaces a user or TaskSet in `wait_time`: `constant_pacing` stores each session's times on it."""

    def __init__(self, around: Any) -> None:
        self._around = around
        self._cp_last_run = time.perf_counter()
        self._cp_last_wait_time = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._around, name)


class ScriptRun:
    """The run of a script in one session.

    Args:
        script: what to run.
        session: what the tasks are given.
        user: `self` of the tasks of the user class.
        seed: of the run.
        failed: called with a mistake of the script; ends the run.
    """

    __slots__ = ("_draws", "_dropped", "_ended", "_failed", "_name", "_script", "_session", "_task", "_user")

    def __init__(
        self,
        script: Script,
        session: ScriptSession,
        user: Any,
        *,
        seed: int,
        failed: Callable[[Exception], None],
    ) -> None:
        self._script = script
        self._session = session
        self._user = user
        self._failed = failed
        self._draws = random.Random(f"{seed}/tasks/{session.number}")
        self._task: asyncio.Task[None] | None = None
        self._ended = self._dropped = False
        self._name = script.tasks.name

    @property
    def session_id(self) -> str:
        """The session's id."""
        return self._session.session_id

    def start(self) -> None:
        """Begin the first task, unless the script has begun already."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._main())

    def end(self) -> None:
        """Cancel the running task and end the script."""
        self._ended = True
        self._session.end()
        if self._task is not None:
            self._task.cancel()

    async def _main(self) -> None:
        try:
            await self._perform(self._script.tasks, self._user)
        except (DialectMistake, ScriptMistake) as wrong:
            self._failed(wrong)
        except BaseException as error:  # SystemExit, for example: it would end the thread
            if self._ended and isinstance(error, asyncio.CancelledError):
                raise
            self._failed(self._mistake(error))

    async def _perform(self, tasks: Tasks, around: Any) -> bool:
        """Run the tasks of a class until one leaves its TaskSet; return whether to wait afterwards."""
        holder = tasks.new(around)
        stand_in = Self(holder)
        wait_s = drawing_from(tasks.wait_s, self._draws)
        if tasks.on_start is not None and (left := await self._to_its_end(tasks, tasks.on_start, holder)):
            return _waits_after(left)
        names = {task: _named(task, tasks.name) for task in tasks.tasks if not isinstance(task, Tasks)}
        turn, many = 0, len(tasks.tasks)
        while True:
            if not self._session.ready:
                self._dropped = self._dropped or self._session.stale
                await self._session.established()
            if self._dropped and tasks.in_order:  # the server may have forgotten the first steps
                turn = 0
            self._dropped = self._session.waited = False
            task = tasks.tasks[turn % many if tasks.in_order else int(self._draws.random() * many)]
            turn += 1
            rests = True
            if isinstance(task, Tasks):
                rests = await self._perform(task, holder)
            elif left := await self._run(tasks, task, names[task], holder):
                return _waits_after(left)
            rest_s = self._rest_s(tasks, wait_s, stand_in) if rests else 0.0
            if rest_s > 0 or not self._session.waited:
                await self._session.sleep(rest_s)

    async def _to_its_end(self, tasks: Tasks, task: Task, holder: Any) -> BaseException | None:
        """Run `on_start`, again after each drop that interrupts it; see `_run`."""
        while True:
            await self._session.established()
            self._dropped = False
            left = await self._run(tasks, task, f"{tasks.name}.on_start", holder)
            if not self._dropped:
                return left

    async def _run(self, tasks: Tasks, task: Task, name: str, holder: Any) -> BaseException | None:
        """Run a task; return the exception with which it leaves its TaskSet, if it does.

        Raises:
            ScriptMistake: it raised something other than an interruption, or there is no TaskSet to leave.
        """
        self._name = name
        self._session.begin(name)
        try:
            await task(holder, self._session)
        except Dropped:
            self._dropped = True
        except ReplyTimeout as missed:
            self._session.missed(missed)
        except ScriptInterrupted:
            pass  # the books have it already, and the session goes on with another task
        except (DialectMistake, ScriptMistake, asyncio.CancelledError):
            raise
        except self._script.leave as left:
            if tasks is self._script.tasks:
                raise self._mistake(left) from left
            return left
        except BaseException as error:
            raise self._mistake(error) from error
        return None

    def _rest_s(self, tasks: Tasks, wait_s: Callable[[Any], float], stand_in: Self) -> float:
        self._name = f"{tasks.name}.wait_time"
        try:
            return float(wait_s(stand_in))
        except BaseException as error:
            raise self._mistake(error) from error

    def _mistake(self, error: BaseException) -> ScriptMistake:
        where = filter(None, [place_of(error)])
        given = ", ".join([f"session {self._session.number}", *where])
        return ScriptMistake(self._name, f"raised {described(error)}", given)


def mistake_beside(error: Exception, script: Script | None) -> Exception:
    """Return a ScriptMistake if an asyncio task created by the script raised this error; else the error."""
    if script is None or isinstance(error, ScriptMistake) or not (where := place_of(error)):
        return error
    return ScriptMistake(script.tasks.name, f"raised {described(error)} in a task that it created", where)


def task_of(frame: FrameType | None) -> tuple[str, str]:
    """Return the script's task that a frame belongs to, and the session's id; both empty if there is none."""
    while frame is not None:
        if frame.f_code is _PERFORMS:
            return frame.f_locals["name"], frame.f_locals["self"].session_id
        frame = frame.f_back
    return "", ""


_PERFORMS = ScriptRun._run.__code__


def _waits_after(left: BaseException) -> bool:
    """Return whether the class around a TaskSet waits before its next task: `interrupt()` decides."""
    return not getattr(left, "reschedule", False)


def _named(task: Task, holder: str) -> str:
    """Return class and method of a task; for a function, the class that lists it among its tasks."""
    name: str = getattr(task, "__qualname__", repr(task)).rpartition("<locals>.")[2]
    return name if "." in name else f"{holder}.{name}"
