"""The ASGI application: its routes, its two HTTP endpoints, and the lifespan of their shared state.

    /ws/{session_id}   WebSocket: the `emergence` application
    /, /echo           WebSocket: echo
    /api/health        200 while sessions are accepted, 503 while the database is down
    /api/counters      the server's own exact counts

It does not depend on ports, processes or signals; any ASGI server can run it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from loadtest.server.alterations import Alterations
from loadtest.server.backend import Backend, Counters
from loadtest.server.chat import echo, emergence
from loadtest.server.faults import Faults
from loadtest.server.handling import HANDLINGS
from loadtest.server.server_settings import ServerSettings
from loadtest.server.storage import open_storage


def create_app(settings: ServerSettings) -> Starlette:
    """Return the application; its lifespan opens and closes the database."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with open_storage(settings.database) as storage:
            faults = Faults(settings.faults)
            app.state.backend = Backend(
                settings=settings,
                storage=storage,
                faults=faults,
                alterations=Alterations(faults),
                handling=HANDLINGS[settings.handling](),
                counters=Counters(faults=faults.struck),
                database_up_at_s=asyncio.get_running_loop().time() + faults.value("database_down"),
            )
            yield

    routes = [
        WebSocketRoute("/ws/{session_id}", emergence),
        WebSocketRoute("/", echo),
        WebSocketRoute("/echo", echo),
        Route("/api/health", _health),
        Route("/api/counters", _counters),
    ]
    return Starlette(routes=routes, lifespan=lifespan, middleware=[Middleware(_CancellationEndsHere)])


async def _health(request: Request) -> Response:
    backend: Backend = request.app.state.backend
    if backend.database_is_up() and await backend.storage.is_readable():
        return _json({"status": "ok", "database": "up", "sessions": len(backend.live)})
    return _json({"status": "unavailable", "database": "down", "sessions": len(backend.live)}, status=503)


async def _counters(request: Request) -> Response:
    backend: Backend = request.app.state.backend
    return _json(backend.counters)


def _json(content: object, *, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, media_type="application/json")


class _CancellationEndsHere:
    """Suppresses a WebSocket handler's cancellation just before it reaches the ASGI server.

    The task ends here either way. uvicorn would log the cancellation, which comes from its shutdown or ours,
    as an ERROR with a traceback.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except asyncio.CancelledError:
            if scope["type"] != "websocket":
                raise
