"""The reference server's contract on the wire, spoken over real sockets with a client that is not ours."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from loadtest.server.server_process import ServerProcess
from tests.support.serverclient import (
    PATIENCE_S,
    Client,
    RawClient,
    counters,
    get,
    joined,
    message,
    opened,
    signed,
    wait_for,
)


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with ServerProcess(push_every_s=0.0) as process:
        yield process


@pytest.fixture(scope="module")
def acknowledging() -> Iterator[ServerProcess]:
    """A server without a chat backend."""
    with ServerProcess(push_every_s=0.0, mode="ack") as process:
        yield process


def wait_for_close(client: Client, code: int) -> None:
    """Read until the server closes, and see with which code."""
    with pytest.raises(ConnectionClosed):
        client.next("nothing, ever")
    assert client.websocket.close_code == code


def test_a_new_session_gets_the_thread_it_asked_for(server: ServerProcess) -> None:
    """The first object names the session and the thread id of the query string."""
    with joined(server.url, "new", "wanted-thread") as client:
        assert client.introduction == [
            {
                "type": "ws:session_established",
                "payload": {"session_id": "new", "thread_id": "wanted-thread"},
            }
        ]


def test_a_new_session_without_a_wish_gets_a_fresh_thread(server: ServerProcess) -> None:
    """Two sessions that name no thread get two different ones."""
    with joined(server.url, "wish-1", None) as one, joined(server.url, "wish-2", None) as two:
        assert one.thread_id != two.thread_id


def test_the_login_subprotocol_is_echoed_and_none_is_invented(server: ServerProcess) -> None:
    """`jwt, TOKEN` is accepted as `jwt`; a client that offers nothing is accepted without."""
    with joined(server.url, "protocol-1") as client:
        assert client.websocket.subprotocol == "jwt"
    with joined(server.url, "protocol-2", subprotocols=()) as client:
        assert client.websocket.subprotocol is None


def test_every_message_is_acknowledged_with_itself_in_order(acknowledging: ServerProcess) -> None:
    """With `--mode ack`, a burst of messages of any type and payload comes back as echoes, in order."""
    sent = [
        message("ein Gruß \u2028 \U0001f600"),
        {"type": "typing"},
        message({"nested": [1, None]}),
        {},
    ]
    with joined(acknowledging.url, "echoes") as client:
        for content in sent:
            client.send(content)
        for content in sent:
            assert client.next() == {"type": "ws:ack", "payload": {"received": True, "echo": content}}


def test_a_message_written_over_several_lines_comes_back_on_one(acknowledging: ServerProcess) -> None:
    """An acknowledgement is one line, whatever white space the client put between its tokens."""
    content = message("two\nlines")
    with joined(acknowledging.url, "lines") as client:
        client.send(json.dumps(content, indent=2))
        assert client.next()["payload"]["echo"] == content


def test_a_server_that_acknowledges_keeps_no_history(acknowledging: ServerProcess) -> None:
    """A session that comes back is the same, with its thread, and nothing is restored or stored."""
    with joined(acknowledging.url, "forgetful", "thread-a") as client:
        client.send(message("acknowledge me"))
        assert client.next()["type"] == "ws:ack"
    with joined(acknowledging.url, "forgetful", "thread-b") as client:
        assert client.restored is None
        assert client.thread_id == "thread-a"
    assert counters(acknowledging.url)["messages_stored"] == 0


def test_a_history_of_the_other_mode_is_not_restored(tmp_path: Path) -> None:
    """A server that acknowledges has no history, even on a database where another one left some."""
    database = tmp_path / "sessions.db"
    with ServerProcess(database=database) as chatting, joined(chatting.url, "mixed", "thread-a") as client:
        client.ask(message("remember"))
    with (
        ServerProcess(database=database, mode="ack") as acknowledging,
        joined(acknowledging.url, "mixed", "thread-b") as client,
    ):
        assert (client.thread_id, client.restored) == ("thread-a", None)


@pytest.mark.parametrize("kind", ["chat.message", "chat_message"])
def test_a_chat_request_is_answered_in_a_stream_of_two_frames(server: ServerProcess, kind: str) -> None:
    """The answer repeats the text; start and a first chunk come at once, the rest with the end."""
    text = "ein Gruß \u2028 \U0001f600\n" * 3
    with joined(server.url, f"stream-{kind}") as client:
        client.send(message(text, kind))
        start, first = client.frame()
        second, end = client.frame()
    assert start == {"type": "ws:chat_stream_start", "payload": {"agent_id": "agent-1"}}
    assert {chunk["type"] for chunk in (first, second)} == {"ws:chat_stream_chunk"}
    assert first["payload"]["text"] + second["payload"]["text"] == f"You said: {text}"
    assert all(chunk["payload"]["text"] for chunk in (first, second))
    assert end == {"type": "ws:chat_stream_end", "payload": {}}


def test_answers_come_whole_and_in_order(server: ServerProcess) -> None:
    """Of a burst of requests the answers do not interleave."""
    texts = [f"question {number}" for number in range(50)]
    with joined(server.url, "burst") as client:
        for text in texts:
            client.send(message(text))
        assert client.answers(50) == texts


def test_a_request_without_text_or_agent_is_answered_with_an_error(server: ServerProcess) -> None:
    """Errors come in their turn among the answers; a refused request is stored nowhere."""
    with joined(server.url, "refused") as client:
        for content in (
            message("before"),
            {"type": "chat.message", "payload": {"agent_id": "agent-1"}},
            {"type": "chat.message", "payload": {"text": "x", "agent_id": 1}},
            {"type": "typing"},
            message("after"),
        ):
            client.send(content)
        assert client.answers(1) == ["before"]
        for problem in ("text is required", "agent_id is required", "type must be chat.message"):
            assert client.next() == {"type": "ws:error", "payload": {"message": problem}}
        assert client.answers(1) == ["after"]
    with joined(server.url, "refused") as client:
        assert client.said == ["before", "after"]


def test_a_returning_session_gets_its_thread_and_history_in_one_frame(server: ServerProcess) -> None:
    """Established and restored come together, with what both sides said; the stored thread wins over the one
    asked for.
    """
    with joined(server.url, "returning", "thread-a") as client:
        for text in ("one", "two"):
            client.ask(message(text))
    with joined(server.url, "returning", "thread-b") as client:
        established, restored = client.introduction
    assert established["payload"] == {"session_id": "returning", "thread_id": "thread-a"}
    messages = restored["payload"].pop("messages")
    assert restored == {
        "type": "ws:session_restored",
        "payload": {"session_id": "returning", "thread_id": "thread-a", "history_count": 4},
    }
    assert [(past["role"], past["content"]) for past in messages] == [
        ("user", "one"),
        ("assistant", "You said: one"),
        ("user", "two"),
        ("assistant", "You said: two"),
    ]
    assert {frozenset(past) for past in messages} == {
        frozenset({"id", "role", "content", "agent_id", "created_at", "meta"})
    }
    assert {past["agent_id"] for past in messages} == {"agent-1"}
    assert len({past["id"] for past in messages}) == 4


def test_a_session_without_messages_is_established_only(server: ServerProcess) -> None:
    """No history, nothing to restore, but still the same thread."""
    with joined(server.url, "silent", "thread-a"):
        pass
    with joined(server.url, "silent", "thread-b") as client:
        assert client.restored is None
        assert client.thread_id == "thread-a"


def test_a_history_is_restored_in_its_last_two_hundred_messages(server: ServerProcess) -> None:
    """Of 105 exchanges the last 100 come back, oldest first, and the count is of what comes back."""
    texts = [str(number) for number in range(105)]
    with joined(server.url, "long") as client:
        for text in texts:
            client.send(message(text))
        client.answers(105)
    with joined(server.url, "long") as client:
        assert client.said == texts[5:]
        assert client.restored is not None
        assert client.restored["history_count"] == len(client.restored["messages"]) == 200


@pytest.mark.parametrize("implementation", ["websockets", "wsproto"])
def test_a_text_well_above_one_mebibyte_is_closed_with_1009(implementation: str, tmp_path: Path) -> None:
    """A run's largest text has room; sizes are bounded all the same, and it is no fault of the server."""
    log_path = tmp_path / "server.log"
    with (
        ServerProcess(ws_implementation=implementation, log_path=log_path) as server,
        joined(server.url, "huge") as client,
    ):
        client.ask(message("x" * 2**20))
        client.send(message("x" * (2**20 + 2**16)))
        wait_for_close(client, 1009)
    assert "ERROR" not in log_path.read_text()


