"""What a session makes of its dialect: messages beside requests, identities, heartbeats, and mistakes."""

from asyncio import CancelledError
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from loadtest.dialects.base import (
    MAX_RECORDS,
    AuthRequired,
    Dialect,
    Established,
    Failed,
    Push,
    Reply,
    Restored,
    StreamPart,
    Unreadable,
)
from loadtest.dialects.calls import HOPELESS_READS
from loadtest.dialects.dialect_session import DialectSession
from loadtest.dialects.echo import Echo
from loadtest.errors import DialectMistake, Flooded
from loadtest.events import Data, Hasten, Received, Send, Started
from loadtest.session.recorder import Recorder
from loadtest.session.schedule import NS_PER_S, Pace
from loadtest.session.state import TALKING, State
from tests.support.fake_link import BEAT, BEATING, FakeServer, Link, SilentServer, frame, session_config


class Chat(Dialect):
    """A dialect whose server's messages mean what the test says; `says` may be a function to call."""

    identifies = True

    def __init__(self, says: Any = None) -> None:
        super().__init__()
        self.says = says

    def request(self, session: DialectSession, sequence: int) -> str:
        return session.text(sequence)

    def read(self, session: DialectSession, data: Data) -> Any:
        return self.says() if callable(self.says) else self.says


class Announced(Chat):
    """The same, where the server announces the session."""

    establishes = True


def chat(says: Any = None, kind: type[Chat] = Chat, recorder: Recorder | None = None) -> Link:
    """Return an established link whose server's messages mean this."""
    dialect = kind(Established(session_id="s") if kind is Announced else None)
    link = Link(session_config(dialect=dialect), server=SilentServer(), recorder=recorder).start()
    if kind is Announced:
        link.hear_these(["hello"])
    assert link.session.state in TALKING
    dialect.says = says
    return link


def sent(link: Link) -> list[Data]:
    """Return all data that the session sent."""
    return [action.data for action in link.asked if isinstance(action, Send)]


def hear(link: Link, data: Data = "message") -> Link:
    """Let a message come."""
    link.tell(Received(data))
    return link


class TestSend:
    """Messages that a dialect sends in answer to one."""

    @pytest.mark.parametrize("data", ["pong", b"\x00"])
    def test_established(self, data: Data) -> None:
        """An answer goes out at once; it is no request."""
        link = hear(chat(Send(data)))
        assert sent(link) == [data]
        assert link.counted("messaging") == {"other_sent": 1}

    def test_before_it_is_established(self) -> None:
        """The steps of a login come before the session is established."""
        dialect = Announced(Send("password"))
        link = Link(session_config(dialect=dialect), server=SilentServer()).start()
        before = hear(link).session.state
        dialect.says = [Established(session_id="s"), Send("thanks")]
        after = hear(link).session.state
        assert (before, after) == (State.ESTABLISHING, State.PROVING)
        assert sent(link) == ["password", "thanks"]

    def test_while_it_does_not_read(self) -> None:
        """A slow reader answers what it has read."""
        link = hear(chat(Send("pong")).drop("slow_reader"))
        assert sent(link) == ["pong"]

    def test_draining(self) -> None:
        """A draining session still answers, and is not finished by that."""
        link = hear(chat(Send("pong")).send().stop())
        assert sent(link)[1:] == ["pong"]
        assert link.session.state is State.DRAINING

    def test_dropping(self) -> None:
        """A session that is being dropped says nothing."""
        link = hear(chat(Send("pong")).drop("half_open"))
        assert sent(link) == []
        assert link.counted("messaging") == {"drop_answers": 1}

    def test_order(self) -> None:
        """Of several meanings of a message, each is taken in its turn."""
        link = chat().send()
        link.session._dialect.says = [Send("a"), Reply(0), Send(b"b"), Push()]  # type: ignore[attr-defined]  # ours
        hear(link)
        assert sent(link)[1:] == ["a", b"b"]
        counted = link.counted("messaging")
        assert (counted["answered"], counted["pushes"], counted["other_sent"]) == (1, 1, 2)

    @pytest.mark.parametrize("data", [None, 5, {"type": "pong"}])
    def test_something_else(self, data: Any) -> None:
        """Only text and bytes can be sent."""
        with pytest.raises(DialectMistake, match=r"Chat\.read returned .* must return str or bytes"):
            hear(chat(Send(data)))


