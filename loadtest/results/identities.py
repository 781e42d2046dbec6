"""Which sessions share an identity: the server gave one of them the session id of another.

Each session counts once, with the id under which it was first established: one that comes back as another
session is a matter of `persistence`. A session for which the server sent no id keeps its own. Ids are of
limited length: they were cut when they were recorded (`loadtest.results.interval`).
"""

from collections import defaultdict
from dataclasses import dataclass

from loadtest.session.reconnecting import NAMED, WORKING
from loadtest.session.recorder import Lifecycle

PAIRS_LIMIT = 2
"""Pairs of sessions that are kept as examples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedIdentities:
    """Sessions whose id another session has too.

    Args:
        sessions: their number.
        ids: how many different ids they have.
        strays: how many of them were given the id of another: all but one for each id.
        unsaid: how many strays were given it as if it were the one they had asked for.
        pairs: the first pairs of sessions, each with the id that both have.
    """

    sessions: int
    ids: int
    strays: int
    unsaid: int
    pairs: tuple[tuple[str, str, str], ...]

    @property
    def said(self) -> bool:
        """Whether the server said of each stray that it gave another id than the one asked for."""
        return not self.unsaid


class Identities:
    """Finds sessions that share an identity. The events of a session must come in order, others' may not."""

    def __init__(self) -> None:
        self._given: dict[str, str] = {}  # by session, the id that it was given first
        self._taken: set[str] = set()  # these ids
        self._said: set[str] = set()  # sessions of whom the server said that they have another id
        self._suspected = False  # whether an id occurred twice: in a sound run none does
        self._shared: SharedIdentities | None = None
        self._stale = False  # whether a session has come since that was found

    def event(self, record: Lifecycle) -> None:
        """Add a lifecycle event."""
        session = record.session
        if session in self._given and record.event != NAMED:
            return
        established = record.event in ("connected", "resumed", NAMED) or (
            record.event == "failed" and record.phase == WORKING
        )
        if record.event == NAMED and self._given.get(session) == session:
            del self._given[session]  # that it had its own was assumed: the server had said none
        if not established or session in self._given:
            return
        given = session if record.known_as is None else record.known_as
        is_others = given != session and given in self._given
        self._suspected = self._suspected or is_others or not self._taken.isdisjoint((given, session))
        self._given[session] = given
        self._taken.add(given)
        self._stale = True
        if record.reassigned:
            self._said.add(session)

    def shared(self) -> SharedIdentities | None:
        """Return the sessions that share an identity, None if there are none."""
        if self._suspected and self._stale:
            self._shared, self._stale = self._found(), False
        return self._shared

    def _found(self) -> SharedIdentities | None:
        groups = {one: sessions for one, sessions in self._by_id().items() if len(sessions) > 1}
        if not groups:
            return None
        strays = [session for sessions in groups.values() for session in sessions[1:]]
        pairs = [(sessions[0], stray, one) for one, sessions in groups.items() for stray in sessions[1:2]]
        return SharedIdentities(
            sessions=len({session for sessions in groups.values() for session in sessions}),
            ids=len(groups),
            strays=len(strays),
            unsaid=sum(stray not in self._said for stray in strays),
            pairs=tuple(pairs[:PAIRS_LIMIT]),
        )

    def _by_id(self) -> dict[str, list[str]]:
        """Return the sessions by id; the one whose own id it is comes first, also if it was given another."""
        by_id: defaultdict[str, list[str]] = defaultdict(list)
        for session, given in self._given.items():
            if given in self._given and not by_id[given]:
                by_id[given].append(given)
            if given != session or given not in by_id[given]:
                by_id[given].append(session)
        return by_id
