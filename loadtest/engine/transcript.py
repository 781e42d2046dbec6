"""The transcript of one conversation: messages, what the dialect read, and the outcomes. Pure.

It has two sources. The observed dialect (`loadtest.dialects.observed`) reports what was sent and what `read`
returned. The session's recorder reports the outcome of each event: answered, altered, lost. The transcript
combines them entry by entry, and counts what the findings need.

Texts from the server are stored unchanged up to a size limit. They become public (one line, no secrets) when
the conversation is over and all secrets are known.
"""

import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from msgspec import Struct

from loadtest.dialects.base import Dialect, Request, excerpt
from loadtest.dialects.calls import BLOCKED_S
from loadtest.dialects.dialect_session import DialectSession
from loadtest.dialects.meanings import facts_of, listed, meaning_of
from loadtest.dialects.mistakes import mistake
from loadtest.dialects.observed import place_of
from loadtest.engine.conversation import Conversation, Ending, Entry, Fault, Public, Raised, What
from loadtest.engine.login import credentials
from loadtest.errors import DialectMistake
from loadtest.events import Data, Endpoint, Event, Lost, Opened, Received, Send
from loadtest.scrubber import Secrets
from loadtest.session.proof import NO_REPLY
from loadtest.session.reconnecting import WORKING
from loadtest.session.recorder import ErrorTally, Interval, Lifecycle
from loadtest.session.schedule import NS_PER_S
from loadtest.session.state import State
from loadtest.text import counted

LIMIT: Final = 200
"""Messages that a transcript shows; of further ones only the number is kept."""

KEPT: Final = 4000
"""Characters kept of a message until secrets are removed."""

BLOCKING_NS: Final = int(BLOCKED_S * NS_PER_S)
"""A call that holds the event loop for longer delays all sessions of a run noticeably."""


