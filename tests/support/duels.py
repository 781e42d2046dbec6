"""Duels with synthetic runs instead of Locust's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from loadtest.duel.duel import DuelResult, run_duel
from loadtest.duel.settings import DuelSettings, Side
from loadtest.duel.stopping import End
from loadtest.results.environment import utc_text
from loadtest.results.manifest import Plan
from loadtest.session.schedule import NS_PER_S
from loadtest.statistics.margins import parse_margins
from tests.support.rundirs import write_run
from tests.support.runs import manifest, plan

A = Side(role="a", revision="v41", url="ws://127.0.0.1:1")


B = Side(role="b", revision="v42", url="ws://127.0.0.1:2")


START_UNIX_NS = 1_795_443_815 * NS_PER_S


EASY = parse_margins(["outage=100%/60s,slow=100%/5pt,losses=100/h,p90=50%,p99=100%,p99.9=100%,drift=100%"])
"""Margins that an unchanged server passes as soon as all gates can be judged."""


@dataclass
class MadeUpRuns:
    """Writes synthetic runs for the two sides of a duel.

    Args:
        slower_ratio: factor on all latencies, by side; 1 by default.
        special: extra arguments of `write_run`, by the run's number on its side (from 1) and the side.
        instead: exception to raise instead of a run, by number and side.
        plan: plan of all runs, except users and duration.
        limits: limits on times that the runs are made with, in milliseconds.
        seconds: length of a run; four of 30 seconds have enough messages for p99.9.
        made: the side of each run so far, in order.
    """

    slower_ratio: Mapping[str, float] = field(default_factory=dict)
    special: Mapping[tuple[int, str], Mapping[str, Any]] = field(default_factory=dict)
    instead: Mapping[tuple[int, str], BaseException] = field(default_factory=dict)
    plan: Plan = field(default_factory=plan)
    limits: Mapping[str, float] = field(default_factory=dict)
    seconds: int = 20
    made: list[str] = field(default_factory=list)

    def __call__(
        self,
        settings: DuelSettings,
        roles: Sequence[str],
        /,
        *,
        urls: Mapping[str, str],
        logs: Mapping[str, Path],
        server_logs: Mapping[str, Path],
    ) -> dict[str, Path]:
        return {role: self._run(settings, role) for role in roles}

    def _run(self, settings: DuelSettings, role: str) -> Path:
        self.made.append(role)
        key = (self.made.count(role), role)
        if key in self.instead:
            raise self.instead[key]
        usual: dict[str, Any] = {"slower_ratio": self.slower_ratio.get(role, 1.0), "seconds": self.seconds}
        of = self._manifest(settings, role)
        return write_run(settings.results, of=of, **usual | dict(self.special.get(key, {})))

    def _manifest(self, settings: DuelSettings, role: str) -> Any:
        earlier = len(list(settings.results.glob("*/*/run.json")))
        started_unix_ns = START_UNIX_NS + earlier * NS_PER_S
        return manifest(
            run_id=f"{role}-{started_unix_ns // NS_PER_S}",
            revision={"a": settings.a, "b": settings.b}[role].revision,
            started_unix_ns=started_unix_ns,
            started_at=utc_text(started_unix_ns),
            limits=dict(self.limits),
            run_plan=msgspec.structs.replace(
                self.plan, users=settings.users, duration_s=float(settings.duration_s)
            ),
        )


def duel(runs: MadeUpRuns, results: Path, **changes: Any) -> tuple[DuelResult, list[str]]:
    """Run a duel with synthetic runs; return its result and its output lines.

    A duel takes a signal for its own and judges what it has. One that no made-up run was told to raise was
    meant for the suite (a time limit, a cancelled job): the test ends with it, instead of failing.
    """
    lines: list[str] = []
    asked: dict[str, Any] = {"a": A, "b": B, "results": results}
    load_average = changes.pop("load_average", 0.0)
    settings = DuelSettings(**asked | changes)
    result = run_duel(settings, lines.append, make_runs=runs, load_average=lambda: load_average)
    meant = any(isinstance(error, KeyboardInterrupt) for error in runs.instead.values())
    if result.record.end == str(End.INTERRUPTED) and not meant:
        raise KeyboardInterrupt
    return result, lines
