"""Runs headless Locust in a subprocess, as you or a CI job would, and reads its results."""

from __future__ import annotations

import html
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from tests.support.locust_forks import ForkedLocust
from tests.support.places import ROOT

LOCUSTFILE = ROOT / "locustfiles" / "ws.py"

BRISK = (
    *("--ws-sessions", "10", "--ws-rate", "2", "--ws-drop-every", "4", "--ws-warmup", "1"),
    *("--ws-backoff", "constant(0.3)", "--ws-reply-timeout", "4"),
)
"""A plan that shows everything within seconds: two messages a second, a drop every 4 s, fast reconnects."""


_END_S = 10.0
"""How long a killed process's children may keep its output open."""


@dataclass(frozen=True)
class Finished:
    """A Locust process that has ended."""

    exit_code: int
    output: str
    results: Path

    @cached_property
    def run(self) -> Path:
        """The process's one run directory."""
        (manifest,) = self.results.glob("*/*/run.json")
        return manifest.parent

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """The content of run.json."""
        return dict(json.loads((self.run / "run.json").read_bytes()))

    @cached_property
    def verdict(self) -> dict[str, Any]:
        """The content of verdict.json."""
        return dict(json.loads((self.run / "verdict.json").read_bytes()))

    @cached_property
    def page(self) -> str:
        """The words of report.html, without its tags."""
        words = re.sub(r"<[^>]*>", " ", (self.run / "report.html").read_text())
        return " ".join(html.unescape(words).split())

    @property
    def notes(self) -> list[str]:
        """The verdict's notes, without that on a machine that was too busy for a baseline."""
        return [note for note in self.verdict["notes"] if "be a baseline" not in note]

    @cached_property
    def rulings(self) -> dict[str, str]:
        """The verdict of each item."""
        return {item["item"]: item["verdict"] for item in self.verdict["items"]}

    def evidence(self, item: str) -> dict[str, Any]:
        """Return the evidence of an item."""
        return next(dict(found["evidence"]) for found in self.verdict["items"] if found["item"] == item)

    @cached_property
    def events(self) -> list[dict[str, Any]]:
        """The lifecycle events, in order."""
        return [json.loads(line) for line in (self.run / "events.jsonl").read_bytes().splitlines()]

    @cached_property
    def counts(self) -> Counter[str]:
        """The sum of all intervals' counts."""
        total: Counter[str] = Counter()
        for line in (self.run / "intervals.jsonl").read_bytes().splitlines():
            total.update(json.loads(line).get("counts", {}))
        return total


def two_workers() -> tuple[str, ...]:
    """Return the options of a master with two workers, which takes a free port."""
    return ("--processes", "2")


def written_intervals(results: Path) -> list[dict[str, Any]]:
    """Return the intervals that the runs in a folder have written so far, as complete lines."""
    lines = [
        line for path in results.glob("*/*/intervals.jsonl") for line in path.read_text().splitlines(True)
    ]
    return [json.loads(line) for line in lines if line.endswith("\n")]


def _started(arguments: list[str], environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "locust", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        start_new_session=True,
    )


class LocustProcess:
    """A Locust run in a subprocess, headless by default; a context manager that leaves no process behind.

    It is forked from a process that has imported everything, unless its environment is Python's business.
    """

    _afresh = False

    def __init__(
        self,
        results: Path,
        *arguments: str,
        seconds: int | None = 15,
        users: int = 2,
        locustfile: Path = LOCUSTFILE,
        environment: dict[str, str] | None = None,
        headless: bool = True,
    ) -> None:
        self.results = results
        given = [
            *("-f", str(locustfile)),
            *(("--headless", "--only-summary", "-u", str(users), "-r", str(users)) if headless else ()),
            *("--ws-results", str(results), "--ws-revision", "test"),
            *(("-t", f"{seconds}s") if seconds is not None else ()),
            *arguments,
        ]
        variables = {**os.environ, "NO_COLOR": "1", **(environment or {})}
        afresh = self._afresh or any(name.startswith("PYTHON") for name in environment or ())
        self.process: subprocess.Popen[str] | ForkedLocust = (
            _started(given, variables) if afresh else ForkedLocust(given, variables)
        )
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self._lines.extend(self.process.stdout)

    @property
    def output(self) -> str:
        """What the process and its workers have printed so far, in whole lines."""
        return "".join(self._lines)

    def wait(self, timeout_s: float = 90) -> Finished:
        """Wait until the process ends."""
        self._reader.join(timeout_s)
        if self._reader.is_alive():
            raise subprocess.TimeoutExpired(self.process.args, timeout_s, self.output)
        return Finished(self.process.wait(timeout_s), self.output, self.results)

    def interrupt(self, number: signal.Signals = signal.SIGINT) -> None:
        """Send the process a signal, as Ctrl-C or a container runtime does."""
        self.process.send_signal(number)

    def interrupt_all(self, number: signal.Signals = signal.SIGINT) -> None:
        """Send the process and its workers a signal, as Ctrl-C in a terminal or closing it does."""
        os.killpg(self.process.pid, number)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self._reader.join(_END_S)
        if self.process.stdout is not None and not self._reader.is_alive():
            self.process.stdout.close()


class FreshLocust(LocustProcess):
    """One that starts as in a shell, for tests of the start itself, and of the main job."""

    _afresh = True
