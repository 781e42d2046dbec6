"""The rows of --ws-data: CSV and JSON lines, what is refused on which line, and that nothing is quoted."""

import csv
import io
import json
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from loadtest.errors import NOT_SHOWN, InvalidSetting
from loadtest.session import data_rows
from loadtest.session.data_rows import parse_rows, too_few_rows

COLUMNS = st.lists(st.from_regex(r"[a-zäß_][a-zäß0-9_-]{0,8}", fullmatch=True), min_size=1, unique=True)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)


def problem(content: str | bytes) -> str:
    """Return the error of a file that cannot be used."""
    with pytest.raises(InvalidSetting) as refused:
        parse_rows(content.encode() if isinstance(content, str) else content)
    assert refused.value.option == "--ws-data"
    assert refused.value.value is NOT_SHOWN
    return refused.value.problem


# What is read.


@pytest.mark.parametrize(
    "content",
    [
        "user,pass-word\nanna,p 1\nben,\n",
        "user,pass-word\r\nanna,p 1\r\nben,",
        "user,pass-word\ranna,p 1\rben,\r",
        "\ufeffuser,pass-word\nanna,p 1\nben,\n",
        '\n"user","pass-word"\n\n"anna","p 1"\n\nben,""\n\n',
        '{"user":"anna","pass-word":"p 1"}\n{"user":"ben","pass-word":""}',
        '\ufeff{"user":"anna","pass-word":"p 1"}\r\n\r\n  {"pass-word":"","user":"ben"}\r\n',
    ],
)
def test_a_file_is_csv_or_json_lines(content: str) -> None:
    """By its first character; blank lines, line ends, order of names and byte order mark do not matter."""
    rows = parse_rows(content.encode())
    assert rows == ({"user": "anna", "pass-word": "p 1"}, {"user": "ben", "pass-word": ""})
    assert [list(row) for row in rows] == [["user", "pass-word"]] * 2


def test_values_of_csv_are_kept_as_they_are() -> None:
    """With spaces, commas, quotes and line ends."""
    (row,) = parse_rows(b'a,b,c\n x ,"1,""2""","3\r\n4"\n')
    assert row == {"a": " x ", "b": '1,"2"', "c": "3\r\n4"}


def test_values_of_json_become_the_texts_that_the_file_holds() -> None:
    """Numbers keep their digits, however many."""
    big = "9" * 5000
    (row,) = parse_rows(f'{{"a": 1.50, "b": -0, "c": 1E3, "d": true, "e": false, "f": {big}}}'.encode())
    assert row == {"a": "1.50", "b": "-0", "c": "1E3", "d": "true", "e": "false", "f": big}


def test_texts_of_json_may_hold_separators_of_other_lines() -> None:
    """U+2028 ends a line for Python, and is a character of a text for JSON."""
    assert parse_rows('{"a": "x\u2028y\x85"}\n'.encode()) == ({"a": "x\u2028y\x85"},)


@given(COLUMNS, st.data())
def test_what_a_csv_writer_writes_is_read_again(columns: list[str], data: st.DataObject) -> None:
    """Python's own writer, with any texts of UTF-8; a row of one empty value is quoted, so no blank line."""
    rows = data.draw(st.lists(st.lists(TEXTS, min_size=len(columns), max_size=len(columns)), min_size=1))
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerows([columns, *rows])
    assert [list(row.values()) for row in parse_rows(file.getvalue().encode())] == rows


@given(COLUMNS, st.data(), st.booleans())
def test_what_a_json_writer_writes_is_read_again(
    columns: list[str], data: st.DataObject, ascii_only: bool
) -> None:
    """Python's own writer, with and without escapes."""
    values = TEXTS | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans()
    rows = data.draw(st.lists(st.fixed_dictionaries(dict.fromkeys(columns, values)), min_size=1))
    lines = [json.dumps(row, ensure_ascii=ascii_only) for row in rows]
    expected = [
        {name: value if isinstance(value, str) else json.dumps(value) for name, value in row.items()}
        for row in rows
    ]
    assert list(parse_rows("\n".join(lines).encode())) == expected


