"""docs/from-a-recording.md is true: its commands run, one after the other, against a server."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.browser_recordings import CHROMIUM
from tests.support.places import ROOT
from tests.support.recorded_clients import CLIENTS, RECORDINGS, serving

PAGE = (ROOT / "docs" / "from-a-recording.md").read_text()

HOST = "ws://127.0.0.1:8000"
"""Of the page."""


def blocks(language: str) -> list[str]:
    """Return the page's blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run one of the page's commands."""
    module = {"loadtest": "loadtest", "locust": "locust"}[command[0]]
    return subprocess.run(
        [sys.executable, "-m", module, *command[1:]],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=100,
        check=False,
    )


def test_the_commands_run_one_after_the_other(tmp_path: Path) -> None:
    """Convert, check, run; what the page prints is what is printed."""
    shutil.copy(RECORDINGS / "jsonrpc.har", tmp_path / "chat.har")
    with serving(CLIENTS["jsonrpc"]) as url:
        lines = [
            shlex.split(line.replace(HOST, url)) for block in blocks("sh") for line in block.splitlines()
        ]
        convert, check, locust = (run(line, tmp_path) for line in lines)
    assert convert.returncode == 0, convert.stderr
    shown = re.sub(r"ws://127\.0\.0\.1:\d+", HOST, convert.stdout)
    assert shown == next(block for block in blocks("text") if "next: " in block)
    assert check.returncode == 0, check.stdout + check.stderr
    assert "0 failed" in locust.stdout + locust.stderr
    assert locust.returncode in (0, 4), locust.stdout + locust.stderr  # 10 s are too few for some items


def test_the_page_is_short() -> None:
    """A new user reads all of it."""
    assert len(PAGE.split()) <= 900


@pytest.mark.external("chromium")
def test_the_playwright_example_records(tmp_path: Path) -> None:
    """Its file can be converted; it asks the page for messages."""
    (example,) = blocks("python")
    program = example.replace("launch()", f'launch(executable_path="{CHROMIUM}", args=["--no-sandbox"])')
    with serving(CLIENTS["jsonrpc"]) as url:
        script = (
            "<script>const w = new WebSocket(location.origin.replace('http', 'ws'));"
            "w.onopen = () => [1, 2, 3].forEach((id) => w.send(JSON.stringify("
            "{jsonrpc: '2.0', id, method: 'echo', params: {text: `good day ${id}`}})));</script>"
        )
        route = f"page.route('**/', lambda route: route.fulfill(body={script!r}, content_type='text/html'))"
        program = program.replace("    page.goto", f"    {route}\n    page.goto")
        program = program.replace("http://127.0.0.1:8000", url.replace("ws:", "http:"))
        program = program.replace(
            '"--no-sandbox"', '"--no-sandbox", "--disable-features=LocalNetworkAccessChecks"'
        )
        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    converted = run(["loadtest", "dialect", "from", "chat.har", "-o", "locustfile.py"], tmp_path)
    assert "3 of 3 messages from the server explained" in converted.stdout, (
        converted.stdout + converted.stderr
    )
