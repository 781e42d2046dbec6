"""One scripted session against a small server: sound, with one defect, and with mistakes in the dialect."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest
from gevent.monkey import get_original

from loadtest.dialects.base import Dialect, Request
from loadtest.dialects.dialect_session import DialectSession
from loadtest.engine import scripted_session
from loadtest.engine.conversation import Conversation, Ending, What
from loadtest.engine.scripted_session import ScriptedLink, ScriptedSession
from loadtest.errors import LoginFailed
from loadtest.events import Data
from loadtest.scrubber import Secrets
from tests.support.engine_run import on_thread, settings, start_native_thread
from tests.support.peers import open_sockets
from tests.support.ports import free_port
from tests.support.serverclient import wait_for
from tests.support.small_chat import Chat, small_chat

SECONDS = {"reply_timeout_s": 1.5, "open_timeout_s": 1.0}


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """After each test, no socket is open that was not before."""
    before = open_sockets()
    yield
    wait_for(lambda: open_sockets() <= before, what="all sockets to be closed")


def session(port: int, dialect: Dialect, **options: Any) -> ScriptedSession:
    """Return the session of a dialect, with short timeouts."""
    made = settings(port, dialect=dialect, **{**SECONDS, **options})
    return ScriptedSession(
        made, run_id="1b5ef97f", start_thread=start_native_thread, start_blocking=on_thread
    )


def held(fault: str = "", dialect: Dialect | None = None, **options: Any) -> Conversation:
    """Hold a conversation with the server that has this fault."""
    with small_chat(fault) as (_, port):
        return session(port, dialect or Chat(), **options).hold()


def errors(conversation: Conversation) -> list[str]:
    """Return the errors that a run would count."""
    return [fault.error for fault in conversation.faults]


def kinds(conversation: Conversation) -> list[str]:
    """Return the kinds of entries without messages."""
    messages = (What.SENT, What.RECEIVED)
    return [str(entry.what) for entry in conversation.entries if entry.what not in messages]


def test_a_sound_conversation_goes_all_the_way() -> None:
    """It connects, talks, drops, resumes with its history, talks again and closes: within a second or two."""
    with small_chat(cookie="sid=cookie-of-the-session") as (server, port):
        began_s = time.monotonic()
        conversation = session(port, Chat()).hold()
        assert time.monotonic() - began_s < 10
    assert (conversation.ending, errors(conversation), conversation.raised) == (Ending.DONE, [], [])
    assert kinds(conversation) == ["upgrade", "ready", "drop", "closed", "upgrade", "resumed", "closed"]
    assert [message["id"] for message in server.heard] == [0, 1, 2, 3, 4]
    assert conversation.counts["messaging.answered"] == 5
    assert conversation.counts["persistence.acknowledged"] == 3
    assert [headers.get("Cookie") for headers in server.upgrades] == [None, "sid=cookie-of-the-session"]
    assert not any(entry.bad for entry in conversation.entries)


def test_requests_follow_one_another() -> None:
    """The next is sent when the last is answered: each stands before its own reply."""
    conversation = held("late", reply_timeout_s=20)
    whats = [(str(entry.what), entry.meaning) for entry in conversation.entries]
    for number in range(5):
        at = whats.index(("->", f"request {number}"))
        assert whats[at + 1] == ("<-", f"Reply({number}, text=…); intact")


@pytest.mark.parametrize(
    ("fault", "ending", "found"),
    [
        ("silent", Ending.NOT_ESTABLISHED, ["established: establish_timeout"]),
        ("refuses", Ending.NOT_ESTABLISHED, ["upgrade: http_403"]),
        ("closes", Ending.NOT_ESTABLISHED, ["established: closed_4000"]),
        ("mute", Ending.NO_REPLY, ["no reply in time"]),
        ("renames", Ending.NO_REPLY, ["reply unmatched"]),
        ("alters", Ending.DONE, ["reply altered"]),
        ("repeats", Ending.DONE, ["reply duplicated"]),
        ("hangs up", Ending.LOST, []),
        ("no resume", Ending.NOT_RESUMED, ["established: establish_timeout"]),
        ("forgets", Ending.DONE, ["resumed into another session", "acknowledged requests are not restored"]),
        ("loses", Ending.DONE, ["acknowledged requests are not restored"]),
        ("no history", Ending.DONE, ["no history was restored"]),
        ("ping", Ending.DONE, []),
        ("news", Ending.DONE, []),
    ],
)
def test_each_defect_is_found(fault: str, ending: Ending, found: list[str]) -> None:
    """How far it came, and what a run would count as an error; a sound server with more to say has none."""
    conversation = held(fault, reply_timeout_s=1.5 if fault == "mute" else 20)
    assert conversation.ending is ending
    assert errors(conversation) == found
    assert any(entry.bad for entry in conversation.entries) == bool(found or ending is not Ending.DONE)


def test_nobody_there() -> None:
    """An unreachable server is one failed attempt, which is not repeated."""
    conversation = session(free_port(), Chat()).hold()
    assert conversation.ending is Ending.NOT_ESTABLISHED
    assert errors(conversation) == ["tcp: refused"]
    assert conversation.counts["connect.attempts"] == 1


def test_a_flood_is_bounded() -> None:
    """What does not fit into the transcript is counted, and the conversation goes on."""
    conversation = held("flood")
    assert conversation.ending is Ending.DONE
    assert conversation.omitted > 700
    assert conversation.seen["Push"] == 1000


class Beating(Chat):
    """The chat, with a heartbeat."""

    heartbeat_s = 0.1

    def heartbeat(self, session: DialectSession) -> Data:
        return '{"beat":1}'


def test_a_heartbeat_that_is_due_soon_is_awaited() -> None:
    """It is sent before the drop; one that is due late is not waited for."""
    entries = held(dialect=Beating()).entries
    dropped = next(at for at, entry in enumerate(entries) if entry.what is What.DROP)
    assert "heartbeat" in [entry.meaning for entry in entries[:dropped]]

    class Slow(Beating):
        heartbeat_s = 600.0

    assert held(dialect=Slow()).seen.get("heartbeat", 0) == 0


class Telling(Chat):
    """The chat, with requests that expect no reply."""

    def request(self, session: DialectSession, sequence: int) -> Any:
        return Request(super().request(session, sequence), name="event", replies=False)

    def read(self, session: DialectSession, data: Data) -> Any:
        return None if '"re"' in str(data) else super().read(session, data)


def test_requests_without_replies() -> None:
    """Each is sent on its own, and what comes after it is heard."""
    conversation = held(dialect=Telling())
    assert conversation.ending is Ending.DONE
    assert conversation.counts["messaging.unanswerable"] == 5
    assert conversation.seen["ignored"] == 5


class Listening(Dialect):
    """Reads the chat's news, and asks for nothing."""

    pushes = True
    read = Chat.read
    notice = Chat.notice


