"""`socketio`: Socket.IO 3 and 4 (Socket.IO protocol 5 over Engine.IO 4), with the packets of python-socketio.

    <- 0{"sid",…}                          Engine.IO opens
    -> 40/chat,{"token"}                   connect to a namespace, with the token of --ws-token
    <- 40/chat,{"sid","pid"}               connected; with connection state recovery, `pid` resumes it later
    <- 44/chat,{"message"}                 refused
    -> 42/chat,7["message",{"text"}]       an event, to be acknowledged under the number 7
    <- 43/chat,7[{"text"}]                 its acknowledgement

    <- 42/chat,["news",…]                  a push
    <- 2    -> 3                           the server's ping

With `transport=polling`, the session begins with HTTP requests, as in browsers, and upgrades: `2probe`,
`3probe`, `5`. A load balancer keeps it on one instance by a cookie.
"""

import json
from base64 import b64decode
from collections.abc import Iterable
from enum import IntEnum
from typing import Any, Final

from loadtest.dialects import login_http
from loadtest.dialects.base import (
    EXCERPT_LENGTH,
    SESSION,
    AuthRequired,
    Dialect,
    Established,
    Failed,
    Incoming,
    Push,
    Read,
    Reply,
    Unreadable,
    excerpt,
    filled,
    listed_meanings,
    unreadable,
)
from loadtest.dialects.checked_fields import AUTO, checked_text, push_options, pushed, text_option
from loadtest.dialects.dialect_options import OPTION, DialectOption, refuse_option
from loadtest.dialects.dialect_session import DialectSession
from loadtest.dialects.dotted_paths import MISSING, Field, marked_text, path_of, value_at, words_of
from loadtest.dialects.templates import names_of, option_template
from loadtest.errors import InvalidSetting, LoginFailed
from loadtest.events import Data, Endpoint, Send
from loadtest.text import one_line
from loadtest.values import Choice, Flag, Text

_MALFORMED = (ValueError, TypeError, IndexError, KeyError, RecursionError)
"""What the library raises for untrusted packets."""

MAX_ATTACHMENTS: Final = 100
"""Binary attachments of one packet: more than any message needs, and few enough to keep."""

MAX_PING_MS: Final = 86_400_000
"""Longest times between pings, and allowed for one, that count: a day."""

MAX_POLLS: Final = 20
"""Requests until the server has answered the connect packet; it needs one or two."""


class Kind(IntEnum):
    """Kinds of packets."""

    CONNECT = 0
    DISCONNECT = 1
    EVENT = 2
    ACK = 3
    CONNECT_ERROR = 4
    BINARY_EVENT = 5
    BINARY_ACK = 6


_SEPARATOR = "\x1e"
"""Between packets of one HTTP body (Engine.IO 4)."""

_NO_RECOVERY = "no pid: connection state recovery is off on the server"

_UNSTICKY = (
    "HTTP 400 Session ID unknown: this request reached another instance than the previous one. With "
    "several Socket.IO instances, use sticky sessions in the load balancer, or transport=websocket"
)


