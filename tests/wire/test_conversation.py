"""The engine with a user's dialect and a real server: logins, cookies, blocking calls, heartbeats, probes."""

from collections.abc import Iterator
from typing import Any

import pytest
from gevent.monkey import get_original

from loadtest.dialects.base import Dialect, Read
from loadtest.dialects.dialect_session import DialectSession
from loadtest.dialects.echo import Echo
from loadtest.errors import DialectMistake, LoginFailed
from loadtest.events import Data, Drop
from loadtest.session.schedule import Backoff, Pace
from tests.support.asgi_server import AsgiServer, asgi_server
from tests.support.engine_run import EngineRun, Planned, running, settings
from tests.support.peers import open_sockets
from tests.support.serverclient import wait_for

IMPATIENT = Backoff(base_s=0.01, cap_s=0.01, max_attempts=3)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AsgiServer]:
    """The server of all tests here."""
    with asgi_server(tmp_path_factory.mktemp("conversation"), ws="wsproto") as running_server:
        yield running_server


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """After each test, no more sockets are open than before."""
    before = open_sockets()
    yield
    wait_for(lambda: open_sockets() <= before, what="all sockets to be closed")


def drops(*kinds: str, hold_s: float = 0.0) -> Planned:
    """Plan these drops of session 0, one soon after the other."""
    planned = [Drop(kind=kind, ordinal=at, after_s=0.02, hold_s=hold_s) for at, kind in enumerate(kinds)]
    return Planned(drops=(tuple(planned),))


def upgrades(server: AsgiServer, path: str) -> list[dict[str, str]]:
    """Return the headers of the upgrade requests on a path, in order."""
    return [report["headers"] for report in server.events("opened") if report["path"] == path]


# Logins.


class LoggedIn(Echo):
    """Logs in before each attempt, with other credentials each time."""

    def __init__(self, path: str) -> None:
        super().__init__(path=path)
        self.logins: list[tuple[int, str | None]] = []

    async def login(self, session: DialectSession) -> None:
        """Set token, a header and a cookie."""
        self.logins.append((session.connection, session.token))
        attempt = len(self.logins)
        session.token = f"token-{attempt}"
        session.headers["X-Attempt"] = str(attempt)
        session.cookies["sid"] = f"cookie-{attempt}"


def test_what_a_login_sets_arrives_with_each_attempt(server: AsgiServer) -> None:
    """Token, headers and cookies of a login go with the upgrade request that follows, at each attempt."""
    dialect = LoggedIn("/echo/login")
    chosen = settings(server.port, dialect=dialect, drops=drops("reset", "fin"), token=lambda: "from-option")
    with running(chosen) as run:
        run.add(1)
        run.await_count("reconnect.resumed", 2)
        run.await_count("messaging.answered", 3)
        run.stop([0])
    sent = [
        (headers["authorization"], headers["x-attempt"], headers["cookie"])
        for headers in upgrades(server, "/echo/login")
    ]
    assert sent == [(f"Bearer token-{n}", str(n), f"sid=cookie-{n}") for n in (1, 2, 3)]
    assert dialect.logins == [(0, "from-option"), (1, "from-option"), (2, "from-option")]
    assert {"token-3", "cookie-3"} <= run.engine.tokens


def test_each_session_has_its_own_credentials(server: AsgiServer) -> None:
    """One dialect serves all sessions: what a login sets is of its session alone."""

    class OfSession(Echo):
        async def login(self, session: DialectSession) -> None:
            session.headers["X-Session"] = session.session_id

    with running(settings(server.port, dialect=OfSession(path="/echo/{number}/of-session"))) as run:
        run.add(5)
        run.await_up(5)
        run.stop(range(5))
    for number in range(5):
        (headers,) = upgrades(server, f"/echo/{number}/of-session")
        assert headers["x-session"] == f"session-{number}"
        assert "cookie" not in headers


