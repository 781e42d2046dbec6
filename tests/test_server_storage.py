"""The database and the words on the wire, without a server: hostile texts, group commits, failures."""

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.errors import InvalidSetting
from loadtest.server import json_lines
from loadtest.server.json_lines import History
from loadtest.server.storage import Storage, check_database, open_storage

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text(), JSON, max_size=5)
MESSAGES = st.builds(lambda kind, payload: {"type": kind, "payload": payload}, st.text(), JSON)


def with_storage(path: Path | None, use: Callable[[Storage], Awaitable[Any]]) -> Any:
    """Run a coroutine with an open database."""

    async def run() -> Any:
        async with open_storage(path) as storage:
            return await use(storage)

    return asyncio.run(run())


@settings(max_examples=30, deadline=None)
@given(
    st.lists(OBJECTS.map(json.dumps) | OBJECTS.map(lambda content: json.dumps(content, ensure_ascii=False)))
)
def test_messages_come_back_as_they_were_stored(texts: list[str]) -> None:
    """Whatever is in a message, its text survives the batch insert byte for byte, in order."""

    async def use(storage: Storage) -> History:
        await storage.create("session", "thread")
        await asyncio.gather(*(storage.append("session", text) for text in texts))
        return await storage.history("session")

    assert with_storage(None, use) == History(len(texts), texts[-100:])


def test_a_thousand_sessions_share_transactions_without_mixing() -> None:
    """Batches larger than one transaction are split, and each session gets its own messages back."""

    async def use(storage: Storage) -> None:
        names = [f"s{number}" for number in range(1000)]
        await asyncio.gather(*(storage.append(name, f'{{"of":"{name}"}}') for name in names))
        for name in names[::100]:
            assert await storage.history(name) == History(1, [f'{{"of":"{name}"}}'])

    with_storage(None, use)


def test_the_first_thread_of_a_session_stays() -> None:
    """Of two first connections at once one creates the session; a forgotten session is unknown."""

    async def use(storage: Storage) -> None:
        assert await storage.thread_of("session") is None
        created = await asyncio.gather(storage.create("session", "a"), storage.create("session", "b"))
        assert list(created) == [True, False]
        assert await storage.thread_of("session") == "a"
        await storage.append("session", "{}")
        await storage.forget("session")
        assert await storage.thread_of("session") is None
        assert await storage.history("session") == History(0, [])

    with_storage(None, use)


def test_a_failed_commit_fails_each_message_in_it_and_no_later_one(tmp_path: Path) -> None:
    """While another program has the database locked nothing is acknowledged; afterwards it goes on."""
    path = tmp_path / "locked.db"

    async def use(storage: Storage) -> None:
        await storage._database.execute_fetchall("PRAGMA busy_timeout = 10")
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        outcomes = await asyncio.gather(
            storage.append("s", "{}"), storage.append("t", "{}"), return_exceptions=True
        )
        assert [type(outcome) for outcome in outcomes] == [sqlite3.OperationalError] * 2
        other.close()
        await storage.append("s", '{"after":1}')
        assert await storage.history("s") == History(1, ['{"after":1}'])

    with_storage(path, use)


def test_a_database_of_another_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    """Neither a foreign SQLite file nor any other file is written to; an empty one and our own are taken."""
    foreign, text, ours = tmp_path / "foreign.db", tmp_path / "text.txt", tmp_path / "ours.db"
    with sqlite3.connect(foreign) as database:
        database.execute("CREATE TABLE sessions (x)")
    database.close()
    text.write_text("not a database, but long enough to have a header" * 10)
    for path in (foreign, text):
        before = path.read_bytes()
        with pytest.raises(InvalidSetting, match="--database"):
            check_database(path)
        assert path.read_bytes() == before
    with pytest.raises(InvalidSetting, match="unable to open"):
        check_database(tmp_path / "missing" / "x.db")
    for _ in range(2):
        check_database(ours)


@given(st.text() | JSON.map(json.dumps) | OBJECTS.map(lambda content: json.dumps(content, indent=2)))
def test_any_text_is_a_message_on_one_line_or_a_bad_message(text: str) -> None:
    """What is accepted is a JSON object by the standard library's reading too, and has no line break."""
    try:
        message = json_lines.parse(text)
    except json_lines.BadMessage:
        return
    assert "\n" not in message.text
    assert json.loads(message.text) == json.loads(text) == message.content


@given(MESSAGES | OBJECTS)
def test_every_message_has_an_answer_that_echoes_it(content: dict[str, Any]) -> None:
    """Each frame of the answer is one JSON object on one line, and the last one has the echo."""
    answers = [json.loads(frame) for frame in json_lines.answer(json_lines.parse(json.dumps(content)))]
    assert answers[-1]["payload"]["echo"] == content


@given(st.text(max_size=50))
def test_the_chunks_of_a_stream_make_up_its_text(text: str) -> None:
    """However short the text, no chunk is lost or empty."""
    asked = {"type": "chat_stream", "payload": {"text": text}}
    start, *chunks, end = (
        json.loads(frame) for frame in json_lines.answer(json_lines.parse(json.dumps(asked)))
    )
    assert start["type"] == "ws:chat_stream_start"
    assert all(chunk["payload"]["text"] for chunk in chunks)
    assert "".join(chunk["payload"]["text"] for chunk in chunks) == end["payload"]["text"]


@given(st.text() | st.binary() | MESSAGES.map(json.dumps) | OBJECTS.map(json.dumps))
def test_a_corrupted_frame_differs_and_stays_what_it_was(frame: json_lines.Frame) -> None:
    """Text stays text, a JSON object stays one, and neither is the same."""
    corrupted = json_lines.corrupted_frame(frame)
    assert type(corrupted) is type(frame)
    try:
        content = json_lines.parse(frame).content if isinstance(frame, str) else None
    except json_lines.BadMessage:
        content = None
    if content is None:
        assert corrupted != frame
    else:
        assert isinstance(corrupted, str)
        assert json.loads(corrupted) != content