# What is refused.


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "must have a header and a row for each session (the file is empty)"),
        ("\ufeff \n\n", "must have a header and a row for each session (the file is empty)"),
        ("user,password\n\n", "must have a row for each session (there is only a header)"),
        ("anna@example.org,s3cret\nb,c\n", "line 1 must name the columns with letters, digits, _ and -"),
        ("user;password\na;b\n", "line 1 must name the columns with letters, digits, _ and -"),
        ("user, password\na,b\n", "line 1 must name the columns with letters, digits, _ and -"),
        ("user,\na,b\n", "line 1 must name the columns with letters, digits, _ and -"),
        ("1,2\n", "line 1 must name the columns with letters, digits, _ and -"),
        ("[1]", "line 1 must name the columns with letters, digits, _ and -"),
        ("\n\na,b,a\n1,2,3", "line 3 must name each column once (columns 1 and 3 have the same name)"),
        ("a,b\n1,2\n3\n", "line 3 must have 2 values, one for each column (got 1)"),
        ("a,b\n1,2\n\n3,4,5\n", "line 4 must have 2 values, one for each column (got 3)"),
        ('a,b\n"1\n",2\n3', "line 4 must have 2 values, one for each column (got 1)"),
        ("a\n1,2\n", "line 2 must have 1 value, one for each column (got 2)"),
        ('a,b\n1,"2\n3,4\n', "line 2 must be CSV (unexpected end of data)"),
        ('a,b\n1,"2"3\n', "line 2 must be CSV (',' expected after '\"')"),
        ('{"a":1}\n{"a":', "line 2 must be a JSON object (invalid at character 6)"),
        ('{"a":1}\n{"a":1} x', "line 2 must be a JSON object (invalid at character 9)"),
        ('{"a":1}\n[1]', "line 2 must be a JSON object"),
        ('{"a":1}\n"x"', "line 2 must be a JSON object"),
        ('{"a":1}\n5', "line 2 must be a JSON object"),
        ('{"a":NaN}', "line 1 must be a JSON object"),
        ('{"a":' + "[" * 100_000, "line 1 must be a JSON object"),
        ('{"a":{"b":1}}', "line 1 must contain only strings, numbers, true and false"),
        ('{"a":[]}', "line 1 must contain only strings, numbers, true and false"),
        ('{"a":null}', "line 1 must contain only strings, numbers, true and false"),
        ('{"a":"\\ud800"}', "line 1 must contain only text that UTF-8 can encode (unpaired surrogate)"),
        ('{"a":1,"b":2,"a":3}', "line 1 must name each column once (columns 1 and 3 have the same name)"),
        ('{"a":1}\n\n{"a":1,"b":2}', "line 3 must have the same columns as the lines above"),
        ('{"a":1}\n{}', "line 2 must have the same columns as the lines above"),
        ("{}", "line 1 must name the columns with letters, digits, _ and -"),
        ('{"a b":1}', "line 1 must name the columns with letters, digits, _ and -"),
        (b"a,b\n1,2\n\xff,4", "line 3 must be UTF-8"),
        ("a,b\n1,2".encode("utf-16"), "line 1 must be UTF-8"),
    ],
    ids=repr,
)
def test_what_is_wrong_is_said_with_its_line(content: str | bytes, said: str) -> None:
    """One sentence, with the number of the line in an editor."""
    assert problem(content) == said


def test_a_file_without_commas_is_told_of_them() -> None:
    """Spreadsheets of some countries write semicolons."""
    with pytest.raises(InvalidSetting, match=r"Separate them with commas; JSON lines begin with \{"):
        parse_rows(b"user;password\na;b\n")


def test_there_is_a_most_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of line ends does not fill the memory."""
    monkeypatch.setattr(data_rows, "MAX_ROWS", 2)
    assert len(parse_rows(b"a\n1\n2\n")) == 2
    assert problem(b"a\n1\n2\n3\n") == "must have at most 2 rows"


@given(st.binary(max_size=60) | st.text('{}[]",:\\ab1.\n\r\ufeff', max_size=60).map(str.encode))
@example(b"\r")
@example(b'"')
def test_any_file_is_rows_or_a_setting_that_is_invalid(content: bytes) -> None:
    """No bytes make it fail in another way; rows have the same columns and hold texts."""
    with suppress(InvalidSetting):
        rows = parse_rows(content)
        assert rows
        assert all(row.keys() == rows[0].keys() for row in rows)
        assert all(type(value) is str for row in rows for value in row.values())


@given(st.data())
def test_errors_never_quote_the_file(data: st.DataObject) -> None:
    """Wherever it is damaged, and where a header is missing, nothing of a value stands in the error."""
    rows = "hunter2xyz,correcthorse\n" * 3, '{"user": "hunter2xyz", "pw": "correcthorse"}\n' * 3
    whole = data.draw(st.sampled_from(rows))
    at = data.draw(st.integers(0, len(whole)))
    damage = data.draw(st.text('",:{}[]\n1x\x00é', min_size=1, max_size=3))
    said = ""
    try:
        parse_rows((whole[:at] + damage + whole[at + 1 :]).encode())
    except InvalidSetting as refused:
        said = f"{refused!r} {refused}"
    assert not any(part in said for part in ("hunter", "correct", "horse"))


def test_more_rows_than_sessions_are_asked_for_with_the_reason() -> None:
    """Locust does not say which worker gets which users."""
    asked = too_few_rows(5, 10, "any of 2 workers may run all users of Chat")
    told = "--ws-data has 5 rows, but must have 10: any of 2 workers may run all users of Chat"
    assert str(asked) == told


def test_too_few_rows_are_named_with_the_sessions() -> None:
    """Before the run and during it, in the same words."""
    assert str(too_few_rows(1, 1000)) == (
        "--ws-data has 1 row for 1,000 sessions: add a row for each session"
    )
