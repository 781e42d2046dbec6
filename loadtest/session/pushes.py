"""A session's pushes: what the server sends on its own, connection by connection. Pure.

A push may carry a text, a number and the time when it was sent. What it carries is checked: texts must be the
session's own, intact and in order, numbers must go on without a gap.
"""

from loadtest.dialects.base import Push
from loadtest.dialects.dialect_session import DialectSession
from loadtest.session.history import flaws_of
from loadtest.session.recorder import Recorder

MAX_CLOCK_MS = 1e15
"""Cap on a server's clock, some 30,000 years: it may say any number, also an int beyond a float."""

MAX_PUSH_NS = 2.0**62
"""Cap on a push's delay, as a server's clock may show any time: it fits the array and counts as clamped."""

MAX_PUSH_GAP = 1_000_000
"""Cap on the missing pushes counted for one gap, as a server may send any number."""


class Pushes:
    """The pushes of one session."""

    __slots__ = ("_about", "_last_number", "_last_sequence", "_least_delay_ms", "_ordered", "_recorder")

    def __init__(self, about: DialectSession, recorder: Recorder, *, ordered: bool) -> None:
        self._about = about
        self._recorder = recorder
        self._ordered = ordered
        self.opened()

    def opened(self) -> None:
        """Begin a new connection: its pushes are numbered anew."""
        self._last_number: int | None = None
        self._least_delay_ms: float | None = None
        self._last_sequence = -1  # the latest request whose text came in a push

    def received(self, push: Push, now_ns: int) -> None:
        """Count a push and check what it carries."""
        self._recorder.counts["messaging.pushes"] += 1
        if push.text is not None:
            self._check_text(push.text, now_ns)
        if push.number is not None:
            self._check_number(push.number, now_ns)
        if push.sent_at_ms is not None and abs(push.sent_at_ms) < MAX_CLOCK_MS:  # not NaN either
            # RFC 3393: with unsynchronised clocks, only the delay above the smallest one is known.
            apart_ms = now_ns / 1e6 - push.sent_at_ms
            least_ms = apart_ms if self._least_delay_ms is None else min(apart_ms, self._least_delay_ms)
            self._least_delay_ms = least_ms
            delay_ns = min((apart_ms - least_ms) * 1e6, MAX_PUSH_NS)
            self._recorder.samples("push").append(int(delay_ns))

    def _check_text(self, text: str, now_ns: int) -> None:
        own, flaw, example = flaws_of(text, self._about)
        if flaw is not None:
            self._fault(flaw, f"{flaw} text in a push", now_ns, example)
        elif own and self._ordered:
            if own[0] < self._last_sequence:
                example = f"the text of request {own[0]} came after that of request {self._last_sequence}"
                self._fault("reordered", "push out of order", now_ns, example)
            self._last_sequence = max(self._last_sequence, own[-1])

    def _check_number(self, number: int, now_ns: int) -> None:
        last, self._last_number = self._last_number, number
        if last is None or number == last + 1:
            return
        example = f"push {number} came after push {last}"
        if number > last:
            missing = min(number - last - 1, MAX_PUSH_GAP)
            self._fault("missing", "push missing", now_ns, example, count=missing)
        else:
            self._fault("duplicated", "push again or out of order", now_ns, example)

    def _fault(self, name: str, error: str, now_ns: int, example: str, *, count: int = 1) -> None:
        self._recorder.counts[f"messaging.pushes_{name}"] += count
        session = self._about.session_id
        self._recorder.error("messaging", error, session=session, at_ns=now_ns, example=example)
