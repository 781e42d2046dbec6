"""Pages of docs/: none is long, links lead somewhere, the index has all, and they describe what there is."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent
from typing import Any
from unittest.mock import Mock

import pytest

from loadtest.drops.kinds import DETECTED, DropKind, Wire
from loadtest.drops.plan import DEFAULT_WEIGHTS, DropPlan
from loadtest.verdict.items import ITEMS, KINDS, OF_PROBES
from tests.support.doc_pages import ALL, DOCS, README, Page
from tests.support.places import ROOT

LONGEST = 1500
"""Words of a page: who looks something up reads it in a few minutes."""

INDEX = Page(ROOT / "docs" / "README.md")

_NAMED = r"(?<![\w/])docs/[\w/.-]+\.md"

BY_PARENT = ("options", "server-log-rules", "calibration")
"""Folders of generated pages: the page that stands above them names them."""


def broken(page: Page) -> list[str]:
    """Return the links of a page that lead nowhere."""
    return [link for link in page.links if not _leads_somewhere(page, link)]


def _leads_somewhere(page: Page, link: str) -> bool:
    name, _, anchor = link.partition("#")
    target = (page.path.parent / name).resolve() if name else page.path
    if not target.is_relative_to(ROOT) or not target.exists():
        return False
    return not anchor or (target.suffix == ".md" and anchor in Page(target).anchors)


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)
def test_no_page_is_long(page: Page) -> None:
    """Generated ones neither."""
    assert page.words <= LONGEST


@pytest.mark.parametrize("page", ALL, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Page) -> None:
    """Files exist, and have the headings that anchors name."""
    assert broken(page) == []


def test_broken_links_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing file, a missing heading; code is no link."""
    monkeypatch.setattr("tests.unit.test_doc_pages.ROOT", tmp_path)
    (tmp_path / "other.md").write_text("# Two words: `code`\n")
    (tmp_path / "page.md").write_text(
        "[a](other.md) [b](other.md#two-words-code) [c](https://example.org) `[d](code.md)`\n"
        "```\n[e](block.md)\n# heading\n```\n"
        "[f](gone.md) [g](other.md#three-words) [h](#heading) [i](../outside.md)\n"
    )
    assert broken(Page(tmp_path / "page.md")) == [
        *("gone.md", "other.md#three-words", "#heading", "../outside.md")
    ]


def test_words_are_counted(tmp_path: Path) -> None:
    """Words of tables and code count, their bars and comments do not."""
    (tmp_path / "page.md").write_text(
        "# One\n\n<!-- not this -->\n\n| two | `three` |\n|---|---|\n- four – five\n"
    )
    assert Page(tmp_path / "page.md").words == 5


def test_the_index_has_every_page() -> None:
    """Each page of docs/ is linked from its README, and that from the project's."""
    linked = {(INDEX.path.parent / link.partition("#")[0]).resolve() for link in INDEX.links}
    pages = {page.path for page in DOCS if page.path.parent.name not in BY_PARENT}
    assert pages - linked == {INDEX.path}
    assert "docs/README.md" in README.links


def test_a_page_begins_with_what_it_is_for() -> None:
    """A title, then text; the index begins with its lists."""
    assert [page.name for page in DOCS if page.path != INDEX.path and not _has_beginning(page)] == []


def _has_beginning(page: Page) -> bool:
    title, _, rest = page.text.partition("\n")
    first = re.sub(r"<!--.*?-->", "", rest).strip()
    return title.startswith("# ") and re.match(r"[A-Z\[`]", first) is not None


def test_the_package_names_pages_that_exist() -> None:
    """Messages, help and docstrings that say docs/NAME.md."""
    sources = [*(ROOT / "loadtest").rglob("*.py"), ROOT / "action.yml", ROOT / "Dockerfile"]
    named = {name for path in sources for name in re.findall(_NAMED, path.read_text(encoding="utf-8"))}
    assert len(named) > 3
    assert [name for name in named if not (ROOT / name).exists()] == []


def _first_cells(name: str, heading: str) -> list[str]:
    """Return the names in the first cells of the table under a heading."""
    _, _, rest = (ROOT / "docs" / name).read_text(encoding="utf-8").partition(f"\n## {heading}\n")
    return re.findall(r"^\| `(\w+)`", rest.partition("\n## ")[0], re.MULTILINE)


def test_all_kinds_of_drops_are_described() -> None:
    """Those that come with the package; the default ones first."""
    described = _first_cells("drops.md", "The kinds")
    own = {name for name, kind in DropKind.kinds.items() if kind.__module__ == DropKind.__module__}
    assert set(described) == own
    assert described[: len(DEFAULT_WEIGHTS)] == list(DEFAULT_WEIGHTS)


def test_all_items_are_described() -> None:
    """In the order of the code, but for that of probes."""
    described = _first_cells("verdict.md", "The items")
    assert [name for name in described if name not in OF_PROBES] == list(ITEMS)
    assert set(described) == set(KINDS)


@pytest.mark.parametrize(("name", "kind"), [("drops.md", "tunnel"), ("extending.md", "stall")])
def test_examples_of_drops_run(name: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each registers its kind, whose client notices the loss before the connection is reset."""
    monkeypatch.setattr(DropKind, "kinds", dict(DropKind.kinds))
    code = next(block for block in Page(ROOT / "docs" / name).blocks("python") if "DropKind" in block)
    exec(dedent(code), {"__name__": "example"})
    wire = Mock(spec=Wire)
    drop = DropPlan(weights={kind: 1}).drop(0, 0)
    assert drop is not None
    steps = list(DropKind.kinds[kind]().steps(wire, drop))
    assert steps[-1] == DETECTED
    assert all(isinstance(step, float) for step in steps[:-1])
    wire.reset.assert_called_once_with()


def test_the_example_of_an_option_is_a_setting() -> None:
    """The row that docs/extending.md shows can be made, and read."""
    code = next(
        block for block in Page(ROOT / "docs" / "extending.md").blocks("python") if "Setting" in block
    )
    made: dict[str, Any] = {}
    exec(dedent(code).replace("\nSetting(", "\nrow = Setting("), made)
    assert made["row"].option == "--ws-idle"
    assert made["row"].read("2.5") == 2.5