@pytest.mark.parametrize(
    "unreadable",
    ["hello", "[1]", "1", '{"a":', "{} {}", '{"a":NaN}', "[" * 100_000, b"{}"],
    ids=lambda text: text[:9],
)
def test_a_frame_that_is_no_json_object_is_closed_with_1011(
    server: ServerProcess, unreadable: str | bytes
) -> None:
    """A client that sends rubbish loses its connection, and nobody else does."""
    with joined(server.url, "witness") as witness, joined(server.url, "rubbish") as client:
        client.websocket.send(unreadable)
        wait_for_close(client, 1011)
        witness.ask(message("still here"))


@pytest.mark.parametrize("path", ["/ws/bad%0Aid", "/ws/" + "x" * 129, "/ws/ok?thread_id=%1b[31m"])
def test_impossible_ids_are_refused_with_400(server: ServerProcess, path: str) -> None:
    """What goes into log and database is bounded and printable."""
    with pytest.raises(InvalidStatus) as refused, opened(server.url + path):
        pass
    assert refused.value.response.status_code == 400


@pytest.mark.parametrize("path", ["/", "/echo"])
def test_echo_returns_text_and_binary(server: ServerProcess, path: str) -> None:
    """Whatever comes in goes back, and so does the emptiest."""
    with opened(server.url + path) as websocket:
        for content in ("text", b"\x00\xff", "", b"", "not json either"):
            websocket.send(content)
            assert websocket.recv(timeout=PATIENCE_S) == content