class SocketIo(Dialect):
    """Socket.IO: a request is an event, its reply the acknowledgement or another event."""

    name = "socketio"
    default_path = "/socket.io/"
    establishes = pushes = True
    ordered = False
    unresumable_drops = frozenset({"half_open", "bad_message"})
    """A session is kept for recovery once the server has noticed that its connection is gone, and not if it
    closes that itself because of what it cannot parse (RECOVERABLE_DISCONNECT_REASONS of socket.io)."""

    event = "message"
    data = '{"text": "$text"}'
    reply = "ack"
    text = AUTO
    error = "error"
    push_text = push_number = ""
    namespace = "/"
    auth_field = "token"
    transport = "websocket"
    recovery = False

    options = (
        DialectOption("event", Text("NAME"), "Event that each request emits."),
        DialectOption("data", Text("JSON"), "Argument of the event, with the fields of a Template."),
        DialectOption(
            "reply",
            Text("ack|NAME"),
            "What counts as the reply to a request: the acknowledgement, or an event of this name that "
            "repeats its text.",
        ),
        text_option("the reply's first argument"),
        DialectOption(
            "error", Field(), "Field of the acknowledgement's first argument that contains an error."
        ),
        *push_options("a push's first argument"),
        DialectOption("namespace", Text("/NAME"), "Namespace to connect to."),
        DialectOption(
            "auth-field",
            Text("NAME"),
            "Field of the auth payload that carries the token of --ws-token. Empty: the token is sent in "
            "the header Authorization.",
        ),
        DialectOption(
            "transport",
            Choice(("websocket", "polling"), "websocket|polling"),
            "How sessions begin. polling: with HTTP requests and an upgrade, as browsers do by default.",
        ),
        DialectOption("ordered", Flag(), "Whether replies come in the order of their requests."),
        DialectOption(
            "recovery",
            Flag(),
            "Whether the server has connection state recovery. Sessions must then keep their identity.",
        ),
    )

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "recovery" in cls.__dict__:
            cls.identifies = cls.recovery

    def __init__(self, *, path: str | None = None) -> None:
        super().__init__(path=path)
        self._check_options()
        self._packet_class = _packet_code()
        self._prefix = "" if self.namespace == "/" else f"{self.namespace},"
        self._arguments = option_template("data", f"[{json.dumps(self.event)},{self.data}]", self.data)
        self._acknowledged = self.reply == "ack"
        self._error = path_of(self.error)

    def _check_options(self) -> None:
        """Refuse options that no message of any server's would fit."""
        refuse_option(
            "namespace",
            self.namespace,
            "must begin with a slash",
            unless=self.namespace.startswith("/"),
        )
        refuse_option("event", self.event, "must not be empty", unless=self.event)
        refuse_option("reply", self.reply, "must not be empty", unless=self.reply)
        is_checked = self.reply != "ack" or self.text not in ("", AUTO)
        problem = "must have $text: by it replies are recognised and checked"
        refuse_option("data", self.data, problem, unless=not is_checked or "text" in names_of(self.data))

    def message_templates(self) -> Iterable[tuple[str, Any]]:
        return [(f"{OPTION} data", self._arguments)]

    # What the client says.

    async def login(self, session: DialectSession) -> None:
        if self.transport == "polling":
            session.memory["engine"], session.memory["polled"] = await session.blocking(self._poll, session)

    def endpoint(self, session: DialectSession) -> Endpoint:
        sid = session.memory.get("engine") if self.transport == "polling" else None
        headers = () if self.auth_field else super().endpoint(session).headers
        return Endpoint(path=self._address(session, "websocket", sid), headers=headers)

    def greeting(self, session: DialectSession) -> Iterable[Data]:
        session.memory.pop("partial", None)
        session.expect_ping(None)
        return ("2probe",) if self.transport == "polling" else ()

    def request(self, session: DialectSession, sequence: int) -> str:
        number = sequence if self._acknowledged else ""
        return f"42{self._prefix}{number}{self._arguments(session, sequence)}"

    def _connect(self, session: DialectSession) -> str:
        has_auth = bool(self.auth_field and session.token)
        auth: dict[str, Any] = {self.auth_field: session.token} if has_auth else {}
        auth = {name: session.memory[name] for name in ("pid", "offset") if name in session.memory} | auth
        encoded: str = self._packet_class(Kind.CONNECT, auth or None, self.namespace).encode()
        return f"4{encoded}"

    def _address(self, session: DialectSession, transport: str, sid: str | None = None) -> str:
        path, _, query = filled(self.path, session).partition("?")
        own = [part for part in query.split("&") if part.partition("=")[0] not in ("", "EIO", "transport")]
        sid_too = [f"sid={sid}"] if sid else []
        return f"{path}?{'&'.join([*own, 'EIO=4', f'transport={transport}', *sid_too])}"

    # Engine.IO over HTTP, in a greenlet.

    def _poll(self, session: DialectSession) -> tuple[str, list[str]]:
        """Open a session over HTTP and connect to the namespace; return its id and the packets received."""
        opening = self._polled(session, "GET", self._address(session, "polling"))
        sid = _sid_of(opening)
        session.memory["open"] = opening.split(_SEPARATOR)[0][1:]
        path = self._address(session, "polling", sid)
        self._polled(session, "POST", path, self._connect(session))
        received: list[str] = opening.split(_SEPARATOR)[1:]
        for _ in range(MAX_POLLS):
            if any(one.startswith(("40", "44")) for one in received):
                return sid, received
            received += self._polled(session, "GET", path).split(_SEPARATOR)
        raise LoginFailed(f"the server did not answer the connect packet within {MAX_POLLS} requests")

    def _polled(self, session: DialectSession, method: str, path: str, body: str | None = None) -> str:
        headers = {"Content-Type": "text/plain;charset=UTF-8"} if body else {}
        if not self.auth_field and session.token:
            headers["Authorization"] = f"Bearer {session.token}"
        answer = login_http.ask(session, method, path, body=body, headers=headers)
        if answer.status != login_http.OK:
            raise LoginFailed(_UNSTICKY if "Session ID unknown" in answer.text else str(answer))
        return answer.text

    # What the server says.

    def read(self, session: DialectSession, data: Data) -> Read:
        if isinstance(data, bytes):
            return self._attachment(session, data)
        match data[:1]:
            case "4" if len(data) > 1:
                return self._packet(session, data)
            case "2":
                session.expect_ping(session.memory.get("ping_within_s"))
                return Send("3")
            case "0":
                self._opened(session, data[1:])
                return Send(self._connect(session))
            case "3" if data == "3probe" and self.transport == "polling":
                self._opened(session, session.memory.get("open", ""))
                polled = [_of_payload(text) for text in session.memory.pop("polled", ())]
                return [
                    Send("5"),
                    *(one for said in polled for one in listed_meanings(self.read(session, said))),
                ]
            case "1" | "6":  # close, which the end of the connection follows, and noop
                return None
        return unreadable(data)

    def _opened(self, session: DialectSession, said: str) -> None:
        """Expect pings at the interval that the server announces: clients close a connection without them."""
        session.memory["ping_within_s"] = within_s = _ping_within_s(said)
        session.expect_ping(within_s)

    def _packet(self, session: DialectSession, data: str) -> Read:
        if session.memory.pop("partial", None) is None:
            return self._whole(session, data)
        missing = f"expected binary data of the previous packet, got another packet: {excerpt(data)}"
        return [Unreadable(missing), *listed_meanings(self._whole(session, data))]

    def _whole(self, session: DialectSession, data: str) -> Read:
        try:
            packet = self._packet_class(encoded_packet=data[1:])
        except _MALFORMED:
            return unreadable(data)
        if packet.attachment_count > MAX_ATTACHMENTS:
            return unreadable(data)
        if packet.attachment_count:
            session.memory["partial"] = packet
            return None
        return self._meaning(session, packet, data)

    def _attachment(self, session: DialectSession, data: bytes) -> Read:
        packet = session.memory.get("partial")
        if packet is None:
            return unreadable(data)
        try:
            complete = packet.add_attachment(data)
        except _MALFORMED:
            complete, packet = True, None
        if complete:
            del session.memory["partial"]
        if packet is None:
            return unreadable(data)
        return self._meaning(session, packet, data) if complete else None

    def _meaning(self, session: DialectSession, packet: Any, data: Data) -> Read:
        if (packet.namespace or "/") != self.namespace:
            return None
        arguments = packet.data if isinstance(packet.data, list) else None
        match packet.packet_type:
            case Kind.ACK | Kind.BINARY_ACK if arguments is not None:
                answers = self._acknowledged and packet.id is not None
                return self._answer(session, packet.id, arguments) if answers else None
            case Kind.EVENT | Kind.BINARY_EVENT if arguments and isinstance(arguments[0], str):
                return self._event(session, packet.id, arguments[0], arguments[1:])
            case Kind.CONNECT:
                return self._connected(session, packet.data if isinstance(packet.data, dict) else {})
            case Kind.CONNECT_ERROR:
                said = words_of(packet.data, EXCERPT_LENGTH)
                return AuthRequired(said if self.namespace == "/" else f"{said} (namespace {self.namespace})")
            case Kind.DISCONNECT:
                return Failed(
                    SESSION, f"the server disconnected the session from the namespace {self.namespace}"
                )
        return unreadable(data)

    def _connected(self, session: DialectSession, said: dict[str, Any]) -> Established:
        sid, memory = said.get("sid"), session.memory
        if not (self.recovery and isinstance(sid, str)):
            return Established()
        if not isinstance(said.get("pid"), str):
            resumed = memory.setdefault("first_sid", sid) != sid
            return Established(session_id=f"{sid} ({_NO_RECOVERY})" if resumed else sid)
        before, could_recover = memory.get("sid"), memory.get("has_offset")
        memory["sid"], memory["pid"] = sid, said["pid"]
        if before == sid:
            return Established(session_id=memory["first_sid"])
        memory["has_offset"] = False  # an offset that is left belongs to the state that was not recovered
        if session.dropped_by in self.unresumable_drops:
            memory["first_sid"] = sid
        elif before is not None and not could_recover:
            return Established()
        memory.setdefault("first_sid", sid)
        return Established(session_id=sid)

    def _event(
        self, session: DialectSession, number: int | None, name: str, arguments: list[Any]
    ) -> list[Incoming]:
        found: list[Incoming] = []
        if number is not None:
            found.append(Send(f"43{self._prefix}{number}[]"))
        if session.memory.get("pid") and arguments and isinstance(arguments[-1], str):
            session.memory["offset"], session.memory["has_offset"] = arguments[-1], True
        if self._acknowledged or name != self.reply:
            return [*found, self._pushed(arguments)]
        text = marked_text(session, arguments)
        sequence = None if text is None else session.sequence_of(text)
        if sequence is None:
            return [*found, self._pushed(arguments)]
        return [*found, self._answer(session, sequence, arguments)]

    def _pushed(self, arguments: list[Any]) -> Push:
        return pushed(arguments[0] if arguments else None, self.push_text, self.push_number)

    def _answer(self, session: DialectSession, sequence: int, arguments: list[Any]) -> Reply | Failed:
        error = value_at(arguments[0], self._error) if arguments and self._error else MISSING
        if error is not MISSING and error:
            return Failed(sequence, words_of(error))
        field = self.text if self.text in ("", AUTO) else f"0.{self.text}"
        return Reply(sequence, checked_text(session, arguments, field))


