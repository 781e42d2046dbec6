"""What a process records in memory during one interval: samples, counts, lifecycle, errors, gauges.

Sessions write here on the hot path, so writing is an append or an addition. Once a second the engine swaps
the `Interval` for an empty one and hands it on. Latency samples stay raw nanoseconds until they are folded
into HDR histograms off the loop (`loadtest.histograms`): 0.03 µs per sample instead of 0.95 µs. The number of
distinct errors is bounded; the rest grows with the events of one interval. No I/O and no clock here.

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
    """Return the tag of the round trips whose texts have this size, in bytes, where sizes vary."""
    return f"service/{size}"


NAMED: Final = "named/"
"""Begins the tags of the round trips of requests with a name (`loadtest.Request`)."""

OTHER_NAMES: Final = "other names"

NAMES_LIMIT: Final = 100
"""Names of requests that have histograms of their own in a process; the others are `OTHER_NAMES` together."""


def name_tag(name: str) -> str:
    """Return the tag of the round trips of requests with this name, which is one line of printable text."""
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
    "connect.unproven": "such sessions that a drop or the run's end came to before they had worked",
    "connect.failed": "such attempts that failed, among them connections lost before they worked",
    "connect.gave_up": "sessions that gave up before they were ever established",
    "connect.cut_short": "such attempts that the run's end cut short",
    "connect.unresolved": "such attempts that the run's end found without an answer for long",
    "connect.upgrades": "upgrade requests sent, those in outages among them",
    "connect.opened": "WebSockets opened, those in outages among them",
    "connect.compressed": "of these, those on which client and server agreed to compress messages",
    "connect.resets_sent": "of these, those on which the client compresses each message by itself",
    "connect.resets_received": "of these, those on which the server compresses each message by itself",
    "connect.passed_over": "connections made to another address of the host than was tried first",
    "connect.retry_after": "failed attempts whose next one waited as the server asked (Retry-After)",
    "connect.out_of_ports": "failed attempts because this process had no local port left",
    "connect.out_of_files": "failed attempts because this process could open no more files",
    "messaging.planned": "messages that fell due",
    "messaging.sent": "requests sent",
    "messaging.early": "of these, requests sent before they fell due: 0.15 ms at most, and only under load",
    "messaging.queued": "messages that fell due in an outage and wait for its end",
    "messaging.released": "messages that waited for an outage's end, and it came",
    "messaging.missed": "messages that fell due in an outage and were not sent",
    "messaging.answered": "requests answered by their own intact reply, once, in order, in time",
    "messaging.failed": "requests that the server answered with an error",
    "messaging.broken_off": "requests whose streamed reply began and did not go on",
    "messaging.unanswerable": "requests that get no reply",
    "messaging.unchecked": "replies without a text to check",
    "messaging.unnamed": "of these, replies that name no request: each was taken for the oldest one's",
    "messaging.unnamed_ends": "connections with such replies that the tool ended",
    "messaging.arrears": "of these, connections whose replies had been fewer than the requests for long",
    "messaging.rejections": "times the server rejected the token of an established session",
    "messaging.other_sent": "other messages sent by the dialect: greetings, heartbeats, answers",
    "messaging.drop_sent": "messages sent by drops, besides the requests",
    "messaging.drop_answers": "messages left aside during drops, as they may answer what a drop sent",
    "messaging.wire_sent": "whole messages sent on connections: requests, others, and those of drops",
    "messaging.wire_received": "whole messages received on connections, whatever they say",
    "messaging.late": "replies after the reply timeout",
    "messaging.lost": "requests without reply on a healthy connection",
    "messaging.lost_in_outage": "requests whose connection went before the reply",
    "messaging.recovered": "replies that came on a later connection",
    "messaging.unfinished": "requests still under way when the session was stopped",
    "messaging.hanging": "of both, requests that had been without a reply for long by then",
    "messaging.duplicated": "replies that came again",
    "messaging.reordered": "replies after that of a later request",
    "messaging.corrupted": "replies whose text is not that of the request",
    "messaging.foreign": "replies with another session's text",
    "messaging.unmatched": "replies to nothing that was asked",
    "messaging.unreadable": "messages that the dialect does not know",
    "messaging.script_failed": "failures that scripts reported, and pushes that they awaited in vain",
    "messaging.pushes": "pushes received",
    "messaging.pushes_missing": "numbers skipped in a connection's pushes",
    "messaging.pushes_duplicated": "pushes whose number was not new",
    "messaging.pushes_reordered": "pushes with the text of an earlier request than the push before",
    "messaging.pushes_altered": "pushes with an altered text of their session",
    "messaging.pushes_foreign": "pushes with another session's text",
    "messaging.pushes_unmarked": "pushes with a text that bears no mark, so there was nothing to check",
    "messaging.pushes_expected": "pushes due at the expected rate while pushes were counted",
    "messaging.pushes_arrived": "pushes received in that time",
    "messaging.push_stretches": "stretches of connections over which pushes were counted",
    "messaging.push_silences": "times no push came for far longer than the expected rate allows",
    "reconnect.outages": "outages begun",
    "reconnect.resumed": "outages ended by a resume: the session was established again, and worked",
    "reconnect.unproven": "outages whose new connection was dropped, or met the run's end, before it worked",
    "reconnect.hanging": "requests on new connections, without a reply for over 2 s when these were dropped",
    "reconnect.silent": "outages whose new connection did not answer within the reply timeout",
    "reconnect.attempts": "attempts in outages",
    "reconnect.failed": "failed attempts in outages",
    "reconnect.unreachable": "failed attempts because nothing answered (no server there)",
    "reconnect.retry_after": "failed attempts whose next one waited as the server asked (Retry-After)",
    "reconnect.out_of_ports": "failed attempts because this process had no local port left",
    "reconnect.out_of_files": "failed attempts because this process could open no more files",
    "reconnect.gave_up": "outages ended by giving up",
    "reconnect.forbidden": "outages whose close code forbids reconnecting",
    "reconnect.cut_short": "outages that the run's end cut short before an attempt had failed",
    "reconnect.unresolved": "outages that the run's end cut short after a failed attempt, or a long one",
    "reconnect.overdue": "outages that the run's end found with three failed attempts or more",
    "stability.barred": "sessions ended by a loss whose close code forbids reconnecting",
    "persistence.checked": "resumes whose identity was compared",
    "persistence.unjudged": "resumes not compared: after such a drop the server keeps no identity",
    "persistence.identity_changed": "resumes into another session",
    "persistence.histories": "resumes whose restored history was compared",
    "persistence.history_missing": "resumes that owed a history and brought none",
    "persistence.acknowledged": "acknowledged requests that those histories had to hold",
    "persistence.missing": "acknowledged requests missing from a restored history",
    "persistence.redelivered": "replies delivered again after a resume",
    "persistence.repeated": "requests that stand in a restored history twice",
    "persistence.reordered": "requests that stand in a restored history after a later one",
    "persistence.altered": "altered texts in restored histories",
    "persistence.foreign": "another session's texts in restored histories",
    "cleanup.close_watched": "connections closed by `close` drops, watched until TCP ends",
    "cleanup.close_closed": "of these, those whose TCP the server ended in time",
    "cleanup.close_not_closed": "of these, those that the server left open",
    "cleanup.close_cut_short": "of these, those whose time was not up when the run ended",
    "cleanup.close_unresolved": "of these, those that the server had left open for long by then",
    "cleanup.half_open_watched": "half-open connections, watched until TCP ends",
    "cleanup.half_open_closed": "of these, those that the server closed in time",
    "cleanup.half_open_late": "of these, those that the server had not closed in time, or closed later",
    "cleanup.half_open_not_closed": "of these, those that the server left open as long as watched",
    "cleanup.half_open_cut_short": "of these, those whose time was not up when the run ended",
    "cleanup.half_open_full_time": "half-open connections whose full time was up before the run ended",
    "latency.clamped": "samples beyond the histograms' range, counted at its end",
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
        event: `attempt`, `connected`, `failed`, `dropped`, `ended` (a connection that its drop was to keep),
            `lost`, `resumed`, or `named` (the server said its first id of a session that was up).
            `connected` and `resumed` come once the session has worked, and are dated from when it was
            established.
        session: session id.
        user: name of its user class, in runs of several.
        known_as: the session id that the server gave, where it is another one; with the first event after it
            was said, which for a connection lost before the session had worked is `failed`.
        reassigned: whether the server said that this is not the id it was asked for.
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
        wait_ns: sum of the outage's waits: backoff delays, and the time for the token that sessions share.
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
    """How often one error occurred, with its first occurrence; below zero if it was taken back more often."""

    item: str
    error: str
    count: int
    session: str
    at_ns: int
    example: str


@dataclass(slots=True, kw_only=True)
class Interval:
    """What one process recorded in one interval; times in nanoseconds since the run's start."""

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
        planned, sent, early, answered: counts of `messaging` that each message may add to, as plain numbers
            until somebody asks for `counts`.
        population: sessions by state name.
        outages_open: sessions in an outage now, without those that are established again.
        ending: whether the run's end has begun: what ends from then on is not counted.
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
        """Move what was counted in plain numbers to where all counts are."""
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
        """Return the array to append round trips to whose texts have this size; see `samples`."""
        return self._interval.samples.setdefault(size_tag(size), array("q"))

    def named(self, name: str) -> array[int]:
        """Return the array to append round trips to whose requests have this name; see `samples`."""
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
        """Take back the outcome of a message, and the error that told it, as another outcome replaces it.

        Args:
            outcome: as it was counted.
            error: as it was told, perhaps in an earlier interval; empty if it was none.
            session: whose message.
            at_ns: when.
        """
        self.counts[f"messaging.{outcome}"] -= 1
        if error:
            taken_back = ErrorTally(
                item="messaging", error=error, count=0, session=session, at_ns=at_ns, example=""
            )
            self._interval.errors.setdefault(("messaging", error), taken_back).count -= 1
