"""Runs bundled dialects against servers of their protocols, as a user would: from the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.examples import PLAN, stranger
from tests.support.locusts import LOCUSTFILE, Finished, LocustProcess
from tests.support.places import ROOT


@contextmanager
def bundled_server(name: str, fault: str | None = None) -> Iterator[str]:
    """Run a server until the block ends; yield its URL for WebSockets.

    Args:
        name: program in tests/support/strangers: `NAME.mjs` for Node, else a Python module.
        fault: the one defect that it should have.
    """
    command = ("node", f"tests/support/strangers/{name}") if name.endswith(".mjs") else ()
    with stranger(name, fault, command=command) as url:
        yield url.replace("http://", "ws://")


def run_bundled(
    dialect: str, url: str, folder: Path, *settings: str, options: tuple[str, ...] = (), seconds: int = 5
) -> Finished:
    """Run a bundled dialect headless against a server.

    Args:
        dialect: its name.
        url: of the server.
        folder: for the results.
        settings: further options of Locust.
        options: options of the dialect, NAME=VALUE each.
        seconds: how long.
    """
    of_dialect = [word for option in options for word in ("--ws-dialect-option", option)]
    given = ("--host", url, *PLAN, "--ws-dialect", dialect, *of_dialect, *settings)
    with LocustProcess(folder / "results", *given, seconds=seconds) as locust:
        return locust.wait()


def check_bundled(dialect: str, url: str, *options: str, token: str = "") -> dict[str, Any]:
    """Check a bundled dialect against a server, and return what the check says as JSON."""
    of_dialect = [word for option in options for word in ("--dialect-option", option)]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "loadtest", "dialect", "check", str(LOCUSTFILE)),
            *("--host", url, "--dialect", dialect, *of_dialect, "--json"),
            *(("--token", token) if token else ()),
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=60,
        check=False,
    )
    assert done.stdout, done.stderr
    return {**json.loads(done.stdout), "exit_code": done.returncode}