def _packet_code() -> Any:
    """Return the class that reads and writes packets; importing it is slow and opens a socket."""
    try:
        from socketio.packet import Packet
    except ModuleNotFoundError as error:
        problem = f"needs the library {error.name}: pip install 'loadtest-ws[socketio]'"
        raise InvalidSetting("--ws-dialect", "socketio", problem) from error
    return Packet


def _sid_of(opening: str) -> str:
    try:
        sid = json.loads(opening.split(_SEPARATOR)[0][1:])["sid"]
    except (ValueError, TypeError, KeyError, RecursionError):
        sid = None
    if not (isinstance(sid, str) and opening[:1] == "0" and sid.isascii() and sid.isprintable()):
        raise LoginFailed(f"the server did not open an Engine.IO session: {one_line(opening)}")
    return sid


def _ping_within_s(said: str) -> float | None:
    """Return the time within which a ping must arrive, None if the server announces none."""
    try:
        opened = json.loads(said)
        times = [opened["pingInterval"], opened["pingTimeout"]]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    sound = all(isinstance(ms, int) and 0 < ms <= MAX_PING_MS for ms in times)
    return sum(times) / 1000 if sound else None


def _of_payload(packet: str) -> Data:
    """Return a packet of an HTTP body in its WebSocket form: HTTP bodies have binary data in base64."""
    try:
        return b64decode(packet[1:]) if packet.startswith("b") else packet
    except ValueError:
        return packet
