"""Foreign text made safe, secrets kept out of it, and numbers as people read them."""

import re
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest import text
from loadtest.text import (
    markdown_cell,
    markdown_code,
    markdown_prose,
    one_line,
    public_locustfiles,
    public_path,
    public_url,
    without_commands,
    without_likely_secrets,
)

NASTY = st.text(alphabet=st.one_of(st.characters(), st.sampled_from("`|\\\n\r\x1b\x00\u202e<>&@#*_[]$ ")))


LIMITS = st.integers(min_value=3, max_value=300)


# Commands to a CI job.

COMMANDS = st.text(alphabet=st.sampled_from("#[]: \n\tax\x0b\u2003"), max_size=12)


def obeyed(line: str) -> bool:
    """Whether GitHub's runner may take a line for a command: ActionCommand.TryParseV2 and TryParse."""
    return line.lstrip().startswith("::") or "##[" in line


@given(COMMANDS)
def test_no_line_of_the_output_is_a_command(text: str) -> None:
    """Wherever a line may begin; doing it twice changes nothing, and what is escaped can be read."""
    shown = without_commands(text)
    assert not any(map(obeyed, re.split("[\n\x0b]", shown)))
    assert without_commands(shown) == shown
    assert shown.replace(r"\x3a", ":").replace(r"\x23", "#") == text


def test_what_is_no_command_stays() -> None:
    """Addresses, paths of Rust, headings, comments in a CI file."""
    for line in ("listening on [::1]:80", "tokio::runtime", "## Heading", "# [x]", "a ::error::", "12:30:00"):
        assert without_commands(line) == line
    assert without_commands("  ::error::x\n19 x '##[add-mask]FAIL'") == (
        r"  \x3a:error::x" "\n" r"19 x '\x23#[add-mask]FAIL'"
    )


# One line.


@given(NASTY, LIMITS)
def test_a_line_is_printable_and_bounded(text: str, limit: int) -> None:
    """Whatever comes in: no control, direction override, line end or lone surrogate, at most `limit`."""
    shown = one_line(text, limit)
    assert len(shown) <= limit
    assert shown.isprintable()
    assert all(unicodedata.category(one)[0] != "C" for one in shown)
    assert len(shown.splitlines()) <= 1
    shown.encode()


@given(NASTY, LIMITS)
def test_a_line_stays_a_line(text: str, limit: int) -> None:
    """Making a line of a line changes nothing: a text may be made safe twice."""
    shown = one_line(text, limit)
    assert one_line(shown, limit) == shown


@given(NASTY)
def test_nothing_is_removed_silently(text: str) -> None:
    """Each character stands for itself, or is a space, or its escape."""
    shown = [one_line(one) for one in text]
    assert one_line(text, 10 * len(text) + 3) == "".join(shown)
    for one, after in zip(text, shown, strict=True):
        if one.isspace() or one.isprintable():
            assert after == (one if one.isprintable() else " ")
        else:
            assert after.encode().decode("unicode_escape") == one


def test_what_is_printable_stays_as_it_is() -> None:
    """Letters of any script are text; what cannot be printed is a space or an escape."""
    assert one_line("Größe 大きさ ok") == "Größe 大きさ ok"
    assert one_line("a\x1b[31mb\nc\td\u202ee\udc80") == "a\\x1b[31mb c d\\u202ee\\udc80"
    assert one_line("x" * 30, 10) == "xxxxxxx..."
    assert one_line("x" * 10, 10) == "x" * 10


# What may be secret.


@pytest.mark.parametrize(
    ("text", "public"),
    [
        ("login with eyJhbGciOi.payload-x.sig_na failed", "login with [secret removed] failed"),
        ("Authorization: Bearer abc.def", "[secret removed]"),
        ("url?token=abc&user=7", "url?[secret removed]&user=7"),
        ("monkey=3", "monkey=3"),
        ("no answer of https://u:pw12345678@h/login", "no answer of https://[secret removed]@h/login"),
        ("amqp://u:p@s#s?1@mq", "amqp://[secret removed]@mq"),
        ("https://opaque@h", "https://[secret removed]@h"),
        ("see https://h/a@b or mail a@b", "see https://h/a@b or mail a@b"),
        ("'https://h', 'a@b'", "'https://h', 'a@b'"),
    ],
)
def test_what_looks_like_a_secret(text: str, public: str) -> None:
    """A JWT, a bearer token, a URL's userinfo and a named secret, whoever wrote them; other words stay."""
    assert without_likely_secrets(text) == public


@pytest.mark.parametrize(
    "text",
    [
        "Cookie: sid=5; other=S3CRET",
        "< Set-Cookie: theme=dark; Path=/; auth2=S3CRET",
        r"{\"token\":\"S3CRET\"}",
        "GET /ws?token%3DS3CRET",
        "GET /ws?key=S3CRET",
        "refresh_token=S3CRET",
        "client_secret=S3CRET&x=1",
        "X-Api-Key: S3CRETS3CRET",
        "'x-access-key': 'S3CRET'",
        "proxy-authorization: Basic S3CRETzcjpw",
        "Basic dXNlcjpwS3CRET==",
        "ticket=S3CRET",
        "url?sig=S3CRET",
        '["jwt", "S3CRET"]',
        "jwt, Abc1S3CRET",
        "token: AbcdefghS3CRET",
        "dbPassword=S3CRET",
    ],
)
def test_a_named_secret_is_hidden(text: str) -> None:
    """After each kind of name, with the quotes and escapes of JSON within JSON, and of URLs."""
    assert "S3CRET" not in without_likely_secrets(text)


