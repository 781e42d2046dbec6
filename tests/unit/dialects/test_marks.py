"""Marked texts: their size, whose they are, and what a difference looks like."""

import html
import itertools
import json
import unicodedata
from html.parser import HTMLParser

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from loadtest.dialects.marks import CHARACTERS, LEAST_BYTES, SHOWN, Marker, difference
from tests.support.effort import effort
from tests.support.fake_link import dialect_session

RUN = "1b5ef97f"
"""A run id has eight hexadecimal digits."""

sequences = st.integers(0, 10**9)
sessions = st.integers(0, 10**6)


def text_of(run_id: str = RUN, session: int = 0, sequence: int = 0, size: int = LEAST_BYTES) -> str:
    """Return a marked text, put together as a session does."""
    marker = Marker(run_id, session)
    return f"{marker.head}{sequence}{marker.tail(sequence, size)}"


class TestSize:
    """The size of a text in bytes of UTF-8."""

    @pytest.mark.parametrize("digits", range(1, 10))
    @pytest.mark.parametrize("size", [48, 49, 50, 63, 64, 65, 127, 128, 1000, 65_535, 65_536, 100_000])
    def test_exact(self, size: int, digits: int) -> None:
        """A text is as long as asked, whatever the number of digits in its sequence, from first to last."""
        for sequence in (0 if digits == 1 else 10 ** (digits - 1), 10**digits - 1):
            assert len(text_of(session=99_999, sequence=sequence, size=size).encode()) == size

    @given(size=st.integers(LEAST_BYTES, 100_000), session=st.integers(0, 99_999), sequence=sequences)
    @effort(50)
    def test_any(self, size: int, session: int, sequence: int) -> None:
        """From the smallest size on, every text has exactly the size asked for."""
        assert len(text_of(session=session, sequence=sequence, size=size).encode()) == size

    def test_whole_range(self) -> None:
        """No size between the smallest and a few hundred is missed by a byte."""
        for size in range(LEAST_BYTES, 400):
            assert len(text_of(sequence=12345, size=size).encode()) == size

    @pytest.mark.parametrize("size", [-1, 0, 1, 46])
    def test_less_than_the_mark(self, size: int) -> None:
        """Where the mark alone is longer, so is the text, and it is whole."""
        text = text_of(session=10**9, sequence=10**12, size=size)
        assert len(text.encode()) > size
        assert list(Marker(RUN, 10**9).own(text)) == [10**12]
        assert text.endswith(f"{CHARACTERS}]")

    def test_least_bytes(self) -> None:
        """The smallest size has room for numbers larger than any in use."""
        largest = text_of(session=99_999_999, sequence=999_999_999_999, size=0)
        assert len(largest.encode()) <= LEAST_BYTES


class TestCharacters:
    """What a text is made of."""

    @given(session=sessions, sequence=sequences, size=st.integers(0, 300))
    @effort(50)
    def test_needs_no_escaping(self, session: int, sequence: int, size: int) -> None:
        """In JSON, HTML, a URL's userinfo and a CSV field, a text stands as it is."""
        text = text_of(session=session, sequence=sequence, size=size)
        assert json.dumps(text, ensure_ascii=False) == f'"{text}"'
        assert json.loads(f'"{text}"') == json.loads(json.dumps(text)) == text
        assert html.escape(text) == html.unescape(text) == text
        assert text.isprintable()
        assert not set(text) & set("\"'\\<>&,;\t\r\n\0 ")

    def test_as_html(self) -> None:
        """A parser of HTML gives a text back."""
        found: list[str] = []

        class Parser(HTMLParser):
            def handle_data(self, data: str) -> None:
                found.append(data)

        parser = Parser()
        parser.feed(f"<p>{text_of()}</p>")
        parser.close()
        assert "".join(found) == text_of()

    @pytest.mark.parametrize("form", ["NFD", "NFKD"])
    def test_normalisation_shows(self, form: str) -> None:
        """A server that decomposes text changes it; composed text stays as it is."""
        assert unicodedata.normalize(form, text_of()) != text_of()  # type: ignore[arg-type]  # a name of a form
        assert unicodedata.normalize("NFC", text_of()) == text_of()

    def test_narrow_storage_shows(self) -> None:
        """A server that stores three bytes a character, one byte, or ASCII changes the text."""
        text = text_of()
        assert "".join(character for character in text if ord(character) < 0x10000) != text
        for encoding in ("ascii", "latin-1", "cp1252", "cp437"):
            assert text.encode(encoding, "replace").decode(encoding) != text