def test_health_is_ok(server: ServerProcess) -> None:
    """The health endpoint answers 200 with JSON."""
    status, health = get(server.url, "/api/health")
    assert (status, health["status"]) == (200, "ok")


def test_the_counters_are_exact() -> None:
    """A known exchange raises each count by what it should, and every connection is accounted for."""
    with ServerProcess(push_every_s=0.0) as server:
        with joined(server.url, "one") as one, joined(server.url, "two") as two:
            for client in (one, two, one):
                client.ask(message("count me"))
            one.send(message(""))
            assert one.next()["type"] == "ws:error"
            assert counters(server.url)["connections_open"] == 2
        with joined(server.url, "one"):
            pass
        with pytest.raises(InvalidStatus), opened(server.url + "/ws/bad%0Aid"):
            pass
        counts = wait_for(
            lambda: (now := counters(server.url))["connections_open"] == 0 and now, what="all to be closed"
        )
    expected = {
        "connections_accepted": 3,
        "connections_refused": 1,
        "sessions_created": 2,
        "sessions_resumed": 1,
        "messages_received": 4,
        "messages_stored": 6,
        "requests_refused": 1,
        "replies_sent": 4,
        "pushes_sent": 0,
        "takeovers": 0,
        "sends_failed": 0,
        "errors": 0,
        "disconnects": {"1000": 3},
        "faults": {},
    }
    assert {name: counts[name] for name in expected} == expected


def test_pushes_are_numbered_per_connection_and_dated() -> None:
    """Each connection gets its own 1, 2, 3, beside its replies."""
    before_ms = time.time() * 1e3
    with ServerProcess(push_every_s=0.05) as server:
        with joined(server.url, "pushed-1") as one, joined(server.url, "pushed-2") as two:
            for client in (one, two):
                pushes = [client.next("ws:notification")["payload"] for _ in range(3)]
                assert [push["push_id"] for push in pushes] == [1, 2, 3]
                dates = [before_ms, *(push["sent_at_ms"] for push in pushes), time.time() * 1e3]
                assert dates == sorted(dates)
            assert one.ask(message("between pushes")) == "You said: between pushes"
        assert counters(server.url)["pushes_sent"] >= 6


def test_a_wrong_or_missing_login_is_told_so_and_closed_with_4401(tmp_path: Path) -> None:
    """With a token set, only `jwt, TOKEN` gets a session, and the token is in no log."""
    log_path = tmp_path / "server.log"
    with ServerProcess(token="top-secret", log_path=log_path) as server:
        for offered in (("jwt", "wrong"), ("jwt",), (), ("top-secret",)):
            with joined(server.url, "stranger", subprotocols=offered) as client:
                assert [told["type"] for told in client.introduction] == ["ws:auth_required"]
                wait_for_close(client, 4401)
        with joined(server.url, "friend", subprotocols=("jwt", "top-secret")) as client:
            client.ask(message("let me in"))
        counts = counters(server.url)
        assert (counts["logins_refused"], counts["sessions_created"]) == (4, 1)
    assert "top-secret" not in log_path.read_text()


