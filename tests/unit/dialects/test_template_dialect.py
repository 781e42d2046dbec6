"""The dialect `template`: protocols of many forms, each by a TOML file."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from loadtest.dialects.base import (
    EXCERPT_LENGTH,
    AuthRequired,
    Dialect,
    Established,
    Failed,
    Incoming,
    Push,
    Reply,
    Request,
    Restored,
    StreamPart,
    Unreadable,
)
from loadtest.dialects.bundled import dialect_named
from loadtest.dialects.calls import listed, wrong_field
from loadtest.dialects.dialect_options import parsed, with_options
from loadtest.dialects.dialect_session import DialectSession
from loadtest.dialects.mistakes import check_form
from loadtest.dialects.template_dialect import LONGEST_ANSWER, MOST_KEPT, TemplateDialect
from loadtest.dialects.template_file import MAX_BYTES, protocol_of
from loadtest.errors import InvalidSetting
from loadtest.events import Data, Send
from tests.support.effort import effort
from tests.support.fake_link import dialect_session


def made(toml: str) -> TemplateDialect:
    """Return the dialect of a protocol."""

    class Described(TemplateDialect):
        pass

    Described._describe(protocol_of(tomllib.loads(toml), "chat.toml"))
    dialect = Described()
    check_form(dialect)
    return dialect


def read(dialect: Dialect, message: Any, session: DialectSession | None = None) -> list[Incoming]:
    """Read one message; what is neither text nor bytes is sent as JSON."""
    data = message if isinstance(message, str | bytes) else json.dumps(message)
    found = list(listed(dialect, dialect.read(session or dialect_session(), data), data))
    assert wrong_field(dialect, found, data) is None
    return found


CHAT = """
path = "/chat?session={session_id}"
subprotocols = ["chat.v1"]
[login]
message = '{"type": "hello", "token": "$token"}'
[resume]
message = '{"type": "resume", "ticket": "$resume"}'
[established]
when = { type = "welcome" }
session = "session.id"
resume = "ticket"
[refused]
when = { type = "denied" }
reason = "why"
[history]
when = { type = "welcome", history = "*" }
items = "history"
text = "body.text"
window = 50
[request]
message = '{"type": "say", "id": $sequence, "text": "$text", "room": $room}'
[heartbeat]
message = '{"type": "ping"}'
every_s = 20
[probe]
message = '{"type": "say"}'
[reply]
when = { type = ["said", "stored"] }
id = "re"
text = "text"
[error]
when = { type = "error" }
id = "re"
text = "error"
[[answer]]
when = { type = "challenge" }
fields = { nonce = "payload.nonce" }
message = '{"type": "solved", "nonce": $nonce}'
[push]
when = [{ type = "news" }, { payload.kind = "tick", live = true }]
number = "payload.n"
text = "text"
sent_at_ms = "at"
[ignore]
when = { type = "pong" }
"""


class TestChat:
    """A protocol with everything."""

    dialect = made(CHAT)

    def test_what_it_promises(self) -> None:
        """The sections that the file has say what is judged."""
        dialect = self.dialect
        assert (dialect.default_path, dialect.subprotocols) == ("/chat?session={session_id}", ("chat.v1",))
        assert dialect.establishes
        assert dialect.identifies
        assert dialect.keeps_history
        assert dialect.pushes
        assert dialect.ordered
        assert (dialect.history_window, dialect.heartbeat_s) == (50, 20)
        quiet = made("[push]\nwhen = { a = 1 }")
        assert not quiet.overrides("request")
        assert not quiet.overrides("probe")
        assert not quiet.establishes
        assert quiet.heartbeat_s is None

    def test_what_the_client_says(self) -> None:
        """Templates, with the token of the session, and the ticket of the last welcome."""
        session = dialect_session(data={"room": "a b"})
        session.token = "t"
        assert list(self.dialect.greeting(session)) == ['{"type": "hello", "token": "t"}']
        text = session.text(7)
        said = json.loads(str(self.dialect.request(session, 7)))
        assert said == {"type": "say", "id": 7, "text": text, "room": "a b"}
        assert self.dialect.heartbeat(session) == '{"type": "ping"}'
        assert self.dialect.probe(session) == '{"type": "say"}'
        read(self.dialect, {"type": "welcome", "ticket": "k1"}, session)
        assert list(self.dialect.greeting(session)) == ['{"type": "resume", "ticket": "k1"}']

    def test_the_session(self) -> None:
        """A welcome, with the history in it; or a refusal."""
        welcome = {"type": "welcome", "session": {"id": "s1"}, "ticket": "k1"}
        assert read(self.dialect, welcome) == [Established(session_id="s1")]
        history = [{"body": {"text": "a"}}, {"body": {}}, 7, {"body": {"text": "b"}}]
        restored = Restored(texts=["a", "b"], count=4)
        assert read(self.dialect, welcome | {"history": history}) == [Established(session_id="s1"), restored]
        assert read(self.dialect, {"type": "denied", "why": "too late"}) == [AuthRequired("too late")]

    def test_replies(self) -> None:
        """The id and the text; a text that is missing is noticed."""
        text = dialect_session().text(7)
        assert read(self.dialect, {"type": "said", "re": 7, "text": text}) == [Reply(7, text)]
        assert read(self.dialect, {"type": "stored", "re": "7"}) == [Reply("7", None)]
        assert read(self.dialect, {"type": "said", "re": {}, "text": text}) == [Reply("", text)]
        assert read(self.dialect, {"type": "error", "re": 7, "error": "full"}) == [Failed(7, "full")]
        assert read(self.dialect, {"type": "error", "re": 7}) == [Failed(7, "an error without a message")]

    def test_answers_at_once(self) -> None:
        """With fields of the message, written as JSON needs them."""
        (solved,) = read(self.dialect, {"type": "challenge", "payload": {"nonce": 'a"b'}})
        assert isinstance(solved, Send)
        assert json.loads(solved.data) == {"type": "solved", "nonce": 'a"b'}
        assert read(self.dialect, {"type": "challenge"}) == [Send('{"type": "solved", "nonce": ""}')]

    def test_pushes(self) -> None:
        """By either condition; true is not 1."""
        assert read(self.dialect, {"type": "news", "payload": {"n": 3}, "text": "x", "at": 1.5}) == [
            Push(text="x", number=3, sent_at_ms=1.5)
        ]
        tick = {"payload": {"kind": "tick"}, "live": True}
        assert read(self.dialect, tick) == [Push()]
        assert isinstance(read(self.dialect, tick | {"live": 1})[0], Unreadable)

    def test_other_messages(self) -> None:
        """Those to ignore, and those that the file does not know."""
        assert read(self.dialect, {"type": "pong"}) == []
        assert isinstance(read(self.dialect, {"type": "typo"})[0], Unreadable)
        assert read(made(f'others = "ignore"\n{CHAT}'), {"type": "typo"}) == []
        assert read(made(f'others = "push"\n{CHAT}'), {"type": "typo"}) == [Push()]


Server = Callable[[Any], Any]
"""Returns a server's reply to a request."""