class TestUnique:
    """No two requests have the same text."""

    def test_over_sessions_and_sequences(self) -> None:
        """Sessions, sequences and runs that look alike when joined have different texts."""
        numbers = (0, 1, 2, 10, 11, 12, 21, 100, 110, 111, 112, 1000, 1111)
        runs = (RUN, "1b5ef97", "b5ef97f1")
        made = [text_of(*of, size=64) for of in itertools.product(runs, numbers, numbers)]
        assert len(set(made)) == len(made)

    @given(st.tuples(sessions, sequences), st.tuples(sessions, sequences), st.integers(0, 200))
    @effort(50)
    def test_any_two(self, one: tuple[int, int], other: tuple[int, int], size: int) -> None:
        """Two texts are the same only if session and sequence are; neither holds the other."""
        if one != other:
            first, second = text_of(RUN, *one, size), text_of(RUN, *other, size)
            assert first not in second
            assert second not in first


class TestWhose:
    """Whose a text is."""

    @given(
        session=sessions,
        sequence=sequences,
        before=st.text(max_size=30),
        after=st.text(max_size=30),
    )
    @example(session=1, sequence=2, before="[1b5ef97f.1.", after="]")
    @example(session=1, sequence=2, before="[[", after="]]")
    @effort(50)
    def test_own_text_within_any_words(self, session: int, sequence: int, before: str, after: str) -> None:
        """A session finds its own text's sequence, whatever stands around it."""
        marker, text = Marker(RUN, session), text_of(RUN, session, sequence)
        said = before + text + after
        assert marker.sequence_of(said) == sequence
        assert list(marker.own(said)) == [sequence]
        assert marker.marked(said)
        assert not marker.is_foreign(said)

    @given(session=sessions, other=sessions, sequence=sequences)
    @effort(50)
    def test_of_another_session(self, session: int, other: int, sequence: int) -> None:
        """Another session's text is marked and foreign, and no sequence is found in it."""
        if session == other:
            return
        marker, text = Marker(RUN, session), text_of(RUN, other, sequence)
        assert marker.is_foreign(text)
        assert marker.marked(text)
        assert marker.sequence_of(text) is None
        assert list(marker.own(text)) == []

    @given(run_id=st.text("0123456789abcdef", min_size=8, max_size=8), session=sessions, sequence=sequences)
    @effort(30)
    def test_of_another_run(self, run_id: str, session: int, sequence: int) -> None:
        """A text of another run, older history perhaps, is nobody's."""
        if run_id == RUN:
            return
        marker = Marker(RUN, session)
        for text in (text_of(run_id, session, sequence), text_of(run_id, session + 1, sequence)):
            assert not marker.marked(text)
            assert not marker.is_foreign(text)
            assert marker.sequence_of(text) is None
            assert list(marker.own(text)) == []

    def test_both(self) -> None:
        """A text with an own mark and another session's is foreign, and the own sequence is found."""
        marker = Marker(RUN, 7)
        for said in (
            text_of(RUN, 7, 3) + text_of(RUN, 8, 4),
            text_of(RUN, 8, 4) + text_of(RUN, 7, 3),
        ):
            assert marker.is_foreign(said)
            assert marker.sequence_of(said) == 3
            assert list(marker.own(said)) == [3]

    def test_several_own(self) -> None:
        """All own marks are found in order; `sequence_of` is the first."""
        said = " ".join(text_of(RUN, 7, sequence) for sequence in (5, 0, 5, 123))
        assert list(Marker(RUN, 7).own(said)) == [5, 0, 5, 123]
        assert Marker(RUN, 7).sequence_of(said) == 5

    @pytest.mark.parametrize(
        "said",
        [
            "",
            "[",
            "[]",
            "[....]",
            "[1b5ef97f]",
            "[1b5ef97f.7]",
            "[1b5ef97f.7.abcd.]",
            "[1b5ef97f.7.abcd.1",
            "[1b5ef97f.7.ABCD.1.",
            "[1b5ef97f.-7.abcd.1.",
            "[1b5ef97f.7.abcd.-1.",
            "[1b5ef97f.7.abcde.1.",
            "[1b5ef97f.7.abcd." + "9" * 100 + ".",
            "(1b5ef97f.7.abcd.1.é🙂]",
            "1b5ef97f.7.abcd.1.é🙂]",
            "[" * 10_000,
            "[1b5ef97f.7." * 10_000,
            "x" * 100_000,
        ],
        ids=lambda said: said[:24],
    )
    def test_broken_marks(self, said: str) -> None:
        """What is not a whole mark is none."""
        marker = Marker(RUN, 7)
        assert marker.sequence_of(said) is None
        assert list(marker.own(said)) == []
        assert not marker.is_foreign(said)
        assert not marker.marked(said)

    @pytest.mark.parametrize("digits", ["", "x", "-1", "+1", " 1", "1 ", "1_0", "²", "٣", "1" * 30, "1e3"])
    def test_broken_sequence_after_an_own_head(self, digits: str) -> None:
        """After an own head, anything but a plain number is no sequence, and no error."""
        marker = Marker(RUN, 7)
        said = f"{marker.head}{digits}.{CHARACTERS}]"
        assert marker.sequence_of(said) is None

    @given(st.text() | st.text("[].0123456789abcdefé🙂x", max_size=80))
    @effort(100)
    def test_any_text(self, said: str) -> None:
        """Whatever a server says, the marker answers, and its answers agree with each other."""
        marker = Marker(RUN, 7)
        own = list(marker.own(said))
        assert all(sequence >= 0 for sequence in own)
        assert marker.marked(said) == (bool(own) or marker.is_foreign(said))
        found = marker.sequence_of(said)
        assert found is None or isinstance(found, int)

    @given(st.integers(0, len(text_of(sequence=123, size=80))))
    @effort(30)
    def test_cut_off(self, length: int) -> None:
        """A text that was cut off is never foreign, and never another request's."""
        marker, cut = Marker(RUN, 0), text_of(sequence=123, size=80)[:length]
        assert not marker.is_foreign(cut)
        assert list(marker.own(cut)) in ([], [123])

    def test_nonce_is_of_run_and_session(self) -> None:
        """A head with a wrong nonce is not the session's own head: it was made up, or altered."""
        marker = Marker(RUN, 7)
        nonce = marker.head.split(".")[2]
        altered = "0000" if nonce != "0000" else "1111"
        assert marker.sequence_of(text_of(RUN, 7, 3).replace(f".{nonce}.", f".{altered}.")) is None
        assert Marker(RUN, 8).head.split(".")[2] != nonce
        assert Marker("other", 7).head.split(".")[2] != nonce

    def test_a_session_speaks_as_its_marker(self) -> None:
        """The session's texts and its marker belong together."""
        session = dialect_session(7, run_id=RUN, size_of=80)
        assert session.text(3) == text_of(RUN, 7, 3, 80)
        assert session.marker.sequence_of(session.text(3)) == session.sequence_of(session.text(3)) == 3


