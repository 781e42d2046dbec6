"""Runs the examples of dialects in docs/ against servers of their protocols, as a user would.

A server is a program in a process of its own, `tests/support/strangers/NAME.py` or another language's, which
listens on the port it is given and may be given one fault.
"""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tests.support.locusts import Finished, LocustProcess
from tests.support.places import ROOT
from tests.support.ports import free_port

PAGES = ("dialect-examples.md", "dialect-protocols.md", "logins.md")
"""Pages of docs/ with examples of dialects, each under a heading of its own."""

PLAN = (
    *("--ws-sessions", "10", "--ws-rate", "5", "--ws-drop-every", "3", "--ws-warmup", "1"),
    *("--ws-drops", "close=1,fin=1,reset=1", "--ws-backoff", "constant(0.2)", "--ws-reply-timeout", "3"),
    *("--ws-baseline", "none"),
)
"""Enough answers and resumes for every item within a few seconds."""

FEW_IN_A_ROOM = ("--ws-sessions", "3", "--ws-drop-every", "1")
"""Of each user, for a room that keeps 50 messages: each session then has several of its own in there."""

START_S = 30.0
"""Time for a server to listen; frameworks import slowly on a busy machine."""


def example(heading: str) -> str:
    """Return the locustfile that stands under a heading of one of the pages."""
    text = "\n".join((ROOT / "docs" / name).read_text(encoding="utf-8") for name in PAGES)
    _, _, rest = text.partition(f"\n## {heading}\n")
    found = re.search(r"^```python\n(.*?)^```$", rest.partition("\n## ")[0], re.MULTILINE | re.DOTALL)
    assert found is not None, f"no page has an example under the heading {heading!r}"
    return found[1]


@contextmanager
def stranger(name: str, fault: str | None = None, *, command: Sequence[str] = ()) -> Iterator[str]:
    """Run a server of another make until the block ends; yield its URL, with http: as clients of HTTP need.

    Args:
        name: of its module in tests/support/strangers.
        fault: the one defect that it should have.
        command: starts it instead, if it is not a Python module; the port and the fault are appended.
    """
    port = free_port()
    program = [*(command or (sys.executable, "-m", f"tests.support.strangers.{name}")), str(port)]
    with listening([*program, *((fault,) if fault else ())], port, ROOT):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def listening(command: Sequence[str], port: int, folder: Path) -> Iterator[None]:
    """Run a server in a folder until the block ends, which begins once it listens on its port.

    Raises:
        AssertionError: the server ended before the block did; the text has its output.
    """
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT)
        try:
            _wait_until_it_listens(process, port, output)
            yield
            _check_that_it_runs(process, output)
        except AssertionError:
            _check_that_it_runs(process, output)  # a crash explains what the block found
            raise
        finally:
            process.kill()
            process.wait()


def _check_that_it_runs(process: subprocess.Popen[bytes], output: IO[bytes]) -> None:
    if process.poll() is not None:
        output.seek(0)
        raise AssertionError(f"the server ended: {output.read().decode(errors='replace')}")


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int, output: IO[bytes]) -> None:
    deadline_s = time.monotonic() + START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            _check_that_it_runs(process, output)
            assert time.monotonic() < deadline_s, "the server never listened"
            time.sleep(0.05)


def run_example(heading: str, url: str, folder: Path, *settings: str, seconds: int = 8) -> Finished:
    """Run an example's locustfile headless against a server."""
    locustfile = folder / "locustfile.py"
    locustfile.write_text(example(heading))
    given = ("--host", url.replace("http://", "ws://"), *PLAN, *settings)
    with LocustProcess(folder / "results", *given, seconds=seconds, locustfile=locustfile) as locust:
        return locust.wait()


def passed(finished: Finished, *judged: str) -> dict[str, str]:
    """Check that a run passed, in the items of every server and in these.

    Returns:
        The summaries of all items.
    """
    assert finished.exit_code == 0, finished.output
    passes = {item for item, verdict in finished.rulings.items() if verdict == "PASS"}
    assert passes == {"connect", "stability", "messaging", "reconnect", "cleanup", *judged}
    assert set(finished.rulings.values()) == {"PASS", "NOT_JUDGED"}
    return {item["item"]: item["summary"] for item in finished.verdict["items"]}


def failed(finished: Finished, item: str) -> tuple[str, dict[str, str]]:
    """Check that a run failed in this item only; return its summary, and an example of each error."""
    assert finished.exit_code == 1, finished.output
    failures = [name for name, verdict in finished.rulings.items() if verdict == "FAIL"]
    assert failures == [item], finished.output
    summary = next(str(found["summary"]) for found in finished.verdict["items"] if found["item"] == item)
    errors = finished.evidence(item).get("errors", ())
    return summary, {error["error"]: error["example"] for error in errors}
