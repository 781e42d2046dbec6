"""One session, controlled by a fixed script instead of a run's plan, for `loadtest dialect check`.

The session, its link, the engine and the transport are those of a run. This module only decides when a
message is due and when the connection is dropped, depending on what has happened so far:

    connect, establish, a few requests one after the other, a heartbeat if one is due soon,
    a `close` drop, reconnect, resume, requests again, close

Each step ends when its purpose is reached or its timeout is over, so the whole takes a few seconds and the
timeouts that were met.
"""

import asyncio
import sys
import time
import traceback
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from typing import Any

from loadtest.dialects.dialect_session import DialectSession
from loadtest.dialects.observed import observe
from loadtest.drops.plan import DropPlan
from loadtest.engine.blocking import Start
from loadtest.engine.conversation import Conversation, Ending
from loadtest.engine.engine import Engine, EngineSettings
from loadtest.engine.link import Link, LinkContext
from loadtest.engine.transcript import Transcript
from loadtest.errors import DialectMistake, LoadtestError
from loadtest.events import Drop, DropDue, Due, Endpoint, Event, Identity
from loadtest.scrubber import NO_SECRETS, Secrets
from loadtest.session.schedule import NS_PER_S, Backoff, Pace
from loadtest.session.state import TALKING, State

REQUESTS = 3
"""Requests before the drop."""

REQUESTS_AFTER = 2
"""Requests after the resume."""

LISTEN_S = 0.2
"""Pause after the last reply, for what else the server says: a reply again, the end of a stream, a push."""

PUSHES_S = 1.5
"""How long to wait for a first push of a server that sends some, after its replies."""

LISTEN_ONLY_S = 3.0
"""How long to listen on a connection of a dialect without requests."""

LISTEN_ONLY_MESSAGES = 3
"""Messages after which such a dialect has shown what it reads."""

LONGEST_HEARTBEAT_S = 3.0
"""A heartbeat that is due later is not waited for."""

PUZZLED_S = 1.0
"""Wait for the right message after one that the dialect could not read or place; mostly it was the one."""

LONGEST_REPLY_S = 60.0
"""A streamed reply that goes on for longer is not waited for, unless the reply timeout is longer."""

RECONNECT_S = 0.2
"""Before the reconnect."""

STUCK_S = 5.0
"""Seconds without a heartbeat after which the dialect counts as blocking the event loop."""

_POLL_S = 0.01
_THREAD_S = 5.0

Wait = Callable[[], bool]
"""Returns whether a step of the script is over."""


class OneReconnect(Backoff):
    """Makes no second first attempt, and one attempt after the drop."""

    __slots__ = ()

    def delay_s(self, attempt: int, *, session: int, outage: int) -> float | None:
        """Return the seconds before this attempt, None to give up."""
        return RECONNECT_S if outage == 1 and attempt == 1 else None


class ScriptedLink(Link):
    """A link that a script controls. It reports each event to the transcript, with what was recorded."""

    __slots__ = ("_transcript",)

    def __init__(self, about: DialectSession, context: LinkContext, transcript: Transcript) -> None:
        super().__init__(about, context)
        self._transcript = transcript

    def _feed(self, event: Event) -> None:
        state = self.session.state
        self._transcript.begin(event, state, self.session.about)
        super()._feed(event)
        context = self._context
        interval = context.recorder.swap(context.clock())
        self._transcript.end(event, state, self.session.state, interval)

    def ask(self) -> None:
        """Send the next request."""
        self._feed(Due(self._context.clock()))

    def drop(self) -> None:
        """Do a `close` drop. Try the dialect's probe first, because drops of other kinds send it."""
        try:
            self.session.probe  # noqa: B018 - for its mistakes
        except DialectMistake as wrong:
            self._context.fail(wrong)
            return
        self._feed(DropDue(Drop(kind="close", ordinal=0, after_s=0.0)))


