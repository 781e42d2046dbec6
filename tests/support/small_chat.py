"""A small chat server and its dialect, for tests of `loadtest dialect check`; each fault is one defect.

<- {"type":"welcome","session":ID}           ID is the last part of the path
<- {"type":"history","texts":[…]}            on a reconnect
-> {"id":N,"text":…}                         <- {"re":N,"text":…}
-> {"beat":N}                                <- {"type":"beat"}
<- {"type":"ping"}                           -> {"pong":true}, with the fault "ping"
"""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request as Upgrade
from websockets.http11 import Response
from websockets.sync.server import ServerConnection, serve

from loadtest import Dialect, DialectSession, Established, Push, Reply, Restored, Send, StreamPart
from loadtest.dialects.base import Incoming
from loadtest.events import Data

LATE_S = 0.5
"""How late the server is with the faults "late" (its replies), "late welcome" and "late resume"."""


class Chat(Dialect):
    """The dialect of the server, complete."""

    name = "small-chat"
    default_path = "/chat/{session_id}"
    establishes = identifies = keeps_history = True

    def request(self, session: DialectSession, sequence: int) -> Any:
        """Say something."""
        return json.dumps({"id": sequence, "text": session.text(sequence)})

    def probe(self, session: DialectSession) -> str:
        """Make the server answer."""
        return '{"beat":0}'

    def read(self, session: DialectSession, data: Data) -> Any:
        """Read what the server says."""
        message = json.loads(data)
        if "re" in message:
            return Reply(message["re"], message["text"])
        return self.notice(message)

    def notice(self, message: dict[str, Any]) -> Incoming | None:
        """Read what is no reply."""
        match message["type"]:
            case "welcome":
                return Established(session_id=message["session"])
            case "history":
                return Restored(texts=message["texts"])
            case "part":
                return StreamPart()
            case "ping":
                return Send('{"pong":true}')
            case "news":
                return Push(number=message["number"])
        return None


class ChatServer:
    """The server's side of all connections.

    Args:
        fault: its one defect.
        cookie: to set in each response to an upgrade.
    """

    NEWS: ClassVar = {"news": 3, "flood": 500}
    REFUSALS: ClassVar = {"refuses": (403, "no entry"), "not found": (404, "nothing here")}

    def __init__(self, fault: str = "", cookie: str = "") -> None:
        self.fault = fault
        self.heard: list[Any] = []
        self.upgrades: list[Headers] = []
        self._cookie = cookie
        self._texts: defaultdict[str, list[str]] = defaultdict(list)
        self._connections = 0

    def admit(self, connection: ServerConnection, request: Upgrade) -> Response | None:
        """Answer an upgrade request."""
        self.upgrades.append(request.headers)
        if self.fault in self.REFUSALS:
            status, words = self.REFUSALS[self.fault]
            return connection.respond(status, words)
        return None

    def set_cookie(self, _connection: ServerConnection, _request: Upgrade, response: Response) -> None:
        """Set the cookie."""
        if self._cookie:
            response.headers["Set-Cookie"] = self._cookie

    def handle(self, connection: ServerConnection) -> None:
        """Speak on one connection, until it ends."""
        assert connection.request is not None
        self._connections += 1
        session = connection.request.path.rpartition("/")[2]
        try:
            self._welcome(connection, session)
            for data in connection:
                self.heard.append(json.loads(data))
                self._answer(connection, session, self.heard[-1])
        except ConnectionClosed:
            pass

    def _welcome(self, connection: ServerConnection, session: str) -> None:
        match self.fault:
            case "silent":
                return
            case "forgets" if self._connections > 1:
                session += "-again"
            case "closes":
                connection.close(4000, "not today")
                return
            case "no resume" if self._connections > 1:
                return
            case "ping":
                say(connection, {"type": "ping"})
            case "late welcome" if not self._texts[session]:
                time.sleep(LATE_S)
            case "late resume" if self._texts[session]:
                time.sleep(LATE_S)
        say(connection, {"type": "welcome", "session": session})
        for number in range(self.NEWS.get(self.fault, 0)):
            say(connection, {"type": "news", "number": number})
        texts = self._texts[session]
        if self._connections > 1 and self.fault != "no history":
            say(connection, {"type": "history", "texts": texts[1:] if self.fault == "loses" else texts})

    def _answer(self, connection: ServerConnection, session: str, message: dict[str, Any]) -> None:
        if "beat" in message:
            say(connection, {"type": "beat"})
        if "id" not in message:
            return
        number, text = message["id"], message["text"]
        self._texts[session].append(text)
        match self.fault:
            case "mute":
                return
            case "renames":
                number = f"msg-{number}"
            case "alters":
                text = text.replace("é", "e")
            case "hangs up":
                connection.close(1011, "out of memory")
                return
            case "late":
                time.sleep(LATE_S)
        while self.fault == "endless":
            say(connection, {"type": "part"})
            time.sleep(0.02)
        for _ in range(2 if self.fault == "repeats" else 1):
            say(connection, {"re": number, "text": text})


def say(connection: ServerConnection, message: dict[str, Any]) -> None:
    """Send a message of the server."""
    connection.send(json.dumps(message, ensure_ascii=False))


@contextmanager
def small_chat(fault: str = "", cookie: str = "") -> Iterator[tuple[ChatServer, int]]:
    """Run the server in this process until the block ends; yield it and its port."""
    chat = ChatServer(fault, cookie)
    with serve(
        chat.handle, "127.0.0.1", 0, process_request=chat.admit, process_response=chat.set_cookie
    ) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield chat, server.socket.getsockname()[1]
        finally:
            server.shutdown()
            thread.join()
