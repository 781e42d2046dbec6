"""The lifecycles of local runs, masters and workers, each by itself: `tests.support.lifecycles` tells how."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.places import ROOT

MODULE = ROOT / "tests" / "support" / "lifecycles.py"


def _stories(module: Path) -> list[str]:
    """Return the names in STORIES; importing the module would patch the standard library."""
    for node in ast.parse(module.read_text()).body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "STORIES":
            assert isinstance(node.value, ast.Tuple)
            return [ast.unparse(story) for story in node.value.elts]
    raise AssertionError("no STORIES")


@pytest.fixture(scope="module")
def problems() -> dict[str, str | None]:
    """What went wrong in each story."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.lifecycles"],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, str | None] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("story", _stories(MODULE))
def test_lifecycle(problems: dict[str, str | None], story: str) -> None:
    """The story goes as it is told."""
    assert problems[story] is None, problems[story]
