"""A server in memory and the link that joins a session to it: no socket, no clock, no sleeping.

`FakeServer` speaks `emergence`, written with the standard library's json; it remembers what it was told and
can lose, duplicate, reorder, corrupt and forget. `Link` does what the engine does around a session: it
performs what the session asks for and tells it what happened, and it insists on the session's side of the
contract (one connection at a time, every message on a connection, nothing after the end).
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

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
from loadtest.session.recorder import Interval, Lifecycle, Recorder
from loadtest.session.schedule import NS_PER_S, Backoff, Pace
from loadtest.session.traffic import SessionConfig

MS = 1_000_000

STANDARD = SessionConfig(
    dialect=Emergence(), pace=Pace(rate=1.0), backoff=Backoff(), reply_timeout_ns=5 * NS_PER_S, in_flight=0
)
"""What the sessions of most tests do."""


def conduct(**changes: Any) -> SessionConfig:
    """Return the standard conduct with changes."""
    return replace(STANDARD, **changes)


def identity(number: int = 0) -> Identity:
    """Return the identity of the session with this number."""
    return Identity(number=number, session_id=f"session-{number}", thread_id=f"thread-{number}")


def drop(kind: str) -> Drop:
    """Return a drop of this kind."""
    return Drop(kind=kind, ordinal=0, after_s=0.0)


def lost(code: int, reason: str = "") -> Lost:
    """Return the loss of a connection with this close code."""
    return Lost(code=code, reason=reason, cause=str(code))


def refused(cause: str = "http_503", *, unreachable: bool = False) -> Refused:
    """Return the refusal of an attempt."""
    return Refused(phase="upgrade", cause=cause, detail="no room", unreachable=unreachable)


def frame(kind: str, **payload: Any) -> str:
    """Return a message as an `emergence` server writes it."""
    return json.dumps({"type": kind, "payload": payload})


def ack(message: Any) -> str:
    """Return the server's answer to a message."""
    return frame("ws:ack", received=True, echo=message)


class FakeServer:
    """An `emergence` server; `faults` says what goes wrong with the reply to a sequence number, once."""

    def __init__(self) -> None:
        self.histories: defaultdict[str, list[Any]] = defaultdict(list)
        self.faults: dict[int, str] = {}
        self.known_as: dict[str, str] = {}  # what it calls a session, where that is not its name
        self._held: list[str] = []

    def greet(self, who: Identity) -> list[str]:
        """Return what the server says on a new connection."""
        name = self.known_as.get(who.session_id, who.session_id)
        frames = [frame("ws:session_established", session_id=name, thread_id=who.thread_id)]
        if history := self.histories[who.session_id]:
            frames.append(frame("ws:session_restored", messages=history, history_count=len(history)))
        return frames

    def answer(self, who: Identity, data: Data) -> list[str]:
        """Return the replies to a message."""
        message = json.loads(data)
        self.histories[who.session_id].append(message)
        fault = self.faults.pop(message["payload"]["sequence"], None)
        reply = ack(
            message | {"payload": message["payload"] | {"text": "?"}} if fault == "corrupt" else message
        )
        if fault == "reorder":
            self._held.append(reply)
            return []
        held, self._held = self._held, []
        return {"lose": [], "duplicate": [reply, reply]}.get(fault or "", [reply]) + held

    def again(self, who: Identity, sequence: int) -> str:
        """Return the reply to a remembered message once more."""
        return ack(self.histories[who.session_id][sequence])

    def forget(self, who: Identity) -> None:
        """Remember nothing of this session."""
        self.histories[who.session_id].clear()


class EchoServer(FakeServer):
    """A server that returns what it gets."""

    def greet(self, who: Identity) -> list[str]:
        return []

    def answer(self, who: Identity, data: Data) -> list[str]:
        assert isinstance(data, str)
        return [data]


