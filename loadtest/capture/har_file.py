"""Read the WebSocket messages of a HAR file, as Chrome, Edge, Playwright and mitmproxy write them.

The format (HAR 1.2, softwareishard.com/blog/har-12-spec) has no WebSocket messages. Chrome adds to the entry
of an upgrade, whose status is 101,

    "_webSocketMessages": [{"type": "send"|"receive"|"error", "time": …, "opcode": 1|2|-1, "data": …}, …]

and the others do the same. Opcode 2 is binary, in base64; -1 is an error. `time` is Unix time in seconds, in
Playwright's files in milliseconds, and -1 without timing: the size of the value shows the unit, for each
connection. Playwright may store the messages in a separate file, one JSON object per line, named by
`response.content._file`: beside the .har, or in its .zip. Firefox and Safari write no messages.

Files are untrusted. Only needed fields are decoded; sizes and counts are bounded.
"""

import base64
import binascii
import io
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from msgspec import Raw, Struct

from loadtest.capture.har_secrets import secrets_of
from loadtest.capture.recorded import Connection, Frame, Recording
from loadtest.errors import UsageError
from loadtest.events import Data
from loadtest.regular_files import NotRegular, read_regular
from loadtest.text import counted, one_line

MAX_BYTES: Final = 512 * 2**20
"""Size of a file that is read: a day's recording with all its pictures is smaller."""

MAX_ENTRIES: Final = 200_000
MAX_CONNECTIONS: Final = 1_000
MAX_FRAMES: Final = 200_000
"""Messages of one connection."""

RECORDERS: Final = (
    "Chrome and Edge (DevTools, Network, 'Export HAR'), Playwright (record_har_path) and mitmproxy (hardump) "
    "record WebSocket messages; see docs/from-a-recording.md"
)
"""What records messages, for who has a file without any."""

_SILENT: Final = {"firefox": "Firefox", "webkit": "Safari", "safari": "Safari"}
"""Programs whose HAR files hold no messages, by a word in their names."""

_MILLISECONDS_FROM: Final = 1e11
"""A time from here on is in milliseconds: as seconds it would be in the year 5138."""


class _Pair(Struct):
    name: str = ""
    value: str = ""


class _Content(Struct):
    text: str | None = None
    file: str | None = msgspec.field(default=None, name="_file")


class _Request(Struct):
    url: str = ""
    headers: list[_Pair] = []


class _Response(Struct):
    status: int = 0
    headers: list[_Pair] = []
    content: _Content = msgspec.field(default_factory=_Content)


class _Entry(Struct):
    request: _Request
    response: _Response = msgspec.field(default_factory=_Response)
    resource_type: str | None = msgspec.field(default=None, name="_resourceType")
    messages: Raw = msgspec.field(default=Raw(), name="_webSocketMessages")


class _Creator(Struct):
    name: str = ""
    version: str = ""


class _Log(Struct):
    entries: list[Raw]
    creator: _Creator = msgspec.field(default_factory=_Creator)
    browser: _Creator = msgspec.field(default_factory=_Creator)


class _Har(Struct):
    log: _Log


class _Message(Struct):
    """A message; Chrome leaves out unknown fields."""

    type: str
    data: str = ""
    time: float = -1
    opcode: float = 1


_Beside = Callable[[str], bytes]
"""Returns the content of a file that the HAR names."""


class UnreadableRecording(UsageError):
    """A recording cannot be read.

    Args:
        name: name of the file.
        problem: what is wrong with it; continues the sentence after the name.
    """

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(name, problem)
        self.name = name
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.name} {self.problem}"


def read_recording(path: Path) -> Recording:
    """Return the recording in a HAR file, or in the .zip that Playwright made of one.

    Raises:
        UnreadableRecording: it is something else, damaged, too large, or has no WebSocket messages.
    """
    data = _content(path, path.name)
    if data.startswith(b"PK\x03\x04"):
        return _of_zip(path)
    return parsed(data, path.name, lambda name: _content(path.parent / name, name, follow=False))


