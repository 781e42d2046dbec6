"""Mistakes of scripts end the run as such, and are never held against a sound server."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from gevent.monkey import get_original

from loadtest import Message, ReplyTimeout, Template
from loadtest.engine import loop_watch
from loadtest.engine.script_session import ScriptSession
from loadtest.errors import ScriptMistake
from loadtest.session.recorder import ErrorTally
from tests.support.engine_run import EngineRun
from tests.support.examples import stranger
from tests.support.serverclient import wait_for
from tests.wire.test_scripts import ASK, CHAT, SUBSCRIBE, finished, performing


@pytest.fixture(scope="module")
def desk() -> Iterator[int]:
    """The port of a sound server."""
    with stranger("desk") as url:
        yield int(url.rpartition(":")[2])


def mistaken(port: int, *tasks: Any, **others: Any) -> tuple[ScriptMistake, int]:
    """Run a script until its mistake ends the run; return it, and how many losses were counted before."""
    with suppress(ScriptMistake), performing(port, *tasks, **others) as run:
        run.add(1)
        wait_for(lambda: run.ended, what="the end")
    wrong = run.engine.failure
    assert isinstance(wrong, ScriptMistake), wrong
    assert wrong.exit_code == 2
    counts = run.engine.recorder.counts
    return wrong, counts["stability.lost"] + counts["messaging.script_failed"] + counts["messaging.lost"]


RAISED = (KeyError("x"), SystemExit(3), KeyboardInterrupt(), GeneratorExit(), StopIteration())


@pytest.mark.parametrize(
    "raised", [*RAISED, asyncio.CancelledError()], ids=lambda raised: type(raised).__name__
)
def test_what_a_match_raises(desk: int, raised: BaseException) -> None:
    """Whatever `match` raises while a push is awaited is the script's mistake, and loses no connection."""

    def match(push: Message) -> bool:
        if push.json()["tick"] < 2:  # these may have waited for the call
            return False
        raise raised

    async def watch(_user: Any, session: ScriptSession) -> None:
        await session.request(SUBSCRIBE)
        await session.next_push(match)

    wrong, failures = mistaken(desk, watch)
    assert type(raised).__name__ in str(wrong)
    assert failures == 0


@pytest.mark.parametrize("timeout", [0, -1, -0.5, float("nan"), float("inf")])
@pytest.mark.parametrize("call", ["request", "stream", "next_push"])
def test_timeouts_must_be_above_zero(desk: int, call: str, timeout: float) -> None:
    """A timeout that no server can meet is refused."""

    async def ask(_user: Any, session: ScriptSession) -> None:
        if call == "request":
            await session.request(ASK, timeout=timeout)
        elif call == "stream":
            async for _ in session.stream(CHAT, timeout=timeout):
                pass
        else:
            await session.next_push(timeout=timeout)

    wrong, failures = mistaken(desk, ask)
    assert f"timeout must be a number of seconds above 0 (got {timeout!r})" in str(wrong)
    assert failures == 0


async def _flooded(session: ScriptSession) -> None:
    """Let more pushes come than wait for the script; the first of them is discarded."""
    for number in range(150):
        await session.send(json.dumps({"say": f"x{number}", "at": 1}))
    while session._pushes.discarded < 50:
        await session.sleep(0.02)


def _is_first(push: Message) -> bool:
    return bool(push.json()["said"] == "x0")


def test_a_push_that_was_discarded_is_not_held_against_the_server(desk: int) -> None:
    """A push that may be among those discarded unread fails no server: the script must take them in time."""

    async def late(_user: Any, session: ScriptSession) -> None:
        await _flooded(session)
        await session.next_push(_is_first, timeout=0.1)

    wrong, failures = mistaken(desk, late)
    assert "awaited a push that did not come after 50 pushes had been discarded unread" in str(wrong)
    assert "late" in wrong.where
    assert failures == 0


def test_nor_does_a_task_that_catches_the_timeout_hold_it_against_the_server(desk: int) -> None:
    """The task goes on if it catches the timeout; `fail` is refused until another task begins."""
    missed: list[ReplyTimeout] = []

    async def late(_user: Any, session: ScriptSession) -> None:
        await _flooded(session)
        try:
            await session.next_push(_is_first, timeout=0.1)
        except ReplyTimeout as timeout:
            missed.append(timeout)
            if len(missed) == 2:
                session.fail("the first push did not come")

    wrong, failures = mistaken(desk, late)
    assert len(missed) == 2
    assert "50 pushes had been discarded unread" in str(missed[0])
    assert "had been discarded unread" in str(wrong)
    assert failures == 0