class Transcript:
    """Collects the reports of an observed dialect and of the session's recorder.

    Args:
        dialect: the dialect.
        clock: returns nanoseconds since the conversation began.
        added: headers and subprotocols that the settings add to each upgrade request.

    Attributes:
        running: see `loadtest.dialects.observed.Observer`.
        counts: the recorder's counts so far.
        seen: see `Conversation`.
        puzzled_ns: when the latest message came that the dialect could not read or that matched no request;
            None if there was none.
    """

    def __init__(self, dialect: Dialect, clock: Callable[[], int], added: Endpoint) -> None:
        self.running: str | None = None
        self.counts: Counter[str] = Counter()
        self.seen: Counter[str] = Counter()
        self.puzzled_ns: int | None = None
        self._dialect = dialect
        self._clock = clock
        self._added = added
        self._entries: list[Entry] = []
        self._messages = 0
        self._heard = 0
        self._faults: dict[tuple[str, str], Fault] = {}
        self._raised: dict[str, Raised] = {}
        self._places: dict[str, str] = {}  # of exceptions, by method
        self._blocked_ns: dict[str, int] = {}
        self._ignored: dict[str, None] = {}  # distinct ones, in order
        self._credentials: set[str] = set()
        self._before = _Credentials(None, (), ())
        self._asked: int | None = None  # the last request
        self._dropped_ns: int | None = None  # when the connection was dropped
        self._upgrade: Entry | None = None  # the attempt in progress
        self._incoming: Entry | None = None  # the message in hand
        self._said: Sequence[Any] = ()  # what it was read as
        self._raising = False  # whether `read` raised

    # loadtest.dialects.observed.Observer

    def began(self, method: str, session: DialectSession) -> None:
        """Record that a call begins."""
        if method in ("login", "endpoint"):
            self._before = _held_by(session)

    def returned(self, method: str, session: DialectSession, given: Any, result: Any) -> None:
        """Add what a method returned to the transcript."""
        self._credentials.update(credentials(session))
        match method:
            case "login":
                changes = _changes(self._before, _held_by(session))
                self._add(What.LOGIN, self._name("login"), changes or "set nothing")
            case "endpoint" if isinstance(result, Endpoint):
                self._upgrade = self._add(What.UPGRADE, _asked(result, self._added, session))
                self._before = _held_by(session)
            case "greeting" if not isinstance(result, str | bytes):
                for data in result:
                    self._sent(data, "greeting")
            case "request":
                self._requested(session, given, result)
            case "heartbeat":
                self.seen["heartbeat"] += 1
                self._sent(result, "heartbeat")
            case "read":
                self._read(given, result)

    def raised(self, method: str, session: DialectSession, given: Any, error: BaseException) -> None:
        """Record where an exception was raised; one from `read` belongs to the current message."""
        self._credentials.update(credentials(session))
        stack = traceback.extract_tb(error.__traceback__)
        self._places[method] = place_of(self._dialect, method, stack)
        if method == "read":
            found = mistake(self._dialect, method, error, excerpt(given))
            self._mistaken(found)
            self._raising = True
            self.puzzled_ns = self._clock()
            self._incoming = self._message(What.RECEIVED, given, _problem(found), bad=True)
        elif method != "login":  # a refused login is not a mistake; either is reported by the engine
            self._add(What.ERROR, _problem(mistake(self._dialect, method, error, "")), bad=True)

    def blocked(self, method: str, took_ns: int) -> None:
        """Record the longest time that a method took, if it was long."""
        if took_ns > BLOCKING_NS:
            self._blocked_ns[method] = max(took_ns, self._blocked_ns.get(method, 0))

    @property
    def heard(self) -> int:
        """Number of messages received."""
        return self._heard

    # The session's events.

    def begin(self, event: Event, state: State, session: DialectSession) -> None:
        """Record an event before the session handles it."""
        self._incoming, self._said, self._raising = None, (), False
        if isinstance(event, Opened) and self._upgrade is not None:
            self._upgrade.at_ns = self._clock()
            self._upgrade.meaning = ", ".join(
                filter(None, ("101", _changes(self._before, _held_by(session))))
            )
            self._upgrade = None
        elif isinstance(event, Lost) and state is State.DROPPING:
            self._add(What.CLOSED, f"the server replies, code {event.code}", event.reason)

    def end(self, event: Event, state: State, now: State, interval: Interval) -> None:
        """Add what was recorded of an event; `state` is the session's state before it, `now` after it."""
        self.counts.update(interval.counts)
        for tally in interval.errors.values():
            self._failing(tally)
        for record in interval.lifecycle:
            self._happened(record)
        if state is not now and now is State.PROVING:
            self._established()
        if isinstance(event, Received):
            self._judged(interval)
            if state is not State.DROPPING:  # then nothing is sent
                for incoming in self._said:
                    if isinstance(incoming, Send):
                        self._sent(incoming.data, "sent by read")
        else:
            for tally in _of_messages(interval):
                self._add(What.ERROR, tally.error, tally.example, bad=True)

    def _failing(self, tally: ErrorTally) -> None:
        if self._raising:  # the exception is known, with its place
            return
        if tally.error.startswith(f"{WORKING}: "):  # a lost connection, which has an entry of its own
            return
        if tally.error == "reply unmatched":
            tally.example += f", outstanding: {self._asked!r}"
        fault = self._faults.get((tally.item, tally.error))
        if fault is None:
            example = _with_own_options(tally.example) if tally.item in _ATTEMPTS else tally.example
            fault = Fault(item=tally.item, error=tally.error, count=0, example=example)
            self._faults[tally.item, tally.error] = fault
        fault.count += tally.count

    def stuck(self, seconds: float, stack: Iterable[traceback.FrameSummary]) -> None:
        """Record that the running method has blocked the event loop; `stack` is its thread's stack."""
        method = self.running or "read"
        problem = f"{self._name(method)} has blocked the event loop for {seconds:g} s"
        self._raised[problem] = Raised(problem=problem, place=place_of(self._dialect, method, stack))

    def closed(self, text: str) -> None:
        """Record that the client closed its connection."""
        self._add(What.CLOSED, text)

    def _happened(self, record: Lifecycle) -> None:
        match record.event:
            case "dropped":
                self._dropped_ns = self._clock()
                self._add(What.DROP, f"{record.kind}: the client closes the connection, code 1000")
            case "lost":
                self._lost(record.cause or "", record.detail or "")
            case "failed" if record.phase == WORKING:  # it was established, which is what matters here
                self._lost((record.cause or "").removeprefix("closed_"), record.detail or "")
            case "failed":
                self._failed(record)

    def _established(self) -> None:
        if self._dropped_ns is None:
            self._add(What.READY, "the session is established")
        else:
            outage_ms = (self._clock() - self._dropped_ns) / 1e6
            self._add(What.RESUMED, f"the session is established again, after {outage_ms:.0f} ms")

    def _lost(self, cause: str, detail: str) -> None:
        self._add(What.LOST, f"the connection ended ({cause})", detail, bad=True)

    def _failed(self, record: Lifecycle) -> None:
        where = f"{record.phase}: {record.cause}" if record.phase else record.cause or ""
        detail = _with_own_options(record.detail or "")
        if self._upgrade is None:
            self._add(What.FAILED, where, detail, bad=True)
        else:
            self._upgrade.meaning, self._upgrade.bad = detail or where, True
            self._upgrade = None

    def _judged(self, interval: Interval) -> None:
        """Complete the entry of the current message with its outcome."""
        entry = self._incoming
        if entry is None:
            return
        errors = _of_messages(interval)
        if any(interval.counts[f"messaging.{name}"] for name in ("unmatched", "unreadable")):
            self.puzzled_ns = self._clock()
        if entry.bad:  # `read` raised, and the entry says so
            return
        remarks = [f"{tally.error}: {tally.example}" for tally in errors] or list(_remarks(interval))
        entry.meaning = "; ".join(filter(None, (entry.meaning, *remarks)))
        entry.bad = bool(errors)

    # What is said.

    def _requested(self, session: DialectSession, sequence: int, result: Any) -> None:
        self.seen["request"] += 1
        self._asked = sequence
        data, name = result, ""
        if isinstance(result, Request):
            data, name = result.data, result.name
            self.seen["request.unanswerable"] += not result.replies
        if isinstance(data, str | bytes):
            mark = f"{session.marker.head}{sequence}."
            self.seen["request.marked"] += (mark in data) if isinstance(data, str) else mark.encode() in data
            self._sent(data, f"request {sequence}" + (f" ({name})" if name else ""))

    def _sent(self, data: Any, meaning: str) -> None:
        if isinstance(data, str | bytes):
            self._message(What.SENT, data, meaning)

    def _read(self, data: Data, result: Any) -> None:
        said = listed(result)
        self._said = said
        for incoming in said:
            self.seen.update(facts_of(incoming))
        if not said:
            self.seen["ignored"] += 1
            if len(self._ignored) < _IGNORED_LIMIT:
                self._ignored[_text(data)] = None
        meaning = ", ".join(map(meaning_of, said[:_SAID_LIMIT])) or "ignored"
        if len(said) > _SAID_LIMIT:
            meaning += f", and {len(said) - _SAID_LIMIT} more"
        self._incoming = self._message(What.RECEIVED, data, meaning)

    def _message(self, what: What, data: Data, meaning: str, *, bad: bool = False) -> Entry | None:
        self._messages += 1
        self._heard += what is What.RECEIVED
        if self._messages > LIMIT:
            return None
        return self._add(what, _text(data), meaning, bad=bad)

    def _add(self, what: What, text: str, meaning: str = "", *, bad: bool = False) -> Entry:
        entry = Entry(at_ns=self._clock(), what=what, text=text, meaning=meaning, bad=bad)
        self._entries.append(entry)
        return entry

    def _mistaken(self, error: DialectMistake) -> None:
        """Count a mistake, and keep the first message that caused it."""
        known = self._raised.get(_problem(error))
        if known is not None:
            known.count += 1
            return
        method = error.where.rpartition(".")[2]
        place = self._places.get(method) or place_of(self._dialect, method)
        given = f" (given {error.given})" if error.given else ""
        self._raised[_problem(error)] = Raised(problem=f"{_problem(error)}{given}", place=place)

    def _name(self, method: str) -> str:
        return f"{type(self._dialect).__name__}.{method}"

    # The end.

    def finished(self, ending: Ending, failure: DialectMistake | None, secrets: Secrets) -> Conversation:
        """Return the conversation, without secrets.

        Args:
            ending: how it ended.
            failure: the mistake that ended it, if one did.
            secrets: secrets of the settings; the session's credentials are added.
        """
        if failure is not None and _problem(failure) not in self._raised:
            self._mistaken(failure)
        public = Public(secrets.plus(self._credentials))
        return Conversation(
            entries=[public.entry(entry) for entry in self._entries],
            omitted=max(0, self._messages - LIMIT),
            ending=ending,
            counts=dict(self.counts),
            faults=[public.fault(fault) for fault in self._faults.values()],
            raised=[public.raised(raised) for raised in self._raised.values()],
            blocked_ms={self._name(method): took_ns / 1e6 for method, took_ns in self._blocked_ns.items()},
            seen=dict(self.seen),
            ignored=[public.text(text) for text in self._ignored],
        )


