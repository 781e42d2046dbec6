"""`echo`: any server that returns what it receives.

A request is just its marked text, and the reply must equal it. The server has no session identity, so
`persistence` is not judged.
"""

from loadtest.dialects.base import Dialect, Reply, Unreadable, unreadable
from loadtest.dialects.dialect_session import DialectSession
from loadtest.events import Data


class Echo(Dialect):
    """A server that returns what it receives."""

    name = "echo"

    def request(self, session: DialectSession, sequence: int) -> str:
        return session.text(sequence)

    def probe(self, session: DialectSession) -> str:
        return "probe"

    def read(self, session: DialectSession, data: Data) -> Reply | Unreadable:
        if isinstance(data, bytes):
            return unreadable(data)
        return Reply(session.sequence_of(data), data, True)
