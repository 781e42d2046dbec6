"""A session as its dialect sees it: ids, credentials, and a memory that outlives connections."""

import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from loadtest.dialects.marks import LEAST_BYTES, Marker
from loadtest.events import Identity

Result = TypeVar("Result")

SizeOf = int | Callable[[int, int], int]
"""The size in bytes of a request's text: fixed, or by session number and sequence number."""

Blocking = Callable[..., Awaitable[Any]]
"""Calls a function with arguments beside the event loop; returns an awaitable of its result."""


async def _call_here(function: Callable[..., Result], *arguments: Any) -> Result:
    return function(*arguments)


class Row(dict[str, str]):
    """A row of `--ws-data`; the error for an unknown column lists the known ones."""

    def __missing__(self, column: str) -> str:
        known = f"it has {', '.join(self)}" if self else "no --ws-data was given"
        raise KeyError(f"session.data has no column {column!r}: {known}")


_NO_ROW = Row()  # of all sessions of a run without data: nobody writes to a Mapping


class DialectSession:
    """A session as its dialect sees it, across all its connections.

    Args:
        identity: number and ids of the session.
        run_id: id of the run, part of each marked text.
        seed: of the run.
        size_of: size of the texts of requests.
        data: its row of `--ws-data`.
        http_url: of the server, without a path.
        blocking: how `blocking` runs a function.

    Attributes:
        number: number of the session in the run, from 0.
        user: number of the Locust user that holds it, from 0.
        session_id, thread_id: ids made for the session, unique across runs.
        connection: number of the current connection, or of the next one during an outage; from 0.
        dropped_by: kind of the drop that ended the previous connection; empty if no drop did.
        token: for the next connection attempt; set from `--ws-token` or `--ws-token-cmd` before each
            `Dialect.login`.
        headers: sent with each upgrade request, by name.
        cookies: sent with each upgrade request, by name; responses to upgrades change them as in a browser.
        http_url: of the server of `--host`, for HTTP, without a path: `https://chat.example.org:443`.
        marker: writes and recognises the session's texts.
        memory: the dialect's state of this session; one dialect instance serves all sessions of a run.
        data: the session's row of `--ws-data` by column; all values are secrets.
    """

    __slots__ = (
        "_below",
        "_blocking",
        "_from",
        "_head",
        "_last_sequence",
        "_last_text",
        "_ping_since_ns",
        "_ping_within_s",
        "_random",
        "_seed",
        "_size_of",
        "_tail",
        "connection",
        "cookies",
        "data",
        "dropped_by",
        "headers",
        "http_url",
        "identity",
        "marker",
        "memory",
        "number",
        "session_id",
        "thread_id",
        "token",
        "user",
    )

    def __init__(
        self,
        identity: Identity,
        *,
        run_id: str = "run",
        seed: int = 1,
        size_of: SizeOf = LEAST_BYTES,
        data: Mapping[str, str] | None = None,
        http_url: str = "http://127.0.0.1",
        blocking: Blocking = _call_here,
    ) -> None:
        self.identity = identity
        self.number, self.user = identity.number, identity.user
        self.session_id, self.thread_id = identity.session_id, identity.thread_id
        self.http_url = http_url
        self.connection = 0
        self.dropped_by = ""
        self.token: str | None = None
        self.headers: dict[str, str] = {}
        self.cookies: dict[str, str] = {}
        self.memory: dict[Any, Any] = {}
        self.data: Mapping[str, str] = Row(data) if data else _NO_ROW
        self._seed = seed
        self._random: random.Random | None = None
        self.marker = Marker(run_id, identity.number)
        self._head = self.marker.head
        self._size_of = size_of
        # A cache: the text made last. `Traffic.replied` reads it directly, because a call per reply is dear.
        self._last_sequence: int | None = None
        self._last_text = ""
        self._from, self._below, self._tail = 0, 0, ""  # the range of sequences whose text ends like this
        self._blocking = blocking
        self._ping_within_s: float | None = None
        self._ping_since_ns: int | None = None  # since when a ping is due, None until the next sweep

    @property
    def random(self) -> random.Random:
        """The session's random generator, seeded with the run's seed and the session's number."""
        if self._random is None:
            self._random = random.Random(f"{self._seed}/dialect/{self.number}")
        return self._random

    def text(self, sequence: int) -> str:
        """Return the text of a request: marked, unique, and the same at each call.

        Args:
            sequence: of the request.

        Returns:
            A text of `--ws-message-bytes`, which needs no escaping in JSON or HTML. A server must return it
            unchanged in replies, pushes and restored history.
        """
        if sequence == self._last_sequence:
            return self._last_text
        if not self._from <= sequence < self._below:
            self._turn_to(sequence)
        self._last_sequence = sequence
        text = self._last_text = f"{self._head}{sequence}{self._tail}"
        return text

    def size(self, sequence: int) -> int:
        """Return the size in bytes of a request's `text`, drawn from `--ws-message-bytes`."""
        size_of = self._size_of
        return size_of if isinstance(size_of, int) else size_of(self.number, sequence)

    def _turn_to(self, sequence: int) -> None:
        """Set the tail of texts from this sequence number on, up to the next one with another tail."""
        self._tail = self.marker.tail(sequence, self.size(sequence))
        digits = len(str(sequence))
        fixed = isinstance(self._size_of, int) and sequence > 0
        self._from, self._below = (10 ** (digits - 1), 10**digits) if fixed else (sequence, sequence + 1)

    def sequence_of(self, text: str) -> int | None:
        """Return the sequence number of this session's own text within a text; None if there is none.

        Use it if a protocol has no ids, or to distinguish this session's messages from others in a room.
        """
        return self._last_sequence if text == self._last_text else self.marker.sequence_of(text)

    def expect_ping(self, within_s: float | None) -> None:
        """End the connection if the application's next ping does not arrive within this number of seconds.

        Call it for each ping received, and in `Dialect.greeting`; None expects no ping.
        """
        self._ping_within_s, self._ping_since_ns = within_s, None

    @property
    def expects_ping(self) -> bool:
        """Whether pings of the application are expected."""
        return self._ping_within_s is not None

    def missed_ping(self, now_ns: int, *, excused: bool) -> str:
        """Return the problem if a ping is overdue, else an empty text; `excused` during a drop."""
        if self._ping_within_s is None:
            return ""
        if excused or self._ping_since_ns is None:
            self._ping_since_ns = None if excused else now_ns
            return ""
        overdue = now_ns - self._ping_since_ns > self._ping_within_s * 1e9
        return f"no ping from the server in {self._ping_within_s:g} s" if overdue else ""

    async def blocking(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Call a function that blocks, such as an HTTP client's, in a greenlet of its own.

        It runs in Locust's thread, like a user's tasks, so it may only block in Python: sockets, locks,
        `time.sleep`. Code that blocks in C, such as a database driver, stops that thread: call it through a
        `gevent.threadpool.ThreadPool`. If the login times out, `gevent.GreenletExit` is raised in the
        function. Everything else in a dialect runs on the event loop that all sessions share.
        """
        result: Result = await self._blocking(function, *arguments)
        return result
