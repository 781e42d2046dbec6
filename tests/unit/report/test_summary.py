"""summary.md as GitHub and GitLab show it: short whatever a run holds, and whole where it is cut."""

from __future__ import annotations

import itertools
from pathlib import Path

import msgspec
import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from loadtest.histograms import carries
from loadtest.report.judged_run import JudgedRun
from loadtest.report.markdown import MARKER, summary, summary_of_nothing
from loadtest.results.manifest import UserClass
from loadtest.results.user_classes import fields_of
from loadtest.ruling import Ruling
from loadtest.runs.publish import publish
from loadtest.verdict.items import Generator
from loadtest.verdict.run import judge
from tests.support.golden import Golden
from tests.support.golden_runs import RUNS, write_runs
from tests.support.rundirs import HOSTILE
from tests.support.runs import gathered, manifest, plan, sound
from tests.unit.report.test_user_class_reports import judged as of_two_classes

GFM = MarkdownIt("commonmark").enable(["table", "strikethrough"])


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The summaries of the synthetic runs: sound, failed, killed, overloaded, of another plan, empty."""
    results = tmp_path_factory.mktemp("results")
    paths = write_runs(results)
    found = {name: publish(path, results=results) for name, path in paths.items()}
    return {name: summary(judged).replace(str(results), "results") for name, judged in found.items()}


def crowded(classes: int) -> JudgedRun:
    """Return a run in which each item of each class fails, with remarks; all texts are a hostile server's."""
    kinds = [UserClass(name=f"Class{number}", plan=plan()) for number in range(classes)]
    fields = fields_of(kinds, several=classes > 1)
    of = manifest(run_plan=fields.pop("plan"), revision=HOSTILE, failure=HOSTILE, **fields)
    run = gathered([], of)
    verdict = judge(run)
    items = [
        msgspec.structs.replace(item, verdict=ruling, summary=HOSTILE)
        for item, ruling in zip(
            verdict.items, itertools.cycle([Ruling.FAIL, Ruling.INCONCLUSIVE]), strict=False
        )
    ]
    users = {name: msgspec.structs.replace(one, items=list(items)) for name, one in verdict.classes.items()}
    return JudgedRun(
        path=Path("results") / HOSTILE.replace("/", "-").replace("\0", ""),
        results=Path("results"),
        run=run,
        verdict=msgspec.structs.replace(
            verdict,
            items=items,
            verdict=Ruling.FAIL,
            notes=[HOSTILE] * 30,
            baseline=HOSTILE,
            generator=Generator(valid=False, problems=[HOSTILE] * 30),
            **({"users": users} if users else {}),
        ),
    )


@pytest.mark.parametrize("name", list(RUNS))
def test_what_people_read(runs: dict[str, str], name: str, golden: Golden) -> None:
    """The summaries of the synthetic runs, to be read in reviews."""
    golden(f"ci/summary-{name}.md", runs[name])
    check(runs[name])


def check(text: str) -> list[Token]:
    """Check that a summary is short, and that everything in it is drawn; return its tokens."""
    lines = text.splitlines()
    assert len(lines) < 60
    assert lines[0] == MARKER
    assert lines[1].startswith("## ")
    assert text.count("<details>") == text.count("</details>")
    tokens = GFM.parse(text)
    html = [token.content.strip() for token in tokens if token.type == "html_block"]
    assert all(one in (MARKER, "</details>") or one.startswith("<details><summary>") for one in html)
    tables = {
        number for token in tokens if token.type == "table_open" for number in range(*token.map or (0, 0))
    }
    assert {number for number, line in enumerate(lines) if line.startswith("|")} == tables
    drawn = {child.type for token in tokens for child in token.children or ()}
    assert not drawn & {"html_inline", "link_open", "image"}
    return tokens


@pytest.mark.parametrize("classes", [1, 2, 40])
def test_it_is_short_whatever_a_run_holds(classes: int) -> None:
    """Nine items that fail, thirty remarks, forty classes, and a server that writes what it should not."""
    text = summary(crowded(classes))
    tokens = check(text)
    assert "<details><summary>All items</summary>" in text
    assert "❌ FAIL **connect**" in text
    assert sum(token.type == "bullet_list_open" and token.level == 0 for token in tokens) == 2
    if classes > 1:
        assert "also " in text
        assert (" more\n" in text) == (classes == 40)


def test_what_failed_stands_before_what_could_not_be_judged() -> None:
    """In the order of their verdicts, each with its reason."""
    lines = [line for line in summary(crowded(1)).splitlines() if line.startswith("- ")]
    rulings = [line.split()[2] for line in lines if "also" not in line]
    assert rulings == sorted(rulings)
    assert rulings[0] == "FAIL"


def test_a_class_names_its_failures() -> None:
    """In the item's line and in the table of classes."""
    text = summary(of_two_classes(corrupted=40))
    check(text)
    assert "- ❌ FAIL **messaging** of `Market`: " in text
    assert text.index("| `Market` |") < text.index("| `Chat` |")


def test_where_nothing_was_judged_the_reason_stands() -> None:
    """With the marker, so that a bot's comment is replaced, and without power."""
    text = summary_of_nothing(f"--ws-rate must be more ({HOSTILE})")
    check(text)
    assert "Nothing was judged" in text
    assert "--ws-rate must be more" in text


def test_an_id_that_is_none_is_not_in_the_command() -> None:
    """A file may name another folder, which the command would look into."""
    for run_id, named in (("2f3e4d5c", "2f3e4d5c"), ("../../../x", "results/x"), ("-h", "results/x")):
        run = sound(of=manifest(run_id=run_id))
        of = JudgedRun(path=Path("results/x"), results=Path("results"), run=run, verdict=judge(run))
        assert summary(of).rstrip().endswith(f"or `loadtest report {named}`.")


def test_percentiles_are_shown_as_far_as_samples_carry_them() -> None:
    """One sample beyond is enough to show it; the maximum is one of them."""
    carried = {
        (9, 90): False,
        (10, 90): True,
        (99, 99): False,
        (100, 99): True,
        (999, 99.9): False,
        (1000, 99.9): True,
        (1, 50): False,
        (2, 50): True,
        (1, 100): True,
        (0, 100): False,
    }
    assert {given: carries(*given) for given in carried} == carried


def test_nothing_is_said_twice_of_the_names_of_counters(runs: dict[str, str]) -> None:
    """People know messages and sessions, not the names of counters."""
    for text in runs.values():
        for name in ("counts:", "identity_changed", "lost_in_outage", "gave_up"):
            assert name not in text.replace("\\", "")


def test_the_check_finds_what_is_wrong() -> None:
    """Too long, a link, an element, a table that is none."""
    good = f"{MARKER}\n## PASS\n\ntext\n"
    check(good)
    for bad in (
        "\n" * 60,
        "[x](http://evil.example)",
        "<b>x</b>",
        "| a | b |",
        "<details><summary>x</summary>",
    ):
        with pytest.raises(AssertionError):
            check(good + bad)
