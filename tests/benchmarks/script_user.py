"""A locustfile for benchmarks: sessions whose messages a script sends."""

from typing import Any

from locust import constant_pacing, task

from loadtest import ScriptSession, WebSocketUser


class ScriptUser(WebSocketUser):
    """The same work as `--ws-arrivals closed`, as a script."""

    @task  # type: ignore[type-var]  # Locust's annotations know no arguments besides self
    async def ask(self, session: ScriptSession) -> Any:
        """Send requests forever."""
        while True:
            await session.request()


class PacedUser(WebSocketUser):
    """The same work as `--ws-rate 50`, with a task for each message."""

    wait_time = constant_pacing(0.02)

    @task  # type: ignore[type-var]  # Locust's annotations know no arguments besides self
    async def ask(self, session: ScriptSession) -> Any:
        """Send one request."""
        await session.request()