def nested(depth: int) -> str:
    """Return an error that is nested so deep."""
    return f'{{"type": "error", "re": 7, "error": {"[" * depth}1{"]" * depth}}}'


def test_errors_nested_too_deep_are_unreadable() -> None:
    """What JSON's decoder reads may be too deep for Python to write."""
    dialect = made(CHAT)
    kinds = {type(one) for depth in range(300, 1100) for one in read(dialect, nested(depth))}
    assert kinds == {Failed, Unreadable}


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("$room", "$rom", r"\[request\]\.message has \$rom, .*\(room\) .*\$uuid, \$token, \$resume\)"),
        ('nonce = "payload', 'nounce = "payload', r"\[answer\]\.message has \$nonce, .*\$nounce\)"),
    ],
)
def test_names_that_stand_for_nothing(old: str, new: str, problem: str) -> None:
    """They are found before the run, with what there is."""

    def check(toml: str) -> None:
        for where, template in made(toml).message_templates():
            template.check(where, ["room"])

    check(CHAT)
    with pytest.raises(InvalidSetting, match=problem):
        check(CHAT.replace(old, new))


@pytest.mark.parametrize(
    ("toml", "problem"),
    [
        (CHAT.replace('"id": $sequence, ', ""), r"\[reply\]\.id needs \$sequence or \$uuid in \[request\]"),
        (CHAT.replace('"text": "$text", ', ""), r"\[reply\]\.text needs \$text in \[request\]"),
        (
            CHAT.replace('resume = "ticket"', ""),
            r"\[resume\]\.message needs the key resume in \[established\]",
        ),
        (
            """
            format = "text"
            [request]
            message = "$sequence $text"
            [reply]
            when = "^OK (?P<number>[0-9]+)"
            id = "nr"
            """,
            r"\[reply\]\.id must be a named group of its `when` \(number\)",
        ),
    ],
)
def test_sections_that_do_not_fit_together(toml: str, problem: str) -> None:
    """They are refused instead of failing each message of the server."""
    with pytest.raises(InvalidSetting, match=problem):
        made(toml)


