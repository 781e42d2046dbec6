"""Reading HAR files: each layout, and what is damaged, hostile or holds no messages."""

from __future__ import annotations

import base64
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.capture import har_file
from loadtest.capture.har_file import UnreadableRecording, parsed, read_recording
from loadtest.errors import LoadtestError
from tests.support.conversations import BEGAN_S, entry, har, message
from tests.support.effort import effort


def nothing_beside(name: str) -> bytes:
    """Stand for a folder without other files."""
    raise UnreadableRecording(name, "was not found")


def read(data: bytes, beside: Any = nothing_beside) -> Any:
    """Return the only connection in a HAR file."""
    (connection,) = parsed(data, "a.har", beside).connections
    return connection


@pytest.mark.parametrize(
    ("time", "unit"), [(BEGAN_S, "seconds, as Chrome's"), (BEGAN_S * 1000, "milliseconds, as Playwright's")]
)
def test_times_are_read_by_their_size(time: float, unit: str) -> None:
    """Both units give the same seconds."""
    connection = read(har(entry([message("send", "a", time), message("receive", "b", time)])))
    assert [frame.at_s for frame in connection.frames] == [BEGAN_S, BEGAN_S], unit


def test_a_unit_counts_for_its_connection_only() -> None:
    """A file may be put together from two programs."""
    one, two = (entry([message("send", "a", time)]) for time in (BEGAN_S, BEGAN_S * 1000))
    connections = parsed(har(one, two), "a.har", nothing_beside).connections
    assert [connection.frames[0].at_s for connection in connections] == [BEGAN_S, BEGAN_S]


def test_times_may_be_left_out() -> None:
    """Playwright's minimal files have -1, which is no time."""
    assert read(har(entry([message("send", "a", -1)]))).frames[0].at_s is None


def test_binary_messages_are_base64_and_errors_are_none() -> None:
    """Opcode 2 and opcode -1."""
    messages = [
        message("receive", base64.b64encode(b"\x00\xff").decode(), opcode=2),
        message("error", "Connection closed", opcode=-1),
    ]
    connection = read(har(entry(messages)))
    assert [frame.data for frame in connection.frames] == [b"\x00\xff"]
    assert connection.errors == ("Connection closed",)


def test_messages_in_a_file_beside() -> None:
    """Playwright's layout with attached content: a JSON object a line."""
    lines = "\n".join(json.dumps(message("send", text)) for text in ("a", "b")) + "\n"
    connection = read(har(entry(_file="1.jsonl")), {"1.jsonl": lines.encode()}.__getitem__)
    assert [frame.data for frame in connection.frames] == ["a", "b"]


@pytest.mark.parametrize("name", ["../1.jsonl", "/etc/1.jsonl", "a\\1.jsonl"])
def test_a_file_in_another_folder_is_refused(name: str) -> None:
    """The HAR may come from anyone."""
    with pytest.raises(UnreadableRecording, match="names a file in another folder"):
        read(har(entry(_file=name)))


def test_a_zip(tmp_path: Path) -> None:
    """Playwright's .zip: the HAR and the messages beside it."""
    path = tmp_path / "page.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("har.har", har(entry(_file="1.jsonl")))
        archive.writestr("1.jsonl", json.dumps(message("send", "a")))
    (connection,) = read_recording(path).connections
    assert connection.frames[0].data == "a"


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ({"a.txt": b""}, "has 0 .har files, but must have one"),
        ({"a.har": b"{}", "b.har": b"{}"}, "has 2 .har files, but must have one"),
        ({"a.har": har(entry(_file="1.jsonl"))}, "1.jsonl is not in the .zip"),
    ],
)
def test_zips_that_are_wrong(tmp_path: Path, members: dict[str, bytes], problem: str) -> None:
    """What is missing is named."""
    path = tmp_path / "page.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    with pytest.raises(UnreadableRecording, match=problem):
        read_recording(path)


def test_a_damaged_zip(tmp_path: Path) -> None:
    """The archive's end is missing."""
    path = tmp_path / "page.zip"
    path.write_bytes(b"PK\x03\x04" + b"\0" * 40)
    with pytest.raises(UnreadableRecording, match=r"page.zip is a damaged .zip"):
        read_recording(path)


