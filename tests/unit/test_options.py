"""The table of settings, and what people read of it."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace

import pytest

from loadtest.errors import InvalidSetting
from loadtest.options import SETTINGS, TABLE, options_of
from loadtest.setting import Group, Setting, written
from loadtest.values import Flag, Pair, Text
from tests.support.commands import run
from tests.support.golden import Golden

ROWS = list(SETTINGS.values())
SINGLE = [
    row for row in ROWS if not row.repeatable and not (isinstance(row.kind, Text) and row.kind.or_object)
]


def test_every_group_has_rows_and_every_row_a_group() -> None:
    """Lists show all settings, in the order of the groups."""
    assert list(TABLE) == list(Group)
    assert all(TABLE.values())
    assert sum(map(len, TABLE.values())) == len(SETTINGS)


def test_names_are_unique() -> None:
    """Of options, and so of environment variables."""
    names = Counter(row.option for row in ROWS)
    assert names.most_common(1)[0][1] == 1


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.attribute)
def test_a_row_is_sound(row: Setting) -> None:
    """Its default is a value of its kind, its help are sentences, its names have the one form.

    Each help is read alone, in a list of options: it refers to no other row.
    """
    if row.default is not None:
        assert row.read(row.default) == (row.default if row.attribute != "results" else row.read("results"))
    assert re.fullmatch(r"[A-Z].*\.", row.help)
    assert not re.match(r"Likewise|The same|Ditto", row.help)
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*|", row.name)
    assert bool(row.kind.metavar) != isinstance(row.kind, Flag)
    assert not (row.repeatable and row.default)


@pytest.mark.parametrize("row", SINGLE, ids=lambda row: row.attribute)
def test_one_value_is_not_a_list(row: Setting) -> None:
    """Not even of one value: which of several would count?"""
    for several in (["2", "3"], [1], ["/a"], []):
        with pytest.raises(InvalidSetting):
            row.read(several)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (20.0, "20"),
        (0.1 + 0.2, "0.30000000000000004"),
        (1e-6, "1e-06"),
        (7, "7"),
        (False, "off"),
        ({"close": 1.0, "fin": 0.5}, "close=1,fin=0.5"),
        (("a", "b"), "a,b"),
        ("text", "text"),
    ],
)
def test_values_are_written_as_options_take_them(value: object, text: str) -> None:
    """Numbers to the last digit."""
    assert written(value) == text


def test_fields_of_a_plan_are_named_by_their_options() -> None:
    """Locust's own, too."""
    fields = ["users", "spawn_rate", "duration_s", "sessions_per_user", "storms", "drop_every_s"]
    assert options_of(fields) == ["-u", "-r", "-t", "--ws-sessions", "--ws-storm", "--ws-drop-every"]


def test_attributes_and_fields_are_named_by_their_options() -> None:
    """Seconds and lists by their endings."""
    names = {row.name: row.attribute for row in ROWS}
    assert [names[name] for name in ("drop-every", "storm", "tls-ca")] == ["drop_every_s", "storms", "tls_ca"]
    renamed = [row.attribute for row in ROWS if row.in_plan and row.plan_field != row.attribute]
    assert renamed == ["sessions", "drills"]
    assert not any(row.plan_field for row in ROWS if not row.in_plan)


def test_errors_do_not_show_secrets() -> None:
    """Of a setting that is secret, no value stands in an error."""
    secret = replace(SETTINGS["rate"], secret=True)
    with pytest.raises(InvalidSetting) as refused:
        secret.read("s3cret")
    assert "s3cret" not in str(refused.value) + repr(refused.value)
    assert isinstance(SETTINGS["headers"].kind, Pair)


def test_what_people_read(golden: Golden) -> None:
    """`loadtest options`, for people and for programs, and the help of both commands about settings."""
    golden("options.txt", run("options").stdout)
    golden("options.json", run("options", "--json").stdout)
    golden("options-help.txt", run("options", "--help").stdout)
    golden("serve-help.txt", run("serve", "--help").stdout)


def test_programs_find_all_settings() -> None:
    """One document, with defaults as values."""
    found = json.loads(run("options", "--json").stdout)
    assert [one["attribute"] for one in found] == list(SETTINGS)
    assert {one["attribute"]: one["default"] for one in found}["rate"] == 1.0
