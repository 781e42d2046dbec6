"""A conversation told by a test: a real session and its transcript, with the test's events and times.

talk = Talk(Chat())
talk.connects()
talk.hears({"type": "welcome", "session": "s"})
talk.asks()
talk.hears({"re": 0, "text": talk.text(0)})
conversation = talk.ends(Ending.DONE)
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from loadtest.dialects.base import Dialect
from loadtest.dialects.dialect_session import DialectSession
from loadtest.dialects.observed import observe
from loadtest.engine.conversation import Conversation, Ending
from loadtest.engine.transcript import Transcript
from loadtest.errors import DialectMistake
from loadtest.events import (
    Data,
    DropDue,
    Due,
    Endpoint,
    EstablishTimedOut,
    Event,
    Identity,
    Lost,
    Opened,
    Phases,
    Received,
    Refused,
    RetryDue,
    Started,
    Swept,
)
from loadtest.scrubber import NO_SECRETS, Secrets
from loadtest.session.machine import Session
from loadtest.session.recorder import Recorder
from loadtest.session.schedule import NS_PER_S
from tests.support.fake_link import drop, session_config

STEP_NS = 2_500_000
"""Time between two events."""


class Talk:
    """A conversation in progress.

    Args:
        dialect: the dialect.
        added: headers and subprotocols of the settings.
    """

    def __init__(self, dialect: Dialect, *, added: Endpoint | None = None) -> None:
        self.dialect = dialect
        self.now_ns = 0
        self.failure: DialectMistake | None = None
        self.about = DialectSession(
            Identity(number=0, session_id="1b5ef97f-000000", thread_id="1b5ef97f-t000000"),
            run_id="1b5ef97f",
        )
        self.transcript = Transcript(dialect, lambda: self.now_ns, added or Endpoint(path=""))
        observe(dialect, self.transcript)
        self._dialled = False
        self._recorder = Recorder()
        self._session = Session(self.about, session_config(dialect=dialect), self._recorder)

    def text(self, sequence: int) -> str:
        """Return the text of a request."""
        return self.about.text(sequence)

    def event(self, event: Event, *, after_ns: int = STEP_NS) -> None:
        """Give the session an event, as the engine's link does."""
        self.now_ns += after_ns
        state = self._session.state
        self.transcript.begin(event, state, self.about)
        try:
            self._session.handle(event, self.now_ns)
        except DialectMistake as mistake:
            self.failure = mistake
        self.transcript.end(event, state, self._session.state, self._recorder.swap(self.now_ns))

    def attempts(self) -> None:
        """Begin an attempt: the first one, or the one after a loss; log in and address it."""
        self.event(RetryDue() if self._dialled else Started())
        self._dialled = True
        if type(self.dialect).overrides("login"):
            with suppress(StopIteration):
                self.dialect.login(self.about).send(None)
        self.now_ns += STEP_NS
        self.dialect.endpoint(self.about)

    def connects(self, **cookies: str) -> None:
        """Make an attempt that opens a WebSocket, whose response sets these cookies."""
        self.attempts()
        self.about.cookies = {**self.about.cookies, **cookies}
        self.event(Opened(Phases()))

    def is_refused(self, cause: str, detail: str, phase: str = "upgrade") -> None:
        """Have the attempt refused."""
        self.event(Refused(phase=phase, cause=cause, detail=detail))

    def hears(self, *messages: dict[str, Any] | Data) -> None:
        """Receive messages: JSON unless they are data."""
        for message in messages:
            data = json.dumps(message, ensure_ascii=False) if isinstance(message, dict) else message
            self.event(Received(data))

    def asks(self) -> None:
        """Send the next request."""
        self.event(Due(self.now_ns))

    def drops(self) -> None:
        """Close the connection, as the client."""
        self.event(DropDue(drop("close")))
        self.event(Lost(code=1000, reason="", cause="1000"))

    def is_left(self, code: int, reason: str) -> None:
        """Lose the connection, closed by the server."""
        self.event(Lost(code=code, reason=reason, cause=str(code)))

    def waits(self, seconds: float) -> None:
        """Let time pass, and look for overdue replies."""
        self.event(Swept(), after_ns=int(seconds * NS_PER_S))

    def waits_in_vain(self) -> None:
        """Let the time for establishing pass."""
        self.event(EstablishTimedOut(), after_ns=10 * NS_PER_S)

    def ends(self, ending: Ending, secrets: Secrets = NO_SECRETS) -> Conversation:
        """Finish the transcript."""
        return self.transcript.finished(Ending.MISTAKE if self.failure else ending, self.failure, secrets)
