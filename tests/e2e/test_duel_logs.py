"""Duels of the reference server before and after its hotfix: what was fixed, what is in both, what broke.

The first one's page is opened in a browser, and so is that of a comparison of its runs.

The servers are started by the duel, so it follows their logs without being asked.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner

from loadtest.cli import main
from tests.support.browser import axe, browser, open_page
from tests.support.places import ROOT

SIDES = {"fixed": ("before", "after", 1), "same": ("before", "before", 2), "broken": ("after", "before", 2)}
"""By name of the duel: how each server handles disconnects, and the most pairs."""


class Told(NamedTuple):
    """A duel that has ended: its folder, exit code, duel.json, summary.md, and what it printed."""

    folder: Path
    exit_code: int
    document: dict[str, Any]
    summary: str
    shown: str
    progress: str

    @property
    def verdicts(self) -> dict[str, str]:
        """The verdict of each item."""
        return {item["item"]: item["verdict"] for item in self.document["items"]}


def duel(results: Path, name: str) -> Told:
    """Run a duel; margins are so wide that a busy machine does not decide."""
    a, b, pairs = SIDES[name]
    serve = f"{shlex.quote(sys.executable)} -m loadtest serve --port {{port}} --handling"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "loadtest", "duel", "--results", str(results)),
            *("--a-cmd", f"{serve} {a}", "--b-cmd", f"{serve} {b}", "--order", "parallel"),
            *("--pairs", str(pairs), "--duration", "12s", "--users", "1"),
            *(f"--margin={quantile}=100%/60s" for quantile in ("p50", "p90", "p99")),
            *("--", "--ws-sessions", "30", "--ws-rate", "4", "--ws-warmup", "0", "--ws-drop-every", "6"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    folders = list((results / "duels").iterdir())
    assert len(folders) == 1, done.stderr
    document = json.loads((folders[0] / "duel.json").read_bytes())
    summary = (folders[0] / "summary.md").read_text()
    return Told(folders[0], done.returncode, document, summary, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def duels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Told]:
    """All duels, run at the same time."""
    with ThreadPoolExecutor() as threads:
        folders = [tmp_path_factory.mktemp(name) for name in SIDES]
        return dict(zip(SIDES, threads.map(duel, folders, SIDES), strict=True))


def test_a_hotfix_is_told_in_one_line(duels: dict[str, Told]) -> None:
    """The server's log went from FAIL to PASS, and nothing else failed."""
    told = duels["fixed"]
    assert told.exit_code in (0, 4), told.progress
    assert told.verdicts["server_log"] == "PASS"
    assert "FAIL" not in told.verdicts.values(), told.verdicts
    for text in (told.shown, told.summary.replace("\\", "")):
        assert "server_log FAIL → PASS (fixed)" in text
        assert "fixed: server_log" in text
    assert told.document["followed"] == ["a", "b"]


def test_a_defect_of_both_sides_ends_nothing(duels: dict[str, Told]) -> None:
    """The first pair shows it in both; it is no regression, and the duel is not settled by it."""
    told = duels["same"]
    assert told.exit_code in (0, 4), told.progress
    assert told.verdicts["server_log"] == "NOT_JUDGED"
    assert "fails on both sides so far, so it is not a regression: server_log" in told.progress
    assert len(told.document["pairs"]) == 2 or "never tell" in told.document["end"], told.progress
    assert "server_log FAIL (unchanged)" in told.shown
    runs = len(told.document["pairs"])
    assert f"fails in both (a: {runs} of {runs} runs, b: {runs} of {runs}): " in json.dumps(told.document)


def test_a_defect_that_only_the_candidate_has_ends_it(duels: dict[str, Told]) -> None:
    """After one pair."""
    told = duels["broken"]
    assert told.exit_code == 1, told.progress
    assert told.verdicts["server_log"] == "FAIL"
    assert (told.document["end"], len(told.document["pairs"])) == ("the verdict is settled", 1)
    assert "server_log PASS → FAIL (broken)" in told.shown


@pytest.mark.external("chromium")
def test_the_page_of_a_duel_opens_in_a_browser(duels: dict[str, Told]) -> None:
    """With both servers in its charts, whatever the machine let be judged; so does that of a comparison."""
    told = duels["fixed"]
    results = told.folder.parents[1]
    compared = CliRunner().invoke(main, ["compare", "a", "b", "--results", str(results)])
    report = Path(compared.stdout.splitlines()[-1].removeprefix("report: "))
    assert report.parent.parent == results / "comparisons"
    with browser() as started:
        for file in (told.folder / "report.html", report):
            with open_page(started, file) as page:
                assert page.locator("#p50 .drawing path.line.baseline").count() == 1
                assert page.locator("#p50 .drawing path.line.candidate").count() == 1
                assert "FAIL → PASS fixed" in " ".join(page.locator("body").inner_text().split())
                assert axe(page) == []
