"""What GitHub's runner reads: commands, escaped as it unescapes them, and no more than it shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.report.github import (
    Annotation,
    Level,
    commands,
    output_lines,
    run_annotations,
    sheet_annotations,
)
from loadtest.report.judged_run import JudgedRun
from loadtest.report.tables import Sheet
from loadtest.results.interval import pack
from loadtest.results.manifest import UserClass
from loadtest.results.user_classes import fields_of
from loadtest.ruling import Ruling
from loadtest.verdict.run import judge
from tests.support.github_steps import outputs_of
from tests.support.runs import gathered, interval, manifest, plan
from tests.unit.report.test_user_class_reports import LEAKING, judged

TEXTS = st.text(st.characters(), max_size=60)


def read(command: str) -> tuple[str, str, str]:
    """Return kind, title and message as the runner reads a line (actions/runner, ActionCommand)."""
    assert len(command.splitlines()) == 1
    found = re.fullmatch(r"::(\w+) title=([^:,]*)::(.*)", command)
    assert found is not None, command
    kind, title, message = found.groups()
    for escaped, character in (("%3A", ":"), ("%2C", ","), ("%0D", "\r"), ("%0A", "\n"), ("%25", "%")):
        title = title.replace(escaped, character)
        if character not in ":,":
            message = message.replace(escaped, character)
    return kind, title, message


def test_an_annotation_is_read_back() -> None:
    """With all characters that mean something to the runner."""
    annotation = Annotation(Level.ERROR, "a: b, 50%", "100% of it::error::\nNext: look")
    assert str(annotation) == "::error title=a%3A b%2C 50%25::100%25 of it::error::%0ANext: look"
    assert read(str(annotation)) == ("error", "a: b, 50%", "100% of it::error::\nNext: look")


@given(TEXTS, TEXTS)
def test_no_text_becomes_a_command(title: str, message: str) -> None:
    """Whatever a server says, the command is one line, of one kind."""
    assert read(str(Annotation(Level.WARNING, title, message)))[0] == "warning"


def test_what_failed_is_an_error_of_its_class() -> None:
    """With its reason; what passed is not told beside it."""
    (found,) = run_annotations(judged(corrupted=40))
    assert (found.level, found.title) == (Level.ERROR, "loadtest FAIL: messaging of Market")
    assert "\nNext: " in found.message
    (leak,) = run_annotations(judged(gauge=LEAKING))
    assert leak.title == "loadtest FAIL: cleanup"


def test_one_defect_of_many_classes_is_one_annotation() -> None:
    """GitHub shows ten: twelve classes with the same defect must not hide another one."""
    kinds = [UserClass(name=f"C{number}", plan=plan()) for number in range(12)]
    fields = fields_of(kinds, several=True)
    run = gathered(
        (
            pack(interval(0, counts={"messaging.sent": 9, "messaging.lost": 9}), user=one.name)
            for one in kinds
        ),
        manifest(run_plan=fields.pop("plan"), **fields),
    )
    of = JudgedRun(path=Path("results/x"), results=Path("results"), run=run, verdict=judge(run))
    (found,) = (one for one in run_annotations(of) if one.level is Level.ERROR)
    assert found.title == "loadtest FAIL: messaging of C0, C1, C2 and 9 more classes"
    lines = found.message.split("\n")
    assert lines[0].startswith("C0: ")
    assert lines[3] == "and 9 more classes"
    assert lines[4].startswith("Next: ")
    assert len(lines) == 5


def test_a_run_that_passed_is_a_notice() -> None:
    """One line: that it ran and passed."""
    (found,) = run_annotations(judged())
    assert (found.level, found.title) == (Level.NOTICE, "loadtest PASS")
    assert re.fullmatch(r"v1\.0: \d items passed", found.message)


@pytest.mark.parametrize(
    ("ruling", "level"),
    [
        (Ruling.FAIL, Level.ERROR),
        (Ruling.INCONCLUSIVE, Level.WARNING),
        (Ruling.PASS, Level.NOTICE),
        (None, Level.NOTICE),
    ],
)
def test_a_comparison_is_one_annotation(ruling: Ruling | None, level: Level) -> None:
    """By its verdict."""
    (found,) = sheet_annotations(
        Sheet(headline="v1 → v2", tables=[], ruling=ruling, lines=["why"]), "loadtest duel"
    )
    assert (found.level, found.message) == (level, "v1 → v2\nwhy")
    assert found.title == f"loadtest duel {ruling or 'NOT_JUDGED'}"


def test_no_more_are_written_than_are_shown() -> None:
    """Ten of a kind, worst first; the last names the others."""
    many = [Annotation(Level.WARNING, f"loadtest {number}", "") for number in range(12)]
    lines = commands([*many, Annotation(Level.ERROR, "worse", "")])
    assert [read(line)[0] for line in lines] == ["error", *["warning"] * 10]
    assert read(lines[-1]) == ("warning", "loadtest: 3 more", "9, 10, 11")
    assert len(commands(many[:10])) == 10


@given(st.dictionaries(st.sampled_from(["verdict", "run", "report"]), st.text("ab=<\n", max_size=20)))
def test_no_value_becomes_another_output(values: dict[str, str]) -> None:
    """A path with a line end in it stays one value."""
    assert outputs_of(output_lines(values, "end-7f3a")) == values