class TestRefusals:
    """A rejected login, and a challenge that looks like one."""

    def test_a_challenge_is_answered(self) -> None:
        """A dialect that answers what it reads as a rejection waits as long as for any login."""
        dialect = Announced([AuthRequired("log in first"), Send("login")])
        link = Link(session_config(dialect=dialect), server=SilentServer())
        link.tell(Started())
        hear(link.open())
        assert sent(link) == ["login"]
        assert not any(isinstance(action, Hasten) for action in link.asked)
        dialect.says = Established(session_id="s")
        assert hear(link).session.state is State.PROVING


class TestIdentity:
    """Who a session is to its server."""

    def test_what_is_not_said_is_not_compared(self) -> None:
        """A resume that names no id is not checked, and neither failed; ids may come one by one."""
        link = Link()
        history = link.start().session._traffic.history
        counts = link.recorder.counts
        checked = counts["persistence.checked"]
        history.resumed_as(Established(), 1)
        assert (counts["persistence.checked"], counts["persistence.identity_changed"]) == (checked, 0)
        history.known_as(Established(session_id="s"))
        history.said_again(Established(thread_id="t"), 2)
        history.resumed_as(Established(session_id="s", thread_id="t"), 3)
        assert (counts["persistence.checked"], counts["persistence.identity_changed"]) == (checked + 1, 0)
        history.resumed_as(Established(session_id="s", thread_id="another"), 4)
        assert counts["persistence.identity_changed"] == 1

    @pytest.mark.parametrize("worked", [False, True])
    @pytest.mark.parametrize(("said", "known_as"), [("another", "another"), ("session-0", None)])
    def test_an_id_that_comes_later(self, worked: bool, said: str, known_as: str | None) -> None:
        """The first that the server says of a session is recorded, once, whether it has worked by then."""
        dialect = Announced(Established())
        link = hear(Link(session_config(dialect=dialect), server=SilentServer()).start_refused(1).open())
        if worked:
            link.last()
        dialect.says = [Established(session_id=said), Established(session_id=said)]
        hear(link).last().stop()
        records = [one for one in link.recorded.lifecycle if one.known_as is not None]
        event = "named" if worked else "connected"
        assert [(one.event, one.known_as) for one in records] == ([(event, known_as)] if known_as else [])
        assert link.counted("persistence") == {}

    def test_another_on_an_open_connection(self) -> None:
        """A server that calls an open session by another id has changed it; one that names none has not."""
        for said, changed in (("s", 0), (None, 0), ("another", 1)):
            link = hear(chat(Established(session_id=said), Announced))
            assert link.session.state is State.PROVING
            assert link.counted("persistence") == ({"identity_changed": 1} if changed else {})
        (error,) = link.errors("persistence")
        assert error == "became another session on an open connection"

    def test_the_first_is_compared(self) -> None:
        """A resume is compared with the first connection's identity, whatever was said meanwhile."""
        link = hear(chat(Established(session_id="another"), Announced)).last()
        link.session._dialect.says = Established(session_id="s")  # type: ignore[attr-defined]  # ours
        hear(link.lose().retry().open())
        assert link.counted("persistence") == {"checked": 1, "identity_changed": 1}

    def test_a_drop_that_leaves_no_way_to_know_the_session(self) -> None:
        """The resume that follows is counted, not judged; later ones are compared with what it brought."""

        class Unnoticed(Announced):
            unresumable_drops = frozenset({"half_open"})

        dialect = Unnoticed(Established(session_id="a"))
        link = hear(Link(session_config(dialect=dialect), server=SilentServer()).start()).last()
        dialect.says = Established(session_id="b")
        link.drop("half_open").detect().retry().refuse()
        hear(link.retry().open()).last()
        assert link.counted("persistence") == {"unjudged": 1}
        hear(link.drop("fin").detect().retry().open()).last()
        assert link.counted("persistence") == {"unjudged": 1, "checked": 1}
        dialect.says = Established(session_id="c")
        hear(link.lose().retry().open())
        assert link.counted("persistence") == {"unjudged": 1, "checked": 2, "identity_changed": 1}

    def test_a_connection_lost_early_ends_what_a_drop_explains(self) -> None:
        """The server has noticed the end of the connection after the drop, so it must know the session."""

        class Unnoticed(Announced):
            unresumable_drops = frozenset({"half_open"})

        dialect = Unnoticed(Established(session_id="a"))
        link = hear(Link(session_config(dialect=dialect), server=SilentServer()).start()).last()
        hear(link.drop("half_open").detect().retry().open())
        dialect.says = Established(session_id="b")
        hear(link.lose().retry().open())
        assert link.counted("persistence") == {"unjudged": 1, "checked": 1, "identity_changed": 1}

    def test_without_identity(self) -> None:
        """Where sessions have no identity, none is compared."""

        class Nameless(Announced):
            identifies = False

        dialect = Nameless(Established(session_id="a"))
        link = hear(Link(session_config(dialect=dialect), server=SilentServer()).start())
        dialect.says = Established(session_id="b")
        hear(hear(link).lose().retry().open())
        assert link.session.state in TALKING
        assert link.counted("persistence") == {}

    def test_dropping(self) -> None:
        """What a server says of the session while it is dropped is compared, too."""
        link = hear(chat(Established(session_id="another"), Announced).drop("close"))
        assert link.counted("persistence") == {"identity_changed": 1}


