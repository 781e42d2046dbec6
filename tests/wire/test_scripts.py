"""Scripts on the engine, with a real server: what calls return and raise, and that the books balance."""

from __future__ import annotations

import asyncio
import functools
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from loadtest import Dropped, Message, Push, Reply, ReplyTimeout, RequestFailed, StreamPart, Template
from loadtest.dialects.echo import Echo
from loadtest.drops.plan import DropPlan
from loadtest.engine.script_session import ScriptSession
from loadtest.errors import ScriptMistake
from loadtest.session.schedule import Pace
from loadtest.session.script import Tasks
from tests.support.books import final_books
from tests.support.engine_run import NO_DROPS, EngineRun, running, settings
from tests.support.examples import stranger
from tests.support.scripts import DeskDialect, Leave, script
from tests.support.serverclient import wait_for
from tests.wire.test_books import READ_TO_THE_END, Few, await_drops, check_outgoing
from tests.wire.test_engine import balanced

ASK = Template('{"id": $sequence, "ask": "$text"}')
CHAT = Template('{"id": $sequence, "chat": "$text"}')
SUBSCRIBE = Template('{"id": $sequence, "symbol": "ACME"}')


@pytest.fixture(scope="module")
def desk() -> Iterator[int]:
    """The port of a sound server."""
    with stranger("desk") as url:
        yield int(url.rpartition(":")[2])


@contextmanager
def performing(
    port: int,
    *tasks: Any,
    drops: DropPlan = NO_DROPS,
    pace: Pace = Pace(0),  # noqa: B008  # frozen
    dialect: Any = None,
    reply_timeout_s: float = 20.0,
    size_of: Any = 60,
    **others: Any,
) -> Iterator[EngineRun]:
    """Run an engine whose sessions run these tasks."""
    made = settings(
        port, dialect=dialect or DeskDialect(), pace=pace, drops=drops, reply_timeout_s=reply_timeout_s
    )
    config = replace(made.config, script=script(*tasks, **others), size_of=size_of)
    with running(replace(made, config=config)) as run:
        yield run


def finished(run: EngineRun, numbers: list[int]) -> Counter[str]:
    """Stop the sessions and return the books, which must balance."""
    run.stop(numbers)
    counts = run.counts
    assert balanced(counts), counts
    waiting = counts["messaging.queued"] if run.engine.settings.config.pace.rate else 0
    unsent = counts["messaging.planned"] - counts["messaging.sent"] - counts["messaging.missed"]
    assert 0 <= unsent <= waiting
    said = ("sent", "other_sent", "drop_sent")
    assert counts["messaging.wire_sent"] == sum(counts[f"messaging.{name}"] for name in said)
    return counts


def test_requests_are_answered_checked_and_timed(desk: int) -> None:
    """A request returns its own reply; books, checks and histograms have it as they have a planned one."""
    seen: list[Message] = []

    async def ask(_user: Any, session: ScriptSession) -> None:
        seen.append(await session.request(ASK, name="ask"))

    with performing(desk, ask) as run:
        numbers = run.add(5)
        run.await_count("messaging.answered", 100)
        counts = finished(run, numbers)
        samples = [sample for interval in run.intervals for sample in interval.samples["service"]]
        responses = [sample for interval in run.intervals for sample in interval.samples["response"]]
    assert counts["messaging.answered"] == len(samples) == len(responses)
    assert samples == responses
    assert counts["messaging.unchecked"] == 0
    assert isinstance(seen[0].read, Reply)
    assert seen[0].json()["text"] == seen[0].text
    assert len({message.text for message in seen}) == len(seen)


@pytest.mark.parametrize(
    "body",
    [
        None,
        ASK,
        lambda session, sequence: json.dumps({"id": sequence, "ask": session.text(sequence)}),
        lambda session, sequence: json.dumps({"id": sequence, "ask": session.text(sequence)}).encode(),
        Template(b'{"id": $sequence, "ask": "$text"}'),
        lambda session, sequence: json.dumps({"id": sequence, "ask": "x" * session.size(sequence)}),
    ],
)
def test_bodies(desk: int, body: Any) -> None:
    """The dialect's request, templates and functions, text and binary, in sizes drawn for each."""
    sizes: dict[tuple[int, int], int] = {}

    def size_of(number: int, sequence: int) -> int:
        return sizes.setdefault((number, sequence), 64 if sequence % 2 else 600)

    async def ask(_user: Any, session: ScriptSession) -> None:
        message = await session.request(body)
        session.memory.setdefault("lengths", []).append(len((message.text or "").encode()))
        lengths.update(session.memory["lengths"])

    lengths: set[int] = set()
    with performing(desk, ask, size_of=size_of) as run:
        numbers = run.add(2)
        run.await_count("messaging.answered", 20)
        counts = finished(run, numbers)
    assert counts["messaging.answered"] == counts["messaging.sent"]
    assert lengths == {64, 600}