def test_a_dialect_without_requests_listens() -> None:
    """It hears a few messages on both connections, and does not wait for long then."""
    conversation = held("news", dialect=Listening())
    assert conversation.ending is Ending.DONE
    assert conversation.seen["Push"] == 6
    assert conversation.entries[-1].at_ns < scripted_session.LISTEN_ONLY_S * 1e9
    assert conversation.counts.get("messaging.sent", 0) == 0


def test_an_endless_stream_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts keep a reply alive for a run; a check ends some time."""

    monkeypatch.setattr(scripted_session, "LONGEST_REPLY_S", 0.5)
    conversation = held("endless", reply_timeout_s=0.2)
    assert conversation.ending is Ending.NO_REPLY
    assert errors(conversation) == []
    assert conversation.entries[-1].at_ns > 1e9


# Mistakes in the dialect.


def oops(*_arguments: Any) -> Any:
    """Raise what a dialect's author did not think of."""
    raise KeyError("oops")


async def oops_later(*_arguments: Any) -> Any:
    """Raise it in a coroutine."""
    await asyncio.sleep(0)
    raise KeyError("oops")


@pytest.mark.parametrize("method", ["login", "endpoint", "greeting", "request", "heartbeat", "probe", "read"])
def test_what_a_method_raises_is_named_with_its_line(method: str) -> None:
    """Class, method, exception and line, whichever method it is."""
    raises = oops_later if method == "login" else oops
    kind = type("Mine", (Beating,), {method: raises})
    conversation = held(dialect=kind())
    (raised,) = conversation.raised
    assert raised.problem.startswith(f"Mine.{method} raised KeyError: 'oops' (given ")
    assert raised.place.startswith("test_scripted_session.py, line ")
    assert raised.place.endswith(': raise KeyError("oops")')
    assert raised.count == 1
    assert [entry.what for entry in conversation.entries].count(What.ERROR) <= 1
    ending = Ending.NOT_ESTABLISHED if method == "read" else Ending.MISTAKE
    assert conversation.ending is ending


@pytest.mark.parametrize(
    ("method", "result", "problem"),
    [
        ("endpoint", "/chat", "endpoint returned '/chat' (str); it must return loadtest.Endpoint"),
        ("greeting", "hello", "greeting returned 'hello' (str); it must return an iterable of str or bytes"),
        ("request", {"id": 0}, "request returned {'id': 0} (dict); it must return str, bytes or "),
        ("heartbeat", 7, "heartbeat returned 7 (int); it must return str or bytes"),
        ("probe", [], "probe returned [] (list); it must return str or bytes"),
        ("read", {"type": 1}, "read returned {'type': 1} (dict); it must return "),
    ],
)
def test_what_a_method_returns_wrongly_is_named(method: str, result: Any, problem: str) -> None:
    """Class, method, what it returned and what it must return."""
    kind = type("Mine", (Beating,), {method: lambda *_arguments: result})
    conversation = held(dialect=kind())
    assert conversation.ending is Ending.MISTAKE
    (raised,) = conversation.raised
    assert raised.problem.startswith(f"Mine.{problem}")
    assert raised.place.startswith("test_scripted_session.py, line ")


