"""The transcript: each thing that happens is one entry, with what it means; findings' facts; no secrets."""

from __future__ import annotations

from typing import Any

import pytest

from loadtest.dialects.base import Dialect, Failed, Incoming, Push, Request, StreamPart
from loadtest.dialects.dialect_session import DialectSession
from loadtest.engine.conversation import Conversation, Ending, Entry, Public, Raised, What
from loadtest.engine.transcript import BLOCKING_NS, LIMIT
from loadtest.errors import LoginFailed
from loadtest.events import Data, DropDue, Endpoint, HeartbeatDue
from loadtest.scrubber import MAX_READ, NO_SECRETS, Secrets, without_secrets
from tests.support.fake_link import drop
from tests.support.small_chat import Chat
from tests.support.told import Talk

WELCOME = {"type": "welcome", "session": "s"}


def shown(conversation: Conversation) -> list[tuple[str, str, str]]:
    """Return the entries without their times."""
    return [(str(entry.what), entry.text, entry.meaning) for entry in conversation.entries]


def last(conversation: Conversation) -> Entry:
    """Return the last entry."""
    return conversation.entries[-1]


def welcomed(dialect: Dialect | None = None) -> Talk:
    """Return a conversation that has just been established."""
    talk = Talk(dialect or Chat())
    talk.connects()
    talk.hears(WELCOME)
    return talk


def test_a_sound_conversation() -> None:
    """Attempt, welcome, request, reply, drop, resume and history, each with its time and its meaning."""
    talk = Talk(Chat())
    talk.connects(sid="cookie-1")
    talk.hears(WELCOME)
    talk.asks()
    talk.hears({"re": 0, "text": talk.text(0)})
    talk.drops()
    talk.connects()
    talk.hears(WELCOME, {"type": "history", "texts": [talk.text(0)]})
    conversation = talk.ends(Ending.DONE)
    welcome = '{"type": "welcome", "session": "s"}'
    text = "[1b5ef97f.0.249e.0.é🙂xxxxxxxxxxxxxxxxxxxxxx]"
    assert talk.text(0) == text
    assert shown(conversation) == [
        ("upgrade", "GET /chat/1b5ef97f-000000", "101, set 1 cookie (sid)"),
        ("<-", welcome, "Established(session_id='s')"),
        ("ready", "the session is established", ""),
        (
            "->",
            '{"id": 0, "text": "[1b5ef97f.0.249e.0.\\u00e9\\ud83d\\ude42xxxxxxxxxxxxxxxxxxxxxx]"}',
            "request 0",
        ),
        ("<-", f'{{"re": 0, "text": "{text}"}}', "Reply(0, text=…); intact"),
        ("drop", "close: the client closes the connection, code 1000", ""),
        ("closed", "the server replies, code 1000", ""),
        ("upgrade", "GET /chat/1b5ef97f-000000  headers Cookie", "101"),
        ("<-", welcome, "Established(session_id='s'); the same session"),
        ("resumed", "the session is established again, after 12 ms", ""),
        (
            "<-",
            f'{{"type": "history", "texts": ["{text}"]}}',
            "Restored(1 text); holds 1 acknowledged request",
        ),
    ]
    times = [entry.at_ns for entry in conversation.entries]
    assert times == sorted(times)
    assert (times[0], times[4]) == (7_500_000, 15_000_000)
    assert (conversation.faults, conversation.raised, conversation.omitted) == ([], [], 0)
    assert conversation.counts["messaging.answered"] == conversation.counts["persistence.histories"] == 1


def test_what_an_attempt_asks_for_is_told_without_values() -> None:
    """Of headers only the names; subprotocols of dialect and settings; which credentials were set."""

    class Guarded(Chat):
        subprotocols = ("chat.v1",)

        async def login(self, session: DialectSession) -> None:
            session.token, session.headers["X-Key"] = "token-of-1", "value-of-key"
            session.cookies["sid"] = "value-of-cookie"

    added = Endpoint(path="", headers=(("X-Team", "value-of-team"),), subprotocols=("extra",))
    talk = Talk(Guarded(), added=added)
    talk.connects()
    conversation = talk.ends(Ending.INTERRUPTED)
    assert shown(conversation) == [
        ("login", "Guarded.login", "set a token, 1 header (X-Key), 1 cookie (sid)"),
        (
            "upgrade",
            "GET /chat/1b5ef97f-000000  subprotocols chat.v1, extra  "
            "headers X-Team, Authorization, X-Key, Cookie",
            "101",
        ),
    ]


