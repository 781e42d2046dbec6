"""Clients for tests of the reference server: one uses the `websockets` library, one a bare socket.

The first speaks the `emergence` dialect as an application's client would. The second sends exactly the bytes
given to it, and can vanish like a client that loses its network.
"""

import json
import socket
import struct
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Self
from urllib.parse import urlsplit

import jwt
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

PATIENCE_S = 20.0
"""How long to wait for an answer before the test fails."""

CONDITION_S = 60.0
"""How long to wait for a condition before the test fails: on a busy machine Locust takes long to start."""


def wait_for(condition: Callable[[], Any], *, what: str) -> Any:
    """Wait until the condition is true; return its value."""
    deadline_s = time.monotonic() + CONDITION_S
    while not (value := condition()):
        assert time.monotonic() < deadline_s, f"waited in vain for {what}"
        time.sleep(0.01)
    return value


def get(url: str, path: str) -> tuple[int, Any]:
    """Return the status and JSON of one of the server's HTTP resources."""
    try:
        with urllib.request.urlopen(url.replace("ws://", "http://") + path, timeout=PATIENCE_S) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def counters(url: str) -> dict[str, Any]:
    """Return the server's own counts."""
    status, counts = get(url, "/api/counters")
    assert status == 200
    return dict(counts)


def message(text: object, kind: str = "chat.message") -> dict[str, Any]:
    """Return a client's message."""
    return {"type": kind, "payload": {"text": text, "agent_id": "agent-1"}}


NO_PUSH = ("ws:ack", "ws:chat_stream_start", "ws:chat_stream_chunk", "ws:chat_stream_end", "ws:error")
"""Types of the server's objects that answer a message."""


def signed(claims: dict[str, Any], secret: str) -> str:
    """Return a JWT signed with a secret; PyJWT warns of short ones."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return jwt.encode(claims, secret)


class Client:
    """One connection of a session, after the server's introduction."""

    def __init__(self, websocket: ClientConnection) -> None:
        self.websocket = websocket
        self.introduction = self.frame()
        self._pending: list[dict[str, Any]] = []

    def frame(self) -> list[dict[str, Any]]:
        """Return the objects of the next frame."""
        frame = self.websocket.recv(timeout=PATIENCE_S)
        assert isinstance(frame, str)
        return [json.loads(line) for line in frame.split("\n")]

    def next(self, *kinds: str) -> dict[str, Any]:
        """Return the next object, or the next of these kinds."""
        while True:
            if not self._pending:
                self._pending = self.frame()
            found = self._pending.pop(0)
            if not kinds or found["type"] in kinds:
                return found

    def send(self, content: object) -> None:
        """Send one message without waiting for a reply."""
        self.websocket.send(content if isinstance(content, str) else json.dumps(content))

    def ask(self, content: object) -> str:
        """Send one chat request and return its answer."""
        self.send(content)
        return self.answer()

    def answer(self) -> str:
        """Return the text of the next answer, whose stream nothing but pushes may interrupt."""
        assert self.next(*NO_PUSH)["type"] == "ws:chat_stream_start"
        pieces = []
        while (part := self.next(*NO_PUSH))["type"] == "ws:chat_stream_chunk":
            pieces.append(part["payload"]["text"])
        assert part["type"] == "ws:chat_stream_end"
        return "".join(pieces)

    def answers(self, count: int) -> list[str]:
        """Return the users' texts that the next answers repeat."""
        return [self.answer().removeprefix("You said: ") for _ in range(count)]

    @property
    def thread_id(self) -> str:
        """The session's thread id, from the server's introduction."""
        return str(self.introduction[0]["payload"]["thread_id"])

    @property
    def said(self) -> list[str]:
        """The user's texts in the history that the server restored."""
        assert self.restored is not None
        return [past["content"] for past in self.restored["messages"] if past["role"] == "user"]

    @property
    def restored(self) -> dict[str, Any] | None:
        """The history that the server restored; None if it sent none."""
        return self.introduction[1]["payload"] if len(self.introduction) > 1 else None


@contextmanager
def joined(
    url: str,
    session: str,
    thread: str | None = "thread-1",
    subprotocols: Iterable[str] = ("jwt", "some-token"),
) -> Iterator[Client]:
    """Open a connection of a session."""
    with opened(
        f"{url}/ws/{session}" + (f"?thread_id={thread}" if thread else ""), subprotocols
    ) as websocket:
        yield Client(websocket)


@contextmanager
def opened(url: str, subprotocols: Iterable[str] = ()) -> Iterator[ClientConnection]:
    """Open a WebSocket."""
    offered = [Subprotocol(name) for name in subprotocols] or None
    with connect(url, subprotocols=offered, open_timeout=PATIENCE_S, proxy=None, max_size=2**21) as websocket:
        yield websocket


class RawClient:
    """A WebSocket on a bare socket; a context manager that closes with FIN.

    Args:
        url: the server's URL.
        session: the session id.
        introduced: whether to wait for the server's introduction.
    """

    def __init__(self, url: str, session: str, *, introduced: bool = True) -> None:
        target = urlsplit(url)
        self.socket = socket.create_connection((target.hostname, target.port), timeout=PATIENCE_S)
        self.socket.sendall(
            f"GET /ws/{session}?thread_id=thread-1 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        if introduced:
            self.wait_for(b"ws:session_established")

    def wait_for(self, wanted: bytes) -> None:
        """Read until these bytes have been received."""
        received = b""
        while wanted not in received:
            chunk = self.socket.recv(65536)
            assert chunk, f"the server closed before it sent {wanted!r}"
            received += chunk

    def wait_for_end(self) -> None:
        """Read until the server ends the connection."""
        while self.socket.recv(65536):
            pass

    def send(self, frames: bytes) -> None:
        """Send these bytes at once."""
        self.socket.sendall(frames)

    def flood(self, frame: bytes) -> None:
        """Send frames without reading, until the server stops reading."""
        self.socket.settimeout(0.5)
        try:
            for _ in range(2000):
                self.socket.sendall(frame)
        except TimeoutError:
            return
        raise AssertionError("the server never stopped to read")

    def reset(self) -> None:
        """Close the connection with RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


def frame(content: str | bytes, *, first_byte: int = 0x81, masked: bool = True) -> bytes:
    """Return a client's frame (RFC 6455, section 5.2); by default a final text frame, masked with zeros."""
    data = content.encode() if isinstance(content, str) else content
    mask_bit, mask = (0x80, bytes(4)) if masked else (0, b"")
    if len(data) < 126:
        length = bytes([mask_bit | len(data)])
    elif len(data) < 65536:
        length = bytes([mask_bit | 126]) + struct.pack("!H", len(data))
    else:
        length = bytes([mask_bit | 127]) + struct.pack("!Q", len(data))
    return bytes([first_byte]) + length + mask + data


def close_frame(code: int) -> bytes:
    """Return a client's close frame."""
    return frame(struct.pack("!H", code), first_byte=0x88)
