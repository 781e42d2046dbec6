"""Reads a server's log: bytes in, records out, in constant memory for any input.

The first bytes decide the layout (lines, JSON objects in an array, YAML, CSV) and the encoding. Each line
then finds its own carrier and format, so one log may mix them: JSON of the application, text of uvicorn,
lines of several pods. Nothing in a log stops the reader: what it cannot read, it counts. The reader is fed
bytes and never waits, so it serves files, pipes and growing logs alike.
"""

import codecs
import re
import sys
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import cast

from loadtest.errors import InvalidSetting
from loadtest.serverlog.assembly import Assembly
from loadtest.serverlog.carriers import Carried, Unwrapping
from loadtest.serverlog.compressed import Damaged, Unsupported, plain_bytes
from loadtest.serverlog.crashes import is_crash
from loadtest.serverlog.entries import CARRIER, Entry
from loadtest.serverlog.formats import KNOWN_FORMATS, TextFormat
from loadtest.serverlog.framing import (
    MAX_FRAME,
    Frame,
    Frames,
    LineFrames,
    ObjectFrames,
    layout,
    without_list_head,
)
from loadtest.serverlog.heads import Heads
from loadtest.serverlog.payloads import decode, entries_of
from loadtest.serverlog.records import ESCAPE, SYSLOG_LEVELS, Counts, LogRecord
from loadtest.serverlog.times import parse_time, plausible, time_at
from loadtest.serverlog.tracebacks import raises, starts_traceback

_SNIFFED = 4  # a byte order mark has up to 3 bytes
_MAX_SOURCES = 256
_MAX_PARTS = 4 * 1024 * 1024
"""Characters kept of lines whose last part has not come."""

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_ESCAPE = re.compile(ESCAPE.encode())
_LINK = ("The above exception was", "During handling of the above", "Caused by: ", "goroutine ")
_WARNING = re.compile(r"\S{1,300}\.py:\d{1,6}: \w{1,60}Warning: ")  # Python prints them without format


