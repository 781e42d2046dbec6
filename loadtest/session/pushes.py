"""A session's pushes: messages that the server sends unrequested, connection by connection. Pure.

The content of a push is checked: texts must be the session's own, intact and in order; numbers must have no
gaps.

If a rate is expected, lost pushes are found without numbers. A working connection is one stretch, or several
if drops interrupt it and keep it open. The time from a stretch's first push to its last, times the rate, is
the number of pushes that should have followed the first. This is unbiased for a server that pushes
periodically: neither the phase of its timer matters, nor a push due just after the stretch. The time before
the first push and after the last one counts only beyond one period, which detects a stream that stops or
never starts. No verdicts here: `loadtest.verdict.push_rate` judges these counts.
"""

from loadtest.dialects.base import Dialect, Push
from loadtest.dialects.dialect_session import DialectSession
from loadtest.session.recorder import Recorder
from loadtest.session.returned_texts import flaws_of
from loadtest.session.schedule import NS_PER_S

MAX_CLOCK_MS = 1e15
"""Cap on a server's clock, some 30,000 years: it may say any number, also an int beyond a float."""

MAX_PUSH_NS = 2.0**62
"""Cap on a push's delay, as a server's clock may show any time: it fits the array and counts as clamped."""

MAX_PUSH_GAP = 1_000_000
"""Cap on the missing pushes counted for one gap, as a server may send any number."""

SETTLING_NS = 2 * NS_PER_S
"""Start of a stretch that is not counted: a server's timer may start late, and what an outage or a stalled
reader held up comes at once, which would make up for pushes lost later."""

EDGE_NS = NS_PER_S // 2
"""Open time at either end of a stretch that is not counted, beside one period: for pushes under way."""

SILENT_PERIODS = 20
"""Periods without a push that count as a silence: where pushes come at random, one gap in 500 million."""

SILENT_NS = 5 * NS_PER_S
"""Shortest silence, since at high rates 20 periods may be a hiccup of the network."""

_NEVER_NS = 2**63
"""Later than any time of a run."""


