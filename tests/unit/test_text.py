"""Foreign text made harmless, and numbers as people read them."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from loadtest import text
from loadtest.text import markdown_cell, markdown_code, markdown_prose, printable

NASTY = st.text(alphabet=st.one_of(st.characters(), st.sampled_from("`|\\\n\r\x1b\x00\u202e<>&@#*_[]$ ")))


@given(NASTY, st.integers(min_value=10, max_value=300))
def test_printable_is_one_bounded_line_that_can_be_seen(text: str, limit: int) -> None:
    """Whatever comes in: no control, direction override, line end or lone surrogate, no more than asked."""
    shown = printable(text, limit)
    assert len(shown) <= limit
    assert all(unicodedata.category(one)[0] != "C" for one in shown)
    assert len(shown.splitlines()) <= 1
    shown.encode()


def test_what_is_printable_stays_as_it_is() -> None:
    """Letters of any script are text; only what cannot be seen is written as its escape."""
    assert printable("Größe 大きさ ok") == "Größe 大きさ ok"
    assert printable("a\x1b[31mb\nc\u202ed") == "a\\x1b[31mb\\nc\\u202ed"
    assert printable("x" * 30, 10) == "xxxxxxx..."


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
        *("0 ms", "0.064 ms", "0.452 ms", "1.52 ms", "45.1 ms", "312 ms", "1.23 s", "95.0 s")
    ]
    assert text.span(None) == text.change(None) == text.share(None) == "-"
    assert (text.change(0.0123), text.change(-0.00001)) == ("+1.2 %", "+0.0 %")
    assert (text.clock(59.9), text.clock(75), text.clock(3 * 3600 + 61)) == (
        "00:59",
        "01:15",
        "3:01:01",
    )
    assert text.count(1_234_567) == "1,234,567"