def test_credentials_are_not_quoted_from_a_refusal(server: AsgiServer) -> None:
    """A server that repeats a session's credentials in its refusal does not get them into the results."""

    class Secret(Echo):
        async def login(self, session: DialectSession) -> None:
            session.headers["Authorization"] = "Basic hunter2hunter2"

    chosen = settings(server.port, dialect=Secret(path="/refuse/401"), backoff=IMPATIENT)
    with running(chosen) as run:
        run.add(1)
        run.await_count("connect.gave_up", 1)
        tally = run.errors["connect", "upgrade: http_401"]
    assert tally.example == "HTTP 401 no entry for ***"


class Refusing(Echo):
    """A dialect whose login raises this exception, up to a number of times."""

    def __init__(self, error: Exception, times: int = 1_000_000) -> None:
        super().__init__(path="/echo/refusing")
        self.error = error
        self.left = times

    async def login(self, session: DialectSession) -> None:
        """Refuse, or let in."""
        session.headers["X-Secret"] = "Bearer hunter2hunter2"
        if self.left:
            self.left -= 1
            raise self.error


class ServiceError(Exception):
    """As a library of a service raises it."""


@pytest.mark.parametrize(
    ("error", "cause", "example"),
    [
        (LoginFailed("HTTP 403: wrong password"), "login_failed", "HTTP 403: wrong password"),
        (LoginFailed("for hunter2hunter2"), "login_failed", "for ***"),
        (
            ConnectionRefusedError(111, "nobody there"),
            "login_error",
            "ConnectionRefusedError: [Errno 111] nobody",
        ),
        (OSError("no hunter2hunter2"), "login_error", "OSError: no ***"),
        (ServiceError("quota"), "login_error", "ServiceError: quota"),
        (TimeoutError("of a library"), "timeout", ""),
    ],
    ids=lambda value: type(value).__name__,
)
def test_refused_login_fails_the_attempt(
    error: Exception, cause: str, example: str, server: AsgiServer
) -> None:
    """What refuses a login fails the attempt, with its words but no secrets; the policy then gives up."""
    with running(settings(server.port, dialect=Refusing(error), backoff=IMPATIENT)) as run:
        run.add(2)
        run.await_count("connect.gave_up", 2)
        counts = run.counts
        tally = run.errors["connect", f"login: {cause}"]
    assert counts["connect.attempts"] == counts["connect.failed"] == 2 * 4
    assert tally.example.startswith(example)
    assert "hunter2" not in tally.example
    assert upgrades(server, "/echo/refusing") == []


def test_session_gets_in_after_refused_logins(server: AsgiServer) -> None:
    """A login is tried again at the next attempt."""
    dialect = Refusing(LoginFailed("busy"), times=2)
    with running(settings(server.port, dialect=dialect, backoff=IMPATIENT)) as run:
        run.add(1)
        run.await_up(1)
        run.stop([0])
        counts = run.counts
    assert (counts["connect.attempts"], counts["connect.failed"], counts["connect.established"]) == (3, 2, 1)


@pytest.mark.parametrize(
    "error", [KeyError("token"), TypeError("None"), AttributeError(), ZeroDivisionError()], ids=repr
)
def test_mistake_in_a_login_ends_the_engine(error: Exception, server: AsgiServer) -> None:
    """Python's own exceptions show a mistake in the login's code: the run ends, and says where."""
    run = EngineRun(settings(server.port, dialect=Refusing(error)), lambda _: None)
    run.add(1)
    wait_for(lambda: run.ended, what="the engine's end")
    assert isinstance(run.engine.failure, DialectMistake)
    assert f"Refusing.login raised {type(error).__name__}" in str(run.engine.failure)
    assert run.engine.failure.__cause__ is error


def test_login_that_takes_too_long_is_a_failed_attempt(server: AsgiServer) -> None:
    """A login may take as long as an attempt to open; then the attempt has failed, and the next begins."""
    import anyio

    class Slow(Echo):
        logins = 0

        async def login(self, session: DialectSession) -> None:
            self.logins += 1
            await anyio.sleep(3600 if self.logins == 1 else 0)

    with running(settings(server.port, dialect=Slow(path="/echo"), open_timeout_s=0.2)) as run:
        run.add(1)
        run.await_up(1)
        run.stop([0])
        tally = run.errors["connect", "login: timeout"]
        counts = run.counts
    assert (tally.count, tally.example) == (1, "no answer within 0.2 s")
    assert (counts["connect.attempts"], counts["connect.failed"]) == (2, 1)


