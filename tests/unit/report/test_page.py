"""What every page has: its policy with the hashes of what stands in it, its icon; and what it never has."""

import base64
import hashlib
import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from loadtest.report.html import html
from loadtest.report.judged_run import JudgedRun
from loadtest.report.page import POLICY, _icon
from loadtest.report.run_files import files_of
from loadtest.ruling import Ruling
from loadtest.verdict.run import judge
from tests.support.runs import gathered, interval, sound


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of a small run."""
    folder = tmp_path_factory.mktemp("run")
    run = sound()
    return html(JudgedRun(path=folder, results=folder, run=run, verdict=judge(run)))


def hash_of(inline: str) -> str:
    """Return the source of a policy that allows this text."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()}'"


def test_the_policy_allows_what_stands_in_the_page_and_nothing_else(page: str) -> None:
    """The hashes are those of the one style and the one script; nothing may be loaded, sent or framed."""
    (style,) = re.findall("<style>(.*?)</style>", page, re.DOTALL)
    (script,) = re.findall("<script>(.*?)</script>", page, re.DOTALL)
    assert POLICY.split("; ") == [
        "default-src 'none'",
        f"style-src {hash_of(style)}",
        f"script-src {hash_of(script)}",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    assert page.index("Content-Security-Policy") < page.index("<style>")


def test_a_page_has_no_style_or_script_in_attributes(page: str) -> None:
    """The policy would forbid them."""
    assert not re.search(r'<[^>]*\s(style|on\w+)="', page)


def test_the_script_writes_no_markup(page: str) -> None:
    """Texts of a run go into the page as text."""
    (script,) = re.findall("<script>(.*?)</script>", page, re.DOTALL)
    assert not re.search("innerHTML|outerHTML|insertAdjacent|document.write|eval|Function", script)


@pytest.mark.parametrize("ruling", list(Ruling))
def test_each_verdict_has_an_icon(ruling: Ruling) -> None:
    """The browser's tab shows the verdict."""
    assert unquote(_icon(ruling)).startswith("data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg'")


def test_files_are_those_that_exist_and_no_links(tmp_path: Path) -> None:
    """A folder from elsewhere may hold links to anywhere, and files of any name."""
    (tmp_path / "run.json").write_text("{}")
    (tmp_path / "latency.hlog").write_bytes(b"x" * 3000)
    (tmp_path / "junit.xml").symlink_to("/etc/passwd")
    (tmp_path / "summary.md").mkdir()
    (tmp_path / "javascript:alert(1)").write_text("")
    found = [(file.name, file.size) for file in files_of(tmp_path)]
    assert found == [("run.json", "2 bytes"), ("latency.hlog", "2.93 KiB")]
    assert files_of(tmp_path / "missing") == []


def test_a_run_without_any_data_has_a_page(tmp_path: Path) -> None:
    """Headings stay, so that links to them do; sentences say that there was nothing."""
    run = gathered([interval(0)])
    found = html(JudgedRun(path=tmp_path, results=tmp_path, run=run, verdict=judge(run)))
    for said in ("No time was measured.", "No connection was dropped or lost.", "No errors."):
        assert said in found
