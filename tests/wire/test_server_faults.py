"""Each fault of the reference server as it looks on the wire."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from loadtest.server.faults import Faults
from loadtest.server.server_process import ServerProcess
from loadtest.serverlog.log_reader import LogReader, read
from loadtest.serverlog.records import is_error
from tests.support.serverclient import (
    PATIENCE_S,
    Client,
    RawClient,
    close_frame,
    counters,
    get,
    joined,
    message,
    opened,
    wait_for,
)

IMPLEMENTATIONS = pytest.mark.parametrize("implementation", ["websockets", "websockets-sansio", "wsproto"])
MODES = pytest.mark.parametrize("mode", ["chat", "ack"])


@contextmanager
def faulty(*faults: str, push_every_s: float = 0.0, **settings: Any) -> Iterator[ServerProcess]:
    with ServerProcess(faults=faults, push_every_s=push_every_s, **settings) as server:
        yield server


def close_of(client: Client) -> int | None:
    """Wait until the connection has ended; return the close code that was received, None for RST and FIN."""
    with pytest.raises(ConnectionClosed) as closed:
        client.next("nothing, ever")
    return closed.value.rcvd.code if closed.value.rcvd else None


def refusal(url: str) -> tuple[int, str]:
    """Return status and body of the refusal of an upgrade."""
    with pytest.raises(InvalidStatus) as refused, opened(url):
        pass
    response = refused.value.response
    return response.status_code, bytes(response.body or b"").decode()


def texts(client: Client, mode: str, count: int) -> list[str]:
    """Return the texts that the next answers repeat, or the next acknowledgements."""
    if mode == "chat":
        return client.answers(count)
    return [client.next("ws:ack")["payload"]["echo"]["payload"]["text"] for _ in range(count)]


@IMPLEMENTATIONS
def test_refuse_connect_refuses_new_sessions_before_the_upgrade(implementation: str) -> None:
    """A new session and an echo get HTTP 503 with a body, and neither is accepted."""
    with ServerProcess(faults=("refuse_connect=1",), ws_implementation=implementation) as server:
        assert refusal(server.url + "/ws/new") == (503, "try again later")
        assert refusal(server.url + "/echo") == (503, "try again later")
        counts = counters(server.url)
        assert (counts["connections_refused"], counts["connections_accepted"]) == (2, 0)


def test_refuse_reconnect_refuses_known_sessions_only() -> None:
    """The first connection of a session is fine, the second is refused."""
    with faulty("refuse_reconnect=1") as server:
        with joined(server.url, "known") as client:
            client.ask(message("before"))
        assert refusal(server.url + "/ws/known") == (503, "try again later")
        with joined(server.url, "unknown"):
            pass


def test_lose_reply_stores_the_message_and_says_nothing() -> None:
    """Of many messages the lost ones have no reply, and all are in the history."""
    sent = [f"message {number}" for number in range(100)]
    with faulty("lose_reply=0.5") as server:
        with joined(server.url, "loser") as client:
            for text in sent:
                client.send(message(text))
            counts = wait_for(
                lambda: (now := counters(server.url))["messages_stored"] == 200 and now,
                what="all to be stored",
            )
            lost = counts["faults"]["lose_reply"]
            assert 20 < lost < 80
            assert len(set(client.answers(100 - lost))) == 100 - lost
        with joined(server.url, "loser") as client:
            assert client.said == sent


def test_lose_reply_loses_acknowledgements() -> None:
    """Without a chat backend it is the acknowledgement that does not come."""
    with faulty("lose_reply=0.5", mode="ack") as server, joined(server.url, "loser") as client:
        for number in range(100):
            client.send(message(number))
        wait_for(lambda: counters(server.url)["messages_received"] == 100, what="all to be received")
        lost = counters(server.url)["faults"]["lose_reply"]
        assert 20 < lost < 80
        assert len(set(texts(client, "ack", 100 - lost))) == 100 - lost


def test_corrupt_reply_changes_the_text_and_nothing_else() -> None:
    """The answer does not hold the text, an echo is another; what is stored is intact."""
    with faulty("corrupt_reply=1") as server:
        with joined(server.url, "corrupt") as client:
            assert client.ask(message("precious")) == "You said: preciou (corrupted)"
        with joined(server.url, "corrupt") as client:
            assert client.said == ["precious"]
        with opened(server.url + "/echo") as websocket:
            for content in ("text", "", b"bytes", b"", '{"text":"json"}'):
                websocket.send(content)
                assert websocket.recv(timeout=PATIENCE_S) != content


@pytest.mark.parametrize(
    ("fault", "text", "answer"),
    [("corrupt_reply=1", "precious", "preciou (corrupted)"), ("decompose=1", "[é🙂]", "[e\u0301🙂]")],
)
def test_an_acknowledgement_is_altered_in_its_text_only(fault: str, text: str, answer: str) -> None:
    """The rest of the echo is what was sent."""
    asked = message(text)
    with faulty(fault, mode="ack") as server, joined(server.url, "altered") as client:
        client.send(asked)
        echo = client.next("ws:ack")["payload"]["echo"]
        assert echo["payload"].pop("text") == answer
        assert echo == {**asked, "payload": {"agent_id": "agent-1"}}


def test_decompose_answers_in_another_form_of_unicode() -> None:
    """The answer and the echo look right and are not; what is stored is intact."""
    with faulty("decompose=1") as server:
        with joined(server.url, "nfd") as client:
            assert client.ask(message("[é🙂]")) == "You said: [e\u0301🙂]"
        with joined(server.url, "nfd") as client:
            assert client.said == ["[é🙂]"]
        with opened(server.url + "/echo") as websocket:
            websocket.send("[é🙂]")
            assert websocket.recv(timeout=PATIENCE_S) == "[e\u0301🙂]"


@MODES
def test_foreign_reply_answers_with_another_sessions_text(mode: str) -> None:
    """The first to say anything gets its own text back, the next one what the first had said."""
    with faulty("foreign_reply=1", mode=mode) as server:
        with joined(server.url, "one") as one, joined(server.url, "two") as two:
            for client, text, answer in ((one, "of one", "of one"), (two, "of two", "of one")):
                client.send(message(text))
                assert texts(client, mode, 1) == [answer]
        assert counters(server.url)["faults"] == {"foreign_reply": 1}
        if mode == "chat":
            with joined(server.url, "two") as two:
                assert two.said == ["of two"]


@MODES
def test_duplicate_reply_sends_the_reply_twice(mode: str) -> None:
    """Every answer or acknowledgement comes twice, in order."""
    with faulty("duplicate_reply=1", mode=mode) as server, joined(server.url, "twice") as client:
        for text in "12":
            client.send(message(text))
        assert texts(client, mode, 4) == ["1", "1", "2", "2"]
        assert counters(server.url)["replies_sent"] == 4


@MODES
def test_reorder_reply_sends_a_reply_after_the_next_one(mode: str) -> None:
    """With the fault always on, every first of two replies is held back behind the second, as a whole."""
    with faulty("reorder_reply=1", mode=mode) as server, joined(server.url, "order") as client:
        for text in "1234":
            client.send(message(text))
        assert texts(client, mode, 4) == ["2", "1", "4", "3"]


def test_reorder_reply_sends_a_lone_reply_in_the_end() -> None:
    """With no other reply in sight, the one held back leaves by itself."""
    with faulty("reorder_reply=1") as server, joined(server.url, "alone") as client:
        assert client.ask(message("alone")) == "You said: alone"


def test_forget_session_treats_a_returning_session_as_new() -> None:
    """A reconnect gets a fresh thread, not the one asked for, and no history, now and at the next."""
    with faulty("forget_session") as server:
        threads = set()
        for _ in range(3):
            with joined(server.url, "amnesia", "thread-1") as client:
                assert client.restored is None
                threads.add(client.thread_id)
                client.ask(message("remember me"))
        assert len(threads) == 3


@MODES
def test_share_identity_tells_new_sessions_the_id_of_another(mode: str) -> None:
    """Now and when it comes back, as if it had asked for that; what it said stays its own."""
    with faulty("share_identity=1", mode=mode) as server:
        for _ in range(2):
            with joined(server.url, "first") as first, joined(server.url, "second") as second:
                names = [client.introduction[0]["payload"]["session_id"] for client in (first, second)]
                assert names == ["first", "first"]
                assert "client_session_id" not in second.introduction[0]["payload"]
                second.send(message("mine"))
                assert texts(second, mode, 1) == ["mine"]
        assert counters(server.url)["takeovers"] == 0
        assert counters(server.url)["faults"] == {"share_identity": 1}


@pytest.mark.parametrize(
    ("fault", "restored"),
    [
        ("forget_message=1", []),
        ("cut_history", ["1", "2"]),
        ("empty_history", []),
        ("corrupt_history=1", [" (corrupted)"] * 4),
        ("reverse_history", ["4", "3", "2", "1"]),
        ("foreign_history=1", ["1", "2", "3", "4", "of another"]),
    ],
)
def test_faults_of_the_history_are_in_what_is_restored(fault: str, restored: list[str]) -> None:
    """Each message was answered as by a sound server; what comes back is not what was said."""
    with faulty(fault) as server:
        with joined(server.url, "historian") as client:
            assert [client.ask(message(text)) for text in "1234"] == [f"You said: {text}" for text in "1234"]
        with joined(server.url, "another") as client:
            client.ask(message("of another"))
        with joined(server.url, "historian") as client:
            assert client.said == restored
            assert client.restored is not None
            assert client.restored["history_count"] == len(client.restored["messages"])


@MODES
def test_forget_session_gives_another_identity(mode: str) -> None:
    """Also a server without a history can take a returning session for a new one."""
    with faulty("forget_session", mode=mode) as server:
        threads = []
        for _ in range(2):
            with joined(server.url, "who", "thread-1") as client:
                threads.append(client.thread_id)
        assert threads[0] != threads[1]


def test_latency_delays_replies_that_overlap_and_stay_in_order() -> None:
    """All of a burst is stored before its first reply is due, and the replies come in order."""
    with faulty("latency=1500") as server, joined(server.url, "late") as client:
        sent_s = time.monotonic()
        for number in range(10):
            client.send(message(str(number)))
        wait_for(lambda: counters(server.url)["messages_stored"] == 20, what="all to be stored")
        assert client.answers(10) == [str(number) for number in range(10)]
        assert time.monotonic() - sent_s >= 1.5
        assert counters(server.url)["faults"] == {"latency": 10}


def test_latency_tail_delays_some_replies() -> None:
    """A tail on every reply delays echoes as well; a tail on none delays nothing."""
    with faulty("latency_tail=1:300") as server, opened(server.url + "/echo") as websocket:
        sent_s = time.monotonic()
        websocket.send("slowly")
        assert websocket.recv(timeout=PATIENCE_S) == "slowly"
        assert time.monotonic() - sent_s >= 0.3
    with faulty("latency_tail=0:60000") as server, joined(server.url, "prompt") as client:
        client.ask(message("x"))
        assert counters(server.url)["faults"] == {}


@IMPLEMENTATIONS
@pytest.mark.parametrize(
    ("fault", "code", "counted"),
    [("close=1:1011", 1011, "1011"), ("abort=1", None, "1006"), ("bad_frame=1", None, "1002")],
)
def test_a_connection_that_works_is_ended_in_place_of_a_reply(
    fault: str, code: int | None, counted: str, implementation: str
) -> None:
    """The first request is answered, the second ends the connection; both are stored, and one is counted."""
    with faulty(fault, ws_implementation=implementation) as server:
        for session in ("one", "two"):
            with joined(server.url, session) as client:
                client.ask(message("first"))
                client.send(message("second"))
                assert close_of(client) == code
        wait_for(lambda: counters(server.url)["connections_open"] == 0, what="the end of both")
        counts = counters(server.url)
        assert counts["disconnects"] == {counted: 2}
        assert counts["faults"] == {fault.partition("=")[0]: 2}
        assert (counts["messages_stored"], counts["replies_sent"]) == (8, 2)


def test_close_connect_lets_a_new_session_in_and_closes() -> None:
    """It is established before the close, and the next connection of the session stays."""
    with faulty("close_connect=1") as server:
        with joined(server.url, "new") as client:
            assert client.introduction[0]["type"] == "ws:session_established"
            assert close_of(client) == 1011
        with joined(server.url, "new") as client:
            client.ask(message("well"))


def test_close_reconnect_lets_known_sessions_in_and_closes() -> None:
    """With its history, each time."""
    with faulty("close_reconnect=1") as server:
        with joined(server.url, "known") as client:
            client.ask(message("before"))
        for _ in range(2):
            with joined(server.url, "known") as client:
                assert client.said == ["before"]
                assert close_of(client) == 1011


def test_mute_reconnect_resumes_and_says_nothing_more() -> None:
    """What is asked then is stored but not answered, and nothing is pushed."""
    with faulty("mute_reconnect=1", push_every_s=0.05) as server:
        with joined(server.url, "mute") as client:
            client.ask(message("before"))
        with joined(server.url, "mute") as client:
            assert client.said == ["before"]
            client.send(message("after"))
            wait_for(lambda: counters(server.url)["messages_stored"] == 4, what="the message to be stored")
            pushes = counters(server.url)["pushes_sent"]
            with pytest.raises(TimeoutError):
                client.websocket.recv(timeout=0.3)
            assert counters(server.url)["pushes_sent"] == pushes


@pytest.mark.parametrize(("fault", "late"), [("late_connect=300", 0), ("late_reconnect=300", 1)])
def test_sessions_are_established_late(fault: str, late: int) -> None:
    """Either the first connection of a session waits, or each later one."""
    with faulty(fault) as server:
        waited_s = []
        for _ in range(2):
            begun_s = time.monotonic()
            with joined(server.url, "late"):
                waited_s.append(time.monotonic() - begun_s)
        assert waited_s[late] >= 0.3
        assert waited_s[late] > waited_s[1 - late]


@pytest.mark.parametrize(("faults", "selected"), [((), "jwt"), (("no_subprotocol",), None)])
def test_no_subprotocol_selects_none_of_those_offered(faults: tuple[str, ...], selected: str | None) -> None:
    """A sound server selects the login's; browsers end a connection without one."""
    with faulty(*faults) as server, joined(server.url, "offering") as client:
        assert client.websocket.subprotocol == selected


