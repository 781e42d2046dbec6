"""Cuts a log's bytes into frames that may each be a record: lines, JSON objects, YAML documents, rows of CSV.

All kinds take chunks of any size and hold at most one frame in memory. A frame that is too long is cut
(a line keeps its beginning, an object is dropped) and counted; reading continues after it.

The output of `gcloud logging read --format=json` is one array, and a day of it does not fit in memory.
JSON libraries read an array whole or stop at its first damaged element. So objects are found by their braces,
with strings skipped. A raw newline is not allowed in a JSON string, so one there marks a damaged element, and
reading continues with the next.
"""

import csv
import re
from typing import Protocol

import msgspec

MAX_FRAME = 512 * 1024
"""Bytes of a line or object; Cloud Logging's entries have at most 256 KiB."""

Frame = tuple[int, bytes]
"""Number of the frame's first line, starting at 1, and its bytes."""


class Frames(Protocol):
    """Cuts a log's bytes into frames.

    Attributes:
        lines: number of lines read.
        cut: number of frames that were too long.
        broken: number of damaged frames.
    """

    lines: int
    cut: int
    broken: int

    def feed(self, chunk: bytes) -> list[Frame]:
        """Take more bytes; return the frames that are complete now."""

    def flush(self) -> list[Frame]:
        """Return what is left at the end of the log."""


class LineFrames:
    """Makes a frame of every line."""

    def __init__(self) -> None:
        self.lines = 0
        self.cut = 0
        self.broken = 0
        self._rest = b""
        self._skipping = False  # inside a line that has been cut

    def feed(self, chunk: bytes) -> list[Frame]:
        """Take more bytes; return the lines that are complete now."""
        whole = (self._rest + chunk).split(b"\n")
        self._rest = whole.pop()
        first = self.lines + 1
        self.lines += len(whole)
        frames = list(enumerate(whole, first))
        if self._skipping and frames:
            del frames[0]
            self._skipping = False
        if len(self._rest) > MAX_FRAME or self._skipping:
            frames += self._cut_rest()
        if max(map(len, whole), default=0) > MAX_FRAME:
            frames = [self._shorten(frame) for frame in frames]
        return frames

    def flush(self) -> list[Frame]:
        """Return the last line if it has no newline."""
        rest, skipping = self._rest, self._skipping
        self._rest, self._skipping = b"", False
        if not rest or skipping:
            return []
        self.lines += 1
        return [(self.lines, rest)]

    def _cut_rest(self) -> list[Frame]:
        frames = [] if self._skipping else [(self.lines + 1, self._rest[:MAX_FRAME])]
        self.cut += len(frames)
        self._rest, self._skipping = b"", True
        return frames

    def _shorten(self, frame: Frame) -> Frame:
        if len(frame[1]) <= MAX_FRAME:
            return frame
        self.cut += 1
        return frame[0], frame[1][:MAX_FRAME]


_OUTSIDE = re.compile(rb'(?:[^"{}]++|"[^"\\\n]*+")*+(["{}])')  # possessive: it never goes back
_INSIDE = re.compile(rb'["\\\n]')


class ObjectFrames:
    """Makes a frame of every top-level JSON object: the elements of an array, or a sequence of objects."""

    def __init__(self) -> None:
        self.lines = 0
        self.cut = 0
        self.broken = 0
        self._depth = 0
        self._in_string = False
        self._escaped = False  # the chunk ended on a backslash
        self._held: list[bytes] = []  # the object's bytes from earlier chunks
        self._held_bytes = 0
        self._line = 1
        self._start = 0  # where the object begins in this chunk
        self._counted = 0  # up to where this chunk's lines are counted

    def feed(self, chunk: bytes) -> list[Frame]:
        """Take more bytes; return the objects that are complete now."""
        frames: list[Frame] = []
        self._start = self._counted = 0
        position = 1 if self._escaped and chunk else 0
        self._escaped = self._escaped and not chunk
        while position < len(chunk):
            if self._in_string:
                position = self._skip_string(chunk, position)
            else:
                position = self._skip_structure(chunk, position, frames)
        if self._depth:
            self._hold(chunk[self._start :])
        self._count_lines(chunk, len(chunk))
        return frames

    def flush(self) -> list[Frame]:
        """Count an object that never ended as damaged; return nothing."""
        if self._depth:
            self._drop()
        return []

    def _skip_string(self, chunk: bytes, position: int) -> int:
        found = _INSIDE.search(chunk, position)
        if found is None:
            return len(chunk)
        if found[0] == b"\\":
            self._escaped = found.end() == len(chunk)
            return found.end() + 1
        self._in_string = False
        if found[0] == b"\n" and self._depth:
            self._drop()
        return found.end()

    def _skip_structure(self, chunk: bytes, position: int, frames: list[Frame]) -> int:
        found = _OUTSIDE.match(chunk, position)
        if found is None:
            return len(chunk)
        if found[1] == b"{":
            self._open(chunk, found.start(1))
        elif found[1] == b"}":
            self._close(chunk, found.end(), frames)
        else:
            self._in_string = True
        return found.end()

    def _open(self, chunk: bytes, position: int) -> None:
        if self._depth == 0:
            self._start = position
            self._count_lines(chunk, position)
            self._line = self.lines + 1
        self._depth += 1

    def _close(self, chunk: bytes, position: int, frames: list[Frame]) -> None:
        if self._depth != 1:
            self._depth = max(0, self._depth - 1)
            return
        self._depth = 0
        self._hold(chunk[self._start : position])
        if self._held_bytes <= MAX_FRAME:
            frames.append((self._line, b"".join(self._held)))
        else:
            self.cut += 1
        self._clear()

    def _count_lines(self, chunk: bytes, position: int) -> None:
        self.lines += chunk.count(b"\n", self._counted, position)
        self._counted = position

    def _hold(self, part: bytes) -> None:
        self._held_bytes += len(part)
        if self._held_bytes > MAX_FRAME:
            self._held = [b"{"]  # too long: drop its bytes
        else:
            self._held.append(part)

    def _drop(self) -> None:
        self.broken += 1
        self._depth = 0
        self._in_string = False
        self._clear()

    def _clear(self) -> None:
        self._held.clear()
        self._held_bytes = 0