def test_a_refused_attempt_says_why_in_its_own_entry() -> None:
    """The server's answer stands beside the request to upgrade."""
    talk = Talk(Chat())
    talk.attempts()
    talk.is_refused("http_403", "HTTP 403 no entry")
    conversation = talk.ends(Ending.NOT_ESTABLISHED)
    assert shown(conversation) == [("upgrade", "GET /chat/1b5ef97f-000000", "HTTP 403 no entry")]
    assert last(conversation).bad
    (fault,) = conversation.faults
    assert (fault.item, fault.error, fault.example) == ("connect", "upgrade: http_403", "HTTP 403 no entry")


def test_hints_name_the_options_of_the_command() -> None:
    """Locust's are called otherwise."""
    talk = Talk(Chat())
    talk.attempts()
    talk.is_refused("certificate", "self-signed; trust it with --ws-tls-ca", phase="tls")
    conversation = talk.ends(Ending.NOT_ESTABLISHED)
    assert last(conversation).meaning == "self-signed; trust it with --tls-ca"
    assert conversation.faults[0].example == "self-signed; trust it with --tls-ca"


def test_a_refused_login_is_an_entry_and_no_mistake() -> None:
    """What comes before the request to upgrade has no other entry to stand in."""

    class Refusing(Chat):
        async def login(self, session: DialectSession) -> None:
            raise LoginFailed("wrong password")

    talk = Talk(Refusing())
    with pytest.raises(LoginFailed):
        talk.attempts()
    talk.is_refused("login_failed", "wrong password", phase="login")
    conversation = talk.ends(Ending.NOT_ESTABLISHED)
    assert shown(conversation) == [("failed", "login: login_failed", "wrong password")]
    assert conversation.raised == []


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        ({"re": "msg-0"}, "reply unmatched: reply to 'msg-0', outstanding: 0"),
        ({"re": 1}, "reply unmatched: request 1, outstanding: 0"),
        ({"text": "something else"}, "reply altered: request 0: sent "),
    ],
)
def test_a_reply_that_is_wrong_says_how(reply: dict[str, Any], error: str) -> None:
    """Its entry and its fault name what came and what was awaited."""
    talk = welcomed()
    talk.asks()
    talk.hears({"re": 0, "text": talk.text(0), **reply})
    conversation = talk.ends(Ending.NO_REPLY)
    assert last(conversation).bad
    assert error in last(conversation).meaning
    (fault,) = conversation.faults
    assert error.startswith(f"{fault.error}: ")
    assert fault.example.startswith(error.partition(": ")[2])


def test_faults_are_counted_with_their_first_example() -> None:
    """The same error again raises the count of the one."""
    talk = welcomed()
    for sequence in range(3):
        talk.asks()
        talk.hears({"re": sequence, "text": f"no {sequence}"})
    (fault,) = talk.ends(Ending.DONE).faults
    assert fault.count == 3
    assert 'got "no 0"' in fault.example


def test_no_reply_in_time_is_an_entry_of_its_own() -> None:
    """Nothing came that it could stand beside."""
    talk = welcomed()
    talk.asks()
    talk.waits(6)
    conversation = talk.ends(Ending.NO_REPLY)
    assert shown(conversation)[-1] == ("error", "no reply in time", f"request 0: {talk.text(0)}")
    assert last(conversation).bad


def test_a_connection_that_the_server_ends() -> None:
    """Code and reason stand in the entry."""
    talk = welcomed()
    talk.is_left(1011, "out of memory")
    conversation = talk.ends(Ending.LOST)
    assert shown(conversation)[-1] == ("lost", "the connection ended (1011)", "out of memory")


