"""Foreign text made safe, secrets kept out of it, and numbers as people read them."""

import json
import unicodedata
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest import text
from loadtest.text import (
    GrowingSecrets,
    Secrets,
    markdown_cell,
    markdown_code,
    markdown_prose,
    one_line,
    public_line,
    public_locustfiles,
    public_path,
    public_url,
    without_likely_secrets,
    without_secrets,
)

NASTY = st.text(alphabet=st.one_of(st.characters(), st.sampled_from("`|\\\n\r\x1b\x00\u202e<>&@#*_[]$ ")))


LIMITS = st.integers(min_value=3, max_value=300)


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


# Secrets.

TOKENS = st.lists(
    st.text(st.characters(exclude_characters="*."), min_size=8, max_size=40), min_size=1, max_size=4
)


@given(st.lists(NASTY, min_size=2, max_size=5), TOKENS, st.data())
def test_no_spelling_of_a_secret_is_left(parts: list[str], tokens: list[str], data: st.DataObject) -> None:
    """Plain, percent-encoded or escaped, wherever it stands, also where it ends at the cut."""
    spelled = [
        form for token in tokens for form in (token, quote(token, safe="", errors="replace"), one_line(token))
    ]
    text = parts[0]
    for part in parts[1:]:
        text += data.draw(st.sampled_from(spelled)) + part
    public = without_secrets(text, Secrets(tokens))
    assert not any(form in public for form in spelled)
    limit = data.draw(LIMITS)
    assert len(public_line(text, Secrets(tokens), limit)) <= limit


@given(st.text("abc ", max_size=60), TOKENS, st.data())
def test_a_secret_cut_off_leaves_no_beginning(before: str, tokens: list[str], data: st.DataObject) -> None:
    """If somebody else has cut a text within a secret, its beginning, from 4 characters on, goes too."""
    secret = quote(data.draw(st.sampled_from(tokens)), safe="", errors="replace")
    length = data.draw(st.integers(4, len(secret)))
    for end in ("", "..."):
        public = without_secrets(before + secret[:length] + end, Secrets(tokens))
        assert not public.removesuffix(end).endswith(secret[:length])
        assert public.endswith(f"***{end}")


@given(NASTY, st.text("XYZ", min_size=8, max_size=20), st.integers(3, 60))
def test_a_cut_of_the_tools_own_leaves_no_beginning(before: str, token: str, limit: int) -> None:
    """Secrets go before the line is cut."""
    other = "".join(one for one in before if one not in "XYZ")  # and no escape has them
    shown = public_line(other + token, Secrets([token]), limit)
    assert token[:4] not in shown


def test_the_longest_secret_goes_first() -> None:
    """Of two that begin alike, neither leaves its end; empty ones hide nothing, short ones are hidden too."""
    assert without_secrets("token-a-long token-a", Secrets(["token-a", "token-a-long", ""])) == "*** ***"
    assert without_secrets("pin 123.", Secrets(["123"])) == "pin ***."
    assert without_secrets("nothing", Secrets([])) == "nothing"


def test_what_overlaps_goes_as_one() -> None:
    """Of two that overlap, or of one within another, no end is left; two side by side stay two."""
    known = Secrets(["abcdef", "defghi", "outer-inner-outer", "inner"])
    assert without_secrets("x abcdefghi x abcdefdefghi x", known) == "x *** x ****** x"
    assert without_secrets("x outer-inner-outer x", known) == "x *** x"


@pytest.mark.parametrize("given_text", ["short 04321-token", "04321-token" + " and more" * 2000])
def test_thousands_of_secrets_are_found_as_one_is(given_text: str) -> None:
    """Both ways of looking, over the secrets' beginnings and over the text, find the same."""
    for tokens in (["04321-token"], [f"{number:05d}-token" for number in range(5000)]):
        assert without_secrets(given_text, Secrets(tokens)) == given_text.replace("04321-token", "***")


def test_a_text_costs_the_same_with_thousands_of_secrets_that_begin_alike() -> None:
    """Each place in a text is looked up by beginning and length: no list of secrets is searched."""

    class Counted(dict[str, bool]):
        looked_up = 0

        def get(self, key: str, default: Any = None) -> Any:
            Counted.looked_up += 1
            return super().get(key, default)

    known = Secrets(values=[f"user-{number:05d}@example.org" for number in range(20_000)])
    known._spelled = Counted(known._spelled)
    assert without_secrets("user user-00042@example.org and user-x", known) == "user *** and user-x"
    assert Counted.looked_up <= 6  # two places begin like a secret, and there are three lengths


VALUES = Secrets(values=["user", "1006", "p4ss", "abc", "é", "hunter2-hunter2", "alice@example.org"])


@pytest.mark.parametrize(
    ("text", "public"),
    [
        ("user: users, user_1, superuser", "***: users, user_1, superuser"),
        ("code=1006 in 21006 ms", "code=*** in 21006 ms"),
        ("(p4ss)", "(***)"),
        ("abc, %C3%A9", "abc, %C3%A9"),
        ("xhunter2-hunter2x", "x***x"),
        ("mail alice@example.org", "mail ***"),
        ("mail alice%40example.org", "mail ***"),
        ("ends in hunter2", "ends in hunter2"),
        ("ends in hunter2-", "ends in ***"),
        ("ends in hunt...", "ends in ***..."),
        ("ends in alice...", "ends in ***..."),
    ],
)
def test_values_may_be_ordinary_words(text: str, public: str) -> None:
    """Short ones are hidden as whole words, and beginnings only where they are long or the text was cut."""
    assert without_secrets(text, VALUES) == public
    assert without_secrets(text, VALUES.plus(["another-token"])) == public


def test_others_can_be_added() -> None:
    """The index of the many is used again; what is hidden is that of both."""
    both = VALUES.plus(["another-token"]).plus(["a-third-token"])
    text = "user alice@example.org sent another-token and a-third-token, then a-thi"
    assert without_secrets(text, both) == "*** *** sent *** and ***, then ***"
    assert without_secrets("sent another-token", VALUES) == "sent another-token"


def test_secrets_that_become_more() -> None:
    """Each is hidden from when it is known; what is known already is not indexed again."""
    growing, known = GrowingSecrets(Secrets(["always"])), [f"token-{number:02}" for number in range(40)]
    for count in range(len(known)):
        shown = without_secrets(" ".join(["always", *known]), growing.now(frozenset(known[:count])))
        assert shown.split() == ["***"] * (1 + count) + known[count:]
    assert growing.now(frozenset(known[:5])) is growing.now(frozenset(known[:9]))


@pytest.mark.parametrize("secret", ['pa"ss\\word', "pässwörd", "pass/wörd\t1"])
def test_a_secret_that_json_escapes(secret: str) -> None:
    """A server may send a message back as it was: in JSON, with or without escapes for what is not ASCII."""
    for ascii_only in (True, False):
        text = json.dumps({"password": secret}, ensure_ascii=ascii_only)
        assert without_secrets(text, Secrets([secret])) == '{"password": "***"}'


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
