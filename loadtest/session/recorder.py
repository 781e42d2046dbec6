"""A process's records of one interval, in memory: samples, counts, lifecycle, errors, gauges.

Sessions write here on the hot path, so a write is an append or an addition. Once a second the engine swaps
the `Interval` for an empty one and hands it on. Latency samples stay raw nanoseconds until they are folded
into HDR histograms off the loop (`loadtest.histograms`): 0.03 µs per sample instead of 0.95 µs. The number of
distinct errors is bounded; everything else grows with the events of one interval. No I/O and no clock here.

Counts are named `item.what`; `COUNTS` lists them.
"""

from __future__ import annotations

import re
from array import array
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

from msgspec import Struct

from loadtest.session.schedule import NS_PER_S

TAGS: Final = (
    "service",  # round trip from the actual send, sessions in steady state
    "response",  # the same from the planned send, or from the actual one if that was earlier
    "connect",  # first connection: from the start of the attempt until established
    "outage",  # from the drop or loss until established again
    "resume",  # from the start of the attempt that ended an outage until established again
    "send_slip",  # between the planned send and the actual one, which may be the earlier (`messaging.early`)
    "loop_lag",  # how late the engine's loop woke, twenty times a second
    "push",  # one-way delay of a push above the smallest of its connection (RFC 3393's reference)
    "collateral",  # service time of sessions in steady state while others are in an outage
    "after_resume",  # the first round trip after a resume
    "waited",  # further round trips of messages that had waited for an outage's end
    "stalled",  # round trips under way when a drop stopped the reading
    "first_part",  # from the actual send until the first part of a streamed reply, sessions in steady state
    "part_gap",  # between two parts of a streamed reply
    "unanswered",  # wait in vain of the oldest request when its connection is dropped or stopped, if long
    "push_gap",  # without a push on an undisturbed connection: between two, or until the connection's end
    "ping",  # from a keepalive ping of the client to its pong
    "cleanup_close",  # from a drop's close frame until the server ended TCP
    "cleanup_half_open",  # from the client's silence until the server ended TCP
)
"""The histograms of a run: the tags in latency.hlog. Where sizes vary, there are those of `size_tag` too."""

ROUND_TRIPS: Final = ("service", "after_resume", "waited", "stalled")
"""The histograms of which each answered request is in exactly one: they add up to `messaging.answered`."""


def size_tag(size: int) -> str:
    """Return the tag for round trips with texts of this size in bytes, in runs whose sizes vary."""
    return f"service/{size}"


NAMED: Final = "named/"
"""Begins the tags of the round trips of requests with a name (`loadtest.Request`)."""

OTHER_NAMES: Final = "other names"

NAMES_LIMIT: Final = 100
"""Names of requests that have histograms of their own in a process; the others are `OTHER_NAMES` together."""


def name_tag(name: str) -> str:
    """Return the tag for round trips of requests with this name, which is one line of printable text."""
    return NAMED + _APART.sub(lambda one: f"%{ord(one[0]):02X}", name)


def name_of(tag: str) -> str:
    """Return the name in a tag of `name_tag`."""
    return unquote(tag.removeprefix(NAMED))


_APART = re.compile(r"[%,\s]")

OWN_LIMITS: Final = ("out_of_ports", "out_of_files")
"""Causes of failed attempts that lie in the load generator; each is counted in addition to `failed`."""

NOT_THE_SERVERS: Final = (*OWN_LIMITS, "no_reconnect")
"""Causes of `failed` events that say nothing of the server."""

HANGING_NS: Final = 2 * NS_PER_S
"""Age from which an unanswered attempt or request counts as hanging when its connection or the run ends."""