FORMS: dict[str, tuple[str, Server]] = {
    "no ids, in order": (
        """
        [request]
        message = '{"q": "question"}'
        [reply]
        text = ""
        """,
        lambda _request: '{"a": "answer"}',
    ),
    "no ids, with the text": (
        """
        [request]
        message = '{"q": "$text"}'
        [reply]
        """,
        lambda request: json.dumps({"a": {"deep": [json.loads(request)["q"]]}}),
    ),
    "text ids with a prefix": (
        """
        id_prefix = "msg-"
        [request]
        message = '{"id": "msg-$sequence", "text": "$text"}'
        [reply]
        id = "id"
        """,
        lambda request: request,
    ),
    "UUIDs": (
        """
        [request]
        message = '{"id": "$uuid", "text": "$text"}'
        [reply]
        id = "id"
        """,
        lambda request: request,
    ),
    "an array with the id by position (Phoenix)": (
        """
        [request]
        message = '["1", "$sequence", "room:lobby", "say", {"text": "$text"}]'
        [reply]
        when = { 3 = "phx_reply", 4.status = "ok" }
        id = "1"
        text = "4.response.text"
        """,
        lambda request: json.dumps(
            [*json.loads(request)[:3], "phx_reply", {"status": "ok", "response": json.loads(request)[4]}]
        ),
    ),
    "lines of text with numbers": (
        r"""
        format = "text"
        lines = true
        [request]
        message = "SAY $sequence $text\n"
        [reply]
        when = '^OK (?P<id>\d+) (?P<text>.*)$'
        """,
        lambda request: f"OK {request.split(' ', 2)[1]} {request.split(' ', 2)[2]}",
    ),
    "MessagePack": (
        """
        format = "msgpack"
        [request]
        message = '{"id": $sequence, "text": "$text"}'
        [reply]
        id = "id"
        text = "text"
        """,
        lambda request: request,
    ),
    "JSON in JSON": (
        r"""
        unwrap = "data"
        [request]
        message = '{"data": "{\"id\": $sequence, \"text\": \"$text\"}"}'
        [reply]
        id = "id"
        """,
        lambda request: request,
    ),
}


@pytest.mark.parametrize("form", FORMS)
class TestForms:
    """Ids, replies and envelopes of many forms."""

    def test_replies_reach_their_requests(self, form: str) -> None:
        """Those of a sound server, with their texts where the protocol has any."""
        toml, server = FORMS[form]
        dialect, session = made(toml), dialect_session()
        requests = [dialect.request(session, number) for number in (7, 8)]
        for number, request in zip((7, 8), requests, strict=True):
            (reply,) = read(dialect, server(request), session)
            assert isinstance(reply, Reply)
            assert reply.sequence is None if "in order" in form else int(reply.sequence or 0) == number
            if "in order" not in form:
                assert reply.text == session.text(number)

    def test_any_message(self, form: str) -> None:
        """No message breaks the reader, and what it says is bounded."""
        dialect = made(FORMS[form][0])
        for data in (
            "",
            "{",
            "[]",
            "null",
            "[" * 100_000,
            '{"id":' * 20_000,
            b"",
            b"\x81\x90\x01",
            b"\xff" * 9,
        ):
            for incoming in read(dialect, data):
                assert len(getattr(incoming, "excerpt", "")) <= EXCERPT_LENGTH

    @given(data=st.text() | st.binary() | st.text('{}[]":,id0123 \n', max_size=40))
    @effort(20)
    def test_hostile_messages(self, form: str, data: Data) -> None:
        """Whatever the text or bytes."""
        read(made(FORMS[form][0]), data)


STREAM = """
[request]
message = '{"id": "$uuid", "text": "$text"}'
[stream]
when = { type = "delta" }
id = "id"
text = "piece"
[reply]
when = { type = "done" }
id = "id"
"""


