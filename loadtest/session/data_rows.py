"""The rows of `--ws-data`: data for each session, such as an account, a room or a token.

    user,password           {"user": "anna", "password": "…"}
    anna,…                  {"user": "ben", "password": "…", "age": 42}

A file that begins with `{` contains JSON lines, one object per line; any other file is CSV with a header (RFC
4180). Blank lines are skipped. Every value becomes a text; JSON numbers, true and false as written in the
file. All rows have the same columns.

All values are secrets, so an error names the line and never quotes it. This includes the header, because in a
file without one it is the first row. Nothing here opens a file.
"""

import csv
import io
import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Final, NoReturn

from loadtest.errors import NOT_SHOWN, InvalidSetting
from loadtest.text import count, counted

Rows = tuple[Mapping[str, str], ...]
"""Row n is for the session with number n."""

MAX_ROWS = 1_000_000
"""More sessions than a run can have; a file of line ends must not fill the memory."""

OPTION: Final = "--ws-data"

_COLUMN = re.compile(r"[^\W\d][\w-]*")


def parse_rows(content: bytes) -> Rows:
    """Return the rows of a file.

    Args:
        content: the whole file, in UTF-8, with or without a byte order mark.

    Raises:
        InvalidSetting: the content is malformed or has no rows.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _malformed(content[: error.start].count(b"\n") + 1, "must be UTF-8") from None
    if not text.strip():
        raise _unusable("must have a header and a row for each session (the file is empty)")
    rows = []
    for row in _json_rows(text) if text.lstrip().startswith("{") else _csv_rows(text):
        rows.append(row)
        if len(rows) > MAX_ROWS:
            raise _unusable(f"must have at most {count(MAX_ROWS)} rows")
    if not rows:
        raise _unusable("must have a row for each session (there is only a header)")
    return tuple(rows)


def too_few_rows(rows: int, sessions: int, why: str = "") -> InvalidSetting:
    """Return the error for a file with fewer rows than a run has sessions.

    Args:
        rows: number of rows in the file.
        sessions: number of rows it must have.
        why: why this is more than the number of sessions; empty if it is not.
    """
    if why:
        return _unusable(f"has {counted(rows, 'row')}, but must have {count(sessions)}: {why}")
    given = f"has {counted(rows, 'row')} for {counted(sessions, 'session')}"
    return _unusable(f"{given}: add a row for each session")


def _unusable(problem: str, hint: str = "") -> InvalidSetting:
    return InvalidSetting(OPTION, NOT_SHOWN, problem, hint)


def _malformed(line: int, problem: str, hint: str = "") -> InvalidSetting:
    return _unusable(f"line {line} {problem}", hint)


def _csv_rows(text: str) -> Iterator[Mapping[str, str]]:
    lines = _csv_lines(text)
    number, columns = next(lines)
    _check_columns(columns, number, "Separate them with commas; JSON lines begin with {")
    wanted = counted(len(columns), "value")
    for number, values in lines:
        if len(values) != len(columns):
            raise _malformed(number, f"must have {wanted}, one for each column (got {len(values)})")
        yield dict(zip(columns, values, strict=True))


def _csv_lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the values of each line that is not blank, with the number of the line on which they begin."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    while True:
        number = reader.line_num + 1
        try:
            values = next(reader, None)
        except csv.Error as error:
            raise _malformed(number, f"must be CSV ({error})") from None
        if values is None:
            return
        if values:
            yield number, values


def _json_rows(text: str) -> Iterator[Mapping[str, str]]:
    columns: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), 1):  # not splitlines: a text of JSON may hold U+2028
        if not line.strip():
            continue
        row = _json_row(line, number)
        if not columns:
            _check_columns(row, number)
            columns = row
        elif row.keys() != columns.keys():
            raise _malformed(number, "must have the same columns as the lines above")
        yield {column: row[column] for column in columns}  # with the first line's keys, not copies of them


def _json_row(line: str, number: int) -> dict[str, str]:
    try:
        pairs = _decode(line)
    except json.JSONDecodeError as error:
        raise _malformed(number, f"must be a JSON object (invalid at character {error.pos + 1})") from None
    except (ValueError, RecursionError):
        raise _malformed(number, "must be a JSON object") from None
    if not isinstance(pairs, tuple):
        raise _malformed(number, "must be a JSON object")
    _check_unique([name for name, _ in pairs], number)
    return {name: _json_text(value, number) for name, value in pairs}


def _json_text(value: object, number: int) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        raise _malformed(number, "must contain only strings, numbers, true and false")
    if not value.isascii() and any("\ud800" <= one <= "\udfff" for one in value):
        raise _malformed(number, "must contain only text that UTF-8 can encode (unpaired surrogate)")
    return value


def _no_constant(_name: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not valid JSON")


_decode = json.JSONDecoder(
    object_pairs_hook=tuple, parse_int=str, parse_float=str, parse_constant=_no_constant
).decode
"""Reads objects as tuples of pairs, in which a repeated name shows, and numbers as the texts they are."""


def _check_columns(columns: Collection[str], number: int, hint: str = "") -> None:
    if not columns or not all(map(_COLUMN.fullmatch, columns)):
        raise _malformed(number, "must name the columns with letters, digits, _ and -", hint)
    _check_unique(columns, number)


def _check_unique(columns: Collection[str], number: int) -> None:
    seen: dict[str, int] = {}
    for at, column in enumerate(columns, 1):
        if column in seen:
            problem = f"must name each column once (columns {seen[column]} and {at} have the same name)"
            raise _malformed(number, problem)
        seen[column] = at