class Pushes:
    """The pushes of one session.

    Args:
        about: the session.
        dialect: dialect of the application.
        recorder: recorder of the process.
        expected_per_s: pushes expected per second, 0 for none.
    """

    __slots__ = (
        "_about",
        "_arrived",
        "_expected_per_s",
        "_first_ns",
        "_flow",
        "_following",
        "_from_ns",
        "_last_ns",
        "_last_number",
        "_last_sequence",
        "_least_delay_ms",
        "_ordered",
        "_recorder",
        "_silent_ns",
    )

    def __init__(
        self, about: DialectSession, dialect: Dialect, recorder: Recorder, expected_per_s: float = 0.0
    ) -> None:
        self._about = about
        self._recorder = recorder
        self._ordered = dialect.ordered
        self._expected_per_s = expected_per_s
        periods_ns = SILENT_PERIODS / expected_per_s * NS_PER_S if expected_per_s else _NEVER_NS
        self._silent_ns = max(SILENT_NS, periods_ns)
        self._flow = expected_per_s > 0  # whether pushes should come: expected, or some have
        self._following = False  # whether a stretch is under way
        self._last_ns = 0  # the latest push of the stretch, at first its beginning
        self._from_ns = _NEVER_NS  # pushes are counted from then on
        self._first_ns = 0  # the first push that was counted, 0 before it
        self._arrived = 0  # pushes counted after that
        self.opened()

    # Connections.

    def opened(self) -> None:
        """Begin a new connection: its pushes are numbered anew."""
        self._last_number: int | None = None
        self._least_delay_ms: float | None = None
        self._last_sequence = -1  # the latest request whose text came in a push

    def began(self, now_ns: int) -> None:
        """Begin a stretch: the session works or reads again."""
        self._following, self._last_ns = True, now_ns
        if self._expected_per_s:
            self._from_ns, self._first_ns, self._arrived = now_ns + SETTLING_NS, 0, 0

    def ended(self, now_ns: int) -> None:
        """End the stretch, if there is one, because of the tool: pushes were expected until now."""
        if not self._following:
            return
        if self._flow:
            self._gap(now_ns - self._last_ns, now_ns)
        since_ns = max(self._last_ns, self._from_ns)
        if since_ns < now_ns:
            self._owe(now_ns - since_ns)
        self.lost()

    def lost(self) -> None:
        """End the stretch, if any, because the connection was lost, which explains a silence before it."""
        self._following = False
        if self._first_ns and self._arrived:
            counts = self._recorder.counts
            span_s = (self._last_ns - self._first_ns) / NS_PER_S
            counts["messaging.pushes_expected"] += round(span_s * self._expected_per_s)
            counts["messaging.pushes_arrived"] += self._arrived
            counts["messaging.push_stretches"] += 1
        self._first_ns, self._from_ns = 0, _NEVER_NS

    def _owe(self, open_ns: int) -> None:
        """Expect pushes for the part of an open time beyond one period."""
        owed = int((open_ns - EDGE_NS) / NS_PER_S * self._expected_per_s) - 1
        if owed > 0:
            self._recorder.counts["messaging.pushes_expected"] += owed

    def _gap(self, gap_ns: int, now_ns: int) -> None:
        self._recorder.push_gap.append(gap_ns)
        if gap_ns > self._silent_ns:
            self._recorder.counts["messaging.push_silences"] += 1
            example = f"for {gap_ns / NS_PER_S:.1f} s; {self._expected_per_s:g} per second are expected"
            self._error("no push for too long", now_ns, example)

    # Pushes.

    def received(self, push: Push, now_ns: int) -> None:
        """Count a push and check its content."""
        self._recorder.counts["messaging.pushes"] += 1
        if self._following:
            self._gap(now_ns - self._last_ns, now_ns)
            self._last_ns = now_ns
            if self._first_ns:
                self._arrived += 1
            else:
                self._first(now_ns)
        if push.text is not None:
            self._check_text(push.text, now_ns)
        if push.number is None:
            self._recorder.counts["messaging.pushes_unnumbered"] += 1
        else:
            self._check_number(push.number, now_ns)
        if push.sent_at_ms is not None and abs(push.sent_at_ms) < MAX_CLOCK_MS:  # not NaN either
            # RFC 3393: with unsynchronised clocks, only the delay above the smallest one is known.
            apart_ms = now_ns / 1e6 - push.sent_at_ms
            least_ms = apart_ms if self._least_delay_ms is None else min(apart_ms, self._least_delay_ms)
            self._least_delay_ms = least_ms
            delay_ns = min((apart_ms - least_ms) * 1e6, MAX_PUSH_NS)
            self._recorder.samples("push").append(int(delay_ns))

    def _first(self, now_ns: int) -> None:
        """Start counting with this push, unless the stretch is still settling."""
        self._flow = True
        if now_ns >= self._from_ns:
            self._owe(now_ns - self._from_ns)
            self._first_ns = now_ns

    def _check_text(self, text: str, now_ns: int) -> None:
        own, flaw, example = flaws_of(text, self._about)
        if flaw is not None:
            self._fault(flaw, f"{flaw} text in a push", now_ns, example)
        elif not own:
            self._recorder.counts["messaging.pushes_unmarked"] += 1
        elif self._ordered:
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
            self._fault("duplicated", "push received twice or out of order", now_ns, example)

    def _fault(self, name: str, error: str, now_ns: int, example: str, *, count: int = 1) -> None:
        self._recorder.counts[f"messaging.pushes_{name}"] += count
        self._error(error, now_ns, example)

    def _error(self, error: str, now_ns: int, example: str) -> None:
        session = self._about.session_id
        self._recorder.error("messaging", error, session=session, at_ns=now_ns, example=example)
