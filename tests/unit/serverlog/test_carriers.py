"""Bytes cut into lines and objects."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from loadtest.serverlog.carriers import MAX_FRAME, Frame, Frames, LineFrames, ObjectFrames

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3)
    ),
    max_leaves=8,
)
objects = st.lists(st.dictionaries(st.text(max_size=8), values, max_size=4), max_size=6)


def fed(frames: Frames, data: bytes, size: int) -> list[Frame]:
    """All frames of some bytes that come in chunks of a size."""
    found = [frame for at in range(0, len(data), size) for frame in frames.feed(data[at : at + size])]
    return found + frames.flush()


@given(
    st.lists(st.binary(max_size=20).map(lambda line: line.replace(b"\n", b"")), max_size=20),
    st.integers(1, 30),
)
def test_lines_do_not_depend_on_chunks(lines: list[bytes], size: int) -> None:
    """Whatever the size of the chunks, the lines and their numbers are those of the whole."""
    data = b"".join(line + b"\n" for line in lines)
    assert fed(LineFrames(), data, size) == list(enumerate(lines, 1))


@given(objects, st.sampled_from([None, 2]), st.integers(1, 50))
def test_objects_of_an_array_do_not_depend_on_chunks(
    elements: list[dict[str, Any]], indent: int | None, size: int
) -> None:
    """Whatever the chunks and the layout, the array's objects are found whole and in order."""
    data = json.dumps(elements, indent=indent).encode()
    frames = ObjectFrames()
    assert [json.loads(frame) for _, frame in fed(frames, data, size)] == elements
    assert (frames.broken, frames.cut) == (0, 0)


def test_objects_are_numbered_by_their_first_line() -> None:
    """An object's number is the line it begins on."""
    data = b'[\n  {\n    "a": 1\n  },\n  {\n    "a": 2\n  }\n]\n'
    assert [number for number, _ in fed(ObjectFrames(), data, 7)] == [2, 5]


def test_a_damaged_object_does_not_take_the_next_with_it() -> None:
    """A string that never ends is a damaged object; the next one is found again."""
    data = b'[\n  {"message": "torn off\n  },\n  {"message": "whole"}\n]\n'
    frames = ObjectFrames()
    assert [frame for _, frame in fed(frames, data, 9)] == [b'{"message": "whole"}']
    assert frames.broken == 1


def test_an_object_that_never_ends_is_counted() -> None:
    """What is open at the end is damaged."""
    frames = ObjectFrames()
    assert fed(frames, b'[{"a": {"b": 1}', 4) == []
    assert frames.broken == 1


def test_a_megabyte_line_is_cut_and_the_next_is_read() -> None:
    """A line over the limit keeps its beginning, in chunks of any size, and the next stands by itself."""
    data = b"x" * (3 * MAX_FRAME) + b"\nnext\n"
    for size in (1_000, 64 * 1024, len(data)):
        frames = LineFrames()
        (first, second) = fed(frames, data, size)
        assert first == (1, b"x" * MAX_FRAME)
        assert second == (2, b"next")
        assert frames.cut == 1


def test_an_object_too_large_is_left_out() -> None:
    """An object over the limit is counted and left out, and the next one is found."""
    data = b'[{"a": "' + b"x" * (2 * MAX_FRAME) + b'"}, {"a": 1}]'
    for size in (1_000, 64 * 1024, len(data)):
        frames = ObjectFrames()
        assert [frame for _, frame in fed(frames, data, size)] == [b'{"a": 1}']
        assert frames.cut == 1


@given(
    st.lists(st.sampled_from([b"{", b"}", b"[", b'"', b"\\", b"\n", b"x", b","]), max_size=60),
    st.integers(1, 9),
)
def test_any_structure_is_survived(parts: list[bytes], size: int) -> None:
    """No sequence of brackets, quotes and newlines raises; every frame is one object's bytes."""
    for _, frame in fed(ObjectFrames(), b"".join(parts), size):
        assert frame.startswith(b"{")
        assert frame.endswith(b"}")
