"""An in-memory server and a link that connects a session to it: no sockets, no clock, no sleeping.

`FakeServer` speaks `emergence`, implemented with the standard library's json, with acknowledgements or with
streamed answers. It stores messages and can lose, duplicate, reorder, corrupt, refuse, break off and forget
them. `Link` does for a session what the engine does: it performs the session's actions and passes it events,
and it asserts the session's side of the contract (one connection at a time, messages only on a connection,
nothing after the end).
"""

import json
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from loadtest.dialects.base import Request
from loadtest.dialects.dialect_session import DialectSession
from loadtest.dialects.echo import Echo
from loadtest.dialects.emergence import Emergence
from loadtest.events import (
    Action,
    Close,
    Connect,
    Data,
    Detected,
    Drain,
    Drop,
    DropDue,
    Due,
    Event,
    Finish,
    Hasten,
    HeartbeatDue,
    Identity,
    Lost,
    Opened,
    PerformDrop,
    Phases,
    Received,
    Reconnect,
    Recovered,
    Refused,
    RetryDue,
    Send,
    Settle,
    Started,
    Stopped,
    Swept,
)
from loadtest.session.machine import Session
from loadtest.session.proof import QUIET_NS
from loadtest.session.recorder import Interval, Lifecycle, Recorder
from loadtest.session.schedule import NS_PER_S, Backoff, Pace
from loadtest.session.session_config import SessionConfig

MS = 1_000_000

STANDARD = SessionConfig(
    dialect=Emergence(), pace=Pace(rate=1.0), backoff=Backoff(), reply_timeout_ns=5 * NS_PER_S, in_flight=0
)
"""Configuration of the sessions in most tests."""


def session_config(**changes: Any) -> SessionConfig:
    """Return the standard configuration with changes."""
    return replace(STANDARD, **changes)


class Beating(Emergence):
    """The chat application, with heartbeats."""

    def heartbeat(self, session: DialectSession) -> Data:
        """Return a message that the server ignores."""
        return BEAT


BEAT = '{"type":"ws:ping"}'

BEATING = replace(STANDARD, dialect=Beating())
"""Configuration of sessions with heartbeats."""


def identity(number: int = 0) -> Identity:
    """Return the identity of the session with this number."""
    return Identity(number=number, session_id=f"session-{number}", thread_id=f"thread-{number}")


def dialect_session(number: int = 0, **options: Any) -> DialectSession:
    """Return the session with this number as its dialect sees it."""
    return DialectSession(identity(number), **options)


def drop(kind: str) -> Drop:
    """Return a drop of this kind."""
    return Drop(kind=kind, ordinal=0, after_s=0.0)


def lost(code: int, reason: str = "") -> Lost:
    """Return the loss of a connection with this close code."""
    return Lost(code=code, reason=reason, cause=str(code))


def refused(cause: str = "http_503", *, unreachable: bool = False, retry_after_s: float = 0.0) -> Refused:
    """Return the refusal of an attempt."""
    return Refused(
        phase="upgrade",
        cause=cause,
        detail="no room",
        unreachable=unreachable,
        retry_after_s=retry_after_s,
    )


def frame(kind: str, **payload: Any) -> str:
    """Return a message in the format of an `emergence` server."""
    return json.dumps({"type": kind, "payload": payload})


def ack(message: Any) -> str:
    """Return the server's reply to a message."""
    return frame("ws:ack", received=True, echo=message)