class ScriptedSession:
    """Runs the conversation on its own engine.

    Args:
        settings: settings of a run; pace, drops and backoff are replaced.
        run_id: part of the session's ids and texts.
        start_thread: starts a native thread for the loop.
        start_blocking: starts a blocking function of a dialect outside the loop.
    """

    def __init__(
        self,
        settings: EngineSettings,
        *,
        run_id: str,
        start_thread: Callable[[Callable[[], None], tuple[()]], Any],
        start_blocking: Start,
    ) -> None:
        self._settings = _scripted(settings)
        self._dialect = settings.config.dialect
        self._start_native_thread = start_thread
        self._ended = False
        self._thread_id = 0
        self._turns = 0  # of the event loop: while it turns, it is not blocked
        self._ending = Ending.INTERRUPTED
        self._script = self._steps()
        self._over: Wait = lambda: True
        self._identity = Identity(number=0, session_id=f"{run_id}-000000", thread_id=f"{run_id}-t000000")
        self._engine = Engine(
            self._settings,
            start_ns=time.monotonic_ns(),
            run_id=run_id,
            on_interval=lambda _: None,
            on_failure=lambda: None,
            start_thread=self._start_thread,
            start_blocking=start_blocking,
            new_link=self._new_link,
        )
        self._zero_ns = self._dialled_ns = self._heard_before = 0
        added = Endpoint(path="", headers=settings.headers, subprotocols=settings.subprotocols)
        self._transcript = Transcript(self._dialect, self._clock, added)
        observe(self._dialect, self._transcript)

    # In the caller's thread.

    def hold(self, secrets: Secrets = NO_SECRETS) -> Conversation:
        """Run the conversation, once; Ctrl-C ends it early.

        Args:
            secrets: texts that must not appear in the transcript, in addition to the session's credentials.

        Raises:
            LoadtestError: the tool itself failed.
        """
        try:
            self._engine.start(self._begin)
            self._wait()
        except KeyboardInterrupt:
            self._ending = Ending.INTERRUPTED
        self._end_thread()
        failure = self._engine.failure
        if isinstance(failure, DialectMistake):
            self._ending = Ending.MISTAKE
        elif failure is not None:
            raise failure
        return self._transcript.finished(self._ending, failure, secrets)

    def _wait(self) -> None:
        """Wait until the engine's thread has ended or is blocked; ignore pauses of the whole process."""
        silent_s = 0.0
        while not self._ended:
            turns = self._turns
            time.sleep(_POLL_S)
            silent_s = silent_s + _POLL_S if self._turns == turns else 0.0
            if silent_s > STUCK_S:
                self._ending = Ending.BLOCKED
                frame = sys._current_frames().get(self._thread_id)
                self._transcript.stuck(STUCK_S, traceback.extract_stack(frame) if frame else ())
                return

    def _end_thread(self) -> None:
        deadline_s = time.monotonic() + _THREAD_S
        try:
            self._engine.call(self._engine.close)
        except LoadtestError:
            return  # it has ended by itself
        while not self._ended and self._ending is not Ending.BLOCKED and time.monotonic() < deadline_s:
            time.sleep(_POLL_S)

    def _start_thread(self, function: Callable[[], None], arguments: tuple[()]) -> Any:
        """Start the engine's thread, and record when it ends."""

        def run() -> None:
            try:
                function(*arguments)
            finally:
                self._ended = True

        self._thread_id = self._start_native_thread(run, ())
        return self._thread_id

    # On the loop's thread.

    def _new_link(self, about: DialectSession, context: LinkContext, _user: object) -> Link:
        self._link = ScriptedLink(about, context, self._transcript)
        return self._link

    def _clock(self) -> int:
        """Return nanoseconds since the conversation began."""
        return self._engine.clock() - self._zero_ns

    def _begin(self) -> None:
        self._zero_ns = self._engine.clock()
        self._engine.add([self._identity])
        self._poll()

    def _poll(self) -> None:
        """Continue the script as far as possible, and check again soon."""
        self._turns += 1
        try:
            while self._engine.failure is None and self._over():
                self._over = next(self._script)
        except StopIteration as stop:
            self._ending = stop.value
            self._close()
        else:
            asyncio.get_running_loop().call_later(_POLL_S, self._poll)

    def _close(self) -> None:
        if self._state in (*TALKING, State.ESTABLISHING):
            self._transcript.closed("the client closes the connection, code 1000")
        self._engine.stop([self._identity.number], 0.0, self._engine.close)
        self._turn()

    def _turn(self) -> None:
        self._turns += 1
        asyncio.get_running_loop().call_later(_POLL_S, self._turn)

    @property
    def _state(self) -> State:
        return self._link.session.state

    def _steps(self) -> Generator[Wait, None, Ending]:
        """The script. Yields what to wait for; returns how the conversation ended."""
        yield from self._establish()
        if self._state not in TALKING:
            return Ending.NOT_ESTABLISHED
        yield from self._talk(REQUESTS)
        yield from self._await_heartbeat()
        yield from self._await_push()
        if (ending := self._so_far()) is not None:
            return ending
        self._link.drop()
        yield from self._establish()
        if self._state not in TALKING:
            return Ending.NOT_RESUMED
        yield from self._talk(REQUESTS_AFTER)
        return self._so_far() or Ending.DONE

    def _so_far(self) -> Ending | None:
        """Return how the conversation ended, or None if it can continue."""
        if self._state not in TALKING:
            return Ending.LOST
        return Ending.NO_REPLY if self._unanswered else None

    @property
    def _unanswered(self) -> bool:
        counts = self._transcript.counts
        lost = counts["messaging.lost"] + counts["messaging.broken_off"]
        return bool(lost or self._link.session.outstanding)

    def _establish(self) -> Iterator[Wait]:
        self._dialled_ns, self._heard_before = self._clock(), self._transcript.heard
        yield lambda: self._state in (*TALKING, State.ENDED) or self._puzzled(self._dialled_ns)

    def _talk(self, requests: int) -> Iterator[Wait]:
        if not type(self._dialect).overrides("request"):
            yield from self._listen()
            return
        for _ in range(requests):
            if self._so_far() is not None:
                return
            began_ns = self._clock()
            self._link.ask()
            yield lambda: self._answered(began_ns)  # noqa: B023  # called before the next turn
            if self._transcript.seen["request.unanswerable"]:
                yield self._pause(LISTEN_S)  # see what comes nevertheless
        yield self._pause(LISTEN_S)

    def _answered(self, asked_ns: int) -> bool:
        if not self._link.session.outstanding or self._state not in TALKING:
            return True
        longest_ns = max(LONGEST_REPLY_S * NS_PER_S, self._settings.config.reply_timeout_ns + NS_PER_S)
        return self._puzzled(asked_ns) or self._clock() - asked_ns > longest_ns

    def _puzzled(self, since_ns: int) -> bool:
        """Return whether the awaited message has probably come, but the dialect did not understand it."""
        puzzled_ns = self._transcript.puzzled_ns
        if puzzled_ns is None or puzzled_ns < since_ns:
            return False
        return self._clock() - puzzled_ns > PUZZLED_S * NS_PER_S

    def _listen(self) -> Iterator[Wait]:
        over, enough = self._pause(LISTEN_ONLY_S), self._heard_before + LISTEN_ONLY_MESSAGES
        yield lambda: over() or self._puzzled(self._dialled_ns) or self._transcript.heard >= enough
        yield self._pause(LISTEN_S)

    def _await_heartbeat(self) -> Iterator[Wait]:
        every_s = self._dialect.heartbeat_s
        if every_s is None or every_s > LONGEST_HEARTBEAT_S or self._so_far() is not None:
            return
        over = self._pause(every_s + 1)
        yield lambda: over() or self._transcript.seen["heartbeat"] > 0
        yield self._pause(LISTEN_S)

    def _await_push(self) -> Iterator[Wait]:
        if self._dialect.pushes and not self._transcript.seen["Push"] and self._so_far() is None:
            over = self._pause(PUSHES_S)
            yield lambda: over() or self._transcript.seen["Push"] > 0

    def _pause(self, seconds: float) -> Wait:
        until_ns = self._clock() + int(seconds * NS_PER_S)
        return lambda: self._clock() >= until_ns or self._state not in TALKING


def _scripted(settings: EngineSettings) -> EngineSettings:
    """Return the settings without plans: the pace sends no message and no drop is planned."""
    config = replace(
        settings.config, pace=Pace(0, seed=settings.config.pace.seed), backoff=OneReconnect(), in_flight=0
    )
    return replace(settings, config=config, drops=DropPlan(every_s=0))
