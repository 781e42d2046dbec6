"""Runs headless Locust in a subprocess, as you or a CI job would, and reads its results."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from tests.support.places import ROOT
from tests.support.ports import free_port

LOCUSTFILE = ROOT / "locustfiles" / "ws.py"

BRISK = (
    *("--ws-sessions", "10", "--ws-rate", "2", "--ws-drop-every", "4", "--ws-warmup", "1"),
    *("--ws-backoff", "constant(0.3)", "--ws-reply-timeout", "4"),
)
"""A plan that shows everything within seconds: two messages a second, a drop every 4 s, fast reconnects."""


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
    """Return the options of a master with two workers, on a port that no other run uses."""
    port = str(free_port())
    return ("--processes", "2", "--master-port", port, "--master-bind-port", port)


def written_intervals(results: Path) -> list[dict[str, Any]]:
    """Return the intervals that the runs in a folder have written so far, as complete lines."""
    lines = [
        line for path in results.glob("*/*/intervals.jsonl") for line in path.read_text().splitlines(True)
    ]
    return [json.loads(line) for line in lines if line.endswith("\n")]


class LocustProcess:
    """A Locust run in a subprocess, headless by default; a context manager that leaves no process behind."""

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
        command = [
            *(sys.executable, "-m", "locust", "-f", str(locustfile)),
            *(("--headless", "--only-summary", "-u", str(users), "-r", str(users)) if headless else ()),
            *("--ws-results", str(results), "--ws-revision", "test"),
            *(("-t", f"{seconds}s") if seconds is not None else ()),
            *arguments,
        ]
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "NO_COLOR": "1", **(environment or {})},
            start_new_session=True,
        )

    def wait(self, timeout_s: float = 90) -> Finished:
        """Wait until the process ends."""
        output, _ = self.process.communicate(timeout=timeout_s)
        return Finished(self.process.returncode, output, self.results)

    def interrupt(self, number: signal.Signals = signal.SIGINT) -> None:
        """Send the process a signal, as Ctrl-C or a container runtime does."""
        self.process.send_signal(number)

    def interrupt_all(self) -> None:
        """Send SIGINT to the process and its workers, as Ctrl-C in a terminal does."""
        os.killpg(self.process.pid, signal.SIGINT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
