"""Drills as --ws-at takes them, and what is shown of their commands."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.drops.drills import (
    COMMAND_LENGTH,
    MAX_DRILLS,
    Drill,
    parse_drills,
    public_command,
    written_drill,
)
from loadtest.errors import InvalidSetting
from loadtest.text import Secrets


def test_a_drill_is_a_moment_and_a_command() -> None:
    """The command keeps its colons and commas; drills are ordered by time."""
    drills = parse_drills(["60.5:kubectl rollout restart deployment/chat:v2,a", "3 : sh -c 'a; b'"])
    assert drills == (
        Drill(at_s=3.0, command="sh -c 'a; b'"),
        Drill(at_s=60.5, command="kubectl rollout restart deployment/chat:v2,a"),
    )
    assert [str(drill) for drill in drills] == [
        "3:sh -c 'a; b'",
        "60.5:kubectl rollout restart deployment/chat:v2,a",
    ]
    assert parse_drills([]) == ()


@pytest.mark.parametrize("text", ["", "60", "60:", "60: ", "deploy", "soon:deploy", ":deploy", "0.5@30"])
def test_a_drill_without_moment_or_command_is_refused(text: str) -> None:
    """The error shows the form."""
    with pytest.raises(InvalidSetting, match=r"^--ws-at must be SECONDS:COMMAND, for example 60:'kubectl"):
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


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("deploy --token abc123 --now", "deploy --token *** --now"),
        ("deploy --api-key 'a b' x", "deploy --api-key *** x"),
        ("sh -c 'DB_PASSWORD=abc ./deploy'", "sh -c 'DB_PASSWORD=*** ./deploy'"),
        ("curl https://ann:abc@host/x https://host/y", "curl https://***@host/x https://host/y"),
        ("deploy abc-of-the-run", "deploy ***-of-the-run"),
        ("gcloud auth login", "gcloud auth login"),
        ("kubectl rollout restart deployment/chat", "kubectl rollout restart deployment/chat"),
    ],
)
def test_secrets_of_a_command_are_hidden(command: str, shown: str) -> None:
    """Known ones wherever they stand, others by the names before them; the rest stays readable."""
    assert public_command(command, Secrets(["abc"])) == shown


def test_a_refused_drill_shows_no_secret() -> None:
    """Errors are logged."""
    with pytest.raises(InvalidSetting) as refused:
        parse_drills(["soon:deploy --token s3cret"])
    assert "s3cret" not in str(refused.value) + repr(refused.value)


@given(st.text())
def test_any_text_gives_one_line_or_one_error(text: str) -> None:
    """No text raises anything but the error of the option."""
    assert len(public_command(text)) <= COMMAND_LENGTH
    assert public_command(text).isprintable()
    try:
        (drill,) = parse_drills([text])
    except InvalidSetting:
        return
    assert parse_drills([written_drill(drill.at_s, drill.command)]) == (drill,)
