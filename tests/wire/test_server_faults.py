"""Each fault of the reference server as it looks on the wire."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from websockets.exceptions import InvalidStatus

from loadtest.server.faults import Faults
from loadtest.server.server_process import ServerProcess
from tests.support.serverclient import PATIENCE_S, Client, counters, get, joined, message, opened, wait_for


@contextmanager
def faulty(*faults: str) -> Iterator[ServerProcess]:
    with ServerProcess(faults=faults, push_every_s=0.0) as server:
        yield server


def refusal(url: str) -> tuple[int, str]:
    """Return status and body of the refusal of an upgrade."""
    with pytest.raises(InvalidStatus) as refused, opened(url):
        pass
    response = refused.value.response
    return response.status_code, bytes(response.body or b"").decode()


def sequences(client: Client, count: int) -> list[int]:
    """Return the sequence numbers of the next acknowledgements."""
    return [client.next("ws:ack")["payload"]["echo"]["payload"]["sequence"] for _ in range(count)]


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
    with faulty("lose_reply=0.5") as server:
        with joined(server.url, "loser") as client:
            for sequence in range(100):
                client.send(message("x", sequence))
            counts = wait_for(
                lambda: (now := counters(server.url))["messages_stored"] == 100 and now,
                what="all to be stored",
            )
            lost = counts["faults"]["lose_reply"]
            assert 20 < lost < 80
            assert len(set(sequences(client, 100 - lost))) == 100 - lost
        with joined(server.url, "loser") as client:
            assert client.restored is not None
            assert client.restored["history_count"] == 100


def test_corrupt_reply_changes_the_text_and_nothing_else() -> None:
    """The echo has its sequence number and another text; what is stored is intact."""
    asked = message("precious", 7)
    with faulty("corrupt_reply=1") as server:
        with joined(server.url, "corrupt") as client:
            echo = client.ask(asked)["payload"]["echo"]
            assert echo["payload"]["text"] != "precious"
            assert {**echo, "payload": {**echo["payload"], "text": "precious"}} == asked
        with joined(server.url, "corrupt") as client:
            assert client.restored is not None
            assert client.restored["messages"] == [asked]
        with opened(server.url + "/echo") as websocket:
            for content in ("text", "", b"bytes", b"", '{"text":"json"}'):
                websocket.send(content)
                assert websocket.recv(timeout=PATIENCE_S) != content


def test_duplicate_reply_sends_the_reply_twice() -> None:
    """Every acknowledgement comes twice, in order."""
    with faulty("duplicate_reply=1") as server, joined(server.url, "twice") as client:
        for sequence in (1, 2):
            client.send(message("x", sequence))
        assert sequences(client, 4) == [1, 1, 2, 2]
        assert counters(server.url)["replies_sent"] == 4


def test_reorder_reply_sends_a_reply_after_the_next_one() -> None:
    """With the fault always on, every first of two replies is held back behind the second."""
    with faulty("reorder_reply=1") as server, joined(server.url, "order") as client:
        for sequence in range(1, 5):
            client.send(message("x", sequence))
        assert sequences(client, 4) == [2, 1, 4, 3]


def test_reorder_reply_sends_a_lone_reply_in_the_end() -> None:
    """With no other reply in sight, the one held back leaves by itself."""
    with faulty("reorder_reply=1") as server, joined(server.url, "alone") as client:
        client.send(message("x", 1))
        assert sequences(client, 1) == [1]


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


def test_latency_delays_replies_that_overlap_and_stay_in_order() -> None:
    """All of a burst is stored before its first reply is due, and the replies come in order."""
    with faulty("latency=1500") as server, joined(server.url, "late") as client:
        sent_s = time.monotonic()
        for sequence in range(10):
            client.send(message("x", sequence))
        wait_for(lambda: counters(server.url)["messages_stored"] == 10, what="all to be stored")
        assert sequences(client, 10) == list(range(10))
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