class TestStreams:
    """Answers in pieces."""

    def test_the_pieces_are_one_text(self) -> None:
        """Of two answers at a time, each has its own; the end may hold the whole text instead."""
        dialect, session = made(STREAM), dialect_session()
        ids = [json.loads(str(dialect.request(session, number)))["id"] for number in (0, 1)]
        for at in range(0, 48, 12):
            for number in (0, 1):
                piece = session.text(number)[at : at + 12]
                read_as = read(dialect, {"type": "delta", "id": ids[number], "piece": piece}, session)
                assert read_as == [StreamPart(number)]
        for number in (0, 1):
            said = read(dialect, {"type": "done", "id": ids[number]}, session)
            assert said == [Reply(number, session.text(number))]
        assert session.memory["uuids"] == {}

    def test_pieces_without_the_text(self) -> None:
        """An assistant need not repeat the question, unless the file says that its answer does."""
        for toml, text in ((STREAM, UNSET), (f'{STREAM}text = "whole"', None)):
            dialect, session = made(toml), dialect_session()
            read(dialect, {"type": "delta", "id": "7", "piece": "Hello!"}, session)
            assert read(dialect, {"type": "done", "id": "7"}, session) == [Reply("7", text)]

    def test_it_is_bounded(self) -> None:
        """Of an endless answer, of endless answers, and of UUIDs without a reply, a bounded part is kept."""
        dialect, session = made(STREAM), dialect_session()
        for _ in range(6):
            read(dialect, {"type": "delta", "id": "1", "piece": "x" * 2**20}, session)
        assert len(session.memory["answers"]["1"]) == LONGEST_ANSWER
        for number in range(MOST_KEPT + 10):
            dialect.request(session, number)
            dialect.read(session, f'{{"type":"delta","id":"{number}","piece":"x"}}')
        assert len(session.memory["answers"]) == len(session.memory["uuids"]) == MOST_KEPT
        list(dialect.greeting(session))
        assert session.memory["answers"] == session.memory["uuids"] == {}


@pytest.mark.parametrize("text", ["", 'text = "said"'])
@pytest.mark.parametrize("shared", [True, False])
def test_a_history_that_sessions_share(text: str, shared: bool) -> None:
    """The session's own texts are passed, and all messages counted; without `shared`, all texts are."""
    dialect = made(f"""
        [history]
        when = {{ type = "joined" }}
        items = "history"
        window = 4
        {text}
        {"shared = true" if shared else ""}
        [request]
        message = '{{"text": "$text"}}'
        [reply]
    """)
    session = dialect_session()
    own, foreign = session.text(3), dialect_session(1).text(0)
    altered = own[:-1]
    history = [{"said": said} for said in (foreign, own, "hello", altered)]
    texts = [own, altered] if shared else [foreign, own, *(["hello"] if text else []), altered]
    joined = {"type": "joined", "history": history}
    assert read(dialect, joined, session) == [Restored(texts=texts, count=4)]
    assert dialect.shares_history is (True if shared else None)


def test_history_in_pieces() -> None:
    """Each message is a piece; another one says that it was the last."""
    dialect = made(
        """
        [established]
        when = { type = "joined" }
        session = "id"
        [history]
        when = { type = "earlier" }
        text = "text"
        [history_end]
        when = { type = "ready" }
        [request]
        message = '{"text": "$text"}'
        [reply]
        """
    )
    assert read(dialect, {"type": "earlier", "text": "a"}) == [Restored(texts=["a"], count=1, complete=False)]
    assert read(dialect, {"type": "ready"}) == [Restored()]


def test_requests_without_replies() -> None:
    """The text comes back as a push, or not at all."""
    dialect = made(
        "[request]\nmessage = '{\"text\": \"$text\"}'\nreplies = false\n[push]\nwhen = { text = '*' }"
    )
    request = dialect.request(dialect_session(), 7)
    assert isinstance(request, Request)
    assert not request.replies


def test_an_error_needs_no_condition() -> None:
    """A field with an error says that a message is one."""
    dialect = made(
        """
        [request]
        message = '{"id": $sequence, "text": "$text"}'
        [reply]
        id = "id"
        [error]
        id = "id"
        text = "error"
        """
    )
    assert read(dialect, {"id": 7, "error": {"message": "full"}}) == [Failed(7, "full")]
    assert read(dialect, {"id": 7, "error": None}) == [Reply(7)]
    assert isinstance(read(dialect, {"error": None})[0], Unreadable)


REST = "\n[request]\nmessage = '{}'\n[reply]\n"


