"""The engine with real servers: sessions talk, are dropped, come back and end, and leave nothing behind."""

import asyncio
import gc
import json
import re
import signal
import socket
import traceback
import weakref
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from time import sleep
from typing import Any

import pytest

from loadtest.dialects.dialect_session import DialectSession
from loadtest.dialects.echo import Echo
from loadtest.dialects.emergence import Emergence
from loadtest.drops.kinds import DETECTED, DropKind, Steps, Wire
from loadtest.drops.plan import DropPlan
from loadtest.engine.lasting_objects import LastingObjects
from loadtest.errors import DialectMistake, LoadtestError
from loadtest.events import Data, Drop, Endpoint
from loadtest.session.recorder import Interval
from loadtest.session.schedule import NS_PER_S, Backoff, Pace
from loadtest.session.state import State
from loadtest.transport.target import Target
from tests.conftest import Certificates
from tests.support.asgi_server import AsgiServer, asgi_server
from tests.support.dialling import trusting
from tests.support.engine_run import EngineRun, Planned, running, settings
from tests.support.peers import open_sockets, server_frame, switching
from tests.support.ports import free_port
from tests.support.serverclient import wait_for

OUTCOMES = (
    *("answered", "reordered", "corrupted", "foreign", "failed", "late", "recovered"),
    *("lost", "broken_off", "lost_in_outage", "unfinished", "unanswerable"),
)

KINDS = sorted(name for name, kind in DropKind.kinds.items() if kind.__module__ == "loadtest.drops.kinds")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AsgiServer]:
    """The server of the tests that do no harm to it."""
    with asgi_server(tmp_path_factory.mktemp("engine"), ws="wsproto") as running_server:
        yield running_server


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """After each test, no socket and no timer is open that was not before, and nobody watches the garbage."""
    before, watchers = open_sockets(), len(gc.callbacks)
    yield
    wait_for(lambda: open_sockets() <= before, what="all sockets and timers to be closed")
    assert len(gc.callbacks) == watchers


def balanced(counts: Counter[str]) -> bool:
    """Whether every request that was sent has one outcome."""
    return counts["messaging.sent"] == sum(counts[f"messaging.{outcome}"] for outcome in OUTCOMES)


def one_drop(kind: str, *, detect_s: float = 0.0, hold_s: float = 0.0) -> Planned:
    """Plan one drop of session 0, soon."""
    return Planned(drops=((first_drop(kind, detect_s=detect_s, hold_s=hold_s),),))


def first_drop(kind: str, *, detect_s: float = 0.0, hold_s: float = 0.0) -> Drop:
    """Return a session's first drop, soon."""
    return Drop(kind=kind, ordinal=0, after_s=0.02, detect_s=detect_s, hold_s=hold_s)


def ends(server: AsgiServer, path: str) -> list[Any]:
    """Return the disconnect codes that the application was told on a path, in order."""
    return [report["code"] for report in server.events("disconnected") if report["path"] == path]


# In peace.


@pytest.mark.parametrize("closed", [False, True])
def test_sessions_connect_talk_and_close(closed: bool, server: AsgiServer, request: Any) -> None:
    """Every message gets its reply, and at the end the server sees close code 1000 of every session."""
    path = f"/echo/talk-{closed}"
    pace = Pace(0, "closed") if closed else Pace(20.0)
    with running(settings(server.port, dialect=Echo(path=path), pace=pace)) as run:
        numbers = run.add(10)
        run.await_count("messaging.answered", 100)
        run.stop(numbers)
        counts = run.counts
    assert counts["connect.attempts"] == counts["connect.established"] == 10
    assert counts["messaging.sent"] == counts["messaging.answered"]
    assert counts["reconnect.outages"] == 0
    wait_for(lambda: len(ends(server, path)) == 10, what="the ends of all connections")
    assert set(ends(server, path)) == {1000}