class LogReader:
    """Reads one log, fed in chunks of any size.

    Attributes:
        counts: what was read.
        held_parts: characters kept of lines whose last part has not come.
    """

    def __init__(self, *, format: str = "auto", option: str = "--ws-server-log-format") -> None:  # noqa: A002 - the setting's name
        """Choose the format.

        Args:
            format: `auto`, `json`, a name in KNOWN_FORMATS, or a format string of Python's logging.
            option: the option named in errors.

        Raises:
            InvalidSetting: the format is unknown or malformed.
        """
        self.counts = Counts()
        self._format = _format(format, option)
        self._json_only = format == "json"
        self._assemblies = {"": Assembly(self.counts, bare=format == "auto")}
        self._touched = [self._assemblies[""]]
        self._unwrapping = Unwrapping()
        self._heads = Heads()
        self._parts: dict[str, tuple[int, Carried]] = {}  # lines that a carrier cut, until their last part
        self.held_parts = 0
        self._frames: Frames | None = None
        self._decoder: codecs.IncrementalDecoder | None = None
        self._head = b""
        self._broken = 0
        self._cut = 0
        self._read_at_ns: int | None = None

    def feed(self, chunk: bytes, *, read_at_ns: int | None = None) -> list[LogRecord]:
        """Take more bytes; return the records that are complete now.

        Args:
            chunk: the bytes.
            read_at_ns: Unix time when they were read, if the log is being followed; records without a time of
                their own get it.
        """
        self._read_at_ns = read_at_ns
        if self._frames is not None:
            return self._take(self._frames.feed(self._plain(chunk)))
        self._head += self._plain(chunk) if self._decoder is not None else chunk
        return self._begin() if len(self._head) >= _SNIFFED else []

    def note_damage(self, reason: str) -> None:
        """Count a file that is truncated or damaged, so that its bytes end early."""
        self._broken += 1
        self.counts.broken += 1
        self.counts.damage = reason

    def pause(self) -> list[LogRecord]:
        """Return the record that was waiting for more lines, since none come for a while."""
        self._end_parts()
        return [record for assembly in self._assemblies.values() for record in assembly.flush()]

    def finish(self) -> list[LogRecord]:
        """Return the remaining records at the end of the log."""
        records: list[LogRecord] = []
        if self._frames is None and self._head:
            records += self._begin(last=True)
        if self._frames is not None:
            records += self._take(self._frames.flush())
        return records + self.pause()

    def _begin(self, *, last: bool = False) -> list[LogRecord]:
        if self._decoder is None and self._head.startswith(_UTF16):
            self._decoder = codecs.getincrementaldecoder("utf-16")("replace")
            self._head = self._plain(self._head)
        head = self._head.removeprefix(codecs.BOM_UTF8).replace(b"\0", b"")
        frames = layout(head)
        if frames is None and (last or len(head) > MAX_FRAME):
            frames = LineFrames()
        if frames is None:
            self._head = head  # else a file of NULs would be searched again from its start
            return []
        bare = without_list_head(head)
        self._frames, self._head = (frames if bare is head else ObjectFrames()), b""
        return self._take(self._frames.feed(bare))

    def _plain(self, chunk: bytes) -> bytes:
        """Return bytes as UTF-8 without NULs; a log truncated while being written begins with NULs."""
        if self._decoder is not None:
            chunk = self._decoder.decode(chunk).encode("utf-8", "replace")
        return chunk.replace(b"\0", b"") if b"\0" in chunk else chunk

    def _take(self, frames: list[Frame]) -> list[LogRecord]:
        assert self._frames is not None
        for number, frame in frames:
            self._frame(number, frame)
        self.counts.lines = self._frames.lines
        self.counts.cut = self._cut + self._frames.cut
        self.counts.broken = self._broken + self._frames.broken
        touched, self._touched = self._touched, []
        return [record for assembly in touched for record in assembly.take()]

    def _frame(self, number: int, frame: bytes) -> None:
        if b"\x1b" in frame:
            frame = _ESCAPE.sub(b"", frame)
        if frame[:1] == b"{":
            self._object(number, frame, _BARE)
            return
        carried = self._unwrapping.strip(self._decoded(frame))
        if carried.part == "P" or carried.source in self._parts:
            number, carried = self._joined(number, carried)
            if carried.part == "P" and self._holds(number, carried):
                return
        self._whole(number, carried)

    def _joined(self, number: int, carried: Carried) -> tuple[int, Carried]:
        """Return a part with those before it, and the number of their first line."""
        first, before = self._parts.pop(carried.source, (number, None))
        if before is None:
            return number, carried
        self.held_parts -= len(before.text)
        return first, carried._replace(text=before.text + carried.text)

    def _holds(self, number: int, carried: Carried) -> bool:
        """Whether a line without its last part is kept until that comes; if there is no room, it is cut."""
        size = len(carried.text)
        if size >= MAX_FRAME or self.held_parts + size > _MAX_PARTS or len(self._parts) >= _MAX_SOURCES:
            self._cut += 1
            return False
        self._parts[carried.source] = number, carried
        self.held_parts += size
        return True

    def _end_parts(self) -> None:
        """Read the lines whose last part does not come."""
        parts, self._parts, self.held_parts = self._parts, {}, 0
        for number, carried in parts.values():
            self._whole(number, carried)

    def _whole(self, number: int, carried: Carried) -> None:
        if carried.text[:1] == "{":
            self._object(number, carried.text.encode("utf-8", "replace"), carried)
        else:
            self._text(number, carried)

    def _text(self, number: int, carried: Carried) -> None:
        """Read a line of text, with what carriers told of it."""
        entry = self._head_of(carried.text)
        at_ns = parse_time(carried.time) if carried.time else None
        if entry is None and at_ns is None:
            self._assembly(carried.source).line(number, carried.text)
            return
        if entry is None:
            entry = Entry(message=carried.text, stamp=CARRIER)
        elif carried.time and not entry.stamp:
            entry.stamp = CARRIER
        entry.at_ns = _nearer(entry.at_ns, at_ns)
        entry.source, entry.line = carried.source, number
        if entry.level is None and _WARNING.match(entry.message):
            self._assembly(entry.source).line(number, entry.message)
            return
        if entry.level is None and carried.priority is not None and carried.priority != _UNSET:
            entry.level = SYSLOG_LEVELS[carried.priority]
        if entry.stamp and entry.level is None and _continues(entry.message):
            self._put(entry, piece=True)
        else:
            self._put(entry)

    def _head_of(self, text: str) -> Entry | None:
        """Return the entry that begins with this line of text; None if it begins none."""
        if self._format is None:
            return None if self._json_only else self._heads.of(text)
        entry = self._format.parse(text)
        stamp = time_at(text) if entry is None else None
        if stamp is not None and stamp.end < len(text):
            entry = self._format.parse(text[stamp.end + 1 :])
        if entry is not None and stamp is not None:
            entry.at_ns = entry.at_ns or stamp.at_ns
        return entry

    def _object(self, number: int, frame: bytes, carried: Carried) -> None:
        """Read a frame as JSON, or as text if it is not JSON."""
        data = decode(frame)
        entries = entries_of(data) if data is not None else []
        if not entries:
            if frame[1:].lstrip()[:1] in (b'"', b"}", b""):
                self._broken += 1
            else:
                self._text(number, carried._replace(text=self._decoded(frame)))
            return
        for entry in entries:
            entry.frame, entry.line = frame, number
            entry.source = entry.source or carried.source
            if entry.at_ns is None and carried.time:
                entry.at_ns = parse_time(carried.time)
            self._put(entry, piece=self._unwrap(entry))

    def _unwrap(self, entry: Entry) -> bool:
        """Read the text of an object without a level; return whether it continues another entry."""
        if entry.raw:
            entry.message = self._unwrapping.strip(entry.message).text
        inner = None
        if entry.message and (entry.raw or entry.level is None or _HEAD.match(entry.message)):
            inner = self._head_of(entry.message)
        if inner is None:
            return entry.raw and _continues(entry.message)
        if not entry.raw and not _outranks(inner, entry):
            return False
        if inner.level is None and _continues(inner.message):
            entry.message = inner.message
            return True
        entry.message, entry.level = inner.message, inner.level or entry.level
        entry.stamp = "own" if inner.stamp else ""
        entry.logger = entry.logger or inner.logger
        entry.session = entry.session or inner.session
        entry.at_ns = _nearer(inner.at_ns, entry.at_ns)
        return False

    def _put(self, entry: Entry, *, piece: bool = False) -> None:
        entry.at_ns = plausible(entry.at_ns)
        if entry.at_ns is None and self._read_at_ns is not None:
            entry.at_ns = self._read_at_ns
            entry.arrival = True
        assembly = self._assembly(entry.source)
        if piece:
            assembly.piece(entry)
        else:
            assembly.head(entry)

    def _assembly(self, source: str) -> Assembly:
        """Return where the lines of a source are assembled; the lines of several may alternate."""
        assembly = self._assemblies.get(source)
        if assembly is None:
            if len(self._assemblies) >= _MAX_SOURCES:
                source = ""
            assembly = self._assemblies.setdefault(source, Assembly(self.counts, bare=self._format is None))
        if not self._touched or self._touched[-1] is not assembly:
            self._touched.append(assembly)
        return assembly

    def _decoded(self, frame: bytes) -> str:
        try:
            return frame.decode().rstrip()
        except UnicodeDecodeError:
            self.counts.undecodable += 1
            return frame.decode("utf-8", "replace").rstrip()