def test_a_dialect_without_read_is_told_so() -> None:
    """The method is missing, in words."""

    class Empty(Dialect):
        pass

    (raised,) = held(dialect=Empty()).raised
    assert raised.problem.startswith("Empty.read is missing (given ")
    assert raised.count > 1


def test_a_refused_login_is_no_mistake() -> None:
    """It fails the attempt, as in a run."""

    class Refused(Chat):
        async def login(self, session: DialectSession) -> None:
            raise LoginFailed("wrong password")

    conversation = held(dialect=Refused())
    assert (conversation.ending, conversation.raised) == (Ending.NOT_ESTABLISHED, [])
    assert errors(conversation) == ["login: login_failed"]


def test_a_dialect_that_blocks_the_loop_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check does not wait for it: it names the line that is running."""
    monkeypatch.setattr(scripted_session, "STUCK_S", 0.5)
    over: list[bool] = []

    class Stuck(Chat):
        def read(self, session: DialectSession, data: Data) -> Any:
            while not over:
                get_original("time", "sleep")(0.01)
            return super().read(session, data)

    with small_chat() as (_, port):
        blocked = session(port, Stuck())
        conversation = blocked.hold()
        over.append(True)
        wait_for(lambda: blocked._ended, what="the engine's thread to end")
    assert conversation.ending is Ending.BLOCKED
    (raised,) = conversation.raised
    assert raised.problem == "Stuck.read has blocked the event loop for 0.5 s"
    assert raised.place.endswith(': get_original("time", "sleep")(0.01)')


def test_a_slow_method_is_noted() -> None:
    """It works, and would hold up all sessions of a run."""

    class Slow(Chat):
        def request(self, session: DialectSession, sequence: int) -> Any:
            get_original("time", "sleep")(0.15)
            return super().request(session, sequence)

    conversation = held(dialect=Slow())
    assert conversation.ending is Ending.DONE
    assert conversation.blocked_ms["Slow.request"] > 140


# The caller's thread.


def test_ctrl_c_ends_it_with_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The transcript so far is returned, and the connection closed."""
    with small_chat("mute") as (server, port):
        waiting, sleep = session(port, Chat(), reply_timeout_s=60), time.sleep

        def interrupt(seconds: float) -> None:
            sleep(seconds)
            if server.heard and not waiting._ended:
                monkeypatch.undo()
                raise KeyboardInterrupt

        monkeypatch.setattr(time, "sleep", interrupt)
        conversation = waiting.hold()
        assert waiting._ended
    assert conversation.ending is Ending.INTERRUPTED
    assert conversation.entries[-1].meaning == "request 0"


def test_a_defect_of_the_tool_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is neither the server's fault nor the dialect's."""

    def defect(*_arguments: Any) -> None:
        raise ZeroDivisionError("in the engine")

    monkeypatch.setattr(ScriptedLink, "ask", defect)
    with small_chat() as (_, port), pytest.raises(ZeroDivisionError, match="in the engine"):
        session(port, Chat()).hold()


def test_secrets_of_settings_and_server_are_not_shown() -> None:
    """What the caller declares, and the cookie that the server sets."""
    filling = "xxxxxxxxxx"  # of texts
    with small_chat(cookie="sid=1b5ef97f-000000") as (_, port):  # it occurs in path and welcome
        conversation = session(port, Chat()).hold(Secrets([filling]))
    assert filling not in repr(conversation)
    assert "1b5ef97f-000000" not in repr(conversation)


class Tokenless(Chat):
    """The chat, with a login that forgets that there may be no token."""

    async def login(self, session: DialectSession) -> None:
        session.headers["X-Chat-Token"] = session.token  # type: ignore[assignment]  # the point


def test_a_header_without_a_token_is_named() -> None:
    """Not what this breaks in the tool."""
    conversation = held(dialect=Tokenless())
    assert conversation.ending is Ending.MISTAKE
    (raised,) = conversation.raised
    assert "X-Chat-Token is None, and no token is given" in raised.problem


class Awaiting(Chat):
    """The chat, whose server is said to push: it does not."""

    pushes = True


def test_pushes_that_are_promised_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The replies alone take no time in which a push could come."""
    monkeypatch.setattr(scripted_session, "PUSHES_S", 0.7)
    conversation = held(dialect=Awaiting())
    assert conversation.ending is Ending.DONE
    assert conversation.entries[-1].at_ns > 0.7e9