def test_texts_that_were_taken(desk: int) -> None:
    """`session.text()` is recognised in what json.dumps makes of it, also with several requests at once."""

    def said(session: ScriptSession) -> str:
        return session.text()

    async def ask(_user: Any, session: ScriptSession) -> None:
        texts = [said(session) for _ in range(3)]
        messages = await asyncio.gather(*(session.request(text) for text in texts))
        assert [message.data for message in messages] == texts

    with stranger("counting") as url:
        port = int(url.rpartition(":")[2])
        with performing(port, ask, dialect=Echo()) as run:
            numbers = run.add(4)
            run.await_count("messaging.answered", 60)
            counts = finished(run, numbers)
    assert counts["messaging.answered"] == counts["messaging.sent"]
    assert counts["messaging.unchecked"] == 0


def test_bodies_without_a_mark_are_answered_in_order() -> None:
    """Where nothing names a request, replies belong to the oldest; a body without a mark is not checked."""

    async def ask(_user: Any, session: ScriptSession) -> None:
        assert (await session.request("hello")).data == "hello"
        mixed = Template("$text from $number")
        assert str((await session.request(mixed)).data).endswith(f" from {session.number}")
        assert (await session.request(json.dumps({"text": session.text()}))).json()["text"][0] == "["

    with stranger("counting") as url:
        port = int(url.rpartition(":")[2])
        with performing(port, ask, dialect=Echo()) as run:
            numbers = run.add(4)
            run.await_count("messaging.answered", 60)
            counts = finished(run, numbers)
    assert counts["messaging.answered"] == counts["messaging.sent"] - counts["messaging.unfinished"]
    assert 0 < counts["messaging.unchecked"] < counts["messaging.answered"]


def test_streams(desk: int) -> None:
    """The parts of a reply come one by one, the end last; first_part and part_gap are measured."""
    streams: list[list[Message]] = []

    async def chat(_user: Any, session: ScriptSession) -> None:
        streams.append([part async for part in session.stream(CHAT)])

    with performing(desk, chat) as run:
        numbers = run.add(3)
        run.await_count("messaging.answered", 20)
        finished(run, numbers)
        firsts = sum(len(interval.samples["first_part"]) for interval in run.intervals)
    assert [part.json().get("word") for part in streams[0]] == ["I", "think", "you", "said", "it", None]
    assert [type(part.read) for part in streams[0]] == [StreamPart] * 5 + [Reply]
    assert firsts >= len(streams)


def test_pushes(desk: int) -> None:
    """A push that comes before the call is not lost, and those that do not match are passed over."""
    prices: list[int] = []

    def is_tick(number: int, push: Message) -> bool:
        return bool(push.json()["tick"] == number)

    async def watch(_user: Any, session: ScriptSession) -> None:
        await session.request(SUBSCRIBE)
        await session.sleep(0.1)
        for even in (0, 2):
            push = await session.next_push(functools.partial(is_tick, even))
            assert isinstance(push.read, Push)
            prices.append(push.json()["price"])
        await session.sleep(3600)

    with performing(desk, watch) as run:
        numbers = run.add(1)
        wait_for(lambda: len(prices) == 2, what="two prices")
        finished(run, numbers)
    assert prices == [100, 102]


def test_a_push_that_does_not_come(desk: int) -> None:
    """One that the task awaits in vain is a failure; one whose absence it expects is none."""
    caught: list[ReplyTimeout] = []

    async def patient(_user: Any, session: ScriptSession) -> None:
        try:
            await session.next_push(timeout=0.05)
        except ReplyTimeout as missed:
            caught.append(missed)
        await session.next_push(timeout=0.07)

    with performing(desk, patient) as run:
        numbers = run.add(1)
        run.await_count("messaging.script_failed", 2)
        finished(run, numbers)
        errors = run.errors
    assert str(caught[0]) == "the push did not arrive within 0.05 s"
    assert errors["messaging", "script: the push did not arrive within 0.07 s"].example == "Tester.patient"


