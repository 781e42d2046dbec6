"""The command of a duel that settles what one pair of runs suggests."""

from __future__ import annotations

import shlex

import pytest

from loadtest.statistics.margins import margins_of, parse_margins
from loadtest.verdict.suggested_duel import duel_command
from tests.support.rundirs import HOSTILE
from tests.support.runs import manifest, plan

OLD, NEW = "wss://old.example.org", "wss://new.example.org"


def test_two_addresses_stand_in_the_command() -> None:
    """With the revisions, users and duration of the runs; what is not the default goes to Locust."""
    of_plan = plan(path="/ws", rate=2.0, duration_s=90.0, warmup_s=3.0, drop_every_s=0.0, drops={})
    runs = [manifest(run_plan=of_plan, revision=name, target=url) for name, url in (("v1", OLD), ("v2", NEW))]
    assert duel_command(*runs) == (
        f"loadtest duel --a {OLD} --a-revision v1 --b {NEW} --b-revision v2 -u 5 --duration 90s -- "
        "-r 5 --ws-path /ws --ws-rate 2 --ws-drop-every 0"
    )


@pytest.mark.parametrize(
    "targets", [(OLD, OLD), ("ws://127.0.0.1:81", "ws://127.0.0.1:82"), ("ws://[", NEW), ("ws:////@]", NEW)]
)
def test_servers_that_do_not_run_at_once_are_started_by_commands(targets: tuple[str, str]) -> None:
    """One address cannot be both servers; a port of this machine is free again."""
    before, after = (
        manifest(revision=name, target=url) for name, url in zip(("v1", "v2"), targets, strict=True)
    )
    said = duel_command(before, after)
    assert "--a-cmd 'COMMAND THAT STARTS v1' --a-revision v1 --b-cmd 'COMMAND THAT STARTS v2'" in said
    assert "--a " not in said


def test_revisions_that_are_not_known_are_left_out() -> None:
    """A duel refuses two equal names, and `unnamed` names nothing."""
    said = duel_command(manifest(), manifest())
    assert "revision" not in said
    assert "--a-cmd 'COMMAND THAT STARTS a'" in said


def test_margins_and_the_locustfile_are_those_of_the_candidate() -> None:
    """What it was judged by; a probe has no locustfile for a duel."""
    margins = margins_of(parse_margins(["p50=30%"]))
    said = duel_command(manifest(), manifest(margins=margins, locustfile="my file.py"))
    assert " -f 'my file.py' " in said
    assert " --margin 'service p50=30%/0.2ms' " in said
    assert " -f " not in duel_command(manifest(), manifest(locustfile="x.py", made_by="probe"))


def test_what_a_file_says_stays_one_word_of_the_command() -> None:
    """A run.json may come from anywhere, and people paste commands."""
    before = manifest(revision="$(reboot)", target="wss://a/; reboot")
    after = manifest(revision=HOSTILE, target=NEW, locustfile=f"a.py'; {HOSTILE}")
    said = duel_command(before, after)
    assert said.isprintable()
    words = shlex.split(said)
    assert words[:7] == [
        *("loadtest", "duel", "--a", "wss://a/; reboot", "--a-revision", "$(reboot)", "--b"),
    ]
    assert ";" not in words