def test_a_session_that_is_not_established_in_time() -> None:
    """The attempt has succeeded by then, so the failure is an entry of its own."""
    talk = Talk(Chat())
    talk.connects()
    talk.waits_in_vain()
    what, text, _ = shown(talk.ends(Ending.NOT_ESTABLISHED))[-1]
    assert (what, text) == ("failed", "established: establish_timeout")


class Rich(Chat):
    """Greets, beats, sends more than data, and reads all there is."""

    heartbeat_s = 1.0

    def greeting(self, session: DialectSession) -> list[Data]:
        return ["hello", b"\x00\x01"]

    def heartbeat(self, session: DialectSession) -> Data:
        return "beat"

    def request(self, session: DialectSession, sequence: int) -> Any:
        return Request("no text", name="query", replies=sequence == 0)

    def notice(self, message: dict[str, Any]) -> Any:
        match message["type"]:
            case "error":
                return Failed(None, message["why"])
            case "parts":
                return [StreamPart(), StreamPart()]
            case "many":
                return [Push(number=number) for number in range(7)]
        return super().notice(message)


def test_everything_that_is_said_has_an_entry() -> None:
    """Greetings, binary ones too, heartbeats, named requests, and what read answers at once."""
    talk = welcomed(Rich())
    talk.event(HeartbeatDue())
    talk.asks()
    talk.hears({"type": "ping"})
    said = [(text, meaning) for what, text, meaning in shown(talk.ends(Ending.DONE)) if what == "->"]
    assert said == [
        ("hello", "greeting"),
        (r"b'\x00\x01'", "greeting"),
        ("beat", "heartbeat"),
        ("no text", "request 0 (query)"),
        ('{"pong":true}', "sent by read"),
    ]


def test_what_is_not_sent_has_no_entry() -> None:
    """A client that is closing its connection answers nothing any more."""
    talk = welcomed()
    talk.event(DropDue(drop("close")))
    talk.hears({"type": "ping"})
    assert last(talk.ends(Ending.INTERRUPTED)).what is What.RECEIVED


def test_what_a_message_says_stands_beside_it() -> None:
    """Several things too, not more than five of them; an error of the server is bad."""
    talk = welcomed(Rich())
    talk.asks()
    talk.hears({"type": "parts"}, {"type": "error", "why": "no room"}, {"type": "many"}, {"type": "other"})
    conversation = talk.ends(Ending.DONE)
    meanings = [entry.meaning for entry in conversation.entries if entry.what is What.RECEIVED][1:]
    assert meanings == [
        "StreamPart(), StreamPart()",
        "Failed(None, 'no room'); the server answered with an error: request 0 (query): no room",
        "Push(number=0), Push(number=1), Push(number=2), Push(number=3), Push(number=4), and 2 more",
        "ignored",
    ]
    assert conversation.seen["ignored"] == 1
    assert conversation.ignored == ['{"type": "other"}']
    talk.hears({"type": "other"}, {"type": "another"})
    assert talk.ends(Ending.DONE).ignored == ['{"type": "other"}', '{"type": "another"}']


def test_facts_for_what_is_unjudged() -> None:
    """Texts given or not, requests that bear their mark, and those that expect no reply."""
    talk = welcomed(Rich())
    talk.asks()
    talk.asks()
    talk.hears({"re": 0, "text": None})
    seen = talk.ends(Ending.DONE).seen
    assert (seen["Reply"], seen.get("Reply.text", 0)) == (1, 0)
    assert (seen["request"], seen.get("request.marked", 0), seen["request.unanswerable"]) == (2, 0, 1)
    talk = welcomed()
    talk.asks()
    assert talk.ends(Ending.DONE).seen["request.marked"] == 1


def test_a_mark_in_bytes_is_found() -> None:
    """Protocols in bytes bear marks too."""

    class Binary(Chat):
        def request(self, session: DialectSession, sequence: int) -> bytes:
            return b"\x00" + session.text(sequence).encode()

    talk = welcomed(Binary())
    talk.asks()
    assert talk.ends(Ending.DONE).seen["request.marked"] == 1


# Mistakes.