def test_a_push_that_does_not_come_at_the_end(desk: int) -> None:
    """Once the run ends, those that would have sent it stop too: that is no failure."""

    async def patient(_user: Any, session: ScriptSession) -> None:
        session.memory["waits"] = session.memory.get("waits", 0) + 1
        waits[session.number] = session.memory["waits"]
        await session.next_push(timeout=0.3)

    waits: dict[int, int] = {}
    with performing(desk, patient) as run:
        numbers = run.add(1)
        wait_for(lambda: waits, what="the script's begin")
        run.engine.call(run.engine.begin_ending)
        wait_for(lambda: waits[0] > 2, what="two waits in vain")
        counts = finished(run, numbers)
    assert counts["messaging.script_failed"] == 0


def test_a_timeout_of_its_own(desk: int) -> None:
    """A request that is not answered within its own timeout is lost then, and not before a longer one."""
    missed: list[str] = []

    async def ask(_user: Any, session: ScriptSession) -> None:
        try:
            await session.request(ASK, timeout=0.05)
        except ReplyTimeout as timeout:
            missed.append(str(timeout))
        await session.request(ASK, timeout=30)

    with stranger("desk", "lost") as url:
        port = int(url.rpartition(":")[2])
        with performing(port, ask, reply_timeout_s=1.0) as run:
            numbers = run.add(10)
            run.await_count("messaging.lost", 3)
            run.stop(numbers, 0.5)
            counts = run.counts
    assert balanced(counts)
    assert counts["messaging.lost"] >= len(missed) >= 3
    assert counts["messaging.answered"] > 20
    assert missed[0].endswith("did not arrive within 0.05 s")


def test_an_error_of_the_server_is_data(desk: int) -> None:
    """An error reply is raised in the task, counted by the books, and ends no run."""
    errors: list[str] = []

    async def ask(_user: Any, session: ScriptSession) -> None:
        try:
            await session.request(ASK)
        except RequestFailed as failed:
            errors.append(failed.detail)
            raise

    with stranger("desk", "error") as url:
        port = int(url.rpartition(":")[2])
        with performing(port, ask) as run:
            numbers = run.add(5)
            run.await_count("messaging.failed", 3)
            counts = finished(run, numbers)
    assert counts["messaging.failed"] >= len(errors) >= 3  # the last may have come after the script's end
    assert counts["messaging.script_failed"] == 0


DROPS = DropPlan(0.3, {"close": 1.0, "reset": 1.0, "half_open": 1.0, "slow_reader": 1.0}, seed=4)


@pytest.mark.parametrize("again", [False, True])
def test_drops_in_the_middle(desk: int, again: bool) -> None:
    """A call under way raises Dropped, or is repeated on the next connection; the books know all of it."""
    raised: Counter[str] = Counter()

    async def ask(_user: Any, session: ScriptSession) -> None:
        try:
            words = [part async for part in session.stream(CHAT, again=again)]
            await session.request(ASK, again=again)
        except Dropped:
            raised["dropped"] += 1
            raise
        raised["through"] += bool(words)

    with performing(desk, ask, drops=DROPS) as run:
        numbers = run.add(20)
        run.await_count("reconnect.resumed", 60)
        counts = finished(run, numbers)
    assert counts["messaging.lost"] == counts["messaging.script_failed"] == 0
    assert raised["through"] > 20
    assert (raised["dropped"] > 5) is not again
    assert counts["messaging.lost_in_outage"] > 5


def test_a_drop_between_two_calls_is_told_once(desk: int) -> None:
    """The first call after a drop raises Dropped, since the server may have forgotten; the next one waits."""
    told: list[str] = []

    async def slow(_user: Any, session: ScriptSession) -> None:
        before = session.connection
        while session.connection == before:
            await session.sleep(0.02)
        for _ in range(2):
            try:
                await session.request(ASK)
                told.append("answered")
            except Dropped:
                told.append("dropped")
        await session.sleep(3600)

    with performing(desk, slow, drops=DropPlan(0.3, {"close": 1.0}, seed=4)) as run:
        numbers = run.add(1)
        wait_for(lambda: len(told) == 2, what="both calls")
        finished(run, numbers)
    assert told == ["dropped", "answered"]


