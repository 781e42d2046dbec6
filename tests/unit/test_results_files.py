"""docs/results-files.md and results/README.md: they name what a run leaves, all of it, in order."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtest.report.series_csv import COLUMNS
from loadtest.report.summary_json import FIELDS
from loadtest.runs.publish import publish
from tests.support.generate_docs import DOCS
from tests.support.rundirs import write_run, write_server_log

PAGE = DOCS / "results-files.md"
README = DOCS.parent / "results" / "README.md"


def names(page: Path, heading: str) -> list[str]:
    """Return the names in the first cells of the tables under a heading, in order."""
    return [name for cell in first_cells(page, heading) for name in re.findall(r"`([^`]+)`", cell)]


def first_cells(page: Path, heading: str) -> Iterator[str]:
    """Yield the first cell of each row under a heading; an empty heading is the page's beginning."""
    here = not heading
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            here = line == f"## {heading}"
        elif here and line.startswith("| "):
            yield line.split("|")[1]


def test_the_figures_of_summary_json_are_listed() -> None:
    """All of them, in their order."""
    assert names(PAGE, "summary.json") == [field.name for field in FIELDS]


def test_the_columns_of_series_csv_are_listed() -> None:
    """All of them, in their order."""
    assert names(PAGE, "series.csv") == list(COLUMNS)


@pytest.mark.parametrize("page", [PAGE, README])
def test_the_files_of_a_run_are_listed(tmp_path: Path, page: Path) -> None:
    """Each file that a run with a server log leaves."""
    run = write_run(tmp_path, seconds=3)
    write_server_log(run)
    publish(run, results=tmp_path)
    left = {path.name for path in run.iterdir()}
    assert left - set(names(page, "")) == set()


def test_the_recipes_name_what_there_is() -> None:
    """The figures that jq reads, the columns of SQL, pandas and gnuplot."""
    recipes = PAGE.read_text(encoding="utf-8").partition("## Recipes")[2]
    figures = set(re.findall(r"[\[ (]\.([a-z0-9_]+)", recipes))
    sql = re.search(r"SELECT ([\w, ]+) FROM 'series.csv' ORDER BY (\w+)", recipes)
    assert sql is not None
    columns = {*sql[1].split(", "), sql[2], *re.findall(r"'second':'(\w+)'", recipes), "second"}
    columns |= set(re.findall(r'"([a-z_]+)"', recipes.partition("nlargest")[2].partition("```")[0]))
    assert len(figures) > 3 < len(columns)
    assert figures <= {field.name for field in FIELDS}
    assert columns <= set(COLUMNS)


def test_a_missing_name_is_seen(tmp_path: Path) -> None:
    """The check reads the table: without a row, its names are missing."""
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if "`sessions`" not in line]
    (tmp_path / "page.md").write_text("\n".join(lines))
    found = names(tmp_path / "page.md", "summary.json")
    assert {field.name for field in FIELDS} - set(found) == {"sessions", "session_hours"}


def test_the_page_is_short() -> None:
    """A reader looks something up here: at most 900 words, without the tables' bars."""
    assert len(PAGE.read_text(encoding="utf-8").replace("|", " ").split()) <= 900
