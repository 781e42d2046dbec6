"""The `emergence` endpoint, `/ws/{session_id}`: sessions with a login, a thread, history, answers and pushes.

With `--mode chat` an assistant streams its answer to each chat request, after storing both. With `--mode ack`
each message is acknowledged, as the application does without a chat backend, and nothing is stored.

Malformed ids are refused with 400 before the upgrade, and every upgrade is refused with 503 while the
database is down. A connection with a wrong login is accepted, sent the reason and closed with 4401, because a
browser sees the close code of an open WebSocket but not the status of a refused one.

A session uses one connection, its newest. A client that lost its network reconnects while its old connection
still looks open (half-open), so the new one takes over at once, and the end of the old one must not affect
state of the new one. The old one is closed with 1008: it may be a healthy second tab, and after a code that
clients reconnect on, two tabs would evict each other for ever. If the client is gone, the close frees a
socket that the server would otherwise hold until its keepalive fails.
"""

import asyncio
import sqlite3
import uuid

from starlette.websockets import WebSocket

from loadtest.server import json_lines
from loadtest.server.backend import Backend
from loadtest.server.client import CLOSE_FAULT, Connection, refuse
from loadtest.server.handling import log_no_database
from loadtest.server.outbox import Outbox
from loadtest.server.tokens import ID, LOGIN, LoginRefused, session_of


async def echo(websocket: WebSocket) -> None:
    """Serve one echo connection; for the fault `refuse_connect`, each counts as a first connect."""
    backend: Backend = websocket.app.state.backend
    if backend.faults.strikes("refuse_connect"):
        await refuse(websocket, backend, status=503, body="try again later")
        return
    connection = Connection(websocket, f"echo-{backend.counters.connections_accepted + 1}", backend)
    outbox = Outbox(connection.reply, backend.faults)

    async def talk() -> None:
        while True:
            frame = await connection.receive_frame()
            if backend.faults.alters_replies:
                frame = backend.alterations.frame(connection.session, frame)
            await outbox.deliver((frame,))

    try:
        await connection.run(talk)
    finally:
        outbox.close()


CLOSE_LOGIN = 4401


async def emergence(websocket: WebSocket) -> None:
    """Serve one connection to `/ws/{session_id}?thread_id=…`."""
    backend: Backend = websocket.app.state.backend
    asked_id = websocket.path_params["session_id"]
    wanted_thread_id = websocket.query_params.get("thread_id") or _fresh_thread_id()
    if not (ID.fullmatch(asked_id) and ID.fullmatch(wanted_thread_id)):
        await refuse(websocket, backend, status=400, body="impossible session_id or thread_id")
        return
    try:
        backend.require_database()
    except sqlite3.OperationalError as error:
        log_no_database(asked_id, error)
        await refuse(websocket, backend, status=503, body="database is down")
        return
    try:
        named_id = session_of(websocket.scope["subprotocols"], backend.settings.token)
    except LoginRefused as refused:
        await _turn_away(websocket, backend, asked_id, str(refused))
    else:
        await _admit(websocket, backend, named_id or asked_id, wanted_thread_id)


async def _turn_away(websocket: WebSocket, backend: Backend, session_id: str, problem: str) -> None:
    backend.counters.logins_refused += 1
    connection = Connection(websocket, session_id, backend)

    async def talk() -> None:
        await connection.send(json_lines.login_required(problem))
        await connection.close(CLOSE_LOGIN, problem)

    await connection.run(talk, subprotocol=_accepted_subprotocol(websocket))


async def _admit(websocket: WebSocket, backend: Backend, session_id: str, wanted_thread_id: str) -> None:
    thread_id = await backend.storage.thread_of(session_id)
    if backend.faults.strikes("refuse_connect" if thread_id is None else "refuse_reconnect"):
        await refuse(websocket, backend, status=503, body="try again later")
        return
    if thread_id is not None and backend.faults.strikes("forget_session"):
        await backend.storage.forget(session_id)
        thread_id, wanted_thread_id = None, _fresh_thread_id()
    connection = Connection(websocket, session_id, backend)
    conversation = Conversation(
        connection,
        backend,
        asked_id=websocket.path_params["session_id"],
        thread_id=thread_id,
        wanted_thread_id=wanted_thread_id,
    )
    await connection.run(conversation.hold, subprotocol=_accepted_subprotocol(websocket))


def _accepted_subprotocol(websocket: WebSocket) -> str | None:
    backend: Backend = websocket.app.state.backend
    if LOGIN not in websocket.scope["subprotocols"] or backend.faults.strikes("no_subprotocol"):
        return None
    return LOGIN


