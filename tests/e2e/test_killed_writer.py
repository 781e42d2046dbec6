"""A process that is killed while it writes a run."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from loadtest.results.reader import read_run
from loadtest.runs.find import find_runs
from loadtest.verdict.run import judge
from tests.support.places import ROOT
from tests.support.runs import gathered
from tests.support.stories import assert_same, story


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL to die of")
def test_a_killed_run_loses_nothing_that_was_appended(tmp_path: Path) -> None:
    """SIGKILL right after an append leaves a run that is read and judged, as not complete."""
    script = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from loadtest.results.interval import pack\n"
        "from loadtest.results.writer import RunWriter\n"
        "from tests.support.runs import manifest\n"
        "from tests.support.stories import story\n"
        "writer = RunWriter(Path(sys.argv[1]), manifest())\n"
        "for one in story():\n"
        "    writer.append(pack(one))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script, tmp_path], cwd=ROOT, check=False)
    assert ended.returncode == -signal.SIGKILL
    found = read_run(find_runs(tmp_path).runs[0].path)
    assert not found.manifest.complete
    assert_same(found, gathered(story()))
    assert any("did not finish" in note for note in judge(found).notes)