def test_connections_leave_nothing_to_collect(server: AsgiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions are exempted from garbage collection, so what they leave in cycles would never be freed."""
    monkeypatch.setattr(LastingObjects, "grown_to", lambda *_: None)
    plan = Planned(drops=tuple((first_drop("reset", detect_s=0.01),) for _ in range(50)))
    with running(settings(server.port, pace=Pace(20.0), drops=plan)) as run:
        gc.collect()
        gc.disable()
        try:
            numbers = run.add(50)
            run.await_count("reconnect.resumed", 50)
            run.stop(numbers)
            tracked = len(gc.get_objects())
            gc.collect()
            left = tracked - len(gc.get_objects())
        finally:
            gc.enable()
    assert left < 400, "100 connections; a handshake's protocol that is left in a cycle makes 25 objects"


def test_an_engine_that_has_ended_is_freed(server: AsgiServer) -> None:
    """A process may make many runs, from Locust's page for example, and must not keep what they held."""
    with running(settings(server.port)) as run:
        run.stop(run.add(20))
        engine = weakref.ref(run.engine)
    del run
    gc.collect()
    assert engine() is None


class _Pausing(Echo):
    """Stops the whole loop once, as a suspended process is stopped."""

    reads = 0

    def read(self, session: DialectSession, data: Data) -> Any:
        self.reads += 1
        if self.reads == 500:
            # Between two events: within one, the next request would count as sent before the pause.
            asyncio.get_running_loop().call_soon(sleep, 3.5)
        return super().read(session, data)


def test_replies_that_came_during_a_pause_are_not_late(server: AsgiServer) -> None:
    """Who was stopped for longer than the reply timeout reads what has come before it looks for losses."""
    dialect = _Pausing(path="/late/0.2")  # so that the sweep's timer was due before the replies came
    with running(settings(server.port, dialect=dialect, pace=Pace(0, "closed"), reply_timeout_s=3.0)) as run:
        numbers = run.add(200)
        run.await_count("messaging.answered", 1500)
        run.stop(numbers)
        counts = run.counts
    assert counts["messaging.lost"] == counts["messaging.late"] == 0
    assert balanced(counts)


@contextmanager
def paused(run: EngineRun, pause_s: float) -> Iterator[None]:
    """Stop the whole loop where it looks at its sockets, as a stopped process mostly is; yield at the end."""
    began_ns: list[int] = []
    over: list[bool] = []
    here, there = socket.socketpair()

    def stand_still() -> None:
        asyncio.get_running_loop().remove_reader(here)
        began_ns.append(run.engine.clock())
        while not over:
            sleep(0.01)

    with here, there:
        run.engine.call(lambda: asyncio.get_running_loop().add_reader(here, stand_still))
        there.send(b"now")
        try:
            wait_for(lambda: began_ns, what="the pause")
            wait_for(lambda: run.engine.clock() > began_ns[0] + pause_s * NS_PER_S, what="its end")
            yield
        finally:
            over.append(True)


@pytest.mark.parametrize("phase", ["upgrade", "established"])
def test_an_answer_that_came_during_a_pause_opens_the_session(phase: str) -> None:
    """Who was stopped for longer than an attempt may take reads what has come before it gives it up."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with running(settings(port, dialect=Emergence(), open_timeout_s=2.0)) as run:
            run.add(1)
            peer, _ = listening.accept()
            with peer:
                answer = switching(peer.recv(65536))
                population = run.engine.recorder.population
                if phase == "established":
                    peer.sendall(answer)
                    wait_for(lambda: population[State.ESTABLISHING], what="the upgrade")
                    answer = server_frame(_ESTABLISHED)
                else:
                    answer += server_frame(_ESTABLISHED)
                with paused(run, 2.5):
                    peer.sendall(answer)
                wait_for(lambda: population[State.PROVING] or population[State.STEADY], what="the session")
                assert run.count("connect.attempts") == 1
                assert run.count("connect.failed") == 0


_ESTABLISHED = json.dumps(
    {
        "type": "ws:session_established",
        "payload": {"session_id": "session-0", "thread_id": "thread-0"},
    }
)


def test_intervals_end_on_whole_seconds_and_join(server: AsgiServer) -> None:
    """Intervals follow on each other without gap, one for each second of the run's clock."""
    with running(settings(server.port)) as run:
        run.add(2)
        wait_for(lambda: len(run.intervals) >= 3, what="three intervals")
    stops = [interval.stop_ns for interval in run.intervals]
    assert all(before.stop_ns == after.start_ns for before, after in pairwise(run.intervals))
    seconds = [stop_ns // NS_PER_S for stop_ns in stops]
    assert seconds == sorted(set(seconds))
    assert all(interval.start_ns // NS_PER_S < interval.stop_ns // NS_PER_S for interval in run.intervals)


def test_flush_gives_everything_once(server: AsgiServer) -> None:
    """However often it is flushed, each count, sample and event is handed over exactly once."""
    with running(settings(server.port)) as run:
        numbers = run.add(5)
        for _ in range(20):
            run.ask(run.engine.flush)
        run.await_count("messaging.answered", 25)
        run.stop(numbers)
        counts = run.counts
        samples = sum(len(interval.samples["service"]) for interval in run.intervals)
        connected = [record.session for record in run.lived("connected")]
        assert run.counts == counts
    assert samples == counts["messaging.answered"]
    assert sorted(connected) == sorted(f"session-{number}" for number in numbers)


def test_few_attempts_at_the_same_time_serve_many(server: AsgiServer) -> None:
    """With two attempts at a time, twenty sessions connect all the same."""
    with running(settings(server.port, connect_concurrency=2)) as run:
        run.add(20)
        run.await_up(20)
        assert run.count("connect.attempts") == 20


def test_no_sessions_are_fine(server: AsgiServer) -> None:
    """Stopping nobody, or sessions that are not there, is done at once."""
    with running(settings(server.port)) as run:
        run.stop([])
        run.stop([7, 8])


# Drops.


def test_every_kind_of_drop_brings_the_session_back(server: AsgiServer) -> None:
    """Ten sessions, each dropped in another way, are all back, and the server saw what each did."""
    drops = tuple((Drop(kind=kind, ordinal=0, after_s=0.05, detect_s=0.02, hold_s=0.3),) for kind in KINDS)
    dialect = Emergence(path="/session/{session_id}/every-kind")
    with running(settings(server.port, dialect=dialect, drops=Planned(drops=drops))) as run:
        numbers = run.add(len(KINDS))
        run.await_count("reconnect.resumed", len(KINDS) - 1)
        run.await_up(len(KINDS))
        wait_for(lambda: not run.engine.droppings, what="the end of every drop")
        run.stop(numbers)
        counts = run.counts
    assert {name: counts[f"drops.{name}"] for name in KINDS} == dict.fromkeys(KINDS, 1)
    assert counts["reconnect.outages"] == counts["reconnect.resumed"] == len(KINDS) - 1
    assert counts["messaging.lost"] == 0
    assert balanced(counts)
    assert {kind: _codes(server, number) for number, kind in enumerate(KINDS)} == {
        "bad_message": [1005, 1000],
        "close": [1000, 1000],
        "fin": [1005, 1000],
        "half_open": [1005, 1000],
        "mid_message": [1005, 1000],
        "mid_reply": [1005, 1000],
        "protocol_error": [1002, 1000],
        "reset": [1005, 1000],
        "slow_reader": [1000],
        "tab_close": [1001, 1000],
    }


def _codes(server: AsgiServer, number: int) -> list[int]:
    """Return the codes of a session's connections, which may end in any order, the last close at the end."""
    path = f"/session/session-{number}/every-kind"
    opened = [report for report in server.events("opened") if report["path"] == path]
    wait_for(lambda: len(ends(server, path)) == len(opened), what=f"the ends of {path}")
    return sorted(ends(server, path), key=lambda code: code == 1000)


def test_half_open_socket_outlives_its_sessions_return(server: AsgiServer) -> None:
    """The session talks on a new connection while the server still has the old one; closing resets it."""
    path = "/echo/half-open"
    plan = one_drop("half_open", hold_s=3600)
    with running(settings(server.port, dialect=Echo(path=path), drops=plan)) as run:
        run.add(1)
        run.await_count("reconnect.resumed", 1)
        before = run.count("messaging.answered")
        run.await_count("messaging.answered", before + 5)
        assert len([report for report in server.events("opened") if report["path"] == path]) == 2
        assert ends(server, path) == []
        run.stop([0])
        wait_for(lambda: ends(server, path) == [1000], what="the new connection's end")
    wait_for(lambda: ends(server, path) == [1000, 1005], what="the old connection's reset")


def test_slow_reader_keeps_its_session(server: AsgiServer) -> None:
    """A slow reader has no outage; what fell due meanwhile is sent after it and answered."""
    with running(settings(server.port, drops=one_drop("slow_reader", hold_s=0.5))) as run:
        run.add(1)
        run.await_count("messaging.queued", 2)
        run.await_count("messaging.answered", 30)
        run.stop([0])
        counts = run.counts
    assert counts["reconnect.outages"] == counts["messaging.lost"] == counts["messaging.lost_in_outage"] == 0
    assert counts["messaging.sent"] == counts["messaging.answered"] == counts["messaging.planned"]


@pytest.mark.parametrize("kind", ["half_open", "mid_reply", "slow_reader", "bad_message"])
def test_session_may_be_stopped_within_its_drop(kind: str, server: AsgiServer) -> None:
    """Stopping a session whose drop is under way ends it and its socket."""
    plan = one_drop(kind, detect_s=3600, hold_s=3600)
    with running(settings(server.port, drops=plan)) as run:
        run.add(1)
        run.await_count(f"drops.{kind}", 1)
        run.stop([0], drain_s=0.1)
        assert not run.engine.droppings
        assert balanced(run.counts)


def test_same_seed_drops_in_the_same_ways(server: AsgiServer) -> None:
    """Two runs of one seed and of different pace drop each session in the same ways, in the same order."""

    def kinds(pace: Pace, backoff: Backoff) -> dict[str, list[str | None]]:
        plan = DropPlan(every_s=0.05, weights={"fin": 1, "reset": 1, "tab_close": 1}, seed=7)
        with running(settings(server.port, pace=pace, drops=plan, backoff=backoff)) as run:
            run.add(10)
            run.await_count("reconnect.attempts", 60)
            of: dict[str, list[str | None]] = defaultdict(list)
            for record in run.lived("dropped"):
                assert record.ordinal == len(of[record.session])
                of[record.session].append(record.kind)
        return of

    one = kinds(Pace(100.0), Backoff(base_s=0.0, cap_s=0.0))
    other = kinds(Pace(0), Backoff(base_s=0.05, cap_s=0.05))
    shared = [min(len(one[session]), len(other[session])) for session in one]
    assert sum(shared) > 20
    assert all(one[s][:count] == other[s][:count] for s, count in zip(one, shared, strict=True))


def test_books_balance_with_every_kind_of_drop(server: AsgiServer) -> None:
    """Through hundreds of drops of all kinds, each request has one outcome, and none is lost unexplained."""
    plan = DropPlan(every_s=0.3, weights=dict.fromkeys(KINDS, 1.0))
    dialect = Emergence(path="/session/{session_id}/books")
    with running(settings(server.port, dialect=dialect, pace=Pace(50.0, "poisson"), drops=plan)) as run:
        numbers = run.add(30)
        run.await_count("reconnect.resumed", 100)
        run.stop(numbers)
        counts = run.counts
        bad = {key: tally for key, tally in run.errors.items() if key[0] != "persistence"}
    assert balanced(counts)
    assert counts["messaging.sent"] > 500
    for fault in ("lost", "late", "reordered", "corrupted", "duplicated", "unmatched", "unreadable"):
        assert counts[f"messaging.{fault}"] == 0, bad
    assert counts["reconnect.gave_up"] == counts["connect.gave_up"] == 0
    assert server.faults == []


def test_drops_over_tls(certificates: Certificates, tmp_path: Path) -> None:
    """Over wss, too, sessions are dropped, come back, and may be closed in the middle of it."""
    plan = DropPlan(every_s=0.2, weights=dict.fromkeys(KINDS, 1.0))
    with asgi_server(tmp_path, "--certificate", str(certificates.server), ws="wsproto") as secure:
        target = Target("127.0.0.1", secure.port, trusting(certificates.authority))
        with running(settings(secure.port, target=target, drops=plan)) as run:
            run.add(20)
            run.await_count("reconnect.resumed", 40)
            counts = run.counts
            assert {record.phase for record in run.lived("failed")} == set()
            assert all(record.tls_ns for record in run.lived("resumed"))
        assert secure.faults == []
    assert counts["messaging.lost"] == 0


# Losses.


def test_server_killed_and_started_again(tmp_path: Path) -> None:
    """After SIGKILL all sessions come back to the next server; failed attempts are counted as unreachable."""
    port = free_port()
    with asgi_server(tmp_path, port=port, ws="wsproto") as first, running(settings(port)) as run:
        run.add(20)
        run.await_count("messaging.answered", 50)
        first.kill()
        run.await_count("reconnect.failed", 40)
        with asgi_server(tmp_path, port=port, ws="wsproto"):
            run.await_count("reconnect.resumed", 20)
            run.await_up(20)
            before = run.count("messaging.answered")
            run.await_count("messaging.answered", before + 100)
            run.stop(range(20))
            counts = run.counts
    assert counts["reconnect.outages"] == counts["reconnect.resumed"] == 20
    assert counts["reconnect.unreachable"] == counts["reconnect.failed"]
    assert counts["losses.eof"] + counts["losses.reset"] == 20
    assert counts["messaging.lost"] == 0
    assert balanced(counts)


def test_server_that_hangs_is_lost_to_its_pings(tmp_path: Path) -> None:
    """A server that stops to answer pings is given up, and the sessions come back when it goes on."""
    keepalive: dict[str, Any] = {"ping_interval_ns": NS_PER_S // 10, "ping_timeout_ns": NS_PER_S // 2}
    with (
        asgi_server(tmp_path, ws="wsproto") as hanging,
        running(settings(hanging.port, open_timeout_s=0.5, **keepalive)) as run,
    ):
        run.add(5)
        run.await_up(5)
        hanging.process.send_signal(signal.SIGSTOP)
        run.await_count("losses.ping_timeout", 5)
        run.await_count("reconnect.failed", 5)
        hanging.process.send_signal(signal.SIGCONT)
        run.await_up(5)
        counts = run.counts
    assert counts["reconnect.resumed"] == counts["reconnect.outages"] == 5
    assert counts["messaging.lost"] == 0


def test_stopping_does_not_wait_for_a_server_that_hangs(tmp_path: Path) -> None:
    """Sessions end even if the server answers neither their requests nor their close."""
    with asgi_server(tmp_path, ws="wsproto") as hanging, running(settings(hanging.port)) as run:
        numbers = run.add(5)
        run.await_up(5)
        hanging.process.send_signal(signal.SIGSTOP)
        sent = run.count("messaging.sent")
        run.await_count("messaging.sent", sent + 5)
        run.stop(numbers, drain_s=0.2)
        counts = run.counts
        hanging.process.send_signal(signal.SIGCONT)
    assert counts["messaging.unfinished"] > 0
    assert balanced(counts)


@pytest.mark.parametrize(("code", "forbidden"), [(1008, True), (4000, False), (1012, False)])
def test_close_code_may_forbid_to_come_back(code: int, forbidden: bool, server: AsgiServer) -> None:
    """A code that the dialect names ends a session that has not worked yet; after another it comes back."""
    dialect = Echo(path=f"/close/{code}/codes")
    with running(settings(server.port, dialect=dialect)) as run:
        run.add(3)
        if forbidden:
            run.await_count("connect.gave_up", 3)
            assert run.count("connect.attempts") == 3
        else:
            run.await_count("connect.failed", 9)
            assert run.count("connect.gave_up") == 0
        assert ("connect", f"working: closed_{code}") in run.errors
        assert run.count(f"losses.{code}") == 0
        run.stop(range(3))


@pytest.mark.parametrize("reset", ["worked", "connected"])
def test_a_client_whose_policy_starts_again_too_early_hammers(reset: Any, server: AsgiServer) -> None:
    """A server that lets clients in and closes at once: the sound one gives up, the other comes for ever."""
    path = f"/close/1012/reset-{reset}"
    backoff = Backoff(base_s=0.01, cap_s=10, max_attempts=3, reset=reset)
    with running(settings(server.port, dialect=Echo(path=path), backoff=backoff)) as run:
        run.add(1)
        if reset == "worked":
            run.await_count("connect.gave_up", 1)
            assert run.count("connect.attempts") == 4
        else:
            run.await_count("connect.failed", 12)
            assert run.count("connect.gave_up") == 0
        run.stop([0])


# Refusals.


def test_refused_attempts_are_counted_and_spaced(server: AsgiServer) -> None:
    """Each refusal is an attempt that the backoff follows, up to its last; the refusal's text is kept."""
    backoff = Backoff(base_s=0.02, factor=2, cap_s=1, max_attempts=4)
    dialect = Echo(path="/refuse/503")
    with running(settings(server.port, dialect=dialect, backoff=backoff)) as run:
        run.add(1)
        run.await_count("connect.gave_up", 1)
        counts, failed, attempts = run.counts, run.lived("failed"), run.lived("attempt")
        tally = run.errors["connect", "upgrade: http_503"]
        run.stop([0])
    assert counts["connect.attempts"] == counts["connect.failed"] == len(failed) == len(attempts)
    assert [record.final for record in failed] == [False] * (len(failed) - 1) + [True]
    waits_s = [
        (after.at_ns - before.at_ns) / 1e9 for before, after in zip(failed, attempts[1:], strict=False)
    ]
    assert all(wait_s >= 0.02 * 2**nth for nth, wait_s in enumerate(waits_s))
    assert tally.example == "HTTP 503 no entry for nothing"
    assert counts["messaging.sent"] == 0


def test_server_that_never_says_established(server: AsgiServer) -> None:
    """An open WebSocket on which the application says nothing is a failed attempt, and is closed."""
    dialect = Emergence(path="/silent/establish")
    backoff = Backoff(base_s=0.01, cap_s=0.01, max_attempts=3)
    with running(settings(server.port, dialect=dialect, backoff=backoff, open_timeout_s=0.1)) as run:
        run.add(2)
        run.await_count("connect.gave_up", 2)
        counts = run.counts
        assert ("connect", "established: establish_timeout") in run.errors
    assert counts["connect.established"] == 0
    path = "/silent/establish"
    wait_for(lambda: len(ends(server, path)) == counts["connect.attempts"], what="every connection's end")
    assert set(ends(server, path)) == {1000}


# Tokens.


class Tokens:
    """A source of tokens that counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def sync(self) -> str:
        """Return the next token."""
        self.asked += 1
        return f"token-{self.asked}"

    async def asynchronous(self) -> str:
        """Return the next token, later."""
        return self.sync()


@pytest.mark.parametrize("form", ["sync", "asynchronous"])
def test_token_is_asked_for_at_each_attempt(form: str, server: AsgiServer) -> None:
    """After a drop a session has a new token, from a function or a coroutine; the old one stays a secret."""
    tokens, path = Tokens(), f"/echo/token-{form}"
    dialect, plan = Echo(path=path), one_drop("reset")
    with running(settings(server.port, dialect=dialect, drops=plan, token=getattr(tokens, form))) as run:
        run.add(1)
        run.await_count("reconnect.resumed", 1)
        run.stop([0])
        remembered = list(run.engine.tokens)
    sent = [
        report["headers"]["authorization"] for report in server.events("opened") if report["path"] == path
    ]
    assert sent == ["Bearer token-1", "Bearer token-2"]
    assert sorted(remembered) == ["token-1", "token-2"]


def test_token_is_not_quoted_from_a_refusal(server: AsgiServer) -> None:
    """A server that repeats the token in its refusal does not get it into the results."""
    dialect = Echo(path="/refuse/401")
    with running(settings(server.port, dialect=dialect, token=lambda: "s3cr3t")) as run:
        run.add(1)
        run.await_count("connect.failed", 1)
        tally = run.errors["connect", "upgrade: http_401"]
    assert tally.example == "HTTP 401 no entry for Bearer ***"


async def _hang() -> str:
    await asyncio.sleep(3600)
    return "too late"


def _raise() -> str:
    raise OSError("the identity provider, with its password hunter2")


@pytest.mark.parametrize(("source", "name"), [(_hang, "TimeoutError"), (_raise, "OSError")])
def test_token_source_that_fails_is_a_failed_attempt(source: Any, name: str, server: AsgiServer) -> None:
    """A source that raises or hangs fails the attempt, without its words, which may hold a secret."""
    backoff = Backoff(base_s=0.01, cap_s=0.01, max_attempts=2)
    with running(settings(server.port, backoff=backoff, token=source, open_timeout_s=0.1)) as run:
        run.add(3)
        run.await_count("connect.gave_up", 3)
        tally = run.errors["connect", "token: token_error"]
    assert tally.example == f"the token source raised {name}"


# Stopping.


def test_stop_lets_the_last_replies_come(server: AsgiServer) -> None:
    """A stopping session sends nothing new, hears what is outstanding, and then closes with 1000."""
    dialect = Echo(path="/late/0.2/drain")
    with running(settings(server.port, dialect=dialect, pace=Pace(2.0))) as run:
        numbers = run.add(10)
        run.await_count("messaging.sent", 10)
        run.stop(numbers, drain_s=15)
        counts = run.counts
    assert counts["messaging.sent"] == counts["messaging.answered"]
    wait_for(lambda: ends(server, "/late/0.2/drain") == [1000] * 10, what="the closes")


def test_drain_has_an_end(server: AsgiServer) -> None:
    """What is not answered by the end of the drain is neither answered nor lost, and the close is clean."""
    path = "/silent/drain"
    with running(settings(server.port, dialect=Echo(path=path))) as run:
        numbers = run.add(5)
        run.await_count("messaging.sent", 20)
        run.stop(numbers, drain_s=0.1)
        counts = run.counts
    assert counts["messaging.unfinished"] == counts["messaging.sent"]
    assert counts["messaging.lost"] == 0
    wait_for(lambda: ends(server, path) == [1000] * 5, what="the closes")


def test_half_of_the_sessions_may_stop(server: AsgiServer) -> None:
    """The others go on talking, and can be stopped later, together with some that are gone."""
    with running(settings(server.port)) as run:
        numbers = run.add(10)
        run.await_up(10)
        run.stop(numbers[::2])
        run.await_up(5)
        before = run.count("messaging.answered")
        run.await_count("messaging.answered", before + 25)
        run.stop(numbers)
        counts = run.counts
        assert run.intervals[-1].gauges["sessions"] == 0
    assert counts["messaging.sent"] == counts["messaging.answered"]


def test_sessions_may_be_stopped_twice_at_once(server: AsgiServer) -> None:
    """Whoever asks to stop is told when the sessions are gone, also if another asked before."""
    with running(settings(server.port, dialect=Echo(path="/silent/twice"))) as run:
        numbers = run.add(4)
        run.await_count("messaging.sent", 8)
        done: list[int] = []
        run.engine.call(run.engine.stop, numbers, 0.2, lambda: done.append(1))
        run.engine.call(run.engine.stop, numbers, 0.2, lambda: done.append(2))
        wait_for(lambda: sorted(done) == [1, 2], what="both to be told")


def test_sessions_may_stop_while_they_connect(server: AsgiServer) -> None:
    """Sessions that are stopped in the middle of their attempts are gone at once."""
    with running(settings(server.port, connect_concurrency=3)) as run:
        numbers = run.add(50)
        run.stop(numbers)
        counts = run.counts
    assert counts["connect.attempts"] == 50
    assert balanced(counts)


def test_sessions_may_stop_while_nobody_listens() -> None:
    """Sessions that wait for their next attempt stop at once, and count as not back."""
    with running(settings(free_port(), backoff=Backoff(base_s=3600, cap_s=3600))) as run:
        numbers = run.add(5)
        run.await_count("connect.failed", 5)
        run.stop(numbers)
        assert run.count("connect.failed") == 5
        assert run.intervals[-1].gauges["sessions"] == 0


@pytest.mark.parametrize("path", ["/echo", "/silent", "/late/1", "/close/4000", "/refuse/500"])
def test_close_without_stop_leaves_nothing(path: str, server: AsgiServer) -> None:
    """An engine may be closed in the middle of everything (see `nothing_left_behind`)."""
    plan = DropPlan(every_s=0.1, weights=dict.fromkeys(KINDS, 1.0))
    with running(settings(server.port, dialect=Echo(path=path), drops=plan)) as run:
        run.add(30)
        run.await_count("connect.attempts", 30)
        endings = [f"connect.{ending}" for ending in ("established", "unproven", "failed")]
        wait_for(lambda: sum(map(run.count, endings)) > 10, what="attempts")
    with pytest.raises(LoadtestError, match="not running"):
        run.engine.call(run.engine.close)


# Defects.


class Faulty(Echo):
    """An echo dialect with a defect in one of its methods."""

    def __init__(self, defect: str) -> None:
        super().__init__(path="/echo")
        self.defect = defect

    def _meet(self, method: str) -> None:
        if method == self.defect:
            raise ZeroDivisionError(method)

    async def login(self, session: DialectSession) -> None:
        """Fail, or do as `echo`."""
        self._meet("login")

    def endpoint(self, session: DialectSession) -> Endpoint:
        """Fail, or do as `echo`."""
        self._meet("endpoint")
        return super().endpoint(session)

    def greeting(self, session: DialectSession) -> Any:
        """Fail, or do as `echo`."""
        self._meet("greeting")
        return super().greeting(session)

    def request(self, session: DialectSession, sequence: int) -> str:
        """Fail, or do as `echo`."""
        self._meet("request")
        return super().request(session, sequence)

    def probe(self, session: DialectSession) -> str:
        """Fail, or do as `echo`."""
        self._meet("probe")
        return super().probe(session)

    def read(self, session: DialectSession, data: Data) -> Any:
        """Fail, or do as `echo`."""
        self._meet("read")
        return super().read(session, data)


def fails(run: EngineRun) -> BaseException:
    """Return what an engine failed of, once it has told so and ended."""
    wait_for(lambda: run.failures, what="the failure to be told")
    wait_for(lambda: run.ended, what="the engine's thread to end")
    assert run.failures == 1
    assert run.engine.failure is not None
    with pytest.raises(LoadtestError, match="not running"):
        run.engine.call(run.engine.close)
    return run.engine.failure


@pytest.mark.parametrize(
    ("defect", "given"),
    [
        ("login", "session [0-4]"),
        ("endpoint", "session [0-4]"),
        ("greeting", "session [0-4]"),
        ("request", "sequence 0"),
        ("probe", "session 0"),
        ("read", r"\[run\.[0-4]\..*\]"),
    ],
)
def test_mistake_in_a_dialect_ends_the_engine(defect: str, given: str, server: AsgiServer) -> None:
    """A user's dialect that raises ends the run, and says where and what; its own exception is the cause."""
    chosen = settings(server.port, dialect=Faulty(defect), drops=one_drop("mid_reply"))
    run = EngineRun(chosen, lambda _: None)
    run.add(5)
    failure = fails(run)
    assert isinstance(failure, DialectMistake)
    told = rf"mistake in the dialect: Faulty\.{defect} raised ZeroDivisionError: {defect} \(given {given}\)"
    assert re.fullmatch(told, str(failure))
    cause = failure.__cause__
    assert isinstance(cause, ZeroDivisionError)
    assert [frame.name for frame in traceback.extract_tb(cause.__traceback__)][-2:] == [defect, "_meet"]


def test_defect_in_a_drop_ends_the_engine(server: AsgiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's kind of drop that raises in a later step ends the run, too."""
    monkeypatch.setattr(DropKind, "kinds", dict(DropKind.kinds))

    class Clumsy(DropKind):
        name = "clumsy"

        def steps(self, wire: Wire, drop: Drop) -> Steps:
            yield 0.01
            wire.send_message(str(1 // 0))
            yield DETECTED

    run = EngineRun(settings(server.port, drops=one_drop("clumsy")), lambda _: None)
    run.add(1)
    assert isinstance(fails(run), ZeroDivisionError)


def test_defect_in_whoever_takes_the_intervals_ends_the_engine(server: AsgiServer) -> None:
    """Intervals that cannot be handed over are no run."""

    def refuse(_: Interval) -> None:
        raise ZeroDivisionError

    run = EngineRun(settings(server.port), refuse)
    run.add(1)
    assert isinstance(fails(run), ZeroDivisionError)


def test_engine_that_was_not_started_says_so() -> None:
    """Calling an engine before its start is an error that says what is wrong."""
    run = EngineRun(settings(1), lambda _: None)
    run.close()
    with pytest.raises(LoadtestError, match="not running"):
        run.engine.call(run.engine.flush, lambda: None)
    assert run.failures == 0


def test_a_session_beyond_the_rows_of_data_ends_the_run(server: AsgiServer) -> None:
    """Two sessions must not share an account: the run ends, and says how many rows it needs."""
    rows = ({"user": "anna"}, {"user": "ben"})
    given = settings(server.port)
    run = EngineRun(replace(given, config=replace(given.config, data=rows)), lambda _: None)
    try:
        run.add(2)
        run.await_up(2)
        run.add([2])
        wait_for(lambda: run.engine.failure, what="the engine to fail")
    finally:
        run.close()
    assert str(run.engine.failure) == "--ws-data has 2 rows for 3 sessions: add a row for each session"
