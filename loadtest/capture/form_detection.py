"""Detects the format of a connection's messages. Pure."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from loadtest.capture.message_forms import (
    WORD,
    Form,
    HeadedFrames,
    Json,
    MessagePack,
    SocketIo,
    Text,
    Words,
    text_of,
)
from loadtest.capture.recorded import Frame
from loadtest.errors import UsageError
from loadtest.events import Data

FORMATS: Final = ("auto", "json", "msgpack", "text")
"""What `--format` takes."""

_MOST: Final = 0.75
"""Share of the messages that a form must read to be theirs."""


def detected(frames: Sequence[Frame], path: str, wanted: str = "auto") -> Form:
    """Return the form of a connection's messages.

    Args:
        frames: the messages.
        path: path of the connection.
        wanted: one of `FORMATS`.

    Raises:
        UsageError: they are binary and in an unknown format.
    """
    if wanted == "msgpack":
        return MessagePack()
    if wanted == "text":
        return Text()
    texts = [frame.data for frame in frames if isinstance(frame.data, str)]
    binary = [frame.data for frame in frames if isinstance(frame.data, bytes)]
    if wanted == "auto":
        if ("EIO=" in path and _share(SocketIo(), texts) >= _MOST) or _opens_socket_io(texts):
            return SocketIo()
        if _share(HeadedFrames(), texts) >= _MOST:
            return HeadedFrames()
    form = _json_form([*texts, *(one for one in binary if _is_json(one))])
    if form is not None or wanted == "json":
        return form or Json()
    if len(binary) > len(texts):
        raise UsageError(_unknown(binary))
    return _words_form(texts) or Text()


def _share(form: Form, messages: Sequence[Data]) -> float:
    if not messages:
        return 0.0
    return sum(_reads(form, message) for message in messages) / len(messages)


def _reads(form: Form, message: Data) -> bool:
    try:
        form.read(message)
    except ValueError:
        return False
    return True


def _opens_socket_io(texts: Sequence[Data]) -> bool:
    return bool(texts) and str(texts[0]).startswith('0{"sid"') and _share(SocketIo(), texts) >= _MOST


def _is_json(data: Data) -> bool:
    return _reads(Json(), data)


def _json_form(messages: Sequence[Data]) -> Json | None:
    ended = sum(text_of(message).endswith("\x1e") for message in messages)
    if messages and ended / len(messages) >= _MOST:
        records = Json("\x1e", name="JSON records that end with U+001E")
        return records if _share(records, messages) >= _MOST else None
    wrapped = Json(wrapped=True, name="JSON arrays of records")
    if _share(wrapped, messages) == 1.0 and any(len(wrapped.read(message)) > 1 for message in messages):
        return wrapped
    if _share(Json(), messages) >= _MOST and not _has_lines(messages):
        return Json(batches=any(_is_batch(message) for message in messages))
    lines = Json("\n", name="JSON, one record per line")
    return lines if _share(lines, messages) >= _MOST else None


def _has_lines(messages: Sequence[Data]) -> bool:
    """Return whether some messages have several JSON records, one per line."""
    return any(
        not _is_json(message) and len(Json("\n").read(message)) > 1
        for message in messages
        if "\n" in text_of(message).strip() and _reads(Json("\n"), message)
    )


def _is_batch(message: Data) -> bool:
    return (
        _is_json(message)
        and isinstance(Json().read(message)[0], list)
        and len(Json(batches=True).read(message)) > 1
    )


def _words_form(texts: Sequence[Data]) -> Words | None:
    """Return a form of words if most lines begin with a word, a separator and more words."""
    lines = [str(text) for text in texts]
    end = next((end for end in ("\r\n", "\n") if lines and all(line.endswith(end) for line in lines)), "")
    counts = Counter(
        separator
        for line in lines
        for separator in (" ", "|", ";", ",", "\t", ":")
        if WORD.fullmatch(line.removesuffix(end).partition(separator)[0]) and separator in line
    )
    returned = sum(
        len(line) >= 4 and any(line in other for other in lines[at + 1 : at + 20])
        for at, line in enumerate(lines)
    )
    if not counts or returned >= 0.4 * len(lines):  # an echo: the whole line is the text
        return None
    separator, _ = counts.most_common(1)[0]
    bare = [line.removesuffix(end) for line in lines]
    splits: dict[str, int] = {}
    for place, line in enumerate(bare):
        first, *others = line.split(separator)
        if WORD.fullmatch(first):
            splits[first] = min(splits.get(first, 64), len(others))
            for at, other in _echoed(line, separator, bare[place + 1 : place + 20]):
                splits[first] = min(splits[first], at)
                answer = other.split(separator)[0]
                splits[answer] = min(
                    splits.get(answer, 64), other.count(separator) - line.count(separator) + at
                )
    repeated = sum(count > 1 for count in Counter(line.split(separator)[0] for line in lines).values())
    form = Words(separator, end, splits)
    if len(splits) > 64 or not repeated or _share(form, texts) < _MOST:
        return None
    return form


def _echoed(line: str, separator: str, later: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Yield positions where a line ends in a text of several words that also ends a later line."""
    words = line.split(separator)
    for at in range(1, min(len(words) - 1, 8)):
        tail = separator.join(words[at:])
        answer = next((other for other in later if other.endswith(separator + tail)), None)
        if answer is not None and words[at][:1].isalpha():
            yield at, answer
            return


def _unknown(binary: Sequence[bytes]) -> str:
    if _share(MessagePack(), binary) >= _MOST:
        return "the messages are binary and look like MessagePack: give --format msgpack"
    return (
        "the messages are binary and in an unknown format. Write the dialect yourself: "
        "docs/dialect-protocols.md has an example for MQTT, docs/dialect-examples.md one for binary ids"
    )