SENT = text_of(sequence=5, size=200)


class TestDifference:
    """How an error shows what was sent and what came."""

    def test_normalised(self) -> None:
        """A text in another normal form looks the same on a screen: escapes tell them apart."""
        told = difference(SENT, unicodedata.normalize("NFD", SENT))
        assert "\\xe9" in told
        assert "e\\u0301" in told
        assert f"(character {SENT.index('é') + 1} of {len(SENT)})" in told

    @pytest.mark.parametrize("length", [1, 10, 50, 100, len(SENT) - 1])
    def test_cut_off(self, length: int) -> None:
        """Of a text that was cut off, the place is told, with some of what came before it."""
        told = difference(SENT, SENT[:length])
        assert told.endswith(f"(character {length + 1} of {len(SENT)})")

    def test_lengthened(self) -> None:
        """Of a text that goes on after its end, the place is the end."""
        told = difference(SENT, SENT + "!")
        assert told.endswith(f"(character {len(SENT) + 1} of {len(SENT)})")
        assert 'x]!"' in told

    def test_swapped(self) -> None:
        """Of another request's text, both sequence numbers are seen."""
        told = difference(SENT, text_of(sequence=6, size=200))
        assert ".5." in told
        assert ".6." in told

    def test_words_of_the_server(self) -> None:
        """Words that the server puts before the text are no difference."""
        told = difference(SENT, "You said: " + SENT.replace("🙂", "?"))
        assert "You said" not in told
        assert f"(character {SENT.index('🙂') + 1} of {len(SENT)})" in told
        assert "\\U0001f642" in told

    @pytest.mark.parametrize(("got", "shown"), [("", '""'), ("something else", '"something else"')])
    def test_nothing_of_it(self, got: str, shown: str) -> None:
        """Where nothing is alike, both are shown from their beginning, without a place."""
        assert difference(SENT, got) == f'sent "{SENT[:SHOWN]}…", got {shown}'.replace(
            SENT[:SHOWN], ascii(SENT[:SHOWN])[1:-1]
        )

    def test_in_the_middle(self) -> None:
        """Of long texts, the part around the difference is shown, with dots where there is more."""
        sent = text_of(sequence=5, size=2000)
        told = difference(sent, sent[:1000] + "!" + sent[1001:])
        assert told.endswith(f"(character 1001 of {len(sent)})")
        assert told.count("…") == 4
        assert len(told) < 200

    @given(
        sent=st.text(max_size=300), got=st.text(max_size=300) | st.text("[].0123abcé🙂\x1b\n\0", max_size=300)
    )
    @example(sent="", got="")
    @example(sent=SENT, got="\x1b[31m" * 100)
    @effort(100)
    def test_any_texts(self, sent: str, got: str) -> None:
        """Whatever came, it is shown in plain ASCII, on one bounded line."""
        told = difference(sent, got)
        assert told.replace("…", "").isascii()
        assert told.isprintable()
        assert told.startswith('sent "')
        assert '", got "' in told
        assert len(told) < 2 * 10 * SHOWN + 100


@pytest.mark.parametrize("cut", range(1, 4))
def test_a_number_that_is_cut_off_is_none(cut: int) -> None:
    """A text that ends within its sequence number does not name another request."""
    marker = Marker("run", 7)
    assert marker.sequence_of(marker.head + "123"[:cut]) is None
    assert marker.sequence_of(marker.head + "1" * 5000) is None
