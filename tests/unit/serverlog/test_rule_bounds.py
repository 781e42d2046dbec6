"""A user's file of rules within bounds."""

import os
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.errors import InvalidSetting
from loadtest.serverlog.records import Level, LogRecord
from loadtest.serverlog.rules import MAX_PATTERN, MAX_PATTERNS, MAX_RULES, load_rules, parse_rules
from tests.support.growth import assert_linear
from tests.support.hostile_rules import HOSTILE, RULE, hostile


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_at_once(tmp_path: Path, name: str) -> None:
    """Each is refused with an error that names the option and the file."""
    path = tmp_path / "rules.toml"
    path.write_text(HOSTILE[name])
    with pytest.raises(InvalidSetting) as caught:
        load_rules(path, option="--rules")
    assert "--rules" in str(caught.value)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 1_000


@pytest.mark.parametrize("name", HOSTILE)
def test_refusing_takes_linear_time(tmp_path: Path, name: str) -> None:
    """A file of twice the size is refused in about twice the time at most."""
    paths = {}
    for size in (1, 2):
        paths[size] = tmp_path / f"{size}.toml"
        paths[size].write_text(hostile(2 // size)[name])

    def refuse(size: int) -> None:
        with pytest.raises(InvalidSetting):
            load_rules(paths[size], option="--rules")

    assert_linear(refuse, (1, 2), floor_s=0.02)


@pytest.mark.parametrize("place", ["/dev/zero", "/dev/full", "/dev/stdin", "/proc/self/mem", "."])
def test_what_is_no_file_is_refused(place: str) -> None:
    """A device, which may never end, and a directory are refused."""
    with pytest.raises(InvalidSetting, match="must be a"):
        load_rules(Path(place))


def test_a_fifo_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    """A FIFO without a writer would be waited for for ever."""
    path = tmp_path / "rules"
    os.mkfifo(path)
    with pytest.raises(InvalidSetting, match="must be a regular file"):
        load_rules(path)


def test_the_limits_themselves_are_allowed() -> None:
    """As many rules and patterns as allowed, as long as allowed, are read, and classify quickly."""
    many = "".join(f'[[rule]]\nclass = "abrupt"\nmessage = "p{number}"\n' for number in range(MAX_RULES))
    assert len(parse_rules(many, "f", option="--rules").rule) == MAX_RULES
    lists = ",".join(f'"p{number}"' for number in range(MAX_PATTERNS))
    assert parse_rules(f'[[rule]]\nclass = "abrupt"\nmessage = [{lists}]\n', "f", option="--rules").rule
    long = f'[[rule]]\nclass = "abrupt"\nmessage = "{"*a" * (MAX_PATTERN // 2)}"\n'
    assert parse_rules(long, "f", option="--rules").rule
    for text, problem in (
        (many + RULE, "1,000 rules"),
        (long.replace("*a", "*aa", 1), "at most 500 characters"),
    ):
        with pytest.raises(InvalidSetting, match=problem):
            parse_rules(text, "f", option="--rules")


def test_a_pattern_of_many_stars_takes_linear_time(tmp_path: Path) -> None:
    """The worst pattern that is allowed, on the worst message, is quick: there is nothing to backtrack."""
    path = tmp_path / "rules.toml"
    path.write_text(f'[[rule]]\nclass = "abrupt"\nmessage = "{"a*" * 240}b"\n')
    table = load_rules(path)

    def classify(length: int) -> None:
        record = LogRecord(line=1, level=Level.ERROR, message="a" * length)
        for _ in range(10):
            table.classify(record)

    assert_linear(classify, (250, 500, 1_000, 2_000))


def test_punctuation_in_texts_and_comments_is_free() -> None:
    """Bounds are for keys and numbers; a text may have dots, brackets and digits."""
    text = """
# a.b.c.d.e.f.g.h [[[[[[[[[ 99999999999999999999999999999999999999999999999999999999999999999999999999999
[[rule]]
class = "abrupt"
message = ["a.b.c.d.e.f.g.h", '[[[[[[[[ { { { { {', "%s"]
example = '''
[[[[[[[[[ "a.b.c.d.e.f.g.h"
'''
source = \"\"\"a \\\"\"\" . . . . . . . .\"\"\"
"""
    assert parse_rules(text, "f", option="--rules").rule[0].log_class == "abrupt"


@given(st.text("[]{}\"'#\n\\.=a1 ", max_size=60))
def test_any_text_is_rules_or_refused(text: str) -> None:
    """Nothing but the error for a bad setting is raised."""
    with suppress(InvalidSetting):
        parse_rules(text, "f", option="--rules")