def test_the_end_of_a_run_cancels_a_waiting_script(desk: int) -> None:
    """Who waits is cancelled and may clean up; the request is unfinished; further calls are refused."""
    ends: list[str] = []

    async def wait(_user: Any, session: ScriptSession) -> None:
        try:
            await session.request('{"say": "nothing comes back for this", "at": 1}', timeout=60)
        finally:
            ends.append("cleaned up")
            try:
                await session.request(ASK)
            except BaseException as error:
                ends.append(type(error).__name__)
                raise

    with performing(desk, wait) as run:
        numbers = run.add(1)
        run.await_count("messaging.sent", 1)
        run.stop(numbers, 0.1)
        counts = run.counts
    wait_for(lambda: len(ends) == 2, what="the end of the script")
    assert counts["messaging.unfinished"] == counts["messaging.sent"] == 1
    assert ends == ["cleaned up", "CancelledError"]


def test_a_stubborn_script_does_not_hold_up_the_end(desk: int) -> None:
    """A task that catches everything and goes on stops neither its session nor the loop."""

    async def stubborn(_user: Any, session: ScriptSession) -> None:
        while True:
            try:
                await session.request(ASK)
            except BaseException:
                continue

    with performing(desk, stubborn) as run:
        numbers = run.add(3)
        run.await_count("messaging.answered", 20)
        finished(run, numbers)


async def _raises(_user: Any, session: ScriptSession) -> None:
    await session.request(ASK)
    raise KeyError("price")


async def _sends_twice(_user: Any, session: ScriptSession) -> None:
    text = json.dumps({"id": 0, "ask": session.text()})
    await session.request(text)
    await session.request(text)


async def _out_of_order(_user: Any, session: ScriptSession) -> None:
    first, second = session.text(), session.text()
    await session.request(json.dumps({"id": 1, "ask": second}))
    await session.request(json.dumps({"id": 0, "ask": first}))


async def _again_with_a_text(_user: Any, session: ScriptSession) -> None:
    await session.request(session.text(), again=True)


async def _no_body(_user: Any, session: ScriptSession) -> None:
    await session.request(7)


async def _bad_match(_user: Any, session: ScriptSession) -> None:
    await session.request(SUBSCRIBE)
    await session.next_push(lambda push: push.json()["nothing"])


@pytest.mark.parametrize(
    ("task", "says"),
    [
        (_raises, "_raises raised KeyError: 'price' (session 0, test_scripts.py line "),
        (_sends_twice, "the text of request 0 was already sent: call session.text() for each message"),
        (_out_of_order, "the text of request 0 must not be sent after that of request 1"),
        (_again_with_a_text, "the body must not contain a text of session.text()"),
        (_no_body, "a body must be str, bytes, a loadtest.Template or a function"),
        (_bad_match, "_bad_match raised KeyError: 'nothing'"),
    ],
)
def test_mistakes_of_a_script(desk: int, task: Any, says: str) -> None:
    """An exception that is not the server's doing is named as the author's, with class, method and line."""
    with suppress(ScriptMistake), performing(desk, task) as run:
        run.add(1)
        wait_for(lambda: run.ended, what="the end")
    wrong = run.engine.failure
    assert isinstance(wrong, ScriptMistake)
    assert says in str(wrong)
    assert wrong.exit_code == 2


def test_a_script_beside_planned_traffic(desk: int) -> None:
    """Both share one ledger, and neither takes the other's replies."""

    async def ask(_user: Any, session: ScriptSession) -> None:
        message = await session.request(ASK)
        assert message.json()["text"].split(".")[1::2] == [str(session.number), str(message.json()["re"])]

    with performing(desk, ask, pace=Pace(40.0), drops=DROPS) as run:
        numbers = run.add(10)
        run.await_count("messaging.answered", 300)
        counts = finished(run, numbers)
    assert counts["messaging.unmatched"] == counts["messaging.corrupted"] == 0


