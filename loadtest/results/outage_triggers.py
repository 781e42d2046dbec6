"""The drop or loss that began each session's outage: only the first lifecycle event of an outage has it."""

from loadtest.drops.kinds import disconnects
from loadtest.results.interval import TEXT_LIMIT
from loadtest.results.per_second import OTHER
from loadtest.session.recorder import Lifecycle

UNKNOWN = ("loss", OTHER)
"""Trigger and name of outages whose beginning was not recorded."""


class OutageTriggers:
    """Follows each session from what begins its outage to its end. Events of a session must come in order."""

    __slots__ = ("_kept", "_open")

    def __init__(self) -> None:
        self._open: dict[str, tuple[str, str]] = {}  # by session
        self._kept: dict[str, str] = {}  # by session, the last drop that was to keep its connection

    def begun(self, record: Lifecycle) -> tuple[str, str] | None:
        """Return the trigger (`drop` or `loss`) and the name of the outage that an event begins, or None."""
        match record.event:
            case "dropped" if disconnects(record.kind):
                trigger = ("drop", record.kind or OTHER)
            case "dropped":
                self._kept[record.session] = record.kind or OTHER
                return None
            case "ended" if record.session in self._kept:  # in a drop that was to keep the connection
                trigger = ("drop", self._kept[record.session])
            case "ended" | "lost" if not record.final:
                trigger = ("loss", record.cause or OTHER)
            case _:
                return None
        trigger = (trigger[0], trigger[1][:TEXT_LIMIT])
        self._open[record.session] = trigger
        self._kept.pop(record.session, None)
        return trigger

    def is_open(self, session: str) -> bool:
        """Return whether a session is in an outage, as far as events tell."""
        return session in self._open

    def ended(self, record: Lifecycle) -> tuple[str, str] | None:
        """Return what began the outage that an event ends, or None."""
        return self._open.pop(record.session, UNKNOWN) if record.event == "resumed" else None
