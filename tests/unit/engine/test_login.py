"""Logins that raise what no login should: a mistake of the dialect's, and no cancellation."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest

from loadtest.dialects.echo import Echo
from loadtest.engine.login import Login
from loadtest.errors import ConnectFailed, DialectMistake
from tests.support.fake_link import dialect_session

pytestmark = pytest.mark.anyio

RAISED = [SystemExit, KeyboardInterrupt, asyncio.CancelledError, GeneratorExit]


def login_that(raised: type[BaseException] | None, token: Any = lambda: None) -> Login:
    """Return a login whose dialect raises this; None for one that never ends."""

    class Chat(Echo):
        async def login(self, session: object) -> None:
            if raised is None:
                await asyncio.Event().wait()
            else:
                raise raised

    return Login(Chat(), token, 5.0, lambda *_: None)


@pytest.mark.parametrize("raised", RAISED)
async def test_an_exit_is_a_mistake(raised: type[BaseException]) -> None:
    """It names class, method and exception, rather than ending the thread or passing for a cancellation."""
    with pytest.raises(DialectMistake, match=rf"Chat\.login raised {raised.__name__}"):
        await login_that(raised).endpoint(dialect_session(), lambda: None)


@pytest.mark.parametrize("raised", RAISED)
async def test_an_exit_of_a_token_source_is_a_failed_attempt(raised: type[BaseException]) -> None:
    """As whatever else it may raise."""

    def token() -> str:
        raise raised

    with pytest.raises(ConnectFailed, match=f"the token source raised {raised.__name__}"):
        await login_that(None, token).endpoint(dialect_session(), lambda: None)


async def test_a_cancelled_login_is_cancelled() -> None:
    """When the engine ends, nobody made a mistake."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(login_that(None).endpoint, dialect_session(), lambda: None)
        await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