class TestConnectionNumber:
    """The number of the connection that a dialect sees."""

    def test_counts_open_websockets(self) -> None:
        """It counts WebSockets that opened, over failed attempts and resumes."""
        link = Link()
        seen = []

        def note() -> None:
            seen.append(link.about.connection)

        link.start()
        note()
        link.drop().detect()
        note()
        link.retry()
        note()
        link.refuse().retry().refuse()
        note()
        link.retry().open()
        note()
        link.lose(1006)  # before it was established
        note()
        link.retry().open().hear()
        note()
        assert seen == [0, 0, 1, 1, 1, 1, 2]

    def test_failed_first_attempts(self) -> None:
        """Attempts that fail before the first WebSocket leave it at 0."""
        link = Link()
        link.start_refused(3)
        assert link.about.connection == 0
        link.open().hear()
        assert link.about.connection == 0

    def test_memory_outlives_connections(self) -> None:
        """What the dialect keeps for a session is there on its next connection."""
        link = Link().start()
        link.about.memory["token"] = "t"
        assert link.drop().detect().resume().about.memory["token"] == "t"


class TestHeartbeats:
    """The dialect's heartbeats."""

    def test_established(self) -> None:
        """An established session sends them, beside its requests, idle or not."""
        link = Link(BEATING).start().beat().send().beat()
        assert [data for data in sent(link) if data == BEAT] == [BEAT] * 2
        assert link.counted("messaging") == {"planned": 1, "sent": 1, "other_sent": 2}

    def test_slow_reader_and_draining(self) -> None:
        """A slow reader and a draining session go on sending them."""
        link = Link(BEATING).start().drop("slow_reader").beat().recover().send().stop().beat()
        assert link.session.state is State.DRAINING
        assert link.counted("messaging")["other_sent"] == 2

    def test_not_while_it_is_not_established(self) -> None:
        """Before, and in an outage, none is sent."""
        link = Link(BEATING)
        link.start_refused(1)
        link.beat().open().beat().hear().drop("half_open").beat().detect().beat().retry().beat()
        assert link.session.state is State.CONNECTING
        assert sent(link) == []

    @pytest.mark.parametrize("beat", [None, 5, ["ping"]])
    def test_something_else(self, beat: Any) -> None:
        """A heartbeat is text or bytes."""

        class Beating(Chat):
            def heartbeat(self, session: DialectSession) -> Any:
                return beat

        with pytest.raises(DialectMistake, match=r"Beating\.heartbeat returned .* \(given session 0\)"):
            Link(session_config(dialect=Beating()), server=SilentServer()).start().beat()


