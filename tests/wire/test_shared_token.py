"""The token that sessions share: asked for once for all, again when rejected or old, and a secret."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import math
import threading
from collections.abc import Callable, Iterator
from typing import Any

import jwt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from loadtest.dialects.dialect_session import DialectSession
from loadtest.dialects.echo import Echo
from loadtest.engine import login
from loadtest.engine.shared_token import Answer, SharedToken, expiry_s
from loadtest.errors import ConnectFailed, LoginFailed
from loadtest.events import Endpoint
from loadtest.session.schedule import Backoff
from tests.support.asgi_server import AsgiServer, asgi_server
from tests.support.effort import effort
from tests.support.engine_run import running, settings
from tests.support.fake_link import dialect_session


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AsgiServer]:
    """A server with a path for each behaviour."""
    with asgi_server(tmp_path_factory.mktemp("tokens"), ws="wsproto") as running_server:
        yield running_server


class Asked:
    """Answers what it is asked: these answers in turn, the last one for ever. A held one waits."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.times = 0
        self.held: list[Callable[[Answer], None]] | None = None

    def __call__(self, answered: Callable[[Answer], None]) -> None:
        self.times += 1
        if self.held is not None:
            self.held.append(answered)
            return
        answered(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])


UNIX_S = 1_700_000_000


class Clock:
    """A clock that a test turns."""

    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def _unsigned(claims: dict[str, Any]) -> str:
    return f"h.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.s"


def shared(asked: Asked, ttl_s: float | None = None) -> tuple[SharedToken, Clock]:
    """Return a token, and the clock by which it ages."""
    clock = Clock()
    return SharedToken(asked, ttl_s, clock=clock, wall_clock=lambda: clock.now_s + UNIX_S), clock


def test_all_wait_for_one_answer() -> None:
    """However many sessions need the token, it is asked for once; one that gives up ends no other's wait."""
    asked = Asked("first")
    asked.held = []
    token, _ = shared(asked)

    async def story() -> None:
        waiting = [asyncio.create_task(token.get()) for _ in range(20)]
        while not asked.held:
            await asyncio.sleep(0)
        waiting.pop().cancel()
        threading.Thread(target=asked.held.pop(), args=("first",)).start()  # from any thread
        assert {issued.token for issued in await asyncio.gather(*waiting)} == {"first"}
        assert (await token.get()).token == "first"

    asyncio.run(story())
    assert asked.times == 1


def test_rejected() -> None:
    """The token is asked for again once, however many sessions had used it; a newer one stays."""
    asked = Asked("first", "second", "third")
    token, clock = shared(asked)

    async def story() -> None:
        first = await token.get()
        clock.now_s += 1
        token.reject(first)
        second = await token.get()
        assert second.token == "second"
        token.reject(first)
        assert await token.get() is second

    asyncio.run(story())
    assert asked.times == 2
    assert token.tokens == ("first", "second"), "a server may quote the earlier one"


def test_rejected_with_the_same_text() -> None:
    """A command that prints the rejected token again: each answer is a token of its own."""
    asked = Asked("same")
    token, clock = shared(asked)

    async def story() -> None:
        first = await token.get()
        clock.now_s += 1
        token.reject(first)
        second = await token.get()
        token.reject(first)
        assert await token.get() is second

    asyncio.run(story())
    assert asked.times == 2


@pytest.mark.parametrize(("ttl_s", "times"), [(None, 1), (50.0, 2), (61.0, 1)])
def test_too_old(ttl_s: float | None, times: int) -> None:
    """A token is used up to its age, from when it was asked for; without one, until it is rejected."""
    asked = Asked("first", "second")
    token, clock = shared(asked, ttl_s)

    async def story() -> None:
        await token.get()
        clock.now_s += 60
        await token.get()

    asyncio.run(story())
    assert asked.times == times


@pytest.mark.parametrize(
    ("life_s", "used_s"),
    [(3600, 3540), (80, 40), (0, 10_000), (-5, 10_000), (None, 10_000), ("soon", 10_000), (True, 10_000)],
)
def test_a_jwt_says_when_it_expires(life_s: Any, used_s: float) -> None:
    """It is used until a minute before, or for half of its life; if it does not say, until rejected."""
    exp = UNIX_S + 1000 + life_s if type(life_s) is int else life_s
    first = jwt.encode({"sub": "someone"} | ({"n": exp} if exp is None else {}), "x" * 32)
    if exp is not None:
        first = _unsigned({"exp": exp})
    asked = Asked(first, "second")
    token, clock = shared(asked)

    async def story() -> None:
        await token.get()
        clock.now_s += used_s - 1
        await token.get()
        assert asked.times == 1
        clock.now_s += 1
        await token.get()

    asyncio.run(story())
    assert asked.times == (2 if used_s < 10_000 else 1)


@given(st.text(max_size=40) | st.from_regex(r"[A-Za-z0-9_-]{0,20}\.[A-Za-z0-9_-]{0,40}\.x", fullmatch=True))
@example(_unsigned({"exp": math.nan}))
@example(_unsigned({"exp": -math.inf}))
@effort(50)
def test_any_token_has_an_expiry(text: str) -> None:
    """Whatever a command prints."""
    assert expiry_s(text) == math.inf or math.isfinite(expiry_s(text))