class _Converted:
    """Frames made of several lines, converted to JSON."""

    def __init__(self) -> None:
        self.lines = 0
        self.cut = 0
        self.broken = 0
        self._framed = LineFrames()
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._first = 1
        self._grown = 0

    def feed(self, chunk: bytes) -> list[Frame]:
        """Take more bytes; return the frames that are complete now."""
        return self._counted(self._framed.feed(chunk))

    def flush(self) -> list[Frame]:
        """Return the last frame."""
        frames = [*self._counted(self._framed.flush()), *self._end()]
        self.cut = self._framed.cut + self._grown
        return frames

    def _counted(self, lines: list[Frame]) -> list[Frame]:
        frames = self._take(lines)
        self.lines, self.cut = self._framed.lines, self._framed.cut + self._grown
        return frames

    def _take(self, lines: list[Frame]) -> list[Frame]:
        raise NotImplementedError

    def _convert(self, text: bytes) -> object:
        """Return what a frame's text holds; None if it is damaged, an empty object if there is nothing."""
        raise NotImplementedError

    def _hold(self, number: int, line: bytes) -> None:
        if not self._held:
            self._first = number
        if self._held_bytes <= MAX_FRAME:
            self._held.append(line)
            self._held_bytes += len(line) + 1

    def _end(self) -> list[Frame]:
        text, self._held, self._held_bytes = b"\n".join(self._held), [], 0
        if not text.strip():
            return []
        try:
            value = self._convert(text)
            frame = msgspec.json.encode(value) if isinstance(value, dict) else b""
        except (csv.Error, ValueError, RecursionError):
            frame = b""
        self.broken += not frame
        if len(frame) > MAX_FRAME:  # JSON escapes are longer than what they stand for
            self._grown += 1
            return []
        return [(self._first, frame)] if len(frame) > len("{}") else []


class YamlFrames(_Converted):
    """Makes a frame, as JSON, of every YAML document, as `gcloud logging read` prints without a format."""

    def _take(self, lines: list[Frame]) -> list[Frame]:
        frames = []
        for number, line in lines:
            if line.rstrip() == b"---":
                frames += self._end()
            else:
                self._hold(number, line)
        return frames

    def _convert(self, text: bytes) -> object:
        import yaml  # slow, and few logs are YAML

        try:
            if _aliased(text):  # a few of them may stand for billions of values
                return None
            return yaml.load(text, Loader=yaml.CBaseLoader)  # noqa: S506 - makes only texts, lists and dicts
        except yaml.YAMLError as error:
            raise ValueError("no YAML") from error


def _aliased(text: bytes) -> bool:
    """Whether a YAML document repeats a part of itself by an alias."""
    import yaml

    if b"&" not in text or b"*" not in text:
        return False
    events = yaml.parse(text, Loader=yaml.CBaseLoader)
    return any(isinstance(event, yaml.AliasEvent) for event in events)


class CsvFrames(_Converted):
    """Makes a frame, as JSON, of every row of CSV; the first row has the names."""

    def __init__(self) -> None:
        super().__init__()
        self._names: list[str] = []
        self._quotes = 0

    def _take(self, lines: list[Frame]) -> list[Frame]:
        frames = []
        for number, line in lines:
            self._hold(number, line)
            self._quotes += line.count(b'"')
            if self._quotes % 2 == 0 or self._held_bytes > MAX_FRAME:
                self._quotes = 0
                frames += self._end()
        return frames

    def _convert(self, text: bytes) -> object:
        row = next(csv.reader(text.decode("utf-8", "replace").splitlines(keepends=True)))
        if not self._names:
            self._names = [name.strip() for name in row]
            return {}
        return {name: value for name, value in zip(self._names, row, strict=False) if value}


_LIST = re.compile(rb'\{\s*"(?:events|entries|logEvents)"\s*:\s*(?=\[)')
_YAML = re.compile(rb"---\r?\n[A-Za-z]\w*:")
_HEADER = re.compile(rb'(?i)"?[@\w. ]{1,40}"?(?:,"?[@\w. /-]{1,40}"?){1,40}\r?\n')
_NAMES = re.compile(rb"(?i)\b(?:timestamp|time|date|severity|level|message|text_?payload)\b")


def layout(head: bytes) -> Frames | None:
    """Return the framing for a log that begins with these bytes; None if more bytes are needed."""
    text = head.lstrip()
    first, after = text[:1], text[1:].lstrip()
    if first == b"[" and after:
        return ObjectFrames() if after[:1] in b"{]" else LineFrames()
    if first == b"{" and b"\n" in text:
        pretty = text.partition(b"\n")[0].rstrip() == b"{"
        return ObjectFrames() if pretty else LineFrames()
    if first == b"-" and len(text) < 80:
        return None
    if _YAML.match(text):
        return YamlFrames()
    header = _HEADER.match(text)
    if header is not None and len(_NAMES.findall(header[0])) >= 2:
        return CsvFrames()
    return None if first in (b"", b"[", b"{") else LineFrames()


def without_list_head(head: bytes) -> bytes:
    """Return the bytes from the list on, of an object that holds one: `aws logs get-log-events`."""
    found = _LIST.match(head.lstrip())
    return head.lstrip()[found.end() :] if found else head
