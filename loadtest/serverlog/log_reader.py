"""Reads a server's log: bytes in, records out, in constant memory for any input.

The first bytes decide the layout (lines, or JSON objects in an array) and the encoding. The first lines
decide which text format is tried first, and whether a carrier (`docker logs -t`, `kubectl logs --timestamps`)
put a time before each line. JSON lines and text lines may be mixed, as they are if an application logs JSON
and uvicorn does not. Nothing in a log stops the reader: what it cannot read, it counts. The reader is fed
bytes and never waits, so it serves files, pipes and growing logs alike.
"""

import codecs
import gzip
import re
import sys
import zlib
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import cast

from loadtest.errors import InvalidSetting
from loadtest.serverlog.assembly import Assembly
from loadtest.serverlog.carriers import MAX_FRAME, Frame, Frames, LineFrames, ObjectFrames
from loadtest.serverlog.formats import KNOWN_FORMATS, Entry, TextFormat, by_fitness, heads, known_formats
from loadtest.serverlog.payloads import decode, entry_of
from loadtest.serverlog.records import Counts, LogRecord
from loadtest.serverlog.times import parse_time, plausible

CHUNK = 256 * 1024
_SNIFFED = 4  # a byte order mark has up to 3 bytes
_SAMPLE = 200
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_GZIP = b"\x1f\x8b"
_ESCAPE = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*\x07?|[@-Z\\^_])?")
_STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)) ?")
_PIECE = re.compile(
    r"\s|The above exception was|During handling of the above"
    r"|(?:[A-Za-z_]\w{0,60}\.){0,9}[A-Z]\w{0,60}"
    r"(?:Error|Exception|Disconnect|Disconnected|ClosedOK|Exit)(?:: |$)"
)


class LogReader:
    """Reads one log, fed in chunks of any size."""

    def __init__(self, *, format: str = "auto", option: str = "--ws-server-log-format") -> None:  # noqa: A002 - the setting's name
        """Choose the format.

        Args:
            format: `auto`, `json`, a name in KNOWN_FORMATS, or a format string of Python's logging.
            option: the option named in errors.

        Raises:
            InvalidSetting: the format is unknown or malformed.
        """
        self.counts = Counts()
        self._formats = _formats(format, option)
        self._assembly = Assembly(self.counts)
        self._frames: Frames | None = None
        self._decoder: codecs.IncrementalDecoder | None = None
        self._head = b""
        self._sampled = False
        self._stamped = False
        self._broken = 0
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
        self._head += chunk
        return self._begin() if len(self._head) >= _SNIFFED else []

    def note_damage(self) -> None:
        """Count a file that is truncated or damaged, so that its bytes end early."""
        self._broken += 1
        self.counts.broken += 1

    def pause(self) -> list[LogRecord]:
        """Return the record that was waiting for more lines, since none come for a while."""
        return self._assembly.flush()

    def finish(self) -> list[LogRecord]:
        """Return the remaining records at the end of the log."""
        records: list[LogRecord] = []
        if self._frames is None and self._head:
            records += self._begin(last=True)
        if self._frames is not None:
            records += self._take(self._frames.flush())
        return records + self._assembly.flush()

    def _begin(self, *, last: bool = False) -> list[LogRecord]:
        if self._decoder is None and self._head.startswith(_UTF16):
            self._decoder = codecs.getincrementaldecoder("utf-16")("replace")
            self._head = self._plain(self._head)
        head = self._head.removeprefix(codecs.BOM_UTF8).replace(b"\0", b"")
        frames = layout(head)
        if frames is None and (last or len(head) > MAX_FRAME):
            frames = LineFrames()
        if frames is None:
            return []
        self._frames, self._head = frames, b""
        return self._take(frames.feed(head))

    def _plain(self, chunk: bytes) -> bytes:
        """Return bytes as UTF-8 without NULs; a log truncated while being written begins with NULs."""
        if self._decoder is not None:
            chunk = self._decoder.decode(chunk).encode("utf-8", "replace")
        return chunk.replace(b"\0", b"") if b"\0" in chunk else chunk

    def _take(self, frames: list[Frame]) -> list[LogRecord]:
        assert self._frames is not None
        if not self._sampled and frames:
            self._sampled = True
            self._sample(frames[:_SAMPLE])
        for number, frame in frames:
            self._frame(number, frame)
        self.counts.lines = self._frames.lines
        self.counts.cut = self._frames.cut
        self.counts.broken = self._broken + self._frames.broken
        return self._assembly.take()

    def _sample(self, frames: list[Frame]) -> None:
        """Choose from the first lines which format to try first, and whether a carrier stamped each line."""
        lines = [bare for _, frame in frames if (bare := _without_escapes(frame).strip())]
        plain = [line.decode("utf-8", "replace") for line in lines if line[:1] != b"{"]
        if lines and all(map(_STAMP.match, lines)):
            under = [_STAMP.sub(b"", line, count=1) for line in lines]
            under_plain = [line.decode("utf-8", "replace") for line in under if line[:1] != b"{"]
            before = max((heads(known, plain) for known in self._formats), default=0)
            after = max((heads(known, under_plain) for known in self._formats), default=0)
            read_under = len(under) - len(under_plain) + after
            self._stamped = read_under > 0 and read_under >= before
            plain = under_plain if self._stamped else plain
        self._formats = by_fitness(self._formats, plain)

    def _frame(self, number: int, frame: bytes) -> None:
        frame = _without_escapes(frame)
        stamp_ns = None
        if self._stamped and (stamp := _STAMP.match(frame)):
            stamp_ns = plausible(parse_time(stamp[1].decode()))
            frame = frame[stamp.end() :]
        if frame[:1] == b"{" and self._object(number, frame, stamp_ns):
            return
        text = self._decoded(frame)
        entry = self._parsed(text)
        if entry is None:
            self._assembly.line(number, text)
        else:
            self._head_of(entry, number, stamp_ns)

    def _object(self, number: int, frame: bytes, stamp_ns: int | None) -> bool:
        """Read a frame as JSON; return False if it is text."""
        data = decode(frame)
        entry = entry_of(data) if data is not None else None
        if entry is None:
            looks_like_json = frame[1:].lstrip()[:1] in (b'"', b"}", b"")
            self._broken += looks_like_json
            return looks_like_json
        entry.frame = frame
        if entry.raw and not self._unwrap(entry):
            entry.line = number
            entry.at_ns = plausible(entry.at_ns)
            self._assembly.piece(entry)
        else:
            self._head_of(entry, number, stamp_ns)
        return True

    def _unwrap(self, entry: Entry) -> bool:
        """Parse a line of text wrapped by a carrier; return False if it continues another entry."""
        inner = self._parsed(entry.message) if entry.message else None
        if inner is None:
            return bool(entry.message) and _PIECE.match(entry.message) is None
        entry.message = inner.message
        entry.level = inner.level
        entry.logger = entry.logger or inner.logger
        entry.at_ns = entry.at_ns or inner.at_ns
        return True

    def _head_of(self, entry: Entry, number: int, stamp_ns: int | None) -> None:
        entry.line = number
        entry.at_ns = plausible(entry.at_ns)
        if entry.at_ns is None:
            entry.at_ns = stamp_ns
        if entry.at_ns is None and self._read_at_ns is not None:
            entry.at_ns = self._read_at_ns
            entry.arrival = True
        self._assembly.head(entry)

    def _parsed(self, text: str) -> Entry | None:
        if not text or text[0] in " \t":
            return None
        for known in self._formats:
            entry = known.parse(text)
            if entry is not None:
                return entry
        return None

    def _decoded(self, frame: bytes) -> str:
        try:
            return frame.decode().rstrip()
        except UnicodeDecodeError:
            self.counts.undecodable += 1
            return frame.decode("utf-8", "replace").rstrip()