class FakeServer:
    """An `emergence` server; `faults` maps a sequence number to the fault of its reply, used once.

    Args:
        streams: whether it streams its answers, as with a chat backend, instead of acknowledging.
    """

    def __init__(self, *, streams: bool = False) -> None:
        self.histories: defaultdict[str, list[Any]] = defaultdict(list)
        self.requests: defaultdict[str, list[Any]] = defaultdict(list)
        self.faults: dict[int, str] = {}
        self.known_as: dict[str, str] = {}  # a wrong name to call a session by
        self._streams = streams
        self._held: list[str] = []

    def greet(self, who: Identity) -> list[str]:
        """Return the server's first frames on a new connection."""
        name = self.known_as.get(who.session_id, who.session_id)
        frames = [frame("ws:session_established", session_id=name, thread_id=who.thread_id)]
        if history := self.histories[who.session_id]:
            frames.append(frame("ws:session_restored", messages=history, history_count=len(history)))
        return frames

    def answer(self, who: Identity, data: Data) -> list[str]:
        """Return the replies to a message."""
        message = json.loads(data)
        if message["type"] != "chat.message":
            return []
        text = message["payload"].get("text")
        if not text:
            return [frame("ws:error", message="text is missing")]
        self.requests[who.session_id].append(message)
        fault = self.faults.pop(message["payload"]["sequence"], None)
        if fault == "refuse":
            return [frame("ws:error", message="the model is overloaded")]
        self._remember(who, text)
        reply = self._reply(message | {"payload": message["payload"] | {"text": _altered(text, fault)}})
        if fault == "reorder":
            self._held += reply
            return []
        held, self._held = self._held, []
        replies = {"lose": [], "break_off": reply[:-1], "duplicate": reply * 2}
        return replies.get(fault or "", reply) + held

    def _remember(self, who: Identity, text: str) -> None:
        self.histories[who.session_id] += [
            {"role": "user", "content": text},
            {"role": "assistant", "content": f"You said: {text}"},
        ]

    def _reply(self, message: Any) -> list[str]:
        if not self._streams:
            return [ack(message)]
        text = message["payload"]["text"]
        chunks = [frame("ws:chat_stream_chunk", text=part) for part in ("You said: ", text[:20], text[20:])]
        return [frame("ws:chat_stream_start"), *chunks, frame("ws:chat_stream_end")]

    def again(self, who: Identity, sequence: int) -> str:
        """Return the reply to an earlier message again, as one frame."""
        return "\n".join(self._reply(self.requests[who.session_id][sequence]))

    def forget(self, who: Identity) -> None:
        """Delete this session's history."""
        self.histories[who.session_id].clear()


def _altered(text: str, fault: str | None) -> str:
    if fault == "corrupt":
        return unicodedata.normalize("NFD", text)
    return text.replace("[run.", "[run.9", 1) if fault == "confuse" else text


class EchoServer(FakeServer):
    """A server that echoes."""

    def greet(self, who: Identity) -> list[str]:
        return []

    def answer(self, who: Identity, data: Data) -> list[str]:
        assert isinstance(data, str)
        return [] if data == UNANSWERABLE else [data]


class SilentServer(EchoServer):
    """A server that says nothing."""

    def answer(self, who: Identity, data: Data) -> list[str]:
        return []


UNANSWERABLE = "unanswerable"


class HalfAnswerable(Echo):
    """Every second request gets no reply."""

    def request(self, session: DialectSession, sequence: int) -> Any:
        text = super().request(session, sequence)
        return Request(UNANSWERABLE, replies=False) if sequence % 2 else text


