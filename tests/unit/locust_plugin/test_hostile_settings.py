"""Any text in any setting gives a start or an InvalidSetting that names the option, at once."""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.dialects.echo import Echo
from loadtest.errors import InvalidSetting
from loadtest.locust_plugin.load_settings import LoadSettings, load_settings
from loadtest.locust_plugin.parser import forget_empty_variables, given_values
from loadtest.options import MAX_REVISION, SETTINGS
from loadtest.transport.cookies import in_one_header
from loadtest.values import Number
from tests.conftest import Certificates
from tests.support.effort import effort

HOSTILE = (
    "", " ", "\0", "a\0b", "\ud800", "a\r\nX-Evil: 1", "\x1b[2J", "9" * 400, "9" * 5000, "-" + "9" * 400,
    "1e400", "-1e400", "nan", "inf", "-inf", "-0", "-0.0", "1_000", "\u0663", "\u0663.\u0665", "0x10", "1/3",
    "1" * 99_999,
    "a" * 1_000_000, "ä" * 100_000, "/" * 5000, "../" * 500, "..", ".", "CON", "{", "}", "{x}", "%", "%s%n",
    "=", ",", ":", "@", "#", "=,=,=", "1=1," * 10_000, "0.5@1," * 2000, "(" * 10_000, "[" * 100_000,
    "'", '"', "close=" + "9" * 500, "p50=" + "9" * 500 + "%", "p99=" + "9" * 500 + "s", "9" * 500 + "@1",
    "exponential(" + "9" * 500 + ")", "constant(nan)", "9" * 500 + ":true", "::1", "10.0.0.0/0", "::/0",
    "0.0.0.0-255.255.255.255", "http://[", "http://a:99999/#b", "http://x/#{", "any" * 100,
    "1006=" + "9" * 500,
)  # fmt: skip
OPTIONS = [row for row in SETTINGS.values() if row.name]


def start(host: str = "ws://127.0.0.1:9", **values: Any) -> LoadSettings:
    """Return the settings of a user class with these values."""
    usual = {attribute: row.default for attribute, row in SETTINGS.items()}
    return load_settings(usual | values, host)


def starts_or_is_refused(attribute: str, value: Any) -> None:
    """Check that a value is taken or refused by its option's name, on one line, within a second."""
    begun_s = time.process_time()
    refused: InvalidSetting | None = None
    try:
        start(**{attribute: value})
    except InvalidSetting as error:
        refused = error
    assert time.process_time() - begun_s < 2
    if refused is not None:
        assert refused.option.startswith("--")
        assert len(str(refused)) < 4000
        assert str(refused).isprintable()


@pytest.mark.parametrize("row", OPTIONS, ids=lambda row: row.name)
def test_hostile_texts(row: Any) -> None:
    """As text from the command line, the environment, a file of options, or the web form."""
    for text in HOSTILE:
        starts_or_is_refused(row.attribute, (text,) if row.repeatable else text)


@given(data=st.data())
@effort(300)
def test_any_text(data: st.DataObject) -> None:
    """Any text at all, lone surrogates too."""
    row = data.draw(st.sampled_from(OPTIONS))
    text = data.draw(st.text(st.characters(exclude_categories=()), max_size=60))
    starts_or_is_refused(row.attribute, (text,) if row.repeatable else text)


@pytest.mark.parametrize("text", ["1_0", "\u0661", "nan", "inf", "1e400", "1" * 400, "1" * 5000])
def test_numbers_that_only_python_reads(text: str) -> None:
    """Every numeric setting refuses them."""
    for row in OPTIONS:
        if isinstance(row.kind, Number):
            with pytest.raises(InvalidSetting, match=row.option):
                start(**{row.attribute: text})


@pytest.mark.parametrize(
    ("revision", "problem"),
    [
        ("x" * 5000, f"at most {MAX_REVISION} characters"),
        ("a\nb", "line break"),
        ("a\0b", "control character"),
        ("a\udcff", "UTF-8"),
    ],
)
def test_revisions_that_no_run_can_have(revision: str, problem: str) -> None:
    """They are refused before the run: such a run's directory could not be read again."""
    with pytest.raises(InvalidSetting, match=f"--ws-revision must .*{problem}"):
        start(revision=revision)