def test_not_more_than_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who needs a token within a second of the last request waits for the rest of it."""
    asked = Asked("first", "second")
    token, clock = shared(asked)
    delays: list[float] = []

    async def story() -> None:
        loop = asyncio.get_running_loop()
        call_soon = loop.call_soon

        def call_later(delay_s: float, *call: Any) -> Any:
            delays.append(delay_s)
            return call_soon(*call)

        monkeypatch.setattr(loop, "call_later", call_later)
        issued = await token.get()
        clock.now_s += 0.25
        token.reject(issued)
        await token.get()

    asyncio.run(story())
    assert delays == [0.0, 0.75]


def test_failure() -> None:
    """Whoever waits is told why there is no token; the next one asks again."""
    asked = Asked(LoginFailed("no network"), "second")
    token, clock = shared(asked)

    async def story() -> None:
        told = await asyncio.gather(*(token.get() for _ in range(3)), return_exceptions=True)
        assert [getattr(one, "detail", None) for one in told] == ["no network"] * 3
        assert len({id(one) for one in told}) == 3
        clock.now_s += 1
        assert (await token.get()).token == "second"

    asyncio.run(story())


class Guarded(Echo):
    """Lets in who has the good token, and otherwise behaves as a path of the server does."""

    def __init__(self, otherwise: str) -> None:
        super().__init__(path="/echo")
        self._otherwise = otherwise

    def endpoint(self, session: DialectSession) -> Endpoint:
        """Return the endpoint for the session's token."""
        path = "/echo" if session.token == "good-token-0001" else self._otherwise
        return Endpoint(path=path, headers=(("Authorization", f"Bearer {session.token}"),))


QUICK = Backoff(base_s=0.01, cap_s=0.01, max_attempts=20)


@pytest.mark.parametrize("otherwise", ["/refuse/401", "/refuse/403", "/close/4401"])
def test_sessions_get_in_with_the_next_token(otherwise: str, server: AsgiServer) -> None:
    """A rejected token costs each session an attempt or two, and the command one more run."""
    asked = Asked("old-token-00001", "good-token-0001")
    with running(
        settings(server.port, dialect=Guarded(otherwise), backoff=QUICK, token=SharedToken(asked))
    ) as run:
        run.add(5)
        run.await_count("connect.established", 5)
        secrets = run.engine.tokens
        run.stop(range(5))
    assert asked.times == 2
    assert {"old-token-00001", "good-token-0001"} <= secrets


def test_another_refusal_asks_for_no_token(server: AsgiServer) -> None:
    """A server that is busy says nothing about the token."""
    asked = Asked("old-token-00001")
    busy = Guarded("/refuse/503")
    with running(settings(server.port, dialect=busy, backoff=QUICK, token=SharedToken(asked))) as run:
        run.add(2)
        run.await_count("connect.gave_up", 2)
    assert asked.times == 1


def test_a_token_that_never_comes_is_a_failed_attempt(
    server: AsgiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No session waits for ever for an answer that is lost."""
    monkeypatch.setattr(login, "SHARED_MARGIN_S", 0.0)
    asked = Asked()
    asked.held = []
    once = Backoff(base_s=0.01, cap_s=0.01, max_attempts=0)
    token = SharedToken(asked)
    with running(settings(server.port, backoff=once, token=token, open_timeout_s=0.1)) as run:
        run.add(2)
        run.await_count("connect.gave_up", 2)
        tally = run.errors["connect", "token: command_failed"]
    assert tally.example == "no answer within 0.1 s"


@pytest.mark.parametrize(
    ("source", "told"),
    [(Asked("token"), 1), (Asked(LoginFailed("no network")), 1), (None, 0)],
    ids=["given", "failed", "function"],
)
def test_the_end_of_the_wait_is_told(source: Asked | None, told: int) -> None:
    """Whether or not there is a token then; a token function is the user's own and no wait of the tool's."""
    waits: list[bool] = []

    async def story() -> None:
        token = (lambda: "token") if source is None else SharedToken(source)
        with contextlib.suppress(ConnectFailed):
            await login.Login(Echo(), token, 20.0, lambda *_: None).endpoint(
                dialect_session(), lambda: waits.append(True)
            )

    asyncio.run(story())
    assert len(waits) == told


def test_no_token_is_a_failed_attempt(server: AsgiServer) -> None:
    """Its cause is the command's failure, without a token that the command has quoted."""
    asked = Asked("old-token-00001", LoginFailed("exit status 3: old-token-00001 has expired"))
    once = Backoff(base_s=0.01, cap_s=0.01, max_attempts=1)
    guarded = Guarded("/refuse/401")
    with running(settings(server.port, dialect=guarded, backoff=once, token=SharedToken(asked))) as run:
        run.add(1)
        run.await_count("connect.gave_up", 1)
        tally = run.errors["connect", "token: command_failed"]
    assert tally.example == "exit status 3: *** has expired"