class Link:
    """A session connected to a server. Every event takes a millisecond."""

    def __init__(
        self,
        behaviour: SessionConfig = STANDARD,
        *,
        server: FakeServer | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        self.server = server or FakeServer()
        self.recorder = recorder or Recorder()
        self.about = dialect_session(sum(self.recorder.population.values()))
        self.identity = self.about.identity
        self.session = Session(self.about, behaviour, self.recorder)
        self.now_ns = 0
        self.inbox: list[Data] = []  # sent by the server, not yet received by the session
        self.asked: list[Action] = []  # all actions of the session so far
        self.connecting = self.connected = self.finished = self.settled = False

    @property
    def recorded(self) -> Interval:
        """The current interval, still being written."""
        return self.recorder._interval

    @property
    def counts(self) -> dict[str, int]:
        """The nonzero counts of the current interval."""
        return {name: count for name, count in self.recorder.counts.items() if count}

    def counted(self, item: str) -> dict[str, int]:
        """Return the nonzero counts of one item, without the item's name."""
        return {
            name.removeprefix(f"{item}."): count
            for name, count in self.counts.items()
            if name.startswith(f"{item}.")
        }

    def samples_ms(self, tag: str) -> list[float]:
        """Return a histogram's samples in milliseconds."""
        return [sample / MS for sample in self.recorded.samples[tag]]

    def errors(self, item: str) -> dict[str, str]:
        """Return an item's errors, each with its example."""
        return {error: tally.example for (of, error), tally in self.recorded.errors.items() if of == item}

    def lived(self, event: str) -> list[Lifecycle]:
        """Return the lifecycle records of one event."""
        return [record for record in self.recorded.lifecycle if record.event == event]

    @property
    def delays_s(self) -> list[float]:
        """The reconnect delays that the session requested, in order."""
        return [action.after_s for action in self.asked if isinstance(action, Reconnect)]

    def tell(self, event: Event) -> Sequence[Action]:
        """Pass an event to the session and perform the actions it returns."""
        self.now_ns += MS
        if isinstance(event, Opened | Refused):
            assert self.connecting, "an attempt is answered once"
            self.connecting, self.connected = False, isinstance(event, Opened)
        elif isinstance(event, Lost | Detected):
            self._disconnect()
        actions = self.session.handle(event, self.now_ns)
        for action in actions:
            self._perform(action)
        self.asked += actions
        return actions

    def _perform(self, action: Action) -> None:
        assert not self.finished, "nothing is asked after the end"
        match action:
            case Connect():
                assert not self.connecting, "one attempt at a time"
                assert not self.connected, "one connection at a time"
                self.connecting = True
            case Send(data):
                assert self.connected, "a message needs a connection"
                self.inbox += self.server.answer(self.identity, data)
            case PerformDrop() | Drain() | Hasten():
                assert self.connected
            case Settle():
                assert self.connected
                self.settled = True
            case Reconnect(after_s):
                assert after_s >= 0
                assert not self.connecting
            case Close():
                assert self.connected
                self._disconnect()
            case Finish():
                self.finished, self.connecting = True, False
                self._disconnect()  # a drop may still be under way

    def _disconnect(self) -> None:
        self.connected = False
        self.inbox.clear()

    # Events by name, for tests. Each method returns the link, so that calls can be chained.

    def start(self) -> "Link":
        """Start the session, establish it, and let it stay up until it counts as working."""
        self.tell(Started())
        return self.open().hear().last()

    def last(self) -> "Link":
        """Let a quiet connection last until it counts as working; the time of later events is unaffected."""
        self.session.handle(Swept(), self.now_ns + QUIET_NS)
        return self

    def start_refused(self, times: int) -> "Link":
        """Start the session; let this many attempts fail, and the next begin."""
        self.tell(Started())
        for _ in range(times):
            self.refuse().retry()
        return self

    def open(self) -> "Link":
        """Let the connection attempt succeed."""
        self.tell(Opened(Phases(tcp_ns=MS, upgrade_ns=2 * MS)))
        self.inbox += self.server.greet(self.identity)
        return self

    def hear(self, *, at_most: int | None = None) -> "Link":
        """Let the session receive what the server has sent so far."""
        frames, self.inbox = self.inbox[:at_most], self.inbox[len(self.inbox[:at_most]) :]
        return self.hear_these(frames)

    def hear_these(self, frames: Iterable[Data]) -> "Link":
        """Let the session receive these frames."""
        for data in frames:
            self.tell(Received(data))
        return self

    def send(self, count: int = 1) -> "Link":
        """Let this many messages become due."""
        for _ in range(count):
            self.tell(Due(self.now_ns + MS))
        return self

    def refuse(
        self, cause: str = "http_503", *, unreachable: bool = False, retry_after_s: float = 0.0
    ) -> "Link":
        """Let the connection attempt fail."""
        self.tell(refused(cause, unreachable=unreachable, retry_after_s=retry_after_s))
        return self

    def beat(self) -> "Link":
        """Let a heartbeat become due."""
        self.tell(HeartbeatDue())
        return self

    def drop(self, kind: str = "reset") -> "Link":
        """Let a planned drop become due."""
        self.tell(DropDue(drop(kind)))
        return self

    def detect(self) -> "Link":
        """Let the client detect its drop."""
        self.tell(Detected())
        return self

    def recover(self) -> "Link":
        """Let the disturbance end."""
        self.tell(Recovered())
        return self

    def lose(self, code: int = 1006, reason: str = "") -> "Link":
        """Let the connection be lost."""
        self.tell(lost(code, reason))
        return self

    def retry(self) -> "Link":
        """Let the backoff end."""
        self.tell(RetryDue())
        return self

    def resume(self) -> "Link":
        """Let the next attempt succeed and establish the session, until it counts as working."""
        return self.reopen().last()

    def reopen(self) -> "Link":
        """Let the next attempt succeed and establish the session, which has not worked yet."""
        return self.retry().open().hear()

    def sweep(self, after_ns: int = 0) -> "Link":
        """Let time pass, then check for overdue replies."""
        self.now_ns += after_ns
        quiet, before = self.session.quiet, self._state()
        self.tell(Swept())
        assert not quiet or self._state() == before, "the engine skips the sweep of a quiet session"
        return self

    def _state(self) -> tuple[object, ...]:
        """What a sweep may change."""
        recorder = self.recorder
        return self.session.state, len(self.asked), dict(recorder.counts), len(recorder._interval.errors)

    def stop(self) -> "Link":
        """Stop the session."""
        self.tell(Stopped())
        return self