def test_the_server_has_the_same_books() -> None:
    """Every message of scripts is counted by a server of another make, through drops, in both directions."""

    async def ask(_user: Any, session: ScriptSession) -> None:
        await session.request(session.text())
        await session.request(again=True)
        await session.request("hello again")

    with stranger("counting") as url:
        port, drops = int(url.rpartition(":")[2]), Few(0.4, dict.fromkeys(READ_TO_THE_END, 1.0), seed=3)
        with performing(port, ask, dialect=Echo(), drops=drops) as run:
            numbers = run.add(20)
            await_drops(run, 20)
            counts = finished(run, numbers)
        books = final_books(url)
    check_outgoing(counts, books)
    assert books["sent"] == counts["messaging.wire_received"] > 500


def test_tasks_are_chosen_by_the_seed(desk: int) -> None:
    """The order of a session's tasks and its waits follow from seed and number, and differ by session."""
    orders: list[dict[int, str]] = []

    def told(letter: str) -> Any:
        async def task(_user: Any, session: ScriptSession) -> None:
            orders[-1][session.number] = orders[-1].get(session.number, "") + letter
            await session.request(ASK)

        task.__name__ = letter
        return task

    for _ in range(2):
        orders.append({})
        with performing(desk, *[told("a")] * 3, told("b"), wait_s=lambda _: 0.0) as run:
            numbers = run.add(2)
            run.await_count("messaging.answered", 150)
            finished(run, numbers)
    length = min(len(order) for found in orders for order in found.values())
    assert length > 30
    first, second = ({number: order[:length] for number, order in found.items()} for found in orders)
    assert first == second
    assert first[0] != first[1]
    assert 0.6 < first[0].count("a") / length < 0.9


def test_on_start_comes_first_and_is_repeated_until_it_is_through(desk: int) -> None:
    """It runs once in a session, before the tasks; a drop in its middle begins it anew."""
    story: dict[int, list[str]] = {}

    async def start(_user: Any, session: ScriptSession) -> None:
        story.setdefault(session.number, []).append("begun")
        await session.sleep(0.2)
        await session.request(ASK)
        story[session.number].append("through")

    async def ask(_user: Any, session: ScriptSession) -> None:
        story[session.number].append("ask")
        await session.request(ASK)

    with performing(desk, ask, drops=DropPlan(0.3, {"close": 1.0}, seed=4), on_start=start) as run:
        numbers = run.add(20)
        wait_for(lambda: sum("ask" in told for told in story.values()) == 20, what="tasks of all sessions")
        finished(run, numbers)
    assert any(told.count("begun") > 1 for told in story.values())
    assert all(told.count("through") == 1 for told in story.values())
    assert all(told.index("through") < told.index("ask") for told in story.values())


def test_task_sets_run_in_order_until_they_are_left(desk: int) -> None:
    """A TaskSet goes on until a task leaves it; a sequence has its order, from its beginning after a drop."""
    story: dict[int, list[str]] = {}

    def step(letter: str, *, leaves: bool = False) -> Any:
        async def task(holder: Any, session: ScriptSession) -> None:
            assert holder == ("TaskSet", "user of nobody")
            await session.request(ASK)
            story.setdefault(session.number, []).append(f"{letter}{session.connection}")
            if leaves:
                raise Leave

        task.__name__ = task.__qualname__ = letter
        return task

    steps = Tasks(
        name="Steps",
        tasks=(step("a"), step("b"), step("c", leaves=True)),
        wait_s=lambda _: 0.05,
        in_order=True,
        new=lambda around: ("TaskSet", f"user of {around or 'nobody'}"),
    )
    drops = DropPlan(0.4, {"close": 1.0, "reset": 1.0}, seed=4)
    with performing(desk, steps, drops=drops) as run:
        numbers = run.add(10)
        run.await_count("reconnect.resumed", 30)
        finished(run, numbers)
    told = [(one, other) for steps_of in story.values() for one, other in pairwise(steps_of)]
    assert {one[0] + other[0] for one, other in told if one[1:] == other[1:]} == {"ab", "bc", "ca"}
    assert {other[0] for one, other in told if one[1:] != other[1:]} == {"a"}


def test_what_blocks_runs_beside_the_loop(desk: int) -> None:
    """`blocking` returns what the function returns, and `fail` counts by its words."""

    async def ask(_user: Any, session: ScriptSession) -> None:
        if await session.blocking(sum, [1, 2]) == 3:
            session.fail("three is too much")
        await session.request(ASK)

    with performing(desk, ask) as run:
        numbers = run.add(1)
        run.await_count("messaging.script_failed", 2)
        finished(run, numbers)
        assert run.errors["messaging", "script: three is too much"].session == "session-0"
