"""Tests that need other programs: skipped by default, run on request.

    @pytest.mark.external("node", "nginx")      names of the programs, found on the path

A plain `pytest` skips them and prints how many there are. With `-m external`, `--external` or the environment
variable LOADTEST_EXTERNAL=1 they run, and a missing program fails the test: a skip would hide it. Any
other skip is a failure then, too.
"""

import os
import re
import shutil
from collections.abc import Generator

import pytest

MARKER = "external"
VARIABLE = "LOADTEST_EXTERNAL"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--external`."""
    parser.addoption(
        "--external",
        action="store_true",
        help="also run tests that need other programs; a missing program fails its test",
    )


def _asked_for(config: pytest.Config) -> bool:
    named = re.search(rf"\b{MARKER}\b", config.option.markexpr)
    return bool(config.getoption("--external") or named or os.environ.get(VARIABLE) == "1")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test that needs other programs, or check that they exist, before any fixture is set up."""
    markers = list(item.iter_markers(MARKER))
    if not markers:
        return
    if not _asked_for(item.config):
        pytest.skip("needs other programs")
    programs = sorted({program for marker in markers for program in marker.args})
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        pytest.fail(f"not found on the path: {', '.join(missing)}", pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure where every test was asked for."""
    report = yield
    if report.skipped and _asked_for(item.config):
        report.outcome = "failed"
        report.longrepr = f"skipped, although every test was asked for: {report.longreprtext}"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print how many tests were skipped for this reason."""
    if _asked_for(config):
        return
    skipped = sum(MARKER in report.keywords for report in terminalreporter.stats.get("skipped", []))
    if skipped:
        need = "1 test needs" if skipped == 1 else f"{skipped} tests need"
        terminalreporter.write_line(
            f"{need} other programs (marker {MARKER}): skipped; run them with -m {MARKER}"
        )