def nothing() -> Iterable[Push]:
    """Generate nothing."""
    yield from ()


def two_pushes() -> Iterable[Push]:
    """Generate two pushes."""
    yield Push(number=1)
    yield Push(number=2)


def broken() -> Iterable[Push]:
    """Generate a push, then fail."""
    yield Push()
    raise KeyError("id")


class TestRead:
    """What `read` may return."""

    @pytest.mark.parametrize(
        ("says", "pushes"),
        [
            (None, 0),
            (Push(), 1),
            ([], 0),
            ([Push()], 1),
            ((Push(), Push()), 2),
            (nothing, 0),
            (two_pushes, 2),
            (lambda: iter([Push()]), 1),
            (lambda: {Push()}, 1),
        ],
        ids=["None", "one", "empty", "list", "tuple", "generator", "longer generator", "iterator", "set"],
    )
    def test_forms(self, says: Any, pushes: int) -> None:
        """None, one message, or any iterable of them."""
        link = hear(chat(says))
        assert link.counted("messaging") == ({"pushes": pushes} if pushes else {})
        assert not link.recorded.errors

    @pytest.mark.parametrize(
        "says",
        [
            {"type": "pong"},
            {},
            "text",
            "",
            b"bytes",
            5,
            True,
            object,
            [None],
            [Push(), "text"],
            [[Push()]],
            Received("x"),
        ],
        ids=repr,
    )
    def test_something_else(self, says: Any) -> None:
        """Anything else is a mistake of the dialect, which names class, method and result."""
        link = chat()
        dialect: Any = link.session._dialect
        dialect.read = lambda _session, _data: says
        with pytest.raises(DialectMistake) as caught:
            hear(link)
        (wrong,) = [one for one in says if not isinstance(one, Push)] if isinstance(says, list) else [says]
        told = str(caught.value)
        assert told.startswith(
            f"mistake in the dialect: Chat.read returned {wrong!r} ({type(wrong).__name__}); "
        )
        assert "it must return a Reply, Failed, StreamPart, Push, " in told

    def test_what_it_was_given(self) -> None:
        """The mistake shows the message, bounded and on one line."""
        link = chat({"type": "pong"})
        with pytest.raises(DialectMistake, match=r"\(given \{'type':\\x1b 'ping'\} x+\.\.\.\)$") as caught:
            hear(link, "{'type':\x1b 'ping'}\n" + "x" * 10_000)
        assert len(str(caught.value)) < 500

    @pytest.mark.parametrize(
        ("incoming", "field", "allowed"),
        [
            (Push(text=5), "text", "str"),  # type: ignore[arg-type]  # the point, as in all these
            (Push(text=b"bytes"), "text", "str"),  # type: ignore[arg-type]
            (Push(number="2"), "number", "int | None"),  # type: ignore[arg-type]
            (Push(sent_at_ms="now"), "sent_at_ms", "int | float | None"),  # type: ignore[arg-type]
            (Reply(3, 5), "text", "str"),  # type: ignore[arg-type]
            (Reply(3, b"bytes"), "text", "str"),  # type: ignore[arg-type]
            (Failed(0, None), "detail", "str"),  # type: ignore[arg-type]
            (Failed(0, {"code": 5}), "detail", "str"),  # type: ignore[arg-type]
            (Restored(texts=[5]), "texts", "a sequence of str"),  # type: ignore[list-item]
            (Restored(texts=[None]), "texts", "a sequence of str"),  # type: ignore[list-item]
            (Restored(texts=5), "texts", "a sequence of str"),  # type: ignore[arg-type]
            (Restored(sequences=["1"]), "sequences", "a sequence of int"),  # type: ignore[list-item]
            (Restored(sequences=5), "sequences", "a sequence of int"),  # type: ignore[arg-type]
            (Restored(count="2"), "count", "int | None"),  # type: ignore[arg-type]
        ],
        ids=str,
    )
    @pytest.mark.parametrize("listed", [False, True])
    def test_field_of_another_type(self, incoming: Any, field: str, allowed: str, listed: bool) -> None:
        """Often the server sent it so: the message is unreadable, which names the field; the run goes on."""

        class Keeping(Chat):
            keeps_history = True
            history_window = 5

        link = chat(kind=Keeping).send(3)
        dialect: Any = link.session._dialect
        dialect.says = Reply(0)
        hear(link).lose().resume().send()
        dialect.says = Push(number=1)
        hear(link)
        dialect.says = [incoming] if listed else incoming
        hear(link)
        assert link.counted("messaging")["unreadable"] == 1
        told = link.errors("messaging")["a field of the wrong type"]
        assert f"it must return {type(incoming).__name__} whose {field} is {allowed}" in told

    @pytest.mark.parametrize(
        "wrong",
        [Reply(0, 5), Reply(0, 5, whole=True), Reply(0, b"x"), Failed(0, 5), Failed(0, None)],  # type: ignore[arg-type]  # the point
        ids=str,
    )
    def test_a_field_of_another_type_leaves_the_request(self, wrong: Any) -> None:
        """A message that cannot be read answers nothing: its request goes on, and gets an outcome."""
        link = chat(wrong).send()
        hear(link)
        assert link.session._traffic.outstanding == 1
        assert link.counted("messaging") == {"planned": 1, "sent": 1, "unreadable": 1}
        link.sweep(6 * NS_PER_S)
        assert link.counted("messaging")["lost"] == 1

    def test_what_stood_before_a_wrong_field(self) -> None:
        """Of several meanings of a message, those before the wrong one count, and their sends are made."""
        dialect = Chat([Reply(0), Send("pong"), Failed(1, 5)])  # type: ignore[arg-type]  # the point
        config = session_config(dialect=dialect, pace=Pace(0, "closed"))
        link = hear(Link(config, server=SilentServer()).start())
        assert link.counted("messaging")["answered"] == 1
        assert sent(link) == [link.about.text(0), link.about.text(1), "pong"]

    @pytest.mark.parametrize("wrong", [Push(text=5), Restored(texts=[5]), StreamPart(1.5), Reply(1.5)])  # type: ignore[arg-type,list-item]  # the point
    def test_field_of_another_type_while_dropping(self, wrong: Any) -> None:
        """What comes while a drop is under way may answer the drop: it is counted apart."""
        link = chat(wrong).drop("close")
        hear(link)
        assert link.session.state is State.DROPPING
        assert link.counted("messaging") == {"drop_answers": 1}

    def test_fields_of_another_type_in_all_of_the_first(self) -> None:
        """If every one of a run's first messages is so, it is the dialect's mistake, and the run ends."""
        link = chat(Push(text=5))  # type: ignore[arg-type]  # the point
        for _ in range(HOPELESS_READS - 1):
            hear(link)
        with pytest.raises(DialectMistake, match="must return Push whose text is str"):
            hear(link)

    def test_defect_of_the_tool(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """An exception that no field explains is not blamed on the dialect."""
        link = chat(Push())
        monkeypatch.setattr(type(link.session._traffic), "heard", lambda *_: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            hear(link)


def raising(error: Exception) -> Callable[[], Any]:
    """Return a function that raises this."""

    def says() -> Any:
        raise error

    return says


class TestReadRaises:
    """Messages at which `read` raises."""

    @pytest.mark.parametrize(
        ("says", "error"),
        [
            (raising(KeyError("id")), "KeyError: 'id'"),
            (broken, "KeyError: 'id'"),
            (raising(ValueError()), "ValueError"),
        ],
        ids=["raised", "generator", "without a text"],
    )
    def test_unreadable(self, says: Any, error: str) -> None:
        """Such a message is unreadable: class, method, exception and message are named."""
        link = hear(chat(says), '{"type":"ping"}')
        assert link.counted("messaging") == {"unreadable": 1}
        assert link.errors("messaging") == {
            f"Chat.read raised {error.split(':')[0]}": (
                f'mistake in the dialect: Chat.read raised {error} (given {{"type":"ping"}})'
            )
        }

    @pytest.mark.parametrize("hostile", ["x" * 10_000, "\x1b[31m\n\u2028", "é🙂"])
    def test_hostile_exception(self, hostile: str) -> None:
        """Whatever an exception says, what is kept of it is bounded and on one line."""
        link = hear(chat(raising(KeyError(hostile))), hostile)
        (example,) = link.errors("messaging").values()
        assert len(example) <= 200
        assert example.isprintable()

    def test_exception_that_cannot_be_shown(self) -> None:
        """An exception whose text raises is named all the same."""

        class Worse(Exception):
            def __str__(self) -> str:
                raise RuntimeError

        link = hear(chat(raising(Worse())))
        assert list(link.errors("messaging")) == ["Chat.read raised Worse"]

    def test_all_of_the_first(self) -> None:
        """A dialect that raises at every one of a run's first messages, over all sessions, ends the run."""
        recorder = Recorder()
        links = [chat(raising(KeyError("id")), recorder=recorder) for _ in range(2)]
        for number in range(HOPELESS_READS - 1):
            hear(links[number % 2])
        with pytest.raises(DialectMistake) as caught:
            hear(links[0], "the last")
        told = "mistake in the dialect: Chat.read raised KeyError: 'id' (given the last)"
        assert str(caught.value) == told
        assert isinstance(caught.value.__cause__, KeyError)

    @pytest.mark.parametrize("read", [None, Push(), Reply(7), [], Unreadable("x")], ids=str)
    def test_one_that_was_read(self, read: Any) -> None:
        """Once a message has been read, whatever it says, no number of exceptions ends the run."""
        link = hear(chat(read))
        link.session._dialect.says = raising(KeyError("id"))  # type: ignore[attr-defined]  # ours
        for _ in range(3 * HOPELESS_READS):
            hear(link)
        assert link.counted("messaging")["unreadable"] >= 3 * HOPELESS_READS

    def test_dropping(self) -> None:
        """While a session is dropped, an exception may be of what answers the drop: it is counted apart."""
        link = chat(raising(KeyError("id"))).drop("half_open")
        for _ in range(2 * HOPELESS_READS):
            hear(link)
        assert link.counted("messaging") == {"drop_answers": 2 * HOPELESS_READS}
        assert not link.recorder.reads_raised

    def test_requests_are_untouched(self) -> None:
        """A message at which `read` raises answers no request."""
        link = hear(chat(raising(KeyError("id"))).send())
        assert link.session._traffic.outstanding == 1


class TestDropping:
    """Messages that come while a session is dropped."""

    @pytest.mark.parametrize(
        "answer",
        [Failed(None, "busy"), Failed(0, "busy"), Reply(None), StreamPart(), Unreadable("x")],
        ids=str,
    )
    @pytest.mark.parametrize("listed", [False, True])
    def test_answers_to_the_drop(self, answer: Any, listed: bool) -> None:
        """Errors, and what names no request, may answer the drop: they are counted apart."""
        link = hear(chat([answer] if listed else answer).send().drop("half_open"))
        assert link.session._traffic.outstanding == 1
        aside = {"planned": 1, "sent": 1, "drop_answers": 1}
        assert link.counted("messaging") == aside
        assert not link.recorded.errors
        link.detect()
        assert link.counted("messaging") == {**aside, "lost_in_outage": 1}

    @pytest.mark.parametrize("answer", [Reply(0), Reply("0"), [Failed(None, "busy"), Reply(0)]], ids=str)
    def test_replies(self, answer: Any) -> None:
        """A reply that names its request counts."""
        link = hear(chat(answer).send().drop("half_open"))
        assert link.counted("messaging")["answered"] == 1

    def test_not_dropping(self) -> None:
        """On a connection that is not dropped, the same messages count."""
        for answer, outcome in ((Failed(None, "busy"), "failed"), (Reply(None), "answered")):
            assert hear(chat(answer).send()).counted("messaging")[outcome] == 1


class TestOtherMethods:
    """Mistakes in the other methods."""

    @pytest.mark.parametrize(
        ("method", "event"),
        [
            ("greeting", lambda link: link.start()),
            ("request", lambda link: link.start().send()),
            ("heartbeat", lambda link: link.start().beat()),
            ("probe", lambda link: link.start().session.probe),
        ],
        ids=["greeting", "request", "heartbeat", "probe"],
    )
    @pytest.mark.parametrize("raised", [LookupError, SystemExit, KeyboardInterrupt, CancelledError])
    def test_exceptions(self, method: str, event: Any, raised: type[BaseException]) -> None:
        """Whatever a method raises is named with class, method and exception, and is the cause."""

        def fail(*_arguments: object) -> Any:
            raise raised("no such row")

        dialect = type("Own", (Echo,), {method: fail})()
        with pytest.raises(DialectMistake) as caught:
            event(Link(session_config(dialect=dialect), server=SilentServer()))
        told = str(caught.value)
        assert told.startswith(
            f"mistake in the dialect: Own.{method} raised {raised.__name__}: no such row (given se"
        )
        assert isinstance(caught.value.__cause__, raised)

    @pytest.mark.parametrize("raised", [SystemExit, KeyboardInterrupt, CancelledError])
    def test_an_exit_in_read(self, raised: type[BaseException]) -> None:
        """It ends the run at once: unlike other exceptions, no message of the server's raises that."""

        def fail(*_arguments: object) -> Any:
            raise raised("no such row")

        link = Link(session_config(dialect=type("Own", (Echo,), {"read": fail})()), server=SilentServer())
        link.start()
        with pytest.raises(DialectMistake, match=rf"Own\.read raised {raised.__name__}: no such row"):
            link.hear_these(["hello"])

    @pytest.mark.parametrize("returned", [None, 5, "hello", b"hello", {"a": 1}, [None], [5], [["hello"]]])
    def test_greeting(self, returned: Any) -> None:
        """A greeting is an iterable of text and bytes; a text alone is not one, though Python iterates it."""

        class Greeting(Chat):
            def greeting(self, session: DialectSession) -> Any:
                return returned

        with pytest.raises(DialectMistake, match=r"Greeting\.greeting returned"):
            Link(session_config(dialect=Greeting()), server=SilentServer()).start()

    def test_greeting_may_be_a_generator(self) -> None:
        """A greeting may be generated."""

        class Greeting(Chat):
            def greeting(self, session: DialectSession) -> Iterable[Data]:
                yield "hello"
                yield b"again"

        link = Link(session_config(dialect=Greeting()), server=SilentServer()).start()
        assert sent(link) == ["hello", b"again"]

    @pytest.mark.parametrize(("probe", "sound"), [(None, True), ("x", True), (b"x", True), (5, False)])
    def test_probe(self, probe: Any, sound: bool) -> None:
        """A probe is text, bytes or None."""

        class Probing(Chat):
            def probe(self, session: DialectSession) -> Any:
                return probe

        link = Link(session_config(dialect=Probing()), server=SilentServer()).start()
        if sound:
            assert link.session.probe == probe
        else:
            with pytest.raises(DialectMistake, match=r"Probing\.probe returned 5 \(int\)"):
                assert link.session.probe

    @pytest.mark.parametrize("method", ["request", "heartbeat"])
    def test_missing(self, method: str) -> None:
        """A method that the dialect does not have is missing, rather than raising NotImplementedError."""

        class Bare(Dialect):
            pass

        link = Link(session_config(dialect=Bare()), server=SilentServer()).start()
        with pytest.raises(DialectMistake, match=rf"Bare\.{method} is missing \(given se"):
            link.send() if method == "request" else link.beat()

    def test_read_is_missing(self) -> None:
        """A dialect that reads nothing ends the run as one that raises does, and says what is missing."""

        class Bare(Dialect):
            pass

        link = Link(session_config(dialect=Bare()), server=SilentServer()).start()
        for _ in range(HOPELESS_READS - 1):
            hear(link)
        with pytest.raises(DialectMistake, match=r"Bare\.read is missing \(given message\)"):
            hear(link)


class TestStreams:
    """The chat application's streamed answers, through the whole session."""

    def test_answered(self) -> None:
        """A streamed answer is one reply, timed to its first part and to its end."""
        link = Link(server=FakeServer(streams=True)).start().send(2).hear()
        assert link.counted("messaging") == {"planned": 2, "sent": 2, "answered": 2}
        assert len(link.samples_ms("first_part")) == 2
        assert link.samples_ms("part_gap") == [1] * 6
        assert not link.recorded.errors

    @pytest.mark.parametrize(
        ("fault", "outcome"),
        [("corrupt", "corrupted"), ("confuse", "foreign"), ("break_off", "broken_off"), ("refuse", "failed")],
    )
    def test_faults(self, fault: str, outcome: str) -> None:
        """A streamed answer that is altered, another's, cut short or refused is found out."""
        link = Link(server=FakeServer(streams=True)).start().send().hear()
        link.server.faults[1] = fault
        link.send().hear().sweep(6_000_000_000).send().hear()
        assert link.counted("messaging") == {"planned": 3, "sent": 3, "answered": 2, outcome: 1}

    def test_refused_with_words(self) -> None:
        """The server's own words stand in the error."""
        link = Link().start()
        link.server.faults[0] = "refuse"
        link.send().hear()
        errors = link.errors("messaging")
        assert errors == {"the server answered with an error": "request 0: the model is overloaded"}

    def test_an_answer_that_a_drop_cut_off(self) -> None:
        """What a connection said of an answer is not carried over to the next."""
        link = Link(server=FakeServer(streams=True)).start().send().hear(at_most=3).drop().detect().resume()
        link.send().hear()
        assert link.counted("messaging") == {"planned": 2, "sent": 2, "answered": 1, "lost_in_outage": 1}
        assert not link.recorded.errors

    def test_words_without_a_mark(self) -> None:
        """An assistant need not repeat the question: the answer is the oldest request's, and unchecked."""
        link = Link(server=SilentFake()).start().send()
        link.hear_these([frame("ws:chat_stream_chunk", text="Hello!"), frame("ws:chat_stream_end")])
        answered = {"planned": 1, "sent": 1, "answered": 1, "unchecked": 1, "unnamed": 1}
        assert link.counted("messaging") == answered


class SilentFake(FakeServer):
    """A server that greets and answers nothing."""

    def answer(self, who: Any, data: Data) -> list[str]:
        return []


def _endless() -> Iterable[Push]:
    while True:
        yield Push()


@pytest.mark.parametrize("says", [lambda: [Push()] * (MAX_RECORDS + 1), _endless])
def test_a_message_of_too_many_records_is_a_flood(says: Callable[[], Iterable[Push]]) -> None:
    """Nothing of it is taken, and the engine ends the connection; a generator is not run to its end."""
    recorder = Recorder()
    link = chat(says, recorder=recorder)
    with pytest.raises(Flooded, match="one message holds over 5,000 records, limit 5,000"):
        link.session.handle(Received("x"), 10**9)
    assert recorder.counts["messaging.pushes"] == recorder.counts["messaging.unreadable"] == 0


def test_a_message_of_many_records_is_taken() -> None:
    """The limit itself is allowed."""
    recorder = Recorder()
    link = chat([Push()] * MAX_RECORDS, recorder=recorder)
    link.hear_these(["x"])
    assert recorder.counts["messaging.pushes"] == MAX_RECORDS