def test_session_may_be_stopped_during_its_login(server: AsgiServer) -> None:
    """Stopping a session that logs in ends it at once; it does not connect afterwards."""
    import anyio

    class Slow(Echo):
        async def login(self, session: DialectSession) -> None:
            await anyio.sleep(0.3)

    with running(settings(server.port, dialect=Slow(path="/echo/stopped-login"))) as run:
        run.add(3)
        run.await_count("connect.attempts", 3)
        run.stop(range(3))
        counts = run.counts
    assert counts["connect.cut_short"] == 3
    assert upgrades(server, "/echo/stopped-login") == []


# Cookies.


def test_cookies_of_an_upgrade_go_with_the_next(server: AsgiServer) -> None:
    """What an upgrade response sets goes with the session's next upgrade request, beside its own cookies."""

    class Tagged(Echo):
        async def login(self, session: DialectSession) -> None:
            session.cookies["tag"] = f"s{session.number}"

    path = "/visits/{number}"
    with running(settings(server.port, dialect=Tagged(path=path), drops=drops("reset", "close"))) as run:
        run.add(2)
        run.await_count("reconnect.resumed", 2)
        run.await_up(2)
        run.stop(range(2))
    assert [headers["cookie"] for headers in upgrades(server, "/visits/0")] == [
        "tag=s0",
        "tag=s0; visits=1",
        "tag=s0; visits=2",
    ]
    assert [headers["cookie"] for headers in upgrades(server, "/visits/1")] == ["tag=s1"]


# Blocking calls.


class Blocking(Echo):
    """Logs in with a function that blocks, until it is released."""

    def __init__(self, path: str, error: Exception | None = None) -> None:
        super().__init__(path=path)
        self.error = error
        self.released = False
        self.entered: list[int] = []
        self.left: list[int] = []

    async def login(self, session: DialectSession) -> None:
        """Get a token elsewhere."""
        session.token = await session.blocking(self.fetch, session.session_id)

    def fetch(self, session_id: str) -> str:
        """Return the session's token, once released."""
        self.entered.append(native_thread())
        while not self.released:
            native_sleep(0.005)
        self.left.append(native_thread())
        if self.error is not None:
            raise self.error
        return f"token of {session_id}"


native_thread = get_original("_thread", "get_ident")
native_sleep = get_original("time", "sleep")


def test_blocking_calls_run_on_threads_of_their_own(server: AsgiServer) -> None:
    """Sessions that block in their logins hold up neither each other nor the loop."""
    dialect = Blocking("/echo/{number}/blocking")
    with running(settings(server.port, dialect=dialect)) as run:
        run.add(5)
        wait_for(lambda: len(dialect.entered) == 5, what="five calls at the same time")
        loop_threads: list[int] = []
        run.engine.call(lambda: loop_threads.append(native_thread()))
        wait_for(lambda: loop_threads, what="the loop, which is not blocked")
        assert run.count("connect.established") == 0
        dialect.released = True
        run.await_up(5)
        run.stop(range(5))
    assert len(set(dialect.entered)) == 5
    assert native_thread() not in dialect.entered
    assert loop_threads[0] not in dialect.entered
    for number in range(5):
        (headers,) = upgrades(server, f"/echo/{number}/blocking")
        assert headers["authorization"] == f"Bearer token of session-{number}"


@pytest.mark.parametrize("error", [LoginFailed("wrong"), OSError("wrong")], ids=str)
def test_blocking_call_may_refuse(error: Exception, server: AsgiServer) -> None:
    """What such a function raises is raised where it is awaited."""
    dialect = Blocking("/echo", error)
    dialect.released = True
    with running(settings(server.port, dialect=dialect, backoff=IMPATIENT)) as run:
        run.add(1)
        run.await_count("connect.gave_up", 1)
        (kind,) = [name for _, name in run.errors]
    assert kind == ("login: login_failed" if isinstance(error, LoginFailed) else "login: login_error")