class Link:
    """A session joined to a server. Every event takes a millisecond."""

    def __init__(
        self,
        behaviour: SessionConfig = STANDARD,
        *,
        server: FakeServer | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        self.server = server or FakeServer()
        self.recorder = recorder or Recorder()
        self.identity = identity(sum(self.recorder.population.values()))
        self.session = Session(self.identity, behaviour, self.recorder)
        self.now_ns = 0
        self.inbox: list[Data] = []  # what the server said and the session has yet to hear
        self.asked: list[Action] = []  # all that the session ever asked for
        self.connecting = self.connected = self.finished = self.settled = False

    @property
    def recorded(self) -> Interval:
        """The current interval, still being written."""
        return self.recorder._interval

    @property
    def counts(self) -> dict[str, int]:
        """The counts of the current interval that are not zero."""
        return {name: count for name, count in self.recorder.counts.items() if count}

    def counted(self, item: str) -> dict[str, int]:
        """The counts of one item that are not zero, without its name."""
        return {
            name.removeprefix(f"{item}."): count
            for name, count in self.counts.items()
            if name.startswith(f"{item}.")
        }

    def samples_ms(self, tag: str) -> list[float]:
        """The samples of a histogram, in milliseconds."""
        return [sample / MS for sample in self.recorded.samples[tag]]

    def errors(self, item: str) -> dict[str, str]:
        """The errors of an item, with the example of each."""
        return {error: tally.example for (of, error), tally in self.recorded.errors.items() if of == item}

    def lived(self, event: str) -> list[Lifecycle]:
        """The lifecycle records of one event."""
        return [record for record in self.recorded.lifecycle if record.event == event]

    @property
    def delays_s(self) -> list[float]:
        """The delays that the session asked for, in order."""
        return [action.after_s for action in self.asked if isinstance(action, Reconnect)]

    def tell(self, event: Event) -> Sequence[Action]:
        """Say what happened and perform what the session asks for."""
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
            case PerformDrop() | Drain():
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

    # What happens, in the words of tests. Each returns the link, to be chained.

    def start(self) -> "Link":
        """Begin, up to the established session."""
        self.tell(Started())
        return self.open().hear()

    def open(self) -> "Link":
        """Let the attempt succeed."""
        self.tell(Opened(Phases(tcp_ns=MS, upgrade_ns=2 * MS)))
        self.inbox += self.server.greet(self.identity)
        return self

    def hear(self, *, at_most: int | None = None) -> "Link":
        """Let the session hear what the server said until now."""
        frames, self.inbox = self.inbox[:at_most], self.inbox[len(self.inbox[:at_most]) :]
        return self.hear_these(frames)

    def hear_these(self, frames: Iterable[Data]) -> "Link":
        """Let the session hear these frames."""
        for data in frames:
            self.tell(Received(data))
        return self

    def send(self, count: int = 1) -> "Link":
        """Let messages fall due."""
        for _ in range(count):
            self.tell(Due(self.now_ns + MS))
        return self

    def refuse(self, cause: str = "http_503", *, unreachable: bool = False) -> "Link":
        """Let the attempt fail."""
        self.tell(refused(cause, unreachable=unreachable))
        return self

    def drop(self, kind: str = "reset") -> "Link":
        """Let the plan's drop be due."""
        self.tell(DropDue(drop(kind)))
        return self

    def detect(self) -> "Link":
        """Let the client notice its drop."""
        self.tell(Detected())
        return self

    def recover(self) -> "Link":
        """Let the disturbance end."""
        self.tell(Recovered())
        return self

    def lose(self, code: int = 1006, reason: str = "") -> "Link":
        """Let the connection go."""
        self.tell(lost(code, reason))
        return self

    def retry(self) -> "Link":
        """Let the backoff end."""
        self.tell(RetryDue())
        return self

    def resume(self) -> "Link":
        """Let the next attempt succeed, up to the established session."""
        return self.retry().open().hear()

    def sweep(self, after_ns: int = 0) -> "Link":
        """Let time pass, then look for overdue replies."""
        self.now_ns += after_ns
        self.tell(Swept())
        return self

    def stop(self) -> "Link":
        """Ask the session to end."""
        self.tell(Stopped())
        return self
