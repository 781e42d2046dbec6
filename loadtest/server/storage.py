"""Sessions and their messages in SQLite, so that they outlive connections and the server itself.

Answered means committed. Every message waits for its transaction, but messages of many sessions share one
(group commit): while one transaction runs, new messages collect for the next. So the cost per message falls
as the load rises, and a lone message does not wait. A batch is one INSERT over a JSON array: in autocommit
mode one statement is one transaction, and takes one trip to aiosqlite's thread instead of three.

With a write-ahead log and synchronous=NORMAL, a commit survives the death of the process (SIGKILL) but not a
crash of the operating system. A reference server needs no more. https://www.sqlite.org/wal.html
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import aiosqlite
import msgspec

from loadtest.errors import InvalidSetting

RESTORED_MESSAGES = 200

# 128 times two messages of 1 MiB, every character escaped, stay below SQLite's limit of 10^9 bytes a value.
_BATCH = 128
_APPLICATION_ID = 0x6C745753  # "ltWS": distinguishes our databases from other programs'

_SCHEMA = f"""
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
PRAGMA application_id = {_APPLICATION_ID};
CREATE TABLE IF NOT EXISTS sessions (
    session_id TEXT PRIMARY KEY,
    thread_id TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS messages (
    id INTEGER PRIMARY KEY,
    session_id TEXT NOT NULL,
    message TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS messages_of_session ON messages (session_id);
"""

_APPEND = """
INSERT INTO messages (session_id, message)
SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?) ORDER BY key
"""

_CREATE = """
INSERT INTO sessions (session_id, thread_id) VALUES (?, ?) ON CONFLICT DO NOTHING RETURNING session_id
"""

_HISTORY = """
SELECT message FROM (SELECT id, message FROM messages WHERE session_id = ? ORDER BY id DESC LIMIT ?)
ORDER BY id
"""


def check_database(path: Path) -> None:
    """Check that `path` is, or can become, a database of this server.

    Raises:
        InvalidSetting: it is not and cannot; the error quotes SQLite's reason.
    """
    try:
        with closing(sqlite3.connect(path)) as database:
            (application_id,) = database.execute("PRAGMA application_id").fetchone()
            (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
            is_ours = application_id == _APPLICATION_ID or not tables
            if is_ours:
                database.executescript(_SCHEMA)
    except sqlite3.Error as error:
        problem = f"must be a new file or a database of 'loadtest serve' ({error})"
        raise InvalidSetting("--database", str(path), problem) from error
    if not is_ours:
        problem = "must be a new file or a database of 'loadtest serve', not of another program"
        raise InvalidSetting("--database", str(path), problem)


class Storage:
    """An open database. Create it with `open_storage`."""

    def __init__(self, database: aiosqlite.Connection) -> None:
        self._database = database
        self._pending: list[tuple[str, tuple[str, ...], asyncio.Future[None]]] = []
        self._work = asyncio.Event()

    async def is_readable(self) -> bool:
        """Whether the database answers a query."""
        try:
            await self._database.execute_fetchall("SELECT 1 FROM sessions LIMIT 1")
        except sqlite3.Error:
            return False
        return True

    async def thread_of(self, session_id: str) -> str | None:
        """Return the session's thread id, or None if the session does not exist."""
        query = "SELECT thread_id FROM sessions WHERE session_id = ?"
        for (thread_id,) in await self._database.execute_fetchall(query, (session_id,)):
            return str(thread_id)
        return None

    async def create(self, session_id: str, thread_id: str) -> bool:
        """Create the session; return False and change nothing if it exists."""
        return bool(list(await self._database.execute_fetchall(_CREATE, (session_id, thread_id))))

    async def forget(self, session_id: str) -> None:
        """Delete the session with all its messages."""
        await self._database.execute_fetchall("DELETE FROM messages WHERE session_id = ?", (session_id,))
        await self._database.execute_fetchall("DELETE FROM sessions WHERE session_id = ?", (session_id,))

    async def history(self, session_id: str) -> list[str]:
        """Return the newest messages, RESTORED_MESSAGES at most, oldest first."""
        limits = (session_id, RESTORED_MESSAGES)
        return [message for (message,) in await self._database.execute_fetchall(_HISTORY, limits)]

    def append(self, session_id: str, *messages: str) -> asyncio.Future[None]:
        """Store messages together; the future is done once they are committed, or has SQLite's error."""
        committed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending.append((session_id, messages, committed))
        self._work.set()
        return committed

    async def write(self) -> None:
        """Commit appended messages batch by batch, until cancelled."""
        while True:
            await self._work.wait()
            batch, self._pending = self._pending[:_BATCH], self._pending[_BATCH:]
            if not self._pending:
                self._work.clear()
            await self._commit(batch)

    async def _commit(self, batch: list[tuple[str, tuple[str, ...], asyncio.Future[None]]]) -> None:
        rows = msgspec.json.encode(
            [(session_id, message) for session_id, messages, _ in batch for message in messages]
        ).decode()
        failure: sqlite3.Error | None = None
        try:
            await self._database.execute_fetchall(_APPEND, (rows,))
        except sqlite3.Error as error:
            failure = error
        for *_, committed in batch:
            if committed.done():  # its connection was cancelled in the meantime
                continue
            if failure is None:
                committed.set_result(None)
            else:
                committed.set_exception(type(failure)(*failure.args))


@asynccontextmanager
async def open_storage(path: Path | None) -> AsyncIterator[Storage]:
    """Open the database at `path`; None opens an unnamed temporary one, which SQLite deletes on close."""
    async with aiosqlite.connect("" if path is None else path, isolation_level=None) as database:
        await database.executescript(_SCHEMA)
        storage = Storage(database)
        writer = asyncio.create_task(storage.write())
        try:
            yield storage
        finally:
            writer.cancel()
