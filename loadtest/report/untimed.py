"""Messages that no latency figure has: their reply came too late, or not at all.

Without this note, a server that answers a third of its messages seconds late would look fast.
"""

from loadtest import text
from loadtest.results.data import RunData
from loadtest.session.ledger import Outcome

_UNTIMED = (Outcome.LATE, Outcome.LOST, Outcome.BROKEN_OFF)


def untimed(run: RunData) -> int:
    """Return how many messages of a run are in no latency figure because they had no reply in time."""
    return sum(run.count(f"messaging.{outcome}") for outcome in _UNTIMED)


def untimed_text(run: RunData) -> str:
    """Return how many there are, empty for none."""
    if not (number := untimed(run)):
        return ""
    return f"{text.counted(number, 'late or lost message')} not included."
