"""Tests that need other programs, in a pytest of their own: skipped and counted, or run and failed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.places import ROOT

SAMPLE = """
import pytest

@pytest.fixture
def costly():
    print("fixture made")

@pytest.mark.external("sh")
def test_program_that_is_there(costly):
    pass

@pytest.mark.external("sh", "no-such-program")
def test_program_that_is_missing(costly):
    pass

def test_usual():
    pass
"""

SKIPS = """
import pytest

@pytest.mark.skip(reason="platform")
def test_marked():
    pass

def test_while_it_runs():
    pytest.skip("busy")
"""

SETTINGS = """
[pytest]
addopts = --strict-markers -p tests.support.external -p no:cacheprovider
markers = external: needs other programs
"""

LINE = "2 tests need other programs (marker external): skipped; run them with -m external"


def _pytest(
    folder: Path, *arguments: str, sample: str = SAMPLE, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the sample with these arguments."""
    (folder / "pytest.ini").write_text(SETTINGS)
    (folder / "test_sample.py").write_text(sample)
    usual = {name: text for name, text in os.environ.items() if not name.startswith(("LOADTEST_", "PYTEST_"))}
    return subprocess.run(
        [sys.executable, "-m", "pytest", str(folder), *arguments],
        env={**usual, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )


@pytest.mark.parametrize("arguments", [(), ("-q",), ("-n", "2")], ids=" ".join)
def test_they_are_skipped_and_counted_in_one_line(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """Nothing of them is run, and nothing fails."""
    done = _pytest(tmp_path, *arguments)
    assert done.returncode == 0, done.stdout
    assert "1 passed, 2 skipped" in done.stdout
    assert [line for line in done.stdout.splitlines() if "external" in line] == [LINE]


def test_nothing_is_said_where_there_are_none(tmp_path: Path) -> None:
    """A run without such tests has no such line."""
    done = _pytest(tmp_path, "-k", "usual")
    assert "1 passed" in done.stdout
    assert "other programs" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "environment", "usual"),
    [
        (("-m", "external"), {}, 0),
        (("--external",), {}, 1),
        ((), {"LOADTEST_EXTERNAL": "1"}, 1),
        (("--external", "-n", "2"), {}, 1),
    ],
    ids=["marker", "option", "environment", "workers"],
)
def test_a_missing_program_fails_where_they_are_asked_for(
    arguments: tuple[str, ...], environment: dict[str, str], usual: int, tmp_path: Path
) -> None:
    """Those whose programs are there run; the other fails with the program's name, before its fixtures."""
    done = _pytest(tmp_path, *arguments, **environment)
    assert done.returncode == 1, done.stdout
    assert f"{usual + 1} passed" in done.stdout
    assert "1 error" in done.stdout
    assert "not found on the path: no-such-program" in done.stdout
    assert "other programs" not in done.stdout


@pytest.mark.parametrize("arguments", [(), ("-n", "2")], ids=["one process", "workers"])
def test_a_skip_fails_where_every_test_is_asked_for(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """Whatever its reason, which is told: what CI does not run it would not miss."""
    done = _pytest(tmp_path, *arguments, sample=SKIPS, LOADTEST_EXTERNAL="1")
    assert done.returncode == 1, done.stdout
    assert "skipped" not in done.stdout.splitlines()[-1]
    for reason in ("platform", "busy"):
        assert re.search(f"skipped, although every test was asked for: .*{reason}", done.stdout)
    assert _pytest(tmp_path, *arguments, sample=SKIPS).returncode == 0