@pytest.mark.parametrize(
    ("toml", "problem"),
    [
        ("[repli]", r"chat\.toml: repli is unknown. Allowed: path, .*, reply, push, answer, ignore"),
        ("colour = 1", r"chat\.toml: colour is unknown. Allowed: path, "),
        (
            "[push]\nnummer = 'n'",
            r"chat\.toml: \[push\]\.nummer is unknown. Allowed: text, number, sent_at_ms, when",
        ),
        ("reply = 7", r"chat\.toml: \[reply\] must be a section with keys \(got 7\)"),
        ("format = 'xml'" + REST, r"chat\.toml: format must be json, msgpack or text \(got 'xml'\)"),
        ("path = 'chat'" + REST, r"chat\.toml: path must be a path that begins with a slash"),
        ("[push]\nnumber = 7\nwhen = {a=1}", r"chat\.toml: \[push\]\.number must be a field such as"),
        (
            "[push]\nnumber = 'a..b'\nwhen = {a=1}",
            r"\[push\]\.number must be a field such as .* \(got 'a\.\.b'\)",
        ),
        (
            "[push]",
            r"chat\.toml: \[push\]\.when is missing. It must be a table such as \{ type = \"welcome\" \}",
        ),
        ("[push]\nwhen = 'news'", r"\[push\]\.when must be a table such as"),
        ("[push]\nwhen = {}", r"\[push\]\.when must be a table such as"),
        ("[push]\nwhen = { a = 1979-05-27 }", r"\[push\]\.when must compare fields with strings, numbers"),
        ("format = 'text'\n[push]\nwhen = '('", r"\[push\]\.when must be a regular expression such as"),
        ("format = 'text'\n[push]\nwhen = { a = 1 }", r"\[push\]\.when must be a regular expression such as"),
        ("[heartbeat]\nmessage = '{}'" + REST, r"\[heartbeat\]\.every_s is missing"),
        ("[heartbeat]\nmessage = '{}'\nevery_s = 0" + REST, r"every_s must be 0\.1–3600 seconds \(got 0\)"),
        ("[login]" + REST, r"chat\.toml: \[login\]\.message is missing"),
        ("[request]\nmessage = '{}'", r"chat\.toml: \[request\] needs a section \[reply\]"),
        ("[resume]\nmessage = '{}'" + REST, r"chat\.toml: \[resume\] needs a section \[established\]"),
        ("path = '/'", r"chat\.toml must have a section \[request\] or \[push\]"),
        (
            "[request]\nmessage = '{'\n[reply]",
            r"chat\.toml: \[request\]\.message must be JSON once its fields",
        ),
        (
            "[request]\nmessage = '\"$ x\"'\n[reply]",
            r"\[request\]\.message must have a name after each dollar sign",
        ),
        (
            "[answer]\nwhen = {a=1}\nmessage = '{}'\nfields = {a=1}" + REST,
            r"\[answer\]\.fields must be a field",
        ),
        ("subprotocols = 'chat'" + REST, r"chat\.toml: subprotocols must be a list, each a token"),
    ],
)
def test_errors_name_file_key_and_what_is_allowed(toml: str, problem: str) -> None:
    """Each in one line."""
    with pytest.raises(InvalidSetting) as raised:
        made(toml)
    assert re.search(problem, str(raised.value)), raised.value
    assert "\n" not in str(raised.value)


class TestTheFile:
    """The option that names the file."""

    @staticmethod
    def _dialect(path: Path) -> TemplateDialect:
        return with_options(dialect_named("template"), parsed([f"file={path}"]))()  # type: ignore[no-any-return]

    def test_a_file(self, tmp_path: Path) -> None:
        """It is read once the option names it, also in a locustfile."""
        file = tmp_path / "chat.toml"
        file.write_text(CHAT)
        assert self._dialect(file).default_path == "/chat?session={session_id}"

        class Chat(TemplateDialect):
            file = tmp_path / "chat.toml"

        assert Chat().identifies

    def test_no_file(self, tmp_path: Path) -> None:
        """What is missing is said; what is in the file is not."""
        with pytest.raises(InvalidSetting, match=r"^--ws-dialect-option file is required: the TOML file"):
            dialect_named("template")()
        with pytest.raises(InvalidSetting, match=r"--ws-dialect-option file must be a file that can be read"):
            self._dialect(tmp_path / "none.toml")
        with pytest.raises(InvalidSetting, match="is a folder"):
            self._dialect(tmp_path)
        (tmp_path / "bad.toml").write_text("secret: [")
        with pytest.raises(InvalidSetting, match=r"^bad\.toml must be TOML \(") as raised:
            self._dialect(tmp_path / "bad.toml")
        assert "secret" not in str(raised.value)
        (tmp_path / "large.toml").write_bytes(b"#" * (MAX_BYTES + 1))
        with pytest.raises(InvalidSetting, match="must have at most"):
            self._dialect(tmp_path / "large.toml")


def test_messagepack_is_binary() -> None:
    """Requests are encoded, and text is no message of such a protocol."""
    dialect = made(FORMS["MessagePack"][0])
    request = dialect.request(dialect_session(), 7)
    assert isinstance(request, bytes)
    assert msgspec.msgpack.decode(request) == {"id": 7, "text": dialect_session().text(7)}
    assert isinstance(read(dialect, "{}")[0], Unreadable)
