"""What the reference server logs when clients leave, for both handlings under all WebSocket implementations.

The drops are made on bare sockets and read back from the log of the real server.
"""

import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from loadtest.dialects.emergence import Emergence
from loadtest.events import Drop
from loadtest.server.server_process import ServerProcess
from loadtest.session.schedule import Pace
from tests.support.engine_run import Planned, running, settings
from tests.support.serverclient import RawClient, close_frame, counters, frame, joined, message, wait_for

SMALL = frame('{"type":"chat_message","payload":{"text":"x","agent_id":"a"}}')


LARGE = frame('{"type":"chat_message","payload":{"text":"%s","agent_id":"a"}}' % ("x" * 50_000))


AFTER_CLOSE = 'WebSocket is not connected. Need to call "accept" first.'


@dataclass(frozen=True)
class Observed:
    """A server whose log is read."""

    process: ServerProcess
    log_path: Path
    handling: str
    implementation: str

    def wait_until_empty(self) -> None:
        """Wait until the handler of every connection has ended."""
        wait_for(lambda: counters(self.process.url)["connections_open"] == 0, what="the handlers' end")

    def lines(self, session: str) -> list[str]:
        """Return what the application logged of the session, without the time, once its connection ended."""
        self.wait_until_empty()
        log = self.log_path.read_text()
        return [
            line for line in re.findall(r"^\S+ \S+ (\w+ loadtest\.server: .*)$", log, re.M) if session in line
        ]

    def trouble(self) -> list[str]:
        """Return all lines that look like trouble, but for the application's own before its hotfix."""
        lines = re.findall(r"^.* (?:ERROR|CRITICAL) .*$|^Traceback.*$", self.log_path.read_text(), re.M)
        if self.handling == "after":
            return lines
        return [line for line in lines if " loadtest.server: " not in line]


@pytest.fixture(
    scope="module",
    params=itertools.product(("before", "after"), ("websockets", "websockets-sansio", "wsproto")),
    ids="-".join,
)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Observed]:
    handling, implementation = request.param
    log_path = tmp_path_factory.mktemp("log") / "server.log"
    with ServerProcess(
        handling=handling,
        ws_implementation=implementation,
        ping_interval_s=0.2,  # keepalive pings fall into every drop
        push_every_s=0.1,  # and so do pushes
        log_path=log_path,
    ) as process:
        yield Observed(process, log_path, handling, implementation)


def close(client: RawClient) -> None:
    client.send(close_frame(1000))
    client.wait_for_end()


def tab_close(client: RawClient) -> None:
    client.send(close_frame(1001))


def fin(client: RawClient) -> None:
    """End with the FIN that leaving the context sends."""


def reset(client: RawClient) -> None:
    client.reset()


def mid_message(client: RawClient) -> None:
    client.send(LARGE[:1000])
    client.reset()


@pytest.mark.parametrize(
    ("leave", "codes"),
    [
        (close, {1000}),
        (tab_close, {1001}),
        (fin, {1005, 1006}),
        (reset, {1005, 1006}),
        (mid_message, {1005, 1006}),
    ],
)
def test_a_plain_disconnect_is_no_error(
    server: Observed, leave: Callable[[RawClient], None], codes: set[int]
) -> None:
    """Before, it is cleaned up without a word; after, its end is one INFO line with the close code."""
    with RawClient(server.process.url, leave.__name__) as client:
        leave(client)
    lines = server.lines(leave.__name__)
    if server.handling == "before":
        # A push may have been under way when the client vanished.
        assert {line for line in lines if "Send error" not in line} == set()
    else:
        ends = [line for line in lines if "during send" not in line]
        assert ends in [
            [f"INFO loadtest.server: Client disconnected gracefully (session={leave.__name__}, code={code})"]
            for code in codes
        ]


def test_a_client_lost_in_the_middle_of_replies(server: Observed) -> None:
    """Before, the failed send and the receive after it are two ERROR lines; after, the same two are INFO."""
    with RawClient(server.process.url, "mid-reply") as client:
        client.send(SMALL * 2000)
        client.wait_for(b"ws:chat_stream_chunk")
        client.reset()
    if server.handling == "before":
        expected = [
            "ERROR loadtest.server: Send error (session mid-reply) -> cleanup: ",
            f"ERROR loadtest.server: WS RuntimeError session=mid-reply: {AFTER_CLOSE}",
        ]
    else:
        expected = [
            "INFO loadtest.server: Client disconnected during send (session=mid-reply, code=1006)",
            f"INFO loadtest.server: Client disconnected abruptly (session=mid-reply): {AFTER_CLOSE}",
        ]
    assert server.lines("mid-reply") == expected