_BARE = Carried("")
_WORD = re.compile(r"\w")

_UNSET = 6
"""systemd and docker give this priority to all lines of standard output, so it tells nothing."""


def _continues(text: str) -> bool:
    """Whether a line that a carrier stamped goes on with the record before it."""
    if not _WORD.search(text) or text[0] in " \t" or text.startswith(_LINK):
        return True
    return raises(text) or starts_traceback(text) or is_crash(text)


_HEAD = re.compile(r"[\[(<\d]|[A-Za-z]{3,11}:|[A-Z]{3,9}\b|(?:ts|time|at|level|lvl)=")
"""What may be the head of a line of text, in the message of an object that has a level."""

_SURE_HEAD = re.compile(r"\d|[\[(<](?:\d|[A-Za-z]{3,11}[\])>])|[A-Z]{3,9}:")


def _outranks(inner: Entry, entry: Entry) -> bool:
    """Whether the level in an object's message is the server's, and the object's only a platform's.

    A message may begin with a word such as "Log:" by chance. So a graver level always counts, a lower one
    only in the form of a logger's head, and with no exception beside it.
    """
    if inner.level is None or entry.level is None:
        return inner.level is not None
    if inner.level >= entry.level:
        return True
    request = inner.stamp in ("access", "request")
    return entry.tail is None and not request and _SURE_HEAD.match(entry.message) is not None


def _nearer(own_ns: int | None, carried_ns: int | None) -> int | None:
    """Return the server's own time, unless it is far from the carrier's: then its zone is not written."""
    if own_ns is None or carried_ns is None:
        return carried_ns if own_ns is None else own_ns
    return own_ns if abs(own_ns - carried_ns) <= _MAX_APART_NS else carried_ns


_MAX_APART_NS = 60 * 10**9


def _format(name: str, option: str) -> TextFormat | None:
    if name in ("auto", "json"):
        return None
    if name not in KNOWN_FORMATS and "%(" not in name:
        names = ", ".join(KNOWN_FORMATS)
        problem = f"must be auto, json, {names}, or a format such as '%(levelname)s %(message)s'"
        raise InvalidSetting(option, name, problem)
    try:
        return TextFormat(KNOWN_FORMATS.get(name, name))
    except ValueError as error:
        raise InvalidSetting(option, name, str(error)) from None


def read(path: Path, reader: LogReader, *, option: str = "FILE") -> Iterator[LogRecord]:
    """Yield every record of a file, which may be gzipped.

    Damage is counted in `reader.counts`, and `damage` there says why the rest could not be read.

    Args:
        path: the file; `-` is standard input.
        reader: a new reader for this file.
        option: the option named in errors.

    Raises:
        InvalidSetting: the file cannot be opened or read, or is compressed otherwise.
    """
    try:
        if str(path) == "-":
            yield from _records(cast("BufferedReader", sys.stdin.buffer), reader)
        else:
            with path.open("rb") as file:
                yield from _records(file, reader)
    except OSError as error:
        problem = f"must be a file that can be read ({error.strerror or error})"
        raise InvalidSetting(option, str(path), problem) from error
    except Unsupported as error:
        raise InvalidSetting(option, str(path), str(error)) from error


def _records(file: BufferedReader, reader: LogReader) -> Iterator[LogRecord]:
    try:
        for chunk in plain_bytes(file):
            yield from reader.feed(chunk)
    except Damaged as damage:
        reader.note_damage(str(damage))  # what came before the damage counts
    yield from reader.finish()