def test_a_file_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused before it is decoded; so is a member of a .zip, whatever the archive says of its size."""
    monkeypatch.setattr(har_file, "MAX_BYTES", 2**20)
    path = tmp_path / "big.har"
    path.write_bytes(b" " * (2**20 + 1))
    with pytest.raises(UnreadableRecording, match=r"big.har is over 1 MB"):
        read_recording(path)
    packed = tmp_path / "big.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("har.har", b" " * 2**21)
    assert packed.stat().st_size < 2**13
    with pytest.raises(UnreadableRecording, match=r"har.har is over 1 MB"):
        read_recording(packed)


def test_too_many_messages_and_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts are bounded."""
    monkeypatch.setattr(har_file, "MAX_FRAMES", 2)
    with pytest.raises(UnreadableRecording, match="has 3 messages on connection 1, limit 2"):
        read(har(entry([message("send", "a")] * 3)))
    monkeypatch.setattr(har_file, "MAX_CONNECTIONS", 2)
    with pytest.raises(UnreadableRecording, match="has over 2 WebSocket connections"):
        parsed(har(*[entry([])] * 3), "a.har", nothing_beside)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "is not a HAR file: it must be a JSON object"),
        (b"<html><body>\x1b[2J", "is not a HAR file: it must be a JSON object"),
        (har(entry([message("send", "a")]))[:-20], "is cut off: export it again"),
        (b'{"log": {"entries": ' + b"[" * 100_000, "is nested too deeply|is cut off"),
        (b'{"log": {}}', "is not a HAR file"),
        (har(), "has no WebSocket connection. Start recording, reload the page"),
        (har(entry()), "has 1 WebSocket connection but no messages. Chrome and Edge"),
        (
            har(entry(), creator="Firefox"),
            "was written by Firefox, which records no WebSocket messages. Chrome",
        ),
        (har(creator="WebKit Web Inspector"), "was written by Safari, which records no WebSocket messages"),
        (har(entry([{"type": 1}])), "has messages that cannot be read on connection 1"),
        (har(entry([message("send", "%%", opcode=2)])), "has binary data that is not base64: message 1"),
    ],
)
def test_what_cannot_be_read_is_named(data: bytes, problem: str) -> None:
    """One error, without the file's control characters."""
    with pytest.raises(UnreadableRecording, match=problem) as caught:
        read(data)
    assert str(caught.value).isprintable()


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """A folder is no file either."""
    with pytest.raises(UnreadableRecording, match=r"none.har was not found"):
        read_recording(tmp_path / "none.har")
    with pytest.raises(UnreadableRecording, match="is a folder, not a regular file"):
        read_recording(tmp_path)


def test_other_entries_may_be_of_any_form() -> None:
    """What is not a WebSocket is skipped, also if it is no entry at all."""
    good = entry([message("send", "a")])
    assert read(har(7, None, {"request": []}, {"request": {"url": 3}}, good)).frames[0].data == "a"


def test_half_a_surrogate_pair_becomes_a_replacement() -> None:
    """Browsers may send what UTF-8 cannot hold."""
    data = har(entry([message("send", "XX")])).replace(b"XX", rb"\ud83d")
    assert "\ud83d" not in read(data).frames[0].data


def test_a_url_that_is_none() -> None:
    """It takes no part in what follows."""
    assert read(har(entry([message("send", "a")], url="ws://[:x"))).url == "ws://invalid.example/"


def test_secrets_of_all_requests_are_known() -> None:
    """A login's password, a cookie and a token that the server has issued, on requests of their own."""
    login = {
        "request": {
            "url": "https://a.example/login",
            "headers": [{"name": "Cookie", "value": "sid=s3cr3t-cookie; theme=dark"}],
            "postData": {"text": '{"user": "anna", "password": "correct-horse-7"}'},
        },
        "response": {
            "content": {"text": '{"access_token": "issued-token-9", "label": {"password": "Password"}}'}
        },
    }
    secrets = parsed(har(login, entry([message("send", "a")])), "a.har", nothing_beside).secrets
    assert secrets == {"s3cr3t-cookie", "correct-horse-7", "issued-token-9"}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


def said_of(data: bytes) -> str:
    """Return the error of a file; empty if it can be read."""
    try:
        parsed(data, "a.har", nothing_beside)
    except LoadtestError as error:
        return str(error)
    return ""


@effort(100)
@given(st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_content_is_read_or_refused(data: bytes) -> None:
    """No other exception leaves the reader."""
    assert said_of(data).isprintable()


@effort(100)
@given(st.lists(json_values, max_size=4), json_values)
def test_any_entry_is_read_or_refused(messages: list[Any], other: Any) -> None:
    """Nor with entries and messages of any form."""
    data = har(other, entry(messages), entry([message("send", str(other))]))
    assert said_of(data).isprintable()


def test_a_file_of_line_ends_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty lines count, too: a small archive may hold a billion."""
    monkeypatch.setattr(har_file, "MAX_FRAMES", 10)
    with pytest.raises(UnreadableRecording, match="has over 20 lines"):
        read(har(entry(_file="1.jsonl")), {"1.jsonl": b"\n" * 30}.__getitem__)


def test_a_file_that_many_connections_name_counts_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read in all is bounded, not only each file."""
    monkeypatch.setattr(har_file, "MAX_BYTES", 1_000)
    lines = (json.dumps(message("send", "a" * 300)) + "\n").encode()
    entries = [entry(_file="1.jsonl") for _ in range(4)]
    with pytest.raises(UnreadableRecording, match="names files of over 0 MB in total"):
        parsed(har(*entries), "a.har", {"1.jsonl": lines}.__getitem__)
