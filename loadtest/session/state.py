"""States of a session; `loadtest.session.machine` has the transitions between them."""

from enum import StrEnum


class State(StrEnum):
    """State of a session; the value is its name in the recorder's population."""

    NEW = "new"
    CONNECTING = "connecting"
    ESTABLISHING = "establishing"
    PROVING = "proving"
    STEADY = "steady"
    STALLED = "stalled"
    DROPPING = "dropping"
    WAITING = "waiting"
    DRAINING = "draining"
    ENDED = "ended"


UP = (State.PROVING, State.STEADY, State.STALLED, State.DRAINING)
"""States of a session that is established."""

TALKING = frozenset({State.PROVING, State.STEADY})
"""States in which a session sends requests."""