def _content(path: Path, name: str, *, follow: bool = True) -> bytes:
    try:
        return read_regular(path, MAX_BYTES, follow=follow)
    except NotRegular as error:
        raise UnreadableRecording(name, str(error.strerror)) from None
    except FileNotFoundError:
        raise UnreadableRecording(name, "was not found") from None
    except OSError as error:
        problem = f"is over {MAX_BYTES >> 20} MB" if "is over" in str(error.strerror) else f"{error.strerror}"
        raise UnreadableRecording(name, problem) from None


def _of_zip(path: Path) -> Recording:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith(".har") and "/" not in name]
            if len(names) != 1:
                problem = f"has {counted(len(names), '.har file')}, but must have one"
                raise UnreadableRecording(path.name, problem)

            def member(name: str) -> bytes:
                return _member(archive, name)

            return parsed(member(names[0]), path.name, member)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, RuntimeError, OSError) as error:
        raise UnreadableRecording(path.name, f"is a damaged .zip: {one_line(str(error))}") from None


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        with archive.open(name) as file:
            data = file.read(MAX_BYTES + 1)  # the size in the archive may be false
    except KeyError:
        raise UnreadableRecording(name, "is not in the .zip") from None
    except (zipfile.BadZipFile, EOFError, OSError, zipfile.zlib.error) as error:  # type: ignore[attr-defined]
        raise UnreadableRecording(name, f"is damaged: {one_line(str(error))}") from None
    if len(data) > MAX_BYTES:
        raise UnreadableRecording(name, f"is over {MAX_BYTES >> 20} MB")
    return data


def _bounded(beside: _Beside, name: str) -> _Beside:
    """Return the function with a limit on its total output: several connections may name the same file."""
    left = MAX_BYTES

    def read(file: str) -> bytes:
        nonlocal left
        data = beside(file)
        left -= len(data)
        if left < 0:
            raise UnreadableRecording(name, f"names files of over {MAX_BYTES >> 20} MB in total")
        return data

    return read


def parsed(data: bytes, name: str, beside: _Beside) -> Recording:
    """Return the recording in the content of a HAR file.

    Args:
        data: the content.
        name: name of the file, for errors.
        beside: returns the content of a file that the HAR names.

    Raises:
        UnreadableRecording: see `read_recording`.
    """
    log = _log(data.removeprefix(b"\xef\xbb\xbf"), name)
    if len(log.entries) > MAX_ENTRIES:
        raise UnreadableRecording(name, f"has {len(log.entries):,} entries, limit {MAX_ENTRIES:,}")
    connections: list[Connection] = []
    secrets: set[str] = set()
    beside = _bounded(beside, name)
    for raw in log.entries:
        secrets |= secrets_of(raw)
        entry = _entry(raw)
        if entry is not None and _is_websocket(entry):
            if len(connections) == MAX_CONNECTIONS:
                problem = f"has over {MAX_CONNECTIONS:,} WebSocket connections"
                raise UnreadableRecording(name, problem)
            connections.append(_connection(entry, len(connections) + 1, name, beside))
    if not any(connection.frames for connection in connections):
        raise UnreadableRecording(name, _no_messages(log, connections))
    creator = " ".join(filter(None, (log.creator.name, log.creator.version)))
    return Recording(
        connections=tuple(connections), creator=one_line(creator, 60), secrets=frozenset(secrets)
    )


_ESCAPE: Final = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<half>\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\."
)
"""An escape in JSON; `half` of a surrogate pair is one that UTF-8 may not hold."""


def _without_halves(data: bytes) -> bytes:
    """Return JSON with a replacement character for each lone surrogate, as left by scripts that cut texts."""
    return _ESCAPE.sub(lambda found: rb"\ufffd" if found["half"] else found[0], data)


def _log(data: bytes, name: str) -> _Log:
    try:
        try:
            return msgspec.json.decode(data, type=_Har).log
        except msgspec.DecodeError:
            whole = _without_halves(data)
            if whole == data:
                raise
            return msgspec.json.decode(whole, type=_Har).log
    except RecursionError:
        raise UnreadableRecording(name, "is nested too deeply to be a HAR file") from None
    except (msgspec.MsgspecError, UnicodeError) as error:
        if data.lstrip()[:1] != b"{":
            problem = "is not a HAR file: it must be a JSON object, or Playwright's .zip of one"
        elif "truncated" in str(error):
            problem = "is cut off: export it again"
        else:
            problem = f"is not a HAR file: {one_line(str(error))}"
        raise UnreadableRecording(name, problem) from None