def _formats(name: str, option: str) -> list[TextFormat]:
    if name == "auto":
        return known_formats()
    if name == "json":
        return []
    if name not in KNOWN_FORMATS and "%(" not in name:
        names = ", ".join(KNOWN_FORMATS)
        problem = f"must be auto, json, {names}, or a format such as '%(levelname)s %(message)s'"
        raise InvalidSetting(option, name, problem)
    try:
        return [TextFormat(KNOWN_FORMATS.get(name, name))]
    except ValueError as error:
        raise InvalidSetting(option, name, str(error)) from None


def layout(head: bytes) -> Frames | None:
    """Return the framing for a log that begins with these bytes; None if more bytes are needed."""
    text = head.lstrip()
    first, after = text[:1], text[1:].lstrip()
    if first == b"[" and after:
        return ObjectFrames() if after[:1] in b"{]" else LineFrames()
    if first == b"{" and b"\n" in text:
        return ObjectFrames() if text.partition(b"\n")[0].rstrip() == b"{" else LineFrames()
    return None if first in (b"", b"[", b"{") else LineFrames()


def _without_escapes(frame: bytes) -> bytes:
    return _ESCAPE.sub(b"", frame) if b"\x1b" in frame else frame


def read(path: Path, reader: LogReader, *, option: str = "FILE") -> Iterator[LogRecord]:
    """Yield every record of a file, which may be gzipped.

    Damage is counted in `reader.counts`.

    Args:
        path: the file; `-` is standard input.
        reader: a new reader for this file.
        option: the option named in errors.

    Raises:
        InvalidSetting: the file cannot be opened or read.
    """
    try:
        if str(path) == "-":
            yield from _records(_unzipped(cast("BufferedReader", sys.stdin.buffer)), reader)
        else:
            with path.open("rb") as file:
                yield from _records(_unzipped(file), reader)
    except OSError as error:
        problem = f"must be a file that can be read ({error.strerror or error})"
        raise InvalidSetting(option, str(path), problem) from error


def _unzipped(file: BufferedReader) -> Iterator[bytes]:
    zipped = isinstance(file, BufferedReader) and file.peek(2)[:2] == _GZIP
    source = gzip.GzipFile(fileobj=file) if zipped else file
    while chunk := source.read1(CHUNK):
        yield chunk


def _records(chunks: Iterator[bytes], reader: LogReader) -> Iterator[LogRecord]:
    try:
        for chunk in chunks:
            yield from reader.feed(chunk)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        reader.note_damage()  # what came before the damage counts
    yield from reader.finish()
