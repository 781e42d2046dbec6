"""A second, independent copy of the session's state table, with an example of every event."""

from loadtest.events import (
    Detected,
    Drained,
    DropDue,
    Due,
    EstablishTimedOut,
    Event,
    HeartbeatDue,
    Opened,
    Phases,
    Received,
    Recovered,
    RetryDue,
    Started,
    Stopped,
    Swept,
)
from loadtest.session.machine import State
from tests.support.fake_link import ack, drop, frame, lost, refused

ESTABLISHED = Received(frame("ws:session_established", session_id="session-0", thread_id="thread-0"))
FIRST_REPLY = Received(ack({"type": "chat.message", "payload": {"sequence": 0}}))
PUSH = Received(frame("ws:presence"))

ROWS: list[tuple[State, Event, State, list[str]]] = [
    (State.NEW, Started(), State.CONNECTING, ["Connect"]),
    (State.NEW, Stopped(), State.ENDED, ["Finish"]),
    (State.CONNECTING, Opened(Phases()), State.ESTABLISHING, []),
    (State.CONNECTING, refused(), State.WAITING, ["Reconnect"]),
    (State.CONNECTING, Due(0), State.CONNECTING, []),
    (State.CONNECTING, HeartbeatDue(), State.CONNECTING, []),
    (State.CONNECTING, Swept(), State.CONNECTING, []),
    (State.CONNECTING, Stopped(), State.ENDED, ["Finish"]),
    (State.ESTABLISHING, ESTABLISHED, State.STEADY, ["Settle"]),
    (State.ESTABLISHING, PUSH, State.ESTABLISHING, []),
    (State.ESTABLISHING, lost(1006), State.WAITING, ["Reconnect"]),
    (State.ESTABLISHING, lost(4401), State.ENDED, ["Finish"]),
    (State.ESTABLISHING, EstablishTimedOut(), State.WAITING, ["Close", "Reconnect"]),
    (State.ESTABLISHING, Due(0), State.ESTABLISHING, []),
    (State.ESTABLISHING, HeartbeatDue(), State.ESTABLISHING, []),
    (State.ESTABLISHING, Swept(), State.ESTABLISHING, []),
    (State.ESTABLISHING, Stopped(), State.ENDED, ["Close", "Finish"]),
    (State.STEADY, PUSH, State.STEADY, []),
    (State.STEADY, Due(0), State.STEADY, ["Send"]),
    (State.STEADY, DropDue(drop("reset")), State.DROPPING, ["PerformDrop"]),
    (State.STEADY, DropDue(drop("slow_reader")), State.STALLED, ["PerformDrop"]),
    (State.STEADY, lost(1012), State.WAITING, ["Reconnect"]),
    (State.STEADY, lost(1008), State.ENDED, ["Finish"]),
    (State.STEADY, HeartbeatDue(), State.STEADY, ["Send"]),
    (State.STEADY, Swept(), State.STEADY, []),
    (State.STEADY, Stopped(), State.ENDED, ["Close", "Finish"]),
    (State.STALLED, PUSH, State.STALLED, []),
    (State.STALLED, Due(0), State.STALLED, []),
    (State.STALLED, Recovered(), State.STEADY, ["Settle"]),
    (State.STALLED, lost(1006), State.WAITING, ["Reconnect"]),
    (State.STALLED, HeartbeatDue(), State.STALLED, ["Send"]),
    (State.STALLED, Swept(), State.STALLED, []),
    (State.STALLED, Stopped(), State.ENDED, ["Close", "Finish"]),
    (State.DROPPING, PUSH, State.DROPPING, []),
    (State.DROPPING, Due(0), State.DROPPING, []),
    (State.DROPPING, Detected(), State.WAITING, ["Reconnect"]),
    (State.DROPPING, lost(1000), State.WAITING, ["Reconnect"]),
    (State.DROPPING, HeartbeatDue(), State.DROPPING, []),
    (State.DROPPING, Swept(), State.DROPPING, []),
    (State.DROPPING, Stopped(), State.ENDED, ["Finish"]),
    (State.WAITING, RetryDue(), State.CONNECTING, ["Connect"]),
    (State.WAITING, Due(0), State.WAITING, []),
    (State.WAITING, HeartbeatDue(), State.WAITING, []),
    (State.WAITING, Swept(), State.WAITING, []),
    (State.WAITING, Stopped(), State.ENDED, ["Finish"]),
    (State.DRAINING, FIRST_REPLY, State.ENDED, ["Close", "Finish"]),
    (State.DRAINING, PUSH, State.DRAINING, []),
    (State.DRAINING, Drained(), State.ENDED, ["Close", "Finish"]),
    (State.DRAINING, lost(1006), State.ENDED, ["Finish"]),
    (State.DRAINING, HeartbeatDue(), State.DRAINING, ["Send"]),
    (State.DRAINING, Swept(), State.DRAINING, []),
]
"""The state table: state, event, next state, actions."""

EXAMPLES: dict[type, Event] = {type(event): event for _, event, _, _ in ROWS}
LEGAL = {(state, type(event)) for state, event, _, _ in ROWS}