def _entry(raw: Raw) -> _Entry | None:
    try:
        return msgspec.json.decode(raw, type=_Entry)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None  # of another form than those that hold messages


def _is_websocket(entry: _Entry) -> bool:
    return (
        bytes(entry.messages) not in (b"", b"null")
        or entry.resource_type == "websocket"
        or entry.request.url.startswith(("ws://", "wss://"))
        or entry.response.status == 101
    )


def _connection(entry: _Entry, number: int, name: str, beside: _Beside) -> Connection:
    messages = list(_messages(entry, name, number, beside))
    if len(messages) > MAX_FRAMES:
        problem = f"has {len(messages):,} messages on connection {number}, limit {MAX_FRAMES:,}"
        raise UnreadableRecording(name, problem)
    unit = _unit([message.time for message in messages])
    frames, errors = [], []
    for at, message in enumerate(messages, 1):
        if message.type == "error" or message.opcode == -1:
            errors.append(one_line(message.data))
        elif message.type in ("send", "receive") and message.opcode in (1, 2):
            time_s = message.time / unit if message.time >= 0 else None
            frames.append(Frame(message.type == "send", _data(message, name, number, at), time_s))
    return Connection(
        number=number,
        url=_url(entry.request.url),
        frames=tuple(frames),
        headers=_headers(entry.request.headers),
        answered=_headers(entry.response.headers),
        errors=tuple(errors[:10]),
    )


def _url(text: str) -> str:
    """Return a URL; for invalid text such as `http://[`, one that leads nowhere."""
    try:
        urlsplit(text).port  # noqa: B018  # raises for a port that is no number
    except ValueError:
        return "ws://invalid.example/"
    return text


def _messages(entry: _Entry, name: str, number: int, beside: _Beside) -> Iterator[_Message]:
    file = entry.response.content.file
    where = f"connection {number}"
    if bytes(entry.messages) not in (b"", b"null"):
        try:
            yield from _decoded(entry.messages, list[_Message])
        except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError) as error:
            problem = f"has messages that cannot be read on {where}: {one_line(str(error))}"
            raise UnreadableRecording(name, problem) from None
    elif file is not None and file.endswith(".jsonl"):
        if "/" in file or "\\" in file or "\0" in file:
            problem = f"names a file in another folder on {where}: {one_line(file)}"
            raise UnreadableRecording(name, problem)
        for line, text in enumerate(io.BytesIO(beside(file)), 1):
            if line > 2 * MAX_FRAMES:
                raise UnreadableRecording(file, f"has over {2 * MAX_FRAMES:,} lines")
            if text.strip():
                try:
                    yield _decoded(text, _Message)
                except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError) as error:
                    problem = f"cannot be read in line {line}: {one_line(str(error))}"
                    raise UnreadableRecording(file, problem) from None


def _decoded(data: Raw | bytes, kind: Any) -> Any:
    """Return JSON as a type."""
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.DecodeError:
        return msgspec.json.decode(_without_halves(bytes(data)), type=kind)


def _unit(times: list[float]) -> float:
    """Return the number of units of these times per second."""
    return 1000.0 if max(times, default=0) >= _MILLISECONDS_FROM else 1.0


def _data(message: _Message, name: str, number: int, at: int) -> Data:
    if message.opcode == 1:
        return message.data
    try:
        return base64.b64decode(message.data, validate=True)
    except (binascii.Error, ValueError):
        problem = f"has binary data that is not base64: message {at} of connection {number}"
        raise UnreadableRecording(name, problem) from None


def _headers(pairs: list[_Pair]) -> tuple[tuple[str, str], ...]:
    return tuple((pair.name.lower(), pair.value) for pair in pairs[:200])


def _no_messages(log: _Log, connections: list[Connection]) -> str:
    said = log.creator.name.lower()
    silent = next((name for word, name in _SILENT.items() if word in said), None)
    if silent is not None:
        return f"was written by {silent}, which records no WebSocket messages. {RECORDERS}"
    if connections:
        found = counted(len(connections), "WebSocket connection")
        return f"has {found} but no messages. {RECORDERS}"
    return f"has no WebSocket connection. Start recording, reload the page, then export. {RECORDERS}"