MANY = 40


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Observed]:
    """The server before the hotfix, as it is by default otherwise."""
    log_path = tmp_path_factory.mktemp("log") / "server.log"
    with ServerProcess(handling="before", log_path=log_path) as process:
        yield Observed(process, log_path, "before", "websockets")


def two_errors(server: Observed, sessions: Iterable[str]) -> int:
    """Return for how many sessions the server logged both ERROR lines of a client lost while it sent."""
    server.wait_until_empty()
    log = server.log_path.read_text()
    return sum(
        f"ERROR loadtest.server: Send error (session {session}) ->" in log
        and f"ERROR loadtest.server: WS RuntimeError session={session}: " in log
        for session in sessions
    )


def test_mid_reply_makes_errors_before_the_hotfix(before: Observed) -> None:
    """The drop of that name, made by the engine, has its effect at least four times in five, and nothing that
    it sends is stored.
    """
    drop = Drop(kind="mid_reply", ordinal=0, after_s=0.5, detect_s=0.0, hold_s=0.0)
    plan = settings(
        before.process.port, dialect=Emergence(), pace=Pace(1.0), drops=Planned(drops=((drop,),) * MANY)
    )
    stored = counters(before.process.url)["messages_stored"]
    with running(plan) as run:
        numbers = run.add(MANY)
        wait_for(lambda: len(run.lived("resumed")) == MANY, what="each session to come back")
        run.stop(numbers)
        assert two_errors(before, [f"session-{number}" for number in numbers]) >= 0.8 * MANY
        stored = counters(before.process.url)["messages_stored"] - stored
        assert stored == 2 * run.count("messaging.sent")


@pytest.mark.parametrize("with_pings", [False, True], ids=["quiet", "pinging"])
def test_a_client_that_does_not_read_is_no_fault(server: Observed, with_pings: bool) -> None:
    """Replies, pushes, keepalive pings and pongs that all wait for the same full buffer do no harm."""
    trouble_before = server.trouble()
    with RawClient(server.process.url, "slow") as client:
        client.flood(LARGE + (frame(b"ping", first_byte=0x89) if with_pings else b""))
        client.reset()
    server.wait_until_empty()
    assert server.trouble() == trouble_before


@pytest.mark.parametrize(
    ("name", "forbidden"),
    [
        ("unmasked", frame("{}", masked=False)),
        ("reserved-opcode", frame("{}", first_byte=0x83)),
        ("bad-utf8", frame(b"\xff\xfe")),
        ("garbage", b"\xffgarbage" * 20),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_frame_that_the_protocol_forbids_is_no_fault(server: Observed, name: str, forbidden: bytes) -> None:
    """A broken client is closed; the server has no fault in it.

    The one exception is uvicorn's own: its sans-I/O implementation logs invalid UTF-8 with a traceback.
    """
    trouble_before = server.trouble()
    with RawClient(server.process.url, name) as client:
        client.send(forbidden)
        client.wait_for_end()
    server.wait_until_empty()
    more = server.trouble()[len(trouble_before) :]
    if (server.implementation, name) == ("websockets-sansio", "bad-utf8"):
        assert [line.partition("uvicorn.error: ")[2] for line in more] == [
            "Invalid UTF-8 sequence received from client.",
            "",
        ]
    else:
        assert more == []


def test_a_bad_message_is_an_error(server: Observed) -> None:
    """The real fault stays one: ERROR in both, with a traceback after the hotfix."""
    with RawClient(server.process.url, "bad-message") as client:
        client.send(frame("not json"))
        client.wait_for(b"\x03\xf3")  # 1011
    (line,) = server.lines("bad-message")
    log = server.log_path.read_text()
    if server.handling == "before":
        assert line.startswith("ERROR loadtest.server: WS Exception session=bad-message: not a JSON object")
    else:
        assert line.startswith(
            "ERROR loadtest.server: Unexpected WebSocket error (session=bad-message): not a JSON"
        )
        assert re.search(r"session=bad-message\).*\nTraceback \(most recent call last\):\n", log)


def test_clients_gone_before_their_upgrade_is_answered_are_no_fault(server: Observed) -> None:
    """A client that gives up while it connects is no fault of the server, nor of uvicorn."""
    trouble_before = server.trouble()
    for _ in range(20):
        RawClient(server.process.url, "hasty", introduced=False).reset()
    with joined(server.process.url, "patient") as client:
        client.ask(message("everybody gone?"))
    server.wait_until_empty()
    assert server.trouble() == trouble_before
