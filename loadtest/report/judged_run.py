"""A run with its data and verdict: the input of every report."""

import os
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
from msgspec import UNSET

from loadtest.drops.drills import written_drill
from loadtest.options import SETTINGS, command_options
from loadtest.report.advice import next_step, shown_items
from loadtest.results.data import RunData
from loadtest.results.manifest import Manifest
from loadtest.results.said_revision import GIVEN, REFERENCE_SERVER
from loadtest.results.user_classes import alike
from loadtest.setting import Setting, written
from loadtest.statistics.margins import margins_text
from loadtest.verdict.items import AnyItem, Verdict

REFERENCE_SERVER_LOG = "server.log"
"""Log in the run directory if Locust started a reference server for the run."""

_OF_PROBES = frozenset({"limits", "subprotocol_optional"})
"""Settings of `_judging` that probes take too."""

_COMMAND_WIDTH = 90
"""Maximum line length of a command in a report, in columns."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JudgedRun:
    """A run, its data and its verdict.

    Args:
        path: the run directory.
        results: the folder of all runs.
        run: the run's data.
        verdict: the verdict on the run.
    """

    path: Path
    results: Path
    run: RunData
    verdict: Verdict

    @property
    def items(self) -> list[AnyItem]:
        """The items as shown to people: those that depend on a failed `connect` or `messaging` say so."""
        return shown_items(self.verdict.items)

    @property
    def classes(self) -> "dict[str, JudgedRun]":
        """Each user class of a run that has several, by name, as a separate run."""
        return {
            name: replace(
                self,
                run=self.run.classes.get(name, self.run),
                verdict=msgspec.structs.replace(
                    self.verdict, items=list(of.items), verdict=of.verdict, notes=[], users=UNSET
                ),
            )
            for name, of in self.verdict.classes.items()
        }

    @property
    def own_items(self) -> list[AnyItem]:
        """The items that no user class explains: all of them in a run of one class."""
        explained = {(item.item, item.verdict) for of in self.verdict.classes.values() for item in of.items}
        return [item for item in self.items if (item.item, item.verdict) not in explained]

    def next_step(self, item: AnyItem) -> str:
        """Return what to do about an item, empty if there is nothing to say."""
        return next_step(item, self.verdict.items, drops=self.run.manifest.plan.drops_planned)

    @property
    def again(self) -> str:
        """The command that makes the reports again, quoted for a shell."""
        command = f"loadtest report {shlex.quote(str(self.path))}"
        if self.results == Path("results"):  # default of the command
            return command
        return f"{command} --results {shlex.quote(str(self.results))}"

    @property
    def command(self) -> list[str]:
        """The shell command that repeats the run, in lines of readable length."""
        manifest = self.run.manifest
        if manifest.made_by == "probe":
            return self._probe_command
        plan = manifest.plan
        locustfile = shlex.quote(manifest.locustfile or "locustfiles/ws.py")
        head = f"locust -f {locustfile} --headless -u {plan.users} -r {plan.spawn_rate:g}"
        if plan.duration_s is not None:
            head += f" -t {plan.duration_s:g}s"
        if not self.started_reference_server:
            head += f" --host {shlex.quote(manifest.target)}"
        plans = [one.plan for one in manifest.classes] or [plan]
        options = command_options(alike(plans))  # what classes differ in is in the locustfile
        if self._has_revision_to_give:
            options.append(f"{GIVEN} {shlex.quote(manifest.revision)}")
        options += [row.option_with(value) for row, value in _judging(manifest)]
        return _broken(head, options)

    @property
    def _probe_command(self) -> list[str]:
        manifest = self.run.manifest
        given = {
            "--host": None if self.started_reference_server else manifest.target,
            "-f": manifest.locustfile,
            "--sessions": str(manifest.plan.sessions),
            "--dialect": manifest.plan.dialect,
            "--path": manifest.plan.path,
            "--health-path": manifest.health and manifest.health.path,
            "--revision": manifest.revision if self._has_revision_to_give else None,
        }
        options = [f"{name} {shlex.quote(value)}" for name, value in given.items() if value]
        options += [
            row.option_with(value).replace("--ws-", "--", 1)
            for row, value in _judging(manifest)
            if row.attribute in _OF_PROBES
        ]
        return _broken("loadtest probe", options)

    @property
    def _has_revision_to_give(self) -> bool:
        """Whether the run has a revision that its command repeats: the tool knows its own server's."""
        manifest = self.run.manifest
        return manifest.named and manifest.revision_source != REFERENCE_SERVER

    @property
    def started_reference_server(self) -> bool:
        """Whether Locust started a reference server for the run."""
        return os.path.lexists(self.path / REFERENCE_SERVER_LOG)


def _judging(manifest: Manifest) -> Iterator[tuple[Setting, str]]:
    """Yield the settings outside the plan by which a run is judged, with values as the options take them.

    Drills are among them, since the plan does not hold their commands. The baseline is not: a later run may
    have another one.
    """
    gauge = manifest.server_gauge
    given: Mapping[str, Iterable[object]] = {
        "margins": [margins_text(manifest.gates)],
        "allow_losses": manifest.allowed_losses,
        "limits": manifest.time_limits,
        "cleanup_timeout_s": [manifest.cleanup_timeout_s],
        "pushes_per_s": [manifest.pushes_per_s],
        "server_metrics": [gauge and gauge.source],
        "subprotocol_optional": [manifest.subprotocol_optional or None],
        "drills": [written_drill(one.at_s, one.command) for one in manifest.drills],
        "drill_window_s": [manifest.drill_window_s] if manifest.drills else [],
    }
    for attribute, values in given.items():
        for value in values:
            if shown := written(value):
                yield SETTINGS[attribute], shown


def _broken(head: str, options: Sequence[str]) -> list[str]:
    """Break a shell command into lines of readable length, the head on its own line."""
    lines = [head]
    for option in options:
        if lines[1:] and len(f"{lines[-1]} {option} \\") <= _COMMAND_WIDTH:
            lines[-1] += f" {option}"
        else:
            lines.append(f"  {option}")
    return [f"{line} \\" for line in lines[:-1]] + lines[-1:]