@pytest.mark.parametrize("revision", ["feature/x", "..", "CON", "ü" * MAX_REVISION, "v1 (beta)"])
def test_revisions_that_runs_have(revision: str) -> None:
    """A branch's name is one, whatever its folder is called."""
    assert start(revision=revision).revision == revision


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("token", "a\r\nX-Evil: 1"),
        ("token", "a\x1b"),
        ("headers", ("X: a\r\nX-Evil: 1",)),
        ("headers", ("X: a\x7f",)),
        ("headers", ("X\r\nY: a",)),
        ("headers", ("Cookie: a=b\r",)),
        ("subprotocols", ("a\r\n",)),
        ("revision_header", "X\r\n"),
        ("path", "/a\r\nX-Evil: 1"),
    ],
)
def test_line_breaks_in_what_is_sent(attribute: str, value: Any) -> None:
    """Nothing can add a header of its own to the upgrade request."""
    with pytest.raises(InvalidSetting) as refused:
        start(**{attribute: value})
    assert refused.value.option == SETTINGS[attribute].option


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", ["missing", "folder", "empty", "key", "binary", "fifo", "device", "broken"])
@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_bad_certificates(tmp_path: Path, certificates: Certificates, scheme: str, kind: str) -> None:
    """They are refused under ws:// too, where nothing would read them."""
    file = tmp_path / "ca.pem"
    match kind:
        case "folder":
            file.mkdir()
        case "empty":
            file.touch()
        case "key":
            text = certificates.server.read_text()
            file.write_text(text[text.index("-----BEGIN") : text.index("-----BEGIN CERT")])
        case "binary":
            file.write_bytes(b"-----BEGIN\xff\xfe")
        case "fifo":
            os.mkfifo(file)
        case "device":
            file = Path("/dev/zero")
        case "broken":
            file.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    for attribute in ("tls_ca", "tls_cert"):
        with pytest.raises(InvalidSetting, match=f"{SETTINGS[attribute].option} must be a PEM file"):
            start(f"{scheme}://127.0.0.1:9", **{attribute: file})


def test_good_certificates(tmp_path: Path, certificates: Certificates) -> None:
    """They are taken with either scheme, and may be links."""
    (tmp_path / "ca.pem").symlink_to(certificates.authority)
    for scheme in ("ws", "wss"):
        start(f"{scheme}://127.0.0.1:9", tls_ca=tmp_path / "ca.pem", tls_cert=certificates.server)


def test_unknown_fields_of_a_dialects_messages(tmp_path: Path) -> None:
    """They are named before the first connection; a column of the data is one."""
    options = ("arguments=[$room, $text]",)
    with pytest.raises(
        InvalidSetting, match=r"--ws-dialect-option arguments has \$room, which is neither a column"
    ):
        start(dialect="signalr", dialect_options=options)
    data = tmp_path / "data.csv"
    data.write_text("room\nlobby\n")
    assert start(dialect="signalr", dialect_options=options, data=data)


def test_unknown_placeholders(tmp_path: Path) -> None:
    """A place that nothing fills was sent as it is typed."""
    with pytest.raises(
        InvalidSetting, match=r"--ws-path has an unknown placeholder: \{room\}\. Known placeholders: .*number"
    ):
        start(path="/chat/{room}")
    with pytest.raises(InvalidSetting, match=r"--host .*\{room\}"):
        start("ws://127.0.0.1:9/chat/{room}")
    data = tmp_path / "data.csv"
    data.write_text("room,user\nlobby,anna\n")
    assert start(path="/chat/{room}", data=data).engine.config.dialect.path == "/chat/{room}"
    with pytest.raises(InvalidSetting, match=r"--ws-path has \{user\}, which the tool fills in"):
        start(path="/chat/{user}", data=data)


def test_placeholders_of_a_dialect_that_makes_its_own_paths() -> None:
    """They are not the tool's to judge."""

    class Own(Echo):
        def endpoint(self, session: Any) -> Any:
            raise NotImplementedError

    assert start(path="/chat/{room}", dialect=Own).engine.config.dialect.path == "/chat/{room}"


def test_empty_variables_are_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """`LOCUST_WS_LIMIT=` leaves the limits as they are; an empty value that was typed is still refused."""
    monkeypatch.setenv("LOCUST_WS_LIMIT", "")
    options = argparse.Namespace(ws_limit=[""], ws_storm=[""])
    forget_empty_variables(options)
    assert given_values(options) == {"storms": [""]}


def test_cookies_go_into_one_header() -> None:
    """RFC 6265, section 5.4: one Cookie header; what the server set replaces what was given."""
    headers = [("Cookie", "lang=de; sid=given"), ("X", "1"), ("cookie", "sid=set; theme=dark")]
    assert in_one_header(headers) == (("X", "1"), ("Cookie", "lang=de; sid=set; theme=dark"))
    assert in_one_header([("X", "1")]) == (("X", "1"),)
