"""The command in a report that repeats its run."""

from __future__ import annotations

import shlex
from itertools import pairwise
from pathlib import Path
from typing import Any

from loadtest.options import SETTINGS, TABLE
from loadtest.report.judged_run import JudgedRun
from loadtest.results.manifest import DrillRun, Manifest, ServerGauge
from loadtest.setting import Group
from loadtest.statistics.margins import Margin
from loadtest.verdict.run import judge
from tests.support.runs import manifest, plan, sound

SOURCE = "http://127.0.0.1:9000/metrics#ws_connections"
ALL: dict[str, Any] = {
    "allowed_losses": ("1006=any", "2/h"),
    "cleanup_timeout_s": 40.0,
    "limits": {"p99": 200.0, "resume.p95": 1000.0},
    "margins": {"service p50": Margin(0.08)},
    "pushes_per_s": 2.0,
    "server_gauge": ServerGauge(source=SOURCE, before=0.0, peak=9.0, after=0.0),
    "subprotocol_optional": True,
}
"""Every setting outside the plan by which a run is judged."""


def command(of: Manifest) -> list[str]:
    """Return the words of the command, as a shell reads them."""
    run = sound(of=of)
    judged = JudgedRun(path=Path("run"), results=Path("results"), run=run, verdict=judge(run))
    return shlex.split(" ".join(judged.command).replace("\\ ", ""))


def test_every_setting_that_judges_is_repeated() -> None:
    """A run that is repeated with other rules may have another verdict. The baseline may well be another."""
    words = command(manifest(**ALL))
    judging = [row.option for row in TABLE[Group.VERDICT] if row.attribute != "baseline"]
    for option in (*judging, SETTINGS["subprotocol_optional"].option):
        assert option in words
    for option, value in (
        ("--ws-allow-losses", "2/h"),
        ("--ws-cleanup-timeout", "40"),
        ("--ws-limit", "p99=200ms"),
        ("--ws-pushes-per-s", "2"),
        ("--ws-server-metrics", SOURCE),
    ):
        assert any(pair == (option, value) for pair in pairwise(words))


def test_drills_are_repeated_with_their_commands() -> None:
    """The plan has their moments only; the window belongs to them."""
    drills = (DrillRun(at_s=60.0, command="sh -c 'a; b'"), DrillRun(at_s=90.5, command="deploy --token ***"))
    of = manifest(run_plan=plan(drills_at_s=(60.0, 90.5)), drills=drills, drill_window_s=30.0)
    words = command(of)
    assert [value for option, value in pairwise(words) if option == "--ws-at"] == [
        "60:sh -c 'a; b'",
        "90.5:deploy --token ***",
    ]
    assert ("--ws-at-window", "30") in pairwise(words)
    assert not {"--ws-at", "--ws-at-window"} & set(command(manifest()))


def test_what_was_not_given_is_not_repeated() -> None:
    """The defaults need no option."""
    words = command(manifest())
    judging = [row.option for row in TABLE[Group.VERDICT]]
    assert not {*judging, "--ws-subprotocol-optional"} & set(words)


def test_a_probe_repeats_what_it_takes() -> None:
    """Limits, and the subprotocols it need not agree on."""
    words = command(manifest(made_by="probe", **ALL))
    assert {"--limit", "p99=200ms", "--subprotocol-optional"} <= set(words)
    assert not [word for word in words if word.startswith("--ws-")]


def test_a_revision_that_is_not_known_is_not_repeated() -> None:
    """The server, or the option, names it next time."""
    assert "--ws-revision" in command(manifest())
    assert "--ws-revision" not in command(manifest(revision="unnamed"))
    own: dict[str, Any] = {"revision": "loadtest-0.2.0", "revision_source": "the reference server"}
    assert "--ws-revision" not in command(manifest(**own))
    assert "--revision" not in command(manifest(made_by="probe", **own))
    assert "--revision" not in command(manifest(revision="unnamed", made_by="probe"))
