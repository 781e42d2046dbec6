"""Checks whether replies that name no request keep up with the requests. Pure.

Such replies are matched to the oldest outstanding request, so one lost reply shifts all that follow: the
newest requests seem to be outstanding, and the next drop would explain them. But whenever replies and
requests are equal in number, no reply was lost until then. A connection is in arrears if its replies had been
fewer than its requests for some time when the tool ended it: either replies were lost, or the server was slow
all the time. Nothing on the wire shows which.
"""

from loadtest.session.recorder import Recorder

PATIENCE = 3
"""Replies over which arrears must have lasted: a drop between a request and its reply proves nothing."""


class Arrears:
    """Number of requests and replies of one session."""

    __slots__ = ("_behind", "_recorder", "_unnamed")

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self.opened()

    def opened(self) -> None:
        """Begin a new connection."""
        self._unnamed = False  # whether any reply named no request
        self._behind = 0  # replies since they were last equal to the requests in number

    def replied(self, outstanding: int) -> None:
        """Count a reply that names no request; `outstanding` requests remain after it."""
        self._recorder.counts["messaging.unnamed"] += 1
        self._unnamed = True
        self._behind = self._behind + 1 if outstanding else 0

    def ended(self, outstanding: int) -> None:
        """Count the end of the connection by the tool, with `outstanding` requests remaining."""
        if self._unnamed:
            self._recorder.counts["messaging.unnamed_ends"] += 1
            self._recorder.counts["messaging.arrears"] += outstanding > 0 and self._behind >= PATIENCE
        self.opened()
