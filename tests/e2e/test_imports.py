"""What a process imports before it does anything: each start of a command and of Locust waits for it."""

import subprocess
import sys

import pytest

from tests.support.places import ROOT


@pytest.mark.parametrize(
    ("code", "unwanted"),
    [
        ("import loadtest.cli", {"numpy", "rich", "scipy", "locust"}),
        ("import loadtest.server.service", {"numpy", "rich", "scipy", "locust", "jwt"}),
        ("from loadtest import WebSocketUser", {"scipy", "prometheus_client", "yaml"}),
    ],
)
def test_what_few_need_is_not_imported(code: str, unwanted: set[str]) -> None:
    """The command line and the server need no arithmetic, a run without a baseline no scipy, and so on."""
    script = f"{code}\nimport sys\nprint(*sorted({unwanted!r} & sys.modules.keys()))"
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert told.stdout.split() == []
