"""Drills as --ws-at takes them, and what is shown of their commands."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.command_lines import command_words
from loadtest.drops.drills import AT, MAX_DRILLS, Drill, parse_drills, written_drill
from loadtest.errors import InvalidSetting
from loadtest.scrubber import NO_SECRETS, Secrets


def test_a_drill_is_a_moment_and_a_command() -> None:
    """The command keeps its colons and commas; drills are ordered by time."""
    drills = parse_drills(["60.5:kubectl rollout restart deployment/chat:v2,a", "3 : sh -c 'a; b'"])
    assert drills == (
        Drill(at_s=3.0, command="sh -c 'a; b'"),
        Drill(at_s=60.5, command="kubectl rollout restart deployment/chat:v2,a"),
    )
    assert [drill.public(NO_SECRETS) for drill in drills] == [
        "3:sh -c 'a; b'",
        "60.5:kubectl rollout restart deployment/chat:v2,a",
    ]
    assert parse_drills([]) == ()


def test_drills_of_one_moment_keep_their_order() -> None:
    """As they were given, whatever their commands."""
    drills = parse_drills(["5:second", "5:first", "1:zero", "5:again"])
    assert [drill.command for drill in drills] == ["zero", "second", "first", "again"]


@pytest.mark.parametrize("text", ["", "60", "60:", "60: ", "deploy", "soon:deploy", ":deploy", "0.5@30"])
def test_a_drill_without_moment_or_command_is_refused(text: str) -> None:
    """The error shows the form."""
    with pytest.raises(
        InvalidSetting,
        match=r"^--ws-at must be SECONDS:COMMAND, seconds without a unit, for example 60:'kubectl",
    ):
        parse_drills([text])


@pytest.mark.parametrize("moment", ["-1", "nan", "inf", "604801"])
def test_a_moment_out_of_range_is_refused(moment: str) -> None:
    """Like a storm's."""
    with pytest.raises(InvalidSetting, match=r"^--ws-at moment must be 0–604800 seconds"):
        parse_drills([f"{moment}:deploy"])


def test_too_many_drills_are_refused() -> None:
    """Twenty are enough."""
    assert len(parse_drills(["1:deploy"] * MAX_DRILLS)) == MAX_DRILLS
    with pytest.raises(InvalidSetting, match=r"must be at most 20 drills \(got 21\)"):
        parse_drills(["1:deploy"] * (MAX_DRILLS + 1))


def test_a_refused_drill_shows_no_secret() -> None:
    """Errors are logged."""
    with pytest.raises(InvalidSetting) as refused:
        parse_drills(["soon:deploy --token s3cret"])
    assert "s3cret" not in str(refused.value) + repr(refused.value)
    (drill,) = parse_drills(["5:deploy --token s3cret and-known"])
    assert drill.public(Secrets(["known"])) == "5:deploy --token *** and-***"


@pytest.mark.parametrize("option", [AT, "--ws-token-cmd", "--ws-server-log-cmd"])
@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("deploy --token s3cret 'x", "must be quoted as for a shell (No closing quotation). For"),
        ("TOKEN=s3cret deploy", "program not found (got 'TOKEN=***')"),
        ("'deploy --token s3cret'", "program not found (got 'deploy --token ***')"),
        ("no-such-deploy x", "program not found (got 'no-such-deploy')"),
    ],
)
def test_a_refused_command_shows_no_secret(option: str, command: str, problem: str) -> None:
    """Where it cannot be split it is not shown at all, as nobody knows what its words are."""
    with pytest.raises(InvalidSetting) as refused:
        command_words(command, option)
    assert "s3cret" not in str(refused.value) + repr(refused.value)
    assert str(refused.value).startswith(f"{option} {problem}")


@given(st.text())
def test_any_text_gives_one_line_or_one_error(text: str) -> None:
    """No text raises anything but the error of the option."""
    try:
        (drill,) = parse_drills([text])
    except InvalidSetting:
        return
    assert parse_drills([written_drill(drill.at_s, drill.command)]) == (drill,)
