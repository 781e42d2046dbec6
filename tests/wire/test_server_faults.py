"""Each fault of the reference server as it looks on the wire."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from websockets.exceptions import InvalidStatus

from loadtest.server.faults import Faults
from loadtest.server.server_process import ServerProcess
from tests.support.serverclient import PATIENCE_S, Client, counters, get, joined, message, opened, wait_for

MODES = pytest.mark.parametrize("mode", ["chat", "ack"])


@contextmanager
def faulty(*faults: str, mode: str = "chat") -> Iterator[ServerProcess]:
    with ServerProcess(faults=faults, push_every_s=0.0, mode=mode) as server:
        yield server


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


@pytest.mark.parametrize("implementation", ["websockets", "wsproto"])
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


@pytest.mark.parametrize(
    ("fault", "restored"),
    [
        ("forget_message=1", []),
        ("cut_history", ["1", "2"]),
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


def test_database_down_refuses_sessions_and_says_so() -> None:
    """While the database is down, sessions get 503, health says 503, and echo works."""
    with faulty("database_down=3600") as server:
        assert refusal(server.url + "/ws/any") == (503, "database is down")
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