class Mistaken(Chat):
    """Raises at some messages, and asks for nothing."""

    def request(self, session: DialectSession, sequence: int) -> Any:
        raise KeyError("text")

    def notice(self, message: dict[str, Any]) -> Incoming | None:
        if message["type"] == "odd":
            raise ValueError(message["why"])
        return super().notice(message)


def test_an_exception_of_read_is_told_with_its_place() -> None:
    """Each is an entry; the same one is counted; the error that a run would count is not told twice."""
    talk = welcomed(Mistaken())
    talk.hears({"type": "odd", "why": "a"}, {"type": "odd", "why": "a"}, {"type": "odd", "why": "b"})
    conversation = talk.ends(Ending.DONE)
    assert last(conversation).meaning == "Mistaken.read raised ValueError: b"
    assert [(raised.problem, raised.count) for raised in conversation.raised] == [
        ('Mistaken.read raised ValueError: a (given {"type": "odd", "why": "a"})', 2),
        ('Mistaken.read raised ValueError: b (given {"type": "odd", "why": "b"})', 1),
    ]
    assert conversation.raised[0].place.startswith("test_transcript.py, line ")
    assert conversation.raised[0].place.endswith(': raise ValueError(message["why"])')
    assert conversation.faults == []
    assert conversation.counts["messaging.unreadable"] == 3


def test_what_another_method_raises_ends_it_with_its_place() -> None:
    """The place is the line that raised."""
    talk = welcomed(Mistaken())
    talk.asks()
    conversation = talk.ends(Ending.DONE)
    assert conversation.ending is Ending.MISTAKE
    assert shown(conversation)[-1] == ("error", "Mistaken.request raised KeyError: 'text'", "")
    (raised,) = conversation.raised
    assert raised.problem == "Mistaken.request raised KeyError: 'text' (given sequence 0)"
    assert raised.place.endswith(': raise KeyError("text")')


def test_a_wrong_result_has_its_method_s_first_line_as_its_place() -> None:
    """Nothing was raised that had a better one."""

    class Wrong(Chat):
        def request(self, session: DialectSession, sequence: int) -> Any:
            return {"id": sequence}

    talk = welcomed(Wrong())
    talk.asks()
    (raised,) = talk.ends(Ending.DONE).raised
    assert "Wrong.request returned {'id': 0} (dict)" in raised.problem
    assert raised.place == f"test_transcript.py, line {Wrong.request.__code__.co_firstlineno}"


def test_a_method_that_does_not_return_is_named_with_its_line() -> None:
    """The caller gives the stack of the thread that it holds."""
    talk = welcomed()
    talk.transcript.running = "read"
    talk.transcript.stuck(5.0, ())
    (raised,) = talk.ends(Ending.BLOCKED).raised
    assert raised.problem == "Chat.read has blocked the event loop for 5 s"
    assert raised.place.startswith("small_chat.py, line ")


def test_long_calls_are_kept() -> None:
    """The longest of each method, if it was long enough to delay others."""
    talk = welcomed()
    for took_ns in (BLOCKING_NS, 3 * BLOCKING_NS, 2 * BLOCKING_NS):
        talk.transcript.blocked("read", took_ns)
    talk.transcript.blocked("request", BLOCKING_NS)
    assert talk.ends(Ending.DONE).blocked_ms == {"Chat.read": 300.0}


@pytest.mark.parametrize("message", ["not JSON", {"re": 9, "text": "x"}])
def test_puzzling_messages_are_timed(message: Any) -> None:
    """One that raised, and one that matches nothing: the script then waits no longer for the right one."""
    talk = welcomed()
    talk.hears({"type": "other"})
    assert talk.transcript.puzzled_ns is None
    talk.hears(message)
    assert talk.transcript.puzzled_ns == talk.now_ns


# Bounds and secrets.


def test_many_messages_are_counted_instead_of_shown() -> None:
    """What else happens is shown still, and faults among them are counted."""
    talk = welcomed()
    for _ in range(LIMIT):
        talk.hears({"type": "news", "number": 5})
    talk.is_left(1011, "tired")
    conversation = talk.ends(Ending.LOST)
    assert sum(entry.what is What.RECEIVED for entry in conversation.entries) == LIMIT
    assert conversation.omitted == 1
    assert last(conversation).what is What.LOST
    assert conversation.faults[0].count == LIMIT - 1