def test_blocking_call_with_a_mistake_ends_the_engine(server: AsgiServer) -> None:
    """A mistake in such a function is one of the login."""
    dialect = Blocking("/echo", KeyError("access_token"))
    dialect.released = True
    run = EngineRun(settings(server.port, dialect=dialect), lambda _: None)
    run.add(1)
    wait_for(lambda: run.ended, what="the engine's end")
    assert "Blocking.login raised KeyError: 'access_token'" in str(run.engine.failure)


@pytest.mark.parametrize("error", [None, LoginFailed("too late")], ids=str)
def test_blocking_call_may_outlive_its_login(error: Exception | None, server: AsgiServer) -> None:
    """A call that goes on after its login has timed out changes nothing when it returns or raises."""
    dialect = Blocking("/echo", error)
    chosen = settings(server.port, dialect=dialect, open_timeout_s=0.1, backoff=IMPATIENT)
    with running(chosen) as run:
        run.add(1)
        run.await_count("connect.gave_up", 1)
        dialect.released = True
        wait_for(lambda: len(dialect.left) == len(dialect.entered), what="the calls to return")
        run.ask(run.engine.flush)
        assert run.count("connect.failed") == run.count("connect.attempts")
        assert run.failures == 0


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("error", [None, ValueError("too late")], ids=str)
def test_blocking_call_may_outlive_the_engine(error: Exception | None, server: AsgiServer) -> None:
    """An engine does not wait for calls that block; what they return to is gone, and that is no error."""
    dialect = Blocking("/echo", error)
    run = EngineRun(settings(server.port, dialect=dialect), lambda _: None)
    run.add(3)
    wait_for(lambda: len(dialect.entered) == 3, what="the calls")
    run.close()
    assert run.engine.failure is None
    assert dialect.left == []
    dialect.released = True
    wait_for(lambda: len(dialect.left) == 3, what="the calls to return")
    assert run.failures == 0


# Heartbeats.


class Beating(Echo):
    """Sends heartbeats, which the server echoes, and counts the echoes by connection."""

    heartbeat_s = 0.1

    def heartbeat(self, session: DialectSession) -> str:
        """Return one."""
        return "beat"

    def read(self, session: DialectSession, data: Data) -> Any:
        """Count echoed heartbeats; read other messages as `echo`."""
        if data == "beat":
            beats = session.memory.setdefault("beats", {})
            beats[session.connection] = beats.get(session.connection, 0) + 1
            return None
        return super().read(session, data)


def beats(run: EngineRun) -> dict[int, int]:
    """Return the echoed heartbeats of session 0 by connection."""
    (link,) = (link for links in run.engine._slices for link in links.values())
    return dict(link.session.about.memory.get("beats", {}))


def test_heartbeats_arrive_though_idle(server: AsgiServer) -> None:
    """An idle session's heartbeats reach the server at their interval, on each of its connections."""
    path = "/echo/beating"
    chosen = settings(server.port, dialect=Beating(path=path), pace=Pace(0), drops=drops("reset"))
    with running(chosen) as run:
        began_ns = run.engine.clock()
        run.add(1)
        run.await_count("reconnect.resumed", 1)
        wait_for(lambda: beats(run).get(1, 0) >= 5, what="five heartbeats")
        took_s = (run.engine.clock() - began_ns) / 1e9
        heard = beats(run)
        run.stop([0])
        counts = run.counts
    assert took_s >= 0.5
    assert sum(heard.values()) <= took_s / Beating.heartbeat_s + 1
    assert counts["messaging.sent"] == counts["messaging.unmatched"] == 0
    assert counts["messaging.other_sent"] >= 5