@MODES
def test_cut_reply_answers_with_a_beginning(mode: str) -> None:
    """A text that is long enough loses its end, in front of a character that would be halved."""
    with faulty("cut_reply=5", mode=mode) as server, joined(server.url, "cut") as client:
        for text in ("12345", "123456", "1234é"):
            client.send(message(text))
        assert texts(client, mode, 3) == ["12345", "12345", "1234"]
        assert counters(server.url)["faults"] == {"cut_reply": 2}


def pushed(client: Client) -> dict[str, Any]:
    return dict(client.next("ws:notification")["payload"])


def test_lose_push_leaves_gaps_in_the_numbers() -> None:
    """Of twenty numbers some are missing, and those that come are in order."""
    with faulty("lose_push=0.5", push_every_s=0.01) as server, joined(server.url, "loser") as client:
        numbers = [pushed(client)["push_id"] for _ in range(20)]
        assert numbers == sorted(numbers)
        assert numbers[-1] > 25


def test_foreign_push_tells_what_another_session_said() -> None:
    """Pushes have no text, but to the session that did not say it."""
    with (
        faulty("foreign_push=1", push_every_s=0.05) as server,
        joined(server.url, "one") as one,
        joined(server.url, "two") as two,
    ):
        assert "text" not in pushed(two)
        one.ask(message("of one"))
        wait_for(lambda: pushed(two).get("text") == "of one", what="the text")
        assert "text" not in pushed(one)