_ATTEMPTS = ("connect", "reconnect")


def _with_own_options(hint: str) -> str:
    """Return a hint of the transport with the option names of `dialect check`: without `ws-`."""
    return hint.replace("--ws-", "--")


def _problem(error: DialectMistake) -> str:
    return f"{error.where} {error.problem}"


_IGNORED_LIMIT = 3
_SAID_LIMIT = 5


class _Credentials(Struct, frozen=True):
    token: str | None
    headers: tuple[tuple[str, str], ...]
    cookies: tuple[tuple[str, str], ...]


def _held_by(session: DialectSession) -> _Credentials:
    return _Credentials(session.token, tuple(session.headers.items()), tuple(session.cookies.items()))


def _changes(before: _Credentials, after: _Credentials) -> str:
    """Return the names of the credentials that were set; their values are secret."""
    changes = ["a token"] if after.token not in (before.token, None) else []
    for noun, old, new in (
        ("header", before.headers, after.headers),
        ("cookie", before.cookies, after.cookies),
    ):
        names = [name for name, value in new if (name, value) not in old]
        if names:
            changes.append(f"{counted(len(names), noun)} ({', '.join(names)})")
    return f"set {', '.join(changes)}" if changes else ""


def _asked(endpoint: Endpoint, added: Endpoint, session: DialectSession) -> str:
    """Return path, subprotocols and header names of an upgrade request."""
    named = (*added.headers, *endpoint.headers, *session.headers.items())
    names = [*(name for name, _ in named), *(["Cookie"] if session.cookies else [])]
    subprotocols = [*endpoint.subprotocols, *added.subprotocols]
    parts = [f"GET {endpoint.path}"]
    parts += [f"subprotocols {', '.join(subprotocols)}"] if subprotocols else []
    parts += [f"headers {', '.join(names)}"] if names else []
    return "  ".join(parts)


def _text(data: Data) -> str:
    return data[:KEPT] if isinstance(data, str) else repr(bytes(data[:KEPT]))


def _of_messages(interval: Interval) -> list[ErrorTally]:
    """Return the errors of messages; lifecycle events show the errors of attempts."""
    return [
        tally
        for tally in interval.errors.values()
        if tally.item in ("messaging", "persistence") or tally.error == NO_REPLY
    ]


def _remarks(interval: Interval) -> Iterable[str]:
    """Yield remarks on a message without errors."""
    counts = interval.counts
    if counts["messaging.unchecked"]:
        yield "no text to check"
    elif counts["messaging.answered"]:
        yield "intact"
    if counts["messaging.recovered"]:
        yield "to a request of the previous connection"
    if counts["persistence.checked"]:
        yield "the same session"
    if counts["persistence.histories"]:
        acknowledged = counts["persistence.acknowledged"]
        yield f"holds {'all ' * (acknowledged > 1)}{counted(acknowledged, 'acknowledged request')}"