def test_a_task_after_the_discarded_pushes_holds_its_own_against_the_server(desk: int) -> None:
    """What was discarded before a task began does not excuse a server that owes it a push."""

    async def both(_user: Any, session: ScriptSession) -> None:
        if "flooded" not in session.memory:
            session.memory["flooded"] = True
            await _flooded(session)
            return
        await session.next_push(_is_first, timeout=0.05)

    with performing(desk, both) as run:
        numbers = run.add(1)
        run.await_count("messaging.script_failed", 2)
        finished(run, numbers)


async def _misspells(_user: Any, session: ScriptSession) -> None:
    await session.request(Template('{"id": $seqence}'))


async def _gives_a_dict(_user: Any, session: ScriptSession) -> None:
    await session.request({"id": 7})


async def _begins_a_task(_user: Any, session: ScriptSession) -> None:
    async def beside() -> None:
        raise KeyError("beside")

    session.memory["task"] = asyncio.get_running_loop().create_task(beside())
    await session.sleep(0.01)
    del session.memory["task"]
    await session.sleep(3600)


async def _forgets_to_wait(_user: Any, session: ScriptSession) -> None:
    session.request(ASK)  # type: ignore[unused-coroutine]
    await session.sleep(3600)


@pytest.mark.parametrize(
    ("task", "says"),
    [
        (_forgets_to_wait, r"calls session.request\(\) without await.*test_script_mistakes.py line \d+"),
        (
            _misspells,
            r"\$seqence is not a field \(\$text, \$sequence, .*session 0, test_script_mistakes.py line \d+",
        ),
        (_gives_a_dict, r"a loadtest.Template or a function.*test_script_mistakes.py line \d+"),
        (_begins_a_task, r"Tester raised KeyError: 'beside' in a task .*test_script_mistakes.py line \d+"),
    ],
)
def test_mistakes_are_placed_in_the_users_file(desk: int, task: Any, says: str) -> None:
    """The line is the author's own, whichever of the tool's raised; tasks that it began count as its own."""
    wrong, failures = mistaken(desk, task)
    assert re.search(says, str(wrong)), wrong
    assert failures == 0


async def _blocks(_user: Any, session: ScriptSession) -> None:
    await session.request(ASK)
    (time.sleep if session.number else get_original("time", "sleep"))(0.4)


def test_a_task_that_blocks_the_loop_is_named(desk: int) -> None:
    """A step of a script that holds up the loop is an error of the load generator, with method and line."""
    with performing(desk, _blocks) as run:
        numbers = run.add(2)
        wait_for(lambda: _blocked(run), what="the blocked loop")
        run.stop(numbers)
        (tally,) = _blocked(run)
    assert tally.error == "Tester._blocks blocked the event loop for over 100 ms"
    assert tally.session.startswith("session-")
    assert re.match(r"\(test_script_mistakes.py line \d+\): use `await session.sleep", tally.example)


def test_a_script_that_does_not_block_is_not_named(desk: int) -> None:
    """What waits, or computes for a moment, holds up nothing."""

    async def ask(_user: Any, session: ScriptSession) -> None:
        await session.request(ASK)
        await session.sleep(0.2)

    with performing(desk, ask) as run:
        numbers = run.add(5)
        run.await_count("messaging.answered", 25)
        finished(run, numbers)
        assert _blocked(run) == []


def _blocked(run: EngineRun) -> list[ErrorTally]:
    return [tally for (item, _), tally in run.errors.items() if item == "generator"]


def test_a_script_that_never_lets_go_of_the_loop_ends_the_run(
    desk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mistake is reported from beside the loop, with method and line; the run does not hang."""
    monkeypatch.setattr(loop_watch, "_STUCK_NAPS", 20)
    released: list[bool] = []

    async def spins(_user: Any, _session: ScriptSession) -> None:
        while not released:
            pass

    with suppress(ScriptMistake), performing(desk, spins) as run:
        run.add(1)
        wait_for(lambda: run.failures, what="the mistake")
        released.append(True)
    wrong = run.engine.failure
    assert isinstance(wrong, ScriptMistake)
    assert wrong.where.endswith("spins")
    assert re.search(r"has blocked the event loop for 5 s.*\(test_script_mistakes.py line \d+\)", str(wrong))