COUNTS: Final = {
    "connect.attempts": "attempts before a session's first establishment",
    "connect.established": "sessions established for the first time that then worked",
    "connect.unproven": "of these, sessions ended by a drop or the end of the run before they worked",
    "connect.failed": "first attempts that failed, including connections lost before they worked",
    "connect.gave_up": "sessions that gave up before they were ever established",
    "connect.cut_short": "first attempts cut short by the end of the run",
    "connect.unresolved": "first attempts still unanswered after 2 s when the run ended",
    "connect.upgrades": "upgrade requests sent, including those in outages",
    "connect.opened": "WebSockets opened, including those in outages",
    "connect.compressed": "of these, connections on which client and server agreed to compress messages",
    "connect.resets_sent": "of these, connections on which the client compresses each message separately",
    "connect.resets_received": "of these, connections on which the server compresses each message separately",
    "connect.passed_over": "connections to an address of the host other than the first one tried",
    "connect.retry_after": "failed attempts after which the client waited for the server's Retry-After",
    "connect.out_of_ports": "attempts that failed because this process had no local ports left",
    "connect.out_of_files": "attempts that failed because this process had no file descriptors left",
    "messaging.planned": "messages that fell due",
    "messaging.sent": "requests sent",
    "messaging.early": "of these, requests sent early: by at most 0.15 ms, and only under load",
    "messaging.queued": "messages that fell due in an outage and were queued until its end",
    "messaging.released": "queued messages sent after the outage",
    "messaging.missed": "messages that fell due in an outage and were not sent",
    "messaging.answered": "requests that got their own intact reply once, in order and in time",
    "messaging.failed": "requests that the server answered with an error",
    "messaging.broken_off": "requests whose streamed reply stopped before its end",
    "messaging.unanswerable": "requests that expect no reply",
    "messaging.unchecked": "replies without a text to check",
    "messaging.unnamed": "of these, replies that name no request: each was matched to the oldest request",
    "messaging.unnamed_ends": "connections with such replies, ended by the tool",
    "messaging.arrears": "of these, connections whose replies had long been fewer than their requests",
    "messaging.rejections": "times the server rejected the token of an established session",
    "messaging.other_sent": "other messages sent by the dialect, such as greetings and heartbeats",
    "messaging.drop_sent": "messages sent by drops, in addition to the requests",
    "messaging.drop_answers": "messages received during drops, not judged: possible replies to the drops",
    "messaging.wire_sent": "whole messages sent: requests, other messages and messages of drops",
    "messaging.wire_received": "whole messages received, of any kind",
    "messaging.late": "replies that came after the reply timeout",
    "messaging.lost": "requests without reply on a healthy connection",
    "messaging.lost_in_outage": "requests whose connection ended before the reply",
    "messaging.recovered": "replies that came on a later connection",
    "messaging.unfinished": "requests still outstanding when the session was stopped",
    "messaging.hanging": "requests outstanding for over 2 s when their connection or session ended",
    "messaging.duplicated": "replies received more than once",
    "messaging.reordered": "replies received after the reply to a later request",
    "messaging.corrupted": "replies whose text differs from the request's",
    "messaging.foreign": "replies with another session's text",
    "messaging.unmatched": "replies that match no known request",
    "messaging.unreadable": "messages that the dialect does not know",
    "messaging.script_failed": "failures reported by scripts, and pushes that scripts awaited but never got",
    "messaging.pushes": "pushes received",
    "messaging.pushes_missing": "numbers missing from a connection's pushes",
    "messaging.pushes_duplicated": "pushes received twice or out of order, by their numbers",
    "messaging.pushes_reordered": "pushes with the text of an earlier request than the previous push",
    "messaging.pushes_altered": "pushes with an altered text",
    "messaging.pushes_foreign": "pushes with another session's text",
    "messaging.pushes_unmarked": "pushes without a marked text, so not checked",
    "messaging.pushes_unnumbered": "pushes without a number that would show missing ones",
    "messaging.pushes_expected": "pushes due at the expected rate while pushes were counted",
    "messaging.pushes_arrived": "of these, pushes received",
    "messaging.push_stretches": "periods in which pushes were counted",
    "messaging.push_silences": "gaps between pushes far longer than the expected rate allows",
    "reconnect.outages": "outages begun",
    "reconnect.resumed": "outages ended by a resume: the session was established again and worked",
    "reconnect.unproven": "outages whose new connection a drop or the end of the run ended before it worked",
    "reconnect.hanging": "requests on new connections, outstanding for over 2 s when the next drop came",
    "reconnect.silent": "outages whose new connection answered no request within the reply timeout",
    "reconnect.attempts": "attempts in outages",
    "reconnect.failed": "failed attempts in outages",
    "reconnect.unreachable": "attempts that failed because no server was listening",
    "reconnect.retry_after": "failed attempts after which the client waited for the server's Retry-After",
    "reconnect.out_of_ports": "attempts that failed because this process had no local ports left",
    "reconnect.out_of_files": "attempts that failed because this process had no file descriptors left",
    "reconnect.gave_up": "outages in which the client gave up",
    "reconnect.forbidden": "outages ended by a close code that forbids reconnecting",
    "reconnect.cut_short": "outages cut short by the end of the run before any attempt failed",
    "reconnect.unresolved": "outages cut short by the run's end after a failed attempt or one of over 2 s",
    "reconnect.overdue": "outages with three failed attempts or more when the run ended",
    "stability.barred": "sessions that lost their connection with a close code that forbids reconnecting",
    "persistence.checked": "resumes whose identity was compared",
    "persistence.unjudged": "resumes after drops that the dialect's server cannot resume from: not compared",
    "persistence.identity_changed": "resumes that became another session",
    "persistence.histories": "resumes whose restored history was compared",
    "persistence.histories_of_others": "resumes whose history was full of other sessions' messages",
    "persistence.history_missing": "resumes that should have restored a history and restored none",
    "persistence.acknowledged": "acknowledged requests that should have been in these histories",
    "persistence.missing": "acknowledged requests missing from a restored history",
    "persistence.missing_in_full": "of these, missing from a full window that is not said to be shared",
    "persistence.missing_uncounted": "of these, missing from a window that the dialect gave no count for",
    "persistence.redelivered": "replies delivered again after a resume",
    "persistence.repeated": "requests that appear twice in a restored history",
    "persistence.reordered": "requests that appear after a later one in a restored history",
    "persistence.altered": "altered texts in restored histories",
    "persistence.foreign": "texts of another session in restored histories",
    "cleanup.close_watched": "connections closed by `close` drops, watched until TCP ends",
    "cleanup.close_closed": "of these, connections that the server ended in time",
    "cleanup.close_not_closed": "of these, connections that the server left open",
    "cleanup.close_cut_short": "of these, connections whose time was not up when the run ended",
    "cleanup.close_unresolved": "of these, connections that had been open for over 2 s by then",
    "cleanup.half_open_watched": "half-open connections, watched until TCP ends",
    "cleanup.half_open_closed": "of these, connections that the server closed in time",
    "cleanup.half_open_late": "of these, connections that the server closed too late or not by the run's end",
    "cleanup.half_open_not_closed": "of these, connections still open when their watch ended",
    "cleanup.half_open_cut_short": "of these, connections whose time was not up when the run ended",
    "cleanup.half_open_full_time": "half-open connections whose time was up before the run ended",
    "latency.clamped": "samples above the histogram range, counted as its highest value",
}
"""All counts with their meaning, except `drops.KIND`, `losses.CAUSE` and `closes.CODE`: close frames sent."""