def test_late_push_holds_back_a_push() -> None:
    """It says when it was due, and no other comes before it."""
    with faulty("late_push=1:300", push_every_s=0.1) as server, joined(server.url, "late") as client:
        pushes = [pushed(client) for _ in range(3)]
        assert [push["push_id"] for push in pushes] == [1, 2, 3]
        assert time.time() * 1e3 - pushes[-1]["sent_at_ms"] >= 300
        assert pushes[1]["sent_at_ms"] - pushes[0]["sent_at_ms"] >= 300


def test_stop_pushes_ends_the_pushes_of_a_connection() -> None:
    """After them the connection answers as before."""
    with faulty("stop_pushes=0.25", push_every_s=0.1) as server, joined(server.url, "still") as client:
        assert [pushed(client)["push_id"] for _ in range(2)] == [1, 2]
        with pytest.raises(TimeoutError):
            client.websocket.recv(timeout=0.3)
        client.ask(message("still there?"))
        assert counters(server.url)["pushes_sent"] == 2


@IMPLEMENTATIONS
@pytest.mark.parametrize("faults", [(), ("keep_sockets",)], ids=["sound", "keep_sockets"])
def test_keep_sockets_answers_a_close_and_sends_no_fin(faults: tuple[str, ...], implementation: str) -> None:
    """A sound server ends the TCP connection after the closing handshake; for itself, both have ended it."""
    with faulty(*faults, ws_implementation=implementation) as server, RawClient(server.url, "kept") as client:
        client.send(close_frame(1000))
        client.wait_for(b"\x88\x02\x03\xe8")
        client.socket.settimeout(0.5)
        if faults:
            with pytest.raises(TimeoutError):
                client.wait_for_end()
        else:
            client.wait_for_end()
        wait_for(lambda: counters(server.url)["connections_open"] == 0, what="the end of the handler")