def test_long_messages_are_cut_and_control_characters_escaped() -> None:
    """A server cannot fill or clear the terminal."""
    talk = welcomed()
    talk.hears("\x1b[2J" + "x" * 100_000)
    entry = last(talk.ends(Ending.DONE))
    assert entry.text.startswith(r"\x1b[2Jxxx")
    assert len(entry.text) == 400
    assert "\x1b" not in entry.meaning


class Telling(Chat):
    """Logs in with a token that the server tells it later, and quotes everything."""

    async def login(self, session: DialectSession) -> None:
        session.token = session.memory.get("token", "first-token-of-all")

    def notice(self, message: dict[str, Any]) -> Incoming | None:
        if message["type"] == "leak":
            return Failed(None, message["what"])
        if message["type"] == "odd":
            raise ValueError(message["what"])
        return super().notice(message)


def test_secrets_appear_nowhere() -> None:
    """Known ones, and those that become known later: in messages, meanings, errors and mistakes."""
    late, of_settings, password = "token-that-comes-later", "secret-of-settings", "pass-word-1"
    talk = Talk(Telling())
    talk.connects(sid="cookie-of-the-session")
    talk.hears(WELCOME)
    secrets = ("first-token-of-all", late, of_settings, password, "cookie-of-the-session")
    for secret in secrets:
        for kind in ("leak", "odd", "other"):
            talk.hears({"type": kind, "what": secret})
    talk.drops()
    talk.about.memory["token"] = late
    talk.connects()
    conversation = talk.ends(Ending.NOT_RESUMED, Secrets([of_settings], values=[password]))
    told = repr(conversation)
    assert [secret for secret in secrets if secret in told] == []
    assert "***" in told


def test_a_secret_that_was_cut_off_is_removed_up_to_the_cut() -> None:
    """Before an ellipsis, wherever it stands; a text that only looks similar stays."""
    public = Public(Secrets(["abcdefghijkl"]))
    assert public.text("Failed(None, 'xx abcdefg...'); more") == "Failed(None, 'xx ***...'); more"
    assert public.text("sent “abcdef…”, got nothing") == "sent “***…”, got nothing"
    assert public.text("xabcd yabcdefz... end") == "xabcd yabcdefz... end"
    assert public.text("ends in abcdefgh") == "ends in ***"


def test_what_is_hidden_already_keeps_its_name() -> None:
    """A known secret is hidden alone, so that the message can still be read."""
    assert Public(Secrets(["the-token-itself"])).text('{"token": "the-token-itself"}') == '{"token": "***"}'


def test_of_a_message_of_megabytes_only_the_beginning_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its secrets are looked for in what may be shown; one line of it is."""
    read = []

    def counted(text: str, secrets: Secrets) -> str:
        read.append(len(text))
        return without_secrets(text, secrets)

    monkeypatch.setattr("loadtest.engine.conversation.without_secrets", counted)
    assert Public(Secrets(["the-token-itself"])).text('"the-token-itself" ' * 10**5).startswith('"***" "***"')
    assert sum(read) < 3 * MAX_READ


def test_a_line_of_code_that_holds_a_secret_is_left_out() -> None:
    """Its number is enough."""
    code = 'chat.py, line 3: headers = {"password": "hunter2", **oops}'
    assert Public(NO_SECRETS).raised(Raised(problem="", place=code)).place == "chat.py, line 3"
    sound = 'chat.py, line 3: return Reply(message["id"])'
    assert Public(NO_SECRETS).raised(Raised(problem="", place=sound)).place == sound


def test_what_looks_like_a_secret_is_removed() -> None:
    """One that nobody has declared: a JWT, a bearer token, a password by its name."""
    public = Public(NO_SECRETS)
    assert public.text('{"password":"hunter2"}') == '{"[secret removed]"}'
    assert "eyJ" not in public.text("hello eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc")