FAILED_MESSAGES: Final = (
    *("lost", "failed", "broken_off", "late", "duplicated", "reordered", "corrupted", "foreign"),
    *("unmatched", "unreadable", "script_failed"),
    *("pushes_missing", "pushes_duplicated", "pushes_reordered", "pushes_altered", "pushes_foreign"),
)
"""The counts of `messaging` that are lost or failed messages. One of them fails the item."""


class Lifecycle(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of events.jsonl: an event in a session's life. Fields that do not apply are left out.

    Args:
        at_ns: nanoseconds since the run's start.
        event: `attempt`, `connected`, `failed`, `dropped`, `ended` (a connection that its drop should have
            kept open), `lost`, `resumed`, or `named` (the server sent its first id for a session that was
            up). `connected` and `resumed` come once the session has worked, but carry the time when it was
            established.
        session: session id.
        user: name of its user class, in runs with several.
        known_as: the session id that the server gave, if it differs; in the first event after the server sent
            it, which is `failed` for a connection lost before the session had worked.
        reassigned: whether the server said that this is not the id requested.
        kind: kind of the drop.
        ordinal: number of the drop within the session, from 0.
        storm: number of the storm that the drop belongs to, from 0.
        cause: cause of the loss or of the failed attempt.
        code: close code with which the server ended the connection.
        phase: phase in which the attempt failed.
        detail: message from the system or the server.
        attempt: number of the attempt since the session was last established, from 1.
        final: whether the session gave up for good.
        outage_ns: from the drop or loss until the session was established again.
        detect_ns: part of the outage until the client noticed.
        wait_ns: sum of the outage's waits: backoff delays and the time for the shared token.
        dns_ns, tcp_ns, proxy_ns, tls_ns, upgrade_ns: duration of each phase of opening the WebSocket, 0 if
            skipped.
        resume_ns: from the open WebSocket until the session was established.
    """

    at_ns: int
    event: str
    session: str
    user: str | None = None
    known_as: str | None = None
    reassigned: bool = False
    kind: str | None = None
    ordinal: int | None = None
    storm: int | None = None
    cause: str | None = None
    code: int | None = None
    phase: str | None = None
    detail: str | None = None
    attempt: int | None = None
    final: bool = False
    outage_ns: int | None = None
    detect_ns: int | None = None
    wait_ns: int | None = None
    dns_ns: int | None = None
    tcp_ns: int | None = None
    proxy_ns: int | None = None
    tls_ns: int | None = None
    upgrade_ns: int | None = None
    resume_ns: int | None = None


class ErrorTally(Struct, kw_only=True):
    """How often one error occurred, with its first occurrence. Negative if more often taken back."""

    item: str
    error: str
    count: int
    session: str
    at_ns: int
    example: str


@dataclass(slots=True, kw_only=True)
class Interval:
    """Everything that one process recorded in one interval. Times in nanoseconds since the run's start."""

    start_ns: int
    stop_ns: int = 0
    samples: dict[str, array[int]] = field(default_factory=lambda: {tag: array("q") for tag in TAGS})
    named: dict[str, array[int]] = field(default_factory=dict)
    counts: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    lifecycle: list[Lifecycle] = field(default_factory=list)
    errors: dict[tuple[str, str], ErrorTally] = field(default_factory=dict)
    gauges: dict[str, float] = field(default_factory=dict)


class Recorder:
    """The current interval of one process, and the state that outlives intervals.

    Attributes:
        planned, sent, early, answered: counts of `messaging` that each message may add to, kept as plain
            numbers until `counts` is read.
        population: sessions by state name.
        outages_open: sessions in an outage now, except those established again.
        ending: whether the end of the run has begun: connections that end from then on are not counted.
        has_read: whether a dialect has read a message without raising.
        reads_raised: messages at which a dialect raised.
    """

    ERRORS_LIMIT = 100
    """Distinct errors kept per interval; further ones are counted together as "other errors"."""

    def __init__(self) -> None:
        self.population: defaultdict[str, int] = defaultdict(int)
        self.outages_open = 0
        self.ending = False
        self.has_read = False
        self.reads_raised = 0
        self.planned = self.sent = self.early = self.answered = 0
        self._names: set[str] = set()  # of requests, up to NAMES_LIMIT
        self.swap(0)

    def swap(self, now_ns: int) -> Interval:
        """End the current interval, return it, and begin the next."""
        ended: Interval = getattr(self, "_interval", None) or Interval(start_ns=now_ns)
        self._count(ended)
        ended.stop_ns = now_ns
        self._interval = Interval(start_ns=now_ns)
        self.service, self.response = self.samples("service"), self.samples("response")
        self.send_slip, self.collateral = self.samples("send_slip"), self.samples("collateral")
        self.push_gap = self.samples("push_gap")
        return ended

    @property
    def counts(self) -> defaultdict[str, int]:
        """The interval's counts, to add to or to read."""
        self._count(self._interval)
        return self._interval.counts

    def _count(self, interval: Interval) -> None:
        """Move the counts kept as plain numbers to the other counts."""
        if self.planned or self.sent or self.answered:
            for name in ("planned", "sent", "early", "answered"):
                if count := getattr(self, name):
                    interval.counts[f"messaging.{name}"] += count
            self.planned = self.sent = self.early = self.answered = 0

    def samples(self, tag: str) -> array[int]:
        """Return the array to append this tag's samples to, in nanoseconds, until the next swap."""
        return self._interval.samples[tag]

    def slipped(self, slip_ns: int) -> None:
        """Record how far from its planned time a message is sent; negative if before it."""
        self.early += slip_ns < 0
        self.send_slip.append(abs(slip_ns))

    def sized(self, size: int) -> array[int]:
        """Return the array for round trips with texts of this size; see `samples`."""
        return self._interval.samples.setdefault(size_tag(size), array("q"))

    def named(self, name: str) -> array[int]:
        """Return the array for round trips of requests with this name; see `samples`."""
        named = self._interval.named
        found = named.get(name)
        if found is None:
            if name not in self._names and len(self._names) >= NAMES_LIMIT:
                name = OTHER_NAMES
            else:
                self._names.add(name)
            found = named.setdefault(name, array("q"))
        return found

    def lifecycle(self, record: Lifecycle) -> None:
        """Record one lifecycle event."""
        self._interval.lifecycle.append(record)

    def error(self, item: str, error: str, *, session: str, at_ns: int, example: str = "") -> None:
        """Count an error of an item; `error` is a short fixed text, the varying parts go into `example`."""
        errors = self._interval.errors
        tally = errors.get((item, error))
        if tally is None and len(errors) >= self.ERRORS_LIMIT:
            error = "other errors"
            tally = errors.get((item, error))
        if tally is None:
            errors[item, error] = ErrorTally(
                item=item, error=error, count=1, session=session, at_ns=at_ns, example=example[:200]
            )
        else:
            tally.count += 1

    def take_back(self, outcome: str, error: str, session: str, at_ns: int) -> None:
        """Take back the outcome of a message and its error, because another outcome replaces it.

        Args:
            outcome: the outcome as counted.
            error: the error as recorded, perhaps in an earlier interval; empty if there was none.
            session: id of the message's session.
            at_ns: time of the message.
        """
        self.counts[f"messaging.{outcome}"] -= 1
        if error:
            taken_back = ErrorTally(
                item="messaging", error=error, count=0, session=session, at_ns=at_ns, example=""
            )
            self._interval.errors.setdefault(("messaging", error), taken_back).count -= 1
