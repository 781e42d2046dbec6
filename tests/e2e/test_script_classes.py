"""User classes with scripts, each by itself: `script_classes.py` tells how."""

import os
import subprocess
import sys

from tests.support.places import ROOT


def test_script_classes() -> None:
    """All tests of that file pass in a process that Locust may patch."""
    usual = {name: text for name, text in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "gevent.monkey",
            "--module",
            "pytest",
            "-n",
            "0",
            "tests/e2e/script_classes.py",
        ],
        env=usual,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
