"""Known secrets are found and hidden in every spelling; the words around them stay.

What reads the outputs here is made of the library's decoders, and shares no code with what is tested.
"""

import contextlib
import json
import re
import sys
import threading
from collections.abc import Iterable
from types import FrameType
from typing import Any
from urllib.parse import quote, unquote_to_bytes

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from loadtest.scrubber import (
    MAX_READ,
    GrowingSecrets,
    Secrets,
    beginning,
    public_line,
    secrets_in,
    without_secrets,
)
from loadtest.text import one_line
from tests.support.spelled import SPELLINGS, says, to_base64

NASTY = st.text(alphabet=st.one_of(st.characters(), st.sampled_from("`|\\\n\r\x1b\x00\u202e<>&@#*_[]$ ")))


LIMITS = st.integers(min_value=3, max_value=300)

TOKENS = st.lists(
    st.text(st.characters(exclude_characters="*."), min_size=8, max_size=40), min_size=1, max_size=4
)

UNQUOTED = st.lists(
    st.text(st.characters(exclude_characters="*.'\"`\\", exclude_categories=["Cs"]), min_size=8, max_size=40),
    min_size=1,
    max_size=4,
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


@given(st.text("abc ", max_size=60), UNQUOTED, st.data())
def test_a_secret_cut_off_leaves_no_beginning(before: str, tokens: list[str], data: st.DataObject) -> None:
    """If somebody else has cut a text within a secret, its beginning, from 4 characters on, goes too."""
    secret = quote(data.draw(st.sampled_from(tokens)), safe="", errors="replace")
    length = data.draw(st.integers(4, len(secret)))
    assume(len(unquote_to_bytes(re.sub(r"%[0-9A-F]?$", "", secret[:length]))) >= 4)  # of the secret itself
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


@pytest.mark.parametrize(
    ("token", "said", "shown"),
    [
        ("t", "connect t token=t", "connect t token=t"),
        ("test", "latest at attestation", "latest at attestation"),
        ("test", "token=test&x 'test' test", "token=***&x '***' ***"),
        ("pw-1", "pw-12 pw-1.", "pw-12 ***."),
        ("testtest", "xtesttesty", "x***y"),
    ],
)
def test_a_short_token_garbles_nothing(token: str, said: str, shown: str) -> None:
    """Under 8 characters it is hidden only as a word of its own, under 4 not at all."""
    assert without_secrets(said, Secrets([token])) == shown
    assert without_secrets(said, Secrets().plus([token])) == shown


def test_the_longest_secret_goes_first() -> None:
    """Of two that begin alike, neither leaves its end; empty ones hide nothing."""
    assert without_secrets("token-a-long token-ab", Secrets(["token-ab", "token-a-long", ""])) == "*** ***"
    assert without_secrets("nothing", Secrets([])) == "nothing"


def test_what_overlaps_goes_as_one() -> None:
    """Of two that overlap, or of one within another, no end is left; two side by side stay two."""
    known = Secrets(["abcdefgh", "efghijkl", "outer-inner-outer", "inner"])
    assert without_secrets("x abcdefghijkl x abcdefghefghijkl x", known) == "x *** x ****** x"
    assert without_secrets("x outer-inner-outer x", known) == "x *** x"


@pytest.mark.parametrize("given_text", ["short 04321-token", "04321-token" + " and more" * 2000])
def test_thousands_of_secrets_are_found_as_one_is(given_text: str) -> None:
    """Both ways of looking, over the secrets' beginnings and over the text, find the same."""
    for tokens in (["04321-token"], [f"{number:05d}-token" for number in range(5000)]):
        assert without_secrets(given_text, Secrets(tokens)) == given_text.replace("04321-token", "***")


def test_a_text_costs_the_same_with_thousands_of_secrets_that_begin_alike() -> None:
    """Each place in a text is looked up by beginning and length: no list of secrets is searched."""

    class Counted(dict[bytes, bool]):
        looked_up = 0

        def get(self, key: bytes, default: Any = None) -> Any:
            Counted.looked_up += 1
            return super().get(key, default)

    known = Secrets(values=[f"user-{number:05d}@example.org" for number in range(20_000)])
    (index,) = known._parts
    index._spelled = Counted(index._spelled)
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


# Every spelling.


PASSWORDS = st.text(
    st.one_of(
        st.sampled_from("aZ09/+=&%?#\"'\\<> \n\t~-_.:@$"), st.characters(exclude_categories=["Cs", "Cc"])
    ),
    min_size=8,
    max_size=24,
).filter(lambda text: sum(one.isalnum() for one in text) >= 6 and "***" not in text)
NAMES = st.sampled_from(sorted(SPELLINGS))
AROUND = st.sampled_from(["", " ", "Bearer ", '{"token": "', "failed: (", "https://h/a?t=", "<p>", ": "])


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize(
    "secret", ["p/w+d=7&x", "Gr\u00fc\u00dfe/aus K\u00f6ln", "a\"b'c\\d%2e!", "t0ken-0123_456~x"]
)
def test_these_decoders_read_what_is_spelled(spelling: str, secret: str) -> None:
    """What is not hidden is seen: the test that follows can fail."""
    assert says(f"failed: {SPELLINGS[spelling](secret)} ", secret)


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize(
    "secret", ["p/w+d=7&x", "Gr\u00fc\u00dfe/an K\u00f6ln", "ab\"c'd\\e%2e!", "\x9bcontrol \U0001f600"]
)
def test_each_spelling_is_hidden(spelling: str, secret: str) -> None:
    """As a token within other text, and as a value that may be a word."""
    text = f"failed: {SPELLINGS[spelling](secret)} "
    for known in (Secrets([secret]), Secrets(values=[secret])):
        shown = without_secrets(text, known)
        assert "***" in shown
        assert not says(shown, secret)


@given(PASSWORDS, NAMES, NAMES, AROUND, AROUND)
def test_a_secret_is_hidden_in_every_spelling(
    secret: str, name: str, outer: str, left: str, right: str
) -> None:
    """Also in one within another: JSON in base64, percent encoding in HTML; and in a line made of it."""
    spelled = SPELLINGS[outer](SPELLINGS[name](secret))
    text = f"{left}{spelled}{right}"
    known = Secrets([secret])
    for shown in (without_secrets(text, known), public_line(text, known, 2000)):
        assert "***" in shown
        assert not says(shown, secret)
        assert shown.startswith(left.strip()[:3])
    assert "***" in without_secrets(one_line(text, 2000), known)
    assert "***" in without_secrets(text, Secrets(values=[secret]))


@given(st.text("\\u0dxU{}%2f&#;ab'\"` =9Q", max_size=60), PASSWORDS, st.integers(0, 40), NAMES)
def test_every_text_is_read(around: str, secret: str, length: int, name: str) -> None:
    """Half an escape, a wrong one or one of no character, before a secret that was cut anywhere."""
    text = around + SPELLINGS[name](secret)[:length]
    assert isinstance(without_secrets(text, Secrets([secret], values=[secret[::-1]])), str)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_words_that_contain_no_secret_stay(spelling: str) -> None:
    """What is spelled in one of these ways and is no secret is not hidden."""
    known = Secrets(["p/w+d=7&x", "another-token", "123"], values=["user", "p4ss", "1006"])
    text = SPELLINGS[spelling]("nothing/to+hide=here&there")
    assert without_secrets(text, known) == text


@pytest.mark.parametrize("before", ["", "x", "xy", "xyz"])
def test_base64_begins_anywhere_in_a_run(before: str) -> None:
    """Letters may stand right before it, as after a prefix of a token."""
    assert not says(without_secrets(before + to_base64("p/w+d=7&x"), Secrets(["p/w+d=7&x"])), "p/w+d=7&x")


def test_old_servers_write_latin_1() -> None:
    """HTTP headers are in it, too."""
    spelled = quote("Gr\u00fc\u00dfe/an K\u00f6ln", encoding="latin-1", safe="")
    assert without_secrets(f"x {spelled}", Secrets(["Gr\u00fc\u00dfe/an K\u00f6ln"])) == "x ***"


def test_a_secret_with_quotes_hides_no_word() -> None:
    """Quotes and backslashes may be added to a secret; without its own it is another text."""
    known = Secrets(['pa"ss\\word'])
    assert without_secrets('{"password": "pa\\"ss\\\\word"}', known) == '{"password": "***"}'


def test_basic_credentials_are_known_by_their_parts() -> None:
    """A server quotes the password of an Authorization header, or user and password."""
    found = secrets_in([f"Basic {to_base64('someone:correct horse')}"])
    assert "someone:correct horse" in found
    assert "correct horse" in found
    assert secrets_in(["Basic word"]) == ["Basic word"]


def test_a_secret_that_was_given_encoded_is_hidden_decoded() -> None:
    """A cookie's value is sent percent-encoded; the server quotes what it has read."""
    assert (
        without_secrets("no such session: ab/cd=ef g", Secrets(["ab%2Fcd%3Def%20g"]))
        == "no such session: ***"
    )


def _steps(text: str, known: Secrets) -> int:
    """Return how many instructions of Python it takes to hide secrets in a text."""
    taken = 0

    def trace(frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal taken
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        taken += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        without_secrets(text, known)
    finally:
        sys.settrace(before)
    return taken


@pytest.mark.parametrize(
    "part",
    [
        *("%25", "\\", "&amp;", "QUJD", "\\u005c", "%5c&#92;", "p/w", "'", " QUJDREVGR0hJSktMTU5P"),
        *('"p/w+d=7&x", ', "'p/w+d=7&y'", '\\"cC93K2Q9NyZ4\\" '),
    ],
)
def test_reading_is_bounded(part: str) -> None:
    """A text costs in proportion to its length, whatever it is made of: escapes, base64, secrets."""
    known = Secrets(["p/w+d=7&x"])
    half, whole = (_steps(part * (length // len(part)), known) for length in (1500, 3000))
    assert whole < 2.5 * half
    assert whole < 3000 * 400


def test_a_line_costs_no_more_than_its_beginning() -> None:
    """What is shown of a text is in it; a secret that is cut there leaves no beginning."""
    known, secret = Secrets(["p/w+d=7&x"]), "p/w+d=7&x"
    assert len(beginning("x" * 10 * MAX_READ)) < MAX_READ + 10
    assert beginning("x" * MAX_READ) == "x" * MAX_READ
    for at in range(len(secret)):
        line = public_line(" " * (MAX_READ - at) + secret + " and more", known, 2 * MAX_READ)
        assert line.strip(" .") in ("", "***", secret[:3], secret[:2], secret[:1])
    assert public_line("p/w+d=7&x " * MAX_READ, known).startswith("*** ***")


def test_secrets_that_become_more_in_two_threads() -> None:
    """While one is indexed another thread asks: neither is taken for known that is not hidden."""
    meeting = threading.Barrier(2, timeout=10)

    class Slow(Secrets):
        def plus(self, secrets: Iterable[str]) -> Secrets:
            both = super().plus(secrets)
            with contextlib.suppress(threading.BrokenBarrierError):
                meeting.wait()
            return both

    growing = GrowingSecrets(Slow())
    first, second = frozenset(["first-token"]), frozenset(["second-token"])
    threads = [threading.Thread(target=growing.now, args=(one,)) for one in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    meeting.abort()
    assert without_secrets("first-token second-token", growing.now(first | second)) == "*** ***"