def test_database_down_refuses_sessions_and_says_so(tmp_path: Path) -> None:
    """While the database is down, sessions get 503 and an ERROR, health says 503, and echo works."""
    log_path = tmp_path / "server.log"
    with faulty("database_down=3600", log_path=log_path) as server:
        assert refusal(server.url + "/ws/any") == (503, "database is down")
        (logged,) = [record for record in read(log_path, LogReader()) if is_error(record.level)]
        assert (logged.session, logged.exception) == ("any", "sqlite3.OperationalError: the database is down")
        status, health = get(server.url, "/api/health")
        assert (status, health["database"]) == (503, "down")
        with opened(server.url + "/echo") as websocket:
            websocket.send("x")
            assert websocket.recv(timeout=PATIENCE_S) == "x"


def test_a_database_comes_up_again() -> None:
    """After its seconds the same server is healthy and takes sessions."""
    with faulty("database_down=0.5") as server:
        wait_for(lambda: get(server.url, "/api/health")[0] == 200, what="the database")
        with joined(server.url, "patient") as client:
            client.ask(message("x"))


def test_a_fault_decides_the_same_in_every_run_and_beside_others() -> None:
    """Each fault draws from a generator of its own."""

    def decisions(*faults: str) -> list[bool]:
        drawn = Faults(faults)
        return [drawn.strikes("lose_reply") for _ in range(200) if drawn.strikes("corrupt_reply") or True]

    alone = decisions("lose_reply=0.3")
    assert alone == decisions("lose_reply=0.3") == decisions("corrupt_reply=0.5", "lose_reply=0.3")
    assert 30 < sum(alone) < 90