@pytest.mark.parametrize(
    "text",
    [
        "foreign key=user_id failed",
        "unknown key: 'agent_id'",
        "token: expired",
        "token=expired user=7",
        "cookie: missing",
        "secret = none",
        "jwt, expired",
        "Invalid token: signature mismatch",
        "invalid token: ExpiredSignatureError",
        "Bearer token missing",
        "Basic authentication failed",
        "prompt_tokens=512 author=ann monkey=3",
        '{"token": null}',
    ],
)
def test_what_says_why_stays(text: str) -> None:
    """An error that names a secret's name is evidence."""
    assert without_likely_secrets(text) == text


@pytest.mark.parametrize(
    "part",
    [
        *("token", "token:", "token=", "token-", "a-", "cookie:", "cookie: a=", "jwt,", "bearer ", "basic a"),
        *("\\", '\\"', "token: a", "eyJ", "://", "Aa", "token: aB,", "pass", "%3D", "key", "token :"),
    ],
)
def test_looking_for_secrets_takes_linear_time(part: str) -> None:
    """Whatever the text is made of."""
    for end in ("", " ", "="):
        begun = time.process_time()
        without_likely_secrets(part * (40_000 // len(part)) + end)
        assert time.process_time() - begun < 1  # about 0.03; quadratic time would be minutes


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("wss://staging.example.org", "wss://staging.example.org"),
        ("wss://user:pass@host:8443/a/b?token=x#y", "wss://host:8443/a/b"),
        ("ws://[::1]:80/x", "ws://[::1]:80/x"),
        ("ws://TOKEN@[::1", "***"),
    ],
)
def test_a_url_without_secrets(url: str, public: str) -> None:
    """Userinfo, query and fragment are removed; what is not a URL is hidden entirely."""
    assert public_url(url) == public


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("users/chat.py", "users/chat.py"),
        ("https://user:secret@host/chat.py?token=secret", "https://host/chat.py"),
        ("a?b.py,https://user:secret@host/chat.py", "a?b.py,https://host/chat.py"),
        (
            "https://user:secret@host/a.py,https://user:secret@host/b.py",
            "https://host/a.py,https://host/b.py",
        ),
    ],
)
def test_locustfiles_are_shown_without_secrets(given: str, shown: str) -> None:
    """Each of several, which Locust separates by commas."""
    assert public_locustfiles(given) == shown


def test_a_path_without_secrets() -> None:
    """Values in the query are hidden but for the dialect's placeholders; names stay."""
    assert public_path("/ws/{session_id}?thread_id={thread_id}&key=x&y#z") == (
        "/ws/{session_id}?thread_id={thread_id}&key=***&***"
    )


# Markdown.


@given(NASTY)
def test_a_code_span_cannot_be_left(text: str) -> None:
    """The fence is longer than any run of backticks inside, so CommonMark finds no other end."""
    span = markdown_code(text)
    fence = span[: len(span) - len(span.lstrip("`"))]
    inside = span[len(fence) : len(span) - len(fence)]
    assert span.endswith(fence)
    assert not inside.startswith("`")
    assert not inside.endswith("`")
    assert not fence or fence not in inside


@given(NASTY)
def test_a_cell_stays_one_cell(text: str) -> None:
    """Every pipe in a cell is escaped, and there is no line end."""
    cell = markdown_cell(text)
    assert "|" not in cell.replace("\\|", "")
    assert "\n" not in cell


@given(NASTY)
def test_prose_has_no_markup_left(text: str) -> None:
    """What could open markup, HTML, a link or a mention is escaped."""
    prose = markdown_prose(text)
    bare = prose
    for escaped in ("\\\\", *(f"\\{sign}" for sign in "`*_{}[]<>|~#$!&/"), "`@`"):
        bare = bare.replace(escaped, "")
    assert not set(bare) & set("`*_{}[]<>|~#$!&@\\")
    assert "://" not in prose


def test_numbers_are_written_with_their_unit() -> None:
    """Three figures or so, milliseconds below a second."""
    assert [text.span(us) for us in (0, 64, 452, 1520, 45_100, 312_000, 1_234_000, 95_000_000)] == [
        *("0 ms", "0.064 ms", "0.452 ms", "1.52 ms", "45.1 ms", "312 ms", "1.23 s", "95 s")
    ]
    assert text.span(None) == text.change(None) == text.share(None) == "-"
    assert (text.change(0.0123), text.change(-0.00001)) == ("+1.2%", "+0.0%")
    assert (text.clock(59.9), text.clock(75), text.clock(3 * 3600 + 61)) == (
        "00:59",
        "01:15",
        "3:01:01",
    )
    assert [text.share(ratio) for ratio in (0, 0.0005, 0.125, 1, 12.345)] == [
        *("0%", "0.05%", "12.5%", "100%", "1,234%")
    ]
    assert text.count(1_234_567) == "1,234,567"
    assert (text.counted(1, "run"), text.counted(0, "run")) == ("1 run", "0 runs")


def test_a_count_that_is_too_small() -> None:
    """None of them is not only 0."""
    assert text.only(0, "outage") == "no outages"
    assert text.only(0, "history", "histories") == "no histories"
    assert text.only(1, "outage") == "only 1 outage"
    assert text.only(1234, "outage") == "only 1,234 outages"
