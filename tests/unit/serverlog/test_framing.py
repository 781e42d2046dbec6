"""Bytes cut into lines and objects."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.serverlog.framing import (
    MAX_FRAME,
    CsvFrames,
    Frame,
    Frames,
    LineFrames,
    ObjectFrames,
    YamlFrames,
)


def values_of(characters: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    """Values of JSON whose texts have these characters."""
    return st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(characters, max_size=10),
        lambda children: (
            st.lists(children, max_size=3)
            | st.dictionaries(st.text(characters, max_size=5), children, max_size=3)
        ),
        max_leaves=8,
    )


values = values_of(st.characters())
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


def as_texts(value: object) -> object:
    """A value as YAML has it if it knows only texts, lists and dicts."""
    if isinstance(value, dict):
        return {key: as_texts(one) for key, one in value.items()}
    if isinstance(value, list):
        return [as_texts(one) for one in value]
    return value if isinstance(value, str) else json.dumps(value)


basic = st.characters(max_codepoint=0xFFFF, codec="utf-8", exclude_characters="\x7f")
"""Without those that JSON escapes in two parts, or not although YAML needs it."""


@given(
    st.lists(
        st.dictionaries(st.text(basic, max_size=8), values_of(basic), min_size=1, max_size=4), max_size=5
    ),
    st.integers(1, 50),
)
def test_yaml_documents_do_not_depend_on_chunks(documents: list[dict[str, Any]], size: int) -> None:
    """JSON is YAML: each document is found whole, if YAML can read it."""
    data = b"".join(b"---\n" + json.dumps(one).encode() + b"\n" for one in documents)
    found = [json.loads(frame) for _, frame in fed(YamlFrames(), data, size)]
    assert found == [as_texts(one) for one in documents]


def test_a_yaml_bomb_is_survived() -> None:
    """Anchors may stand for billions of values; brackets may nest without end: neither is read."""
    bomb = b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
        b"%c: &%c [%s]\n" % (98 + n, 98 + n, b",".join([b"*%c" % (97 + n)] * 9)) for n in range(9)
    )
    frames = YamlFrames()
    assert fed(frames, b"---\n" + bomb + b"---\na: " + b"[" * 100_000 + b"\n---\na: 1\n", 9_999) == [
        (15, b'{"a":"1"}')
    ]
    assert frames.broken == 2


def test_rows_of_csv_may_have_several_lines() -> None:
    """A quoted value with newlines is one row's; a row without all values has the first."""
    data = b'timestamp,text_payload\n1,"a\nb, ""c"""\n2\n'
    for size in (1, 7, 1_000):
        assert [json.loads(frame) for _, frame in fed(CsvFrames(), data, size)] == [
            {"timestamp": "1", "text_payload": 'a\nb, "c"'},
            {"timestamp": "2"},
        ]


@given(st.binary(max_size=300), st.integers(1, 50))
def test_any_bytes_are_survived(data: bytes, size: int) -> None:
    """No bytes raise."""
    fed(YamlFrames(), data, size)
    fed(CsvFrames(), data, size)


ANCHORS = [f"&a{n} [{','.join([f'*a{n - 1}' if n else 'lol'] * 10)}]" for n in range(3)]
BOMBS = {
    "keys": "".join(f"a-{n}: {anchor}\n" for n, anchor in enumerate(ANCHORS)),
    "list": f"b: [{', '.join(ANCHORS)}]\n",
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_an_alias_anywhere_is_refused(bomb: str) -> None:
    """A few anchors may stand for a billion values, wherever they are; the next document is read."""
    frames = YamlFrames()
    assert fed(frames, f"---\n{bomb}---\na: 1\n".encode(), 9_999)[-1][1] == b'{"a":"1"}'
    assert frames.broken == 1


def test_an_ampersand_in_a_text_is_none() -> None:
    """A text with & and * is no anchor."""
    assert [frame for _, frame in fed(YamlFrames(), b"---\na: x &b *c\nd: '*e &f'\n", 9)] == [
        b'{"a":"x &b *c","d":"*e &f"}'
    ]


def test_a_document_that_grows_is_cut() -> None:
    """JSON escapes may be six times as long as the text: what is made of a frame is bounded too."""
    frames = YamlFrames()
    assert fed(frames, b'---\na: "' + rb"\a" * (MAX_FRAME // 4) + b'"\n---\na: 1\n', 9_999) == [
        (4, b'{"a":"1"}')
    ]
    assert frames.cut == 1


def test_dashes_take_no_square_of_time() -> None:
    """Twice as many lines of dashes take about twice as long."""
    took = []
    for lines in (4_000, 8_000):
        began = time.process_time()
        fed(YamlFrames(), b"---\na: b\nmessage: |\n" + b"  -\n" * lines + b"---\n", 1 << 20)
        took.append(time.process_time() - began)
    assert took[1] < 3 * took[0] + 0.05