def _fresh_thread_id() -> str:
    return uuid.uuid4().hex


class Conversation:
    """The conversation on one connection of one session.

    Args:
        connection: the accepted connection.
        backend: the server's shared state.
        asked_id: the session id in the path; a token may name a different one.
        thread_id: the session's thread id; None if the session is new.
        wanted_thread_id: the thread id for a new session.
    """

    def __init__(
        self,
        connection: Connection,
        backend: Backend,
        *,
        asked_id: str,
        thread_id: str | None,
        wanted_thread_id: str,
    ) -> None:
        self._connection = connection
        self._session_id = connection.session
        self._backend = backend
        self._asked_id = asked_id
        self._thread_id = thread_id
        self._wanted_thread_id = wanted_thread_id
        self._is_mute = thread_id is not None and backend.faults.strikes("mute_reconnect")
        self._outbox = Outbox(connection.reply, backend.faults)
        self._is_introduced = self._is_retired = False

    async def hold(self) -> None:
        """Send the session's first messages, then answer its messages in order until the connection ends."""
        self._take_over()
        try:
            await self._introduce()
            self._is_introduced = True
            if self._is_retired:
                self._connection.retire()
            while not self._connection.is_closed:
                await self._answer(await self._connection.receive_text())
        finally:
            self._outbox.close()
            if self._backend.live.get(self._session_id) is self:
                del self._backend.live[self._session_id]

    def _take_over(self) -> None:
        previous = self._backend.live.get(self._session_id)
        self._backend.live[self._session_id] = self
        if previous is not None:
            self._backend.counters.takeovers += 1
            previous.retire()

    def retire(self) -> None:
        """Close the connection once its client has its session id, which its token may name."""
        self._is_retired = True
        if self._is_introduced:
            self._connection.retire()

    async def _introduce(self) -> None:
        faults, kind = self._backend.faults, "connect" if self._thread_id is None else "reconnect"
        if delay_s := faults.delay_s(f"late_{kind}"):
            await asyncio.sleep(delay_s)
        await self._connection.send(await self._introduction())
        if faults.strikes(f"close_{kind}"):
            await self._connection.close(CLOSE_FAULT, f"--fault close_{kind}")
        elif not self._is_mute:
            self._connection.start_pushes()

    async def _introduction(self) -> str:
        storage, session_id = self._backend.storage, self._session_id
        name = self._backend.name_of(session_id, new=self._thread_id is None)
        asked_id = self._asked_id if name == session_id else name  # an identity that leaks is not admitted
        if self._thread_id is None and await storage.create(session_id, self._wanted_thread_id):
            self._backend.counters.sessions_created += 1
            return json_lines.established(name, self._wanted_thread_id, asked_id)
        # Another connection may have created the session since this one looked it up.
        thread_id = self._thread_id or await storage.thread_of(session_id) or self._wanted_thread_id
        self._backend.counters.sessions_resumed += 1
        established = json_lines.established(name, thread_id, asked_id)
        if self._backend.settings.mode == "ack":
            return established
        stored = await storage.history(session_id)
        if not stored:
            return established
        history = self._backend.alterations.history(session_id, stored)
        return f"{established}\n{json_lines.restored(name, thread_id, history)}"

    async def _answer(self, frame: str) -> None:
        message = json_lines.parse(frame)
        if self._backend.settings.mode == "ack":
            reply = json_lines.acknowledgement(self._backend.alterations.message(self._session_id, message))
        else:
            reply = await self._chat(message)
        if not self._is_mute:
            await self._outbox.deliver(reply)

    async def _chat(self, message: json_lines.Message) -> json_lines.Reply:
        """Store a request and its answer, and return the answer; refuse an invalid request."""
        backend = self._backend
        try:
            request = json_lines.chat_request(message)
        except json_lines.BadRequest as refused:
            backend.counters.requests_refused += 1
            return json_lines.refusal(str(refused))
        exchange = [
            json_lines.past_message("user", request.text, request.agent_id),
            json_lines.past_message("assistant", json_lines.answer_to(request.text), request.agent_id),
        ]
        if backend.faults.strikes("forget_message"):
            del exchange[0]
        await backend.storage.append(self._session_id, *exchange)
        backend.counters.messages_stored += len(exchange)
        said = backend.alterations.text(self._session_id, request.text)
        return json_lines.stream(json_lines.answer_to(said), request.agent_id)
