"""The database without a server: hostile texts, group commits, failures."""

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.errors import InvalidSetting
from loadtest.server.storage import RESTORED_MESSAGES, Storage, check_database, open_storage
from tests.support.effort import effort
from tests.support.server_messages import OBJECTS


def with_storage(path: Path | None, use: Callable[[Storage], Awaitable[Any]]) -> Any:
    """Run a coroutine with an open database."""

    async def run() -> Any:
        async with open_storage(path) as storage:
            return await use(storage)

    return asyncio.run(run())


@effort(30)
@given(
    st.lists(OBJECTS.map(json.dumps) | OBJECTS.map(lambda content: json.dumps(content, ensure_ascii=False)))
)
def test_messages_come_back_as_they_were_stored(texts: list[str]) -> None:
    """Whatever is in a message, its text survives the batch insert byte for byte, in order."""

    async def use(storage: Storage) -> list[str]:
        await storage.create("session", "thread")
        await asyncio.gather(*(storage.append("session", text) for text in texts))
        return await storage.history("session")

    assert with_storage(None, use) == texts[-RESTORED_MESSAGES:]


def test_messages_stored_together_stand_together() -> None:
    """Nothing comes between a user's message and its answer, whatever else is stored at the time."""

    async def use(storage: Storage) -> list[str]:
        await asyncio.gather(*(storage.append("session", f"{n}", f"{n}") for n in range(100)))
        return await storage.history("session")

    restored = with_storage(None, use)
    assert restored == [str(n // 2) for n in range(200)]


def test_a_history_is_the_newest_two_hundred_messages_of_any_size() -> None:
    """Older ones are left out, large ones are not."""

    async def use(storage: Storage) -> None:
        await storage.append("many", *(str(number) for number in range(205)))
        assert await storage.history("many") == [str(number) for number in range(5, 205)]
        for number in range(5):
            await storage.append("large", str(number) * 2**22)
        assert [message[0] for message in await storage.history("large")] == ["0", "1", "2", "3", "4"]

    with_storage(None, use)


def test_a_thousand_sessions_share_transactions_without_mixing() -> None:
    """Batches larger than one transaction are split, and each session gets its own messages back."""

    async def use(storage: Storage) -> None:
        names = [f"s{number}" for number in range(1000)]
        await asyncio.gather(*(storage.append(name, f'{{"of":"{name}"}}') for name in names))
        for name in names[::100]:
            assert await storage.history(name) == [f'{{"of":"{name}"}}']

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
        assert await storage.history("session") == []

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
        assert await storage.history("s") == ['{"after":1}']

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
