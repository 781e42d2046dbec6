"""Pages of comparisons and duels in a browser: they open, their charts have the gates, they can be read.

The runs are made up, so that no busy machine decides what can be judged.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
from playwright.sync_api import Browser, Page

from loadtest.duel.settings import Side
from loadtest.report.tables import gates
from tests.support.browser import DESKTOP, PHONE, axe, browser, open_page, picture, wider_than_window
from tests.support.compared_runs import pairs_of_runs
from tests.support.duels import MadeUpRuns, duel
from tests.support.places import ROOT
from tests.support.rundirs import HOSTILE

pytestmark = pytest.mark.external("chromium")

VIEWS: Sequence[tuple[tuple[int, int], Literal["light", "dark"]]] = ((DESKTOP, "light"), (PHONE, "dark"))


@pytest.fixture(scope="module")
def started() -> Iterator[Browser]:
    """One browser for all pages."""
    with browser() as running:
        yield running


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a comparison of two pairs, made by the command as people use it."""
    results = tmp_path_factory.mktemp("results")
    first, second = pairs_of_runs(results, 2, slower_ratio=2.0)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "loadtest", "compare", *map(str, first), "--pair", *map(str, second)),
            *("--results", str(results)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode in (1, 4), done.stderr
    return Path(done.stdout.splitlines()[-1].removeprefix("report: "))


def check(page: Page, found: Sequence[dict[str, Any]]) -> None:
    """Check that a page can be read, and that its forest has the gates whose change is known."""
    names = [gate["gate"] for gate in found if gate["change_ratio"] is not None and gate["tag"]]
    rows = page.locator("#changes tbody td:first-child").all_text_contents()
    assert set(names) <= set(rows)
    assert page.locator("#changes tbody tr:not(:has(path.whisker, .beyond))").count() == 0
    assert {"service p50", "service p90", "service p99"} <= set(names)
    for side in ("baseline", "candidate"):
        assert page.locator(f"#p50 .drawing path.line.{side}").count() == 1
        assert page.locator(f"#percentiles .drawing path.line.{side}").count() == 1
    assert axe(page) == []
    assert wider_than_window(page) == 0


def test_a_comparison_opens(compared: Path, started: Browser) -> None:
    """On a desk and on a phone, light and dark; a gate's row has its margin and its verdict."""
    document = json.loads((compared.parent / "comparison.json").read_bytes())
    for size, scheme in VIEWS:
        with open_page(started, compared, size=size, scheme=scheme) as page:
            check(page, document["item"]["evidence"]["gates"])
            row = page.locator("#changes tbody tr", has_text="service p50")
            assert row.locator(".chip").inner_text() in ("PASS", "FAIL", "INCONCLUSIVE", "NOT JUDGED")
            plot, words = row.locator("svg").bounding_box(), row.locator("td").nth(4).bounding_box()
            assert plot is not None
            assert words is not None
            assert plot["x"] >= words["x"] + words["width"] or plot["y"] >= words["y"] + words["height"]
            picture(page, f"comparison-{scheme}")


def test_a_comparison_needs_no_script(compared: Path, started: Browser) -> None:
    """Charts are drawn by the server; the gates' change is a table by itself."""
    with open_page(started, compared, script=False) as page:
        assert page.locator("#changes path.whisker").count() >= 3
        assert page.locator("#pairs path.dots").count() >= 3
        assert "service p50" in page.locator("#changes table").inner_text()


def test_a_duel_opens_and_hostile_revisions_stay_text(tmp_path: Path, started: Browser) -> None:
    """With the gates of its verdict; nothing that a revision says is an element, a link or a script."""
    made = MadeUpRuns(slower_ratio={"b": 2.0})
    result, _ = duel(made, tmp_path, pairs=2, a=Side(role="a", revision=HOSTILE, url="ws://127.0.0.1:1"))
    with open_page(started, result.folder / "report.html") as page:
        check(page, msgspec.to_builtins(gates(result.record.item("latency"))))
        assert page.locator("script:not([type])").count() == 1
        assert page.locator("a[href*='evil']").count() == 0
