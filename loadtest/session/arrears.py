"""Whether replies that name no request keep up with the requests. Pure.

Such replies are taken for the oldest outstanding request, so a lost one shifts all that follow: the newest
requests seem to be under way, and the next drop would explain them. What can be counted is that replies and
requests have become equal in number, which proves that none was lost until then. A connection whose replies
had been fewer for some time when the tool ended it is in arrears: either replies were lost, or the server was
slow all the time. Nothing on the wire tells which.
"""

from loadtest.session.recorder import Recorder

PATIENCE = 3
"""Replies over which arrears must have lasted: a drop between a request and its reply proves nothing."""


class Arrears:
    """One session's requests and replies in number."""

    __slots__ = ("_behind", "_recorder", "_unnamed")

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self.opened()

    def opened(self) -> None:
        """Begin a new connection."""
        self._unnamed = False  # whether any reply named no request
        self._behind = 0  # replies since they were last equal to the requests in number

    def replied(self, outstanding: int) -> None:
        """Count a reply that names no request; so many requests are outstanding after it."""
        self._recorder.counts["messaging.unnamed"] += 1
        self._unnamed = True
        self._behind = self._behind + 1 if outstanding else 0

    def ended(self, outstanding: int) -> None:
        """Count the end of the connection by the tool, with so many requests outstanding."""
        if self._unnamed:
            self._recorder.counts["messaging.unnamed_ends"] += 1
            self._recorder.counts["messaging.arrears"] += outstanding > 0 and self._behind >= PATIENCE
        self.opened()