def test_heartbeats_go_on_over_a_slow_reader(server: AsgiServer) -> None:
    """While a slow reader reads nothing, the server goes on hearing its heartbeats."""
    path = "/echo/beating-slowly"
    plan = drops("slow_reader", hold_s=2.0)
    with running(settings(server.port, dialect=Beating(path=path), pace=Pace(0), drops=plan)) as run:
        run.add(1)
        run.await_count("drops.slow_reader", 1)
        before = beats(run).get(0, 0)
        sent = run.count("messaging.other_sent")
        run.await_count("messaging.other_sent", sent + 5)
        assert beats(run).get(0, 0) <= before + 1, "it reads nothing meanwhile"
        wait_for(lambda: beats(run).get(0, 0) >= before + 5, what="the echoes, once it reads again")
        run.stop([0])
        assert run.count("reconnect.outages") == 0


# Probes.


class Unasking(Dialect):
    """A dialect without a message for drops."""

    def read(self, session: DialectSession, data: Data) -> Read:
        """Read nothing."""
        return None


@pytest.mark.parametrize("probing", [False, True])
def test_drop_sends_only_what_the_dialect_has_for_it(probing: bool, server: AsgiServer) -> None:
    """`mid_reply` sends the dialect's probe; where there is none, the server hears nothing at all."""
    path = f"/silent/probing-{probing}"
    dialect: Dialect = Echo(path=path) if probing else Unasking(path=path)
    with running(settings(server.port, dialect=dialect, pace=Pace(0), drops=drops("mid_reply"))) as run:
        run.add(1)
        run.await_count("reconnect.resumed", 1)
        run.stop([0])
        counts = run.counts

    def ended() -> list[int]:
        return [report["messages"] for report in server.events("disconnected") if report["path"] == path]

    wait_for(lambda: len(ended()) == 2, what="both connections' ends")
    assert any(ended()) == probing
    assert counts["messaging.sent"] == counts["messaging.other_sent"] == 0
    assert counts["messaging.unmatched"] == 0


def test_a_login_that_blocks_the_loop_is_named(server: AsgiServer) -> None:
    """It holds up every session, so the report names class and method."""
    import time

    class Blocking(Echo):
        async def login(self, session: DialectSession) -> None:
            time.sleep(0.3)

    with running(settings(server.port, dialect=Blocking(path="/echo"))) as run:
        run.add(1)
        run.await_up(1)
        tally = run.errors["generator", "Blocking.login blocked the event loop"]
        run.stop([0])
    assert (tally.count, tally.session) == (1, "session-0")
    assert tally.example.endswith("ms: run blocking code with `await session.blocking(…)`")


@pytest.mark.parametrize("raises", [False, True])
def test_credentials_of_the_wrong_type_end_the_engine(raises: bool, server: AsgiServer) -> None:
    """Whichever method has set them, and though the login was refused: session and attribute are named."""

    class Careless(Echo):
        def greeting(self, session: DialectSession) -> list[str]:
            session.cookies["sid"] = 5  # type: ignore[assignment]  # the point
            return []

        async def login(self, session: DialectSession) -> None:
            if raises:
                session.cookies["sid"] = 5  # type: ignore[assignment]  # the point
                raise LoginFailed("no entry")

    run = EngineRun(
        settings(server.port, dialect=Careless(path="/echo"), drops=drops("reset")), lambda _: None
    )
    run.add(1)
    wait_for(lambda: run.ended, what="the engine's end")
    told = "Careless must set session.cookies to a dict of str to str (given session 0)"
    assert str(run.engine.failure) == f"mistake in the dialect: {told}"


def test_a_header_for_a_token_that_is_not_given(server: AsgiServer) -> None:
    """The header is named, and that there is no token to put into it."""

    class Tokenless(Echo):
        async def login(self, session: DialectSession) -> None:
            session.headers["X-Chat-Token"] = session.token  # type: ignore[assignment]  # the point

    run = EngineRun(settings(server.port, dialect=Tokenless(path="/echo")), lambda _: None)
    run.add(1)
    wait_for(lambda: run.ended, what="the engine's end")
    told = "dict of str to str (X-Chat-Token is None, and no token is given: --ws-token, "
    assert told in str(run.engine.failure)