def test_an_inactive_client_is_closed_with_4408(tmp_path: Path) -> None:
    """Pushes do not count as activity; messages do."""
    log_path = tmp_path / "server.log"
    with ServerProcess(inactivity_timeout_s=0.5, push_every_s=0.1, log_path=log_path) as server:
        with joined(server.url, "sleeper") as client:
            wait_for_close(client, 4408)
        wait_for(lambda: counters(server.url)["connections_open"] == 0, what="the handler's end")
        assert counters(server.url)["disconnects"] == {"4408": 1}
    assert (
        "INFO loadtest.server: Client disconnected gracefully (session=sleeper, code=4408)"
        in log_path.read_text()
    )


def test_a_second_connection_takes_the_session_over(server: ServerProcess) -> None:
    """The newest connection talks; the healthy older one is closed with a code that forbids reconnecting."""
    with joined(server.url, "shared") as old, joined(server.url, "shared") as new:
        wait_for_close(old, 1008)
        assert new.ask(message("mine now")) == "You said: mine now"


def test_the_sid_of_a_token_is_the_session(tmp_path: Path) -> None:
    """Whatever the path says, connections with one token are one session: it has one history, the newer takes
    over, and the id asked for comes back as `client_session_id`.
    """
    log_path = tmp_path / "server.log"
    with ServerProcess(token="key", log_path=log_path) as server:
        login = ("jwt", signed({"sid": "of-the-token"}, "key"))
        with joined(server.url, "asked-1", "thread-1", login) as old:
            assert old.introduction[0]["payload"] == {
                "session_id": "of-the-token",
                "thread_id": "thread-1",
                "client_session_id": "asked-1",
            }
            old.ask(message("remember"))
            with joined(server.url, "asked-2", "thread-2", login) as new:
                wait_for_close(old, 1008)
                assert new.introduction[0]["payload"] == {
                    "session_id": "of-the-token",
                    "thread_id": "thread-1",
                    "client_session_id": "asked-2",
                }
                assert new.said == ["remember"]
        with joined(server.url, "asked-1", None, ("jwt", "key")) as other:
            assert other.introduction[0]["payload"]["session_id"] == "asked-1"
            assert other.restored is None
    log = log_path.read_text()
    assert "Warning" not in log  # of PyJWT, that the key is short
    assert login[1] not in log


def test_the_end_of_a_half_open_connection_leaves_its_successor_alone() -> None:
    """A session that came back while its old connection lingered stays registered when that one is gone."""
    with (
        ServerProcess(push_every_s=0.0) as server,
        RawClient(server.url, "lingering") as lingering,
        joined(server.url, "lingering") as new,
    ):
        new.ask(message("I am back"))
        lingering.reset()
        wait_for(lambda: counters(server.url)["connections_open"] == 1, what="the old connection's end")
        assert get(server.url, "/api/health")[1]["sessions"] == 1
        assert counters(server.url)["takeovers"] == 1
        with joined(server.url, "lingering"):
            assert counters(server.url)["takeovers"] == 2


def test_what_was_acknowledged_survives_sigkill(tmp_path: Path) -> None:
    """Sessions talk while the server is killed; a new one on its file knows all it had confirmed."""
    database = tmp_path / "sessions.db"
    confirmed: dict[str, list[str]] = {f"s{number}": [] for number in range(4)}

    def talk(session: str) -> None:
        try:
            with joined(killed.url, session, f"thread-of-{session}") as client:
                for number in range(100_000):
                    client.ask(message(f"keep {number}"))
                    confirmed[session].append(f"keep {number}")
        except (ConnectionClosed, EOFError, OSError):
            return

    killed = ServerProcess(database=database)
    talkers = [threading.Thread(target=talk, args=(session,)) for session in confirmed]
    for talker in talkers:
        talker.start()
    wait_for(lambda: all(len(texts) > 150 for texts in confirmed.values()), what="enough messages")
    killed.kill()
    for talker in talkers:
        talker.join()

    with ServerProcess(database=database) as restarted:
        for session, texts in confirmed.items():
            with joined(restarted.url, session, "another-thread") as client:
                assert client.thread_id == f"thread-of-{session}"
                assert set(texts[-99:]) <= set(client.said)


def test_a_temporary_database_is_forgotten_with_its_server() -> None:
    """Without a file, a restarted server knows nobody."""
    for _ in range(2):
        with ServerProcess() as server, joined(server.url, "nobody") as client:
            assert client.restored is None
            client.ask(message("soon forgotten"))
