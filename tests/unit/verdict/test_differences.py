"""What differs between the runs of a baseline and a candidate, with both values."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from loadtest.results.manifest import DrillRun, Promises, ServerGauge, UserClass
from loadtest.results.origin import Host, WorkerShare
from loadtest.statistics.margins import margins_of, parse_margins
from loadtest.statistics.time_limits import parse_limits, stored
from loadtest.verdict.differences import (
    differences,
    host_differences,
    judged_otherwise,
    machine_differences,
    other_differences,
    plan_differences,
    script_differences,
)
from tests.support.rundirs import HOSTILE
from tests.support.runs import PLAN, manifest, plan


def test_settings_of_the_plan_are_named_by_option() -> None:
    """Both values of each as the option takes them; Locust's own options too; no value is called none."""
    other = plan(rate=5.0, users=9, duration_s=30.0, drops={"fin": 1.0})
    assert list(map(str, plan_differences([PLAN], [other]))) == [
        "-u 5 → 9",
        "--ws-rate 1 → 5",
        "--ws-drops close=1,reset=1 → fin=1",
        "-t none → 30",
    ]
    assert all(one.in_plan for one in plan_differences([PLAN], [other]))


def test_plans_that_are_alike_do_not_differ() -> None:
    """The order of a mapping is no difference."""
    assert plan_differences([PLAN], [plan(drops={"reset": 1.0, "close": 1.0})]) == []


def test_a_side_whose_runs_differ_has_several_values() -> None:
    """Each once; runs of one side that differ are a difference, too."""
    before, after = [PLAN, plan(rate=2.0), PLAN], [PLAN]
    assert list(map(str, plan_differences(before, after))) == ["--ws-rate 1 or 2 → 1"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"target": "wss://other.example"}, "target wss://staging.example.org → wss://other.example"),
        ({"host": Host(system="Linux", cpus=2, memory_mb=2048)}, "memory none → 2,048 MiB"),
        ({"versions": {"locust": "2.47"}}, "version of locust none → 2.47"),
        (
            {"workers": [WorkerShare(worker=one, intervals=1, sent=1, answered=1) for one in (1, 2)]},
            "processes 1 → 2",
        ),
        ({"locustfile": "ws.py"}, "locustfile none → ws.py"),
        ({"made_by": "probe"}, "made by locust → probe"),
        ({"complete": False}, "ended normally yes → no"),
        ({"drills": (DrillRun(at_s=60, command="deploy v2"),)}, "drills none → 60: deploy v2"),
        ({"allowed_losses": ("1012=2",)}, "--ws-allow-losses none → 1012=2"),
        ({"limits": stored(parse_limits(["p99=5ms"]))}, "--ws-limit none → p99=5ms"),
        ({"cleanup_timeout_s": 40.0}, "--ws-cleanup-timeout none → 40"),
        ({"pushes_per_s": 2.0}, "--ws-pushes-per-s none → 2"),
        ({"subprotocol_optional": True}, "--ws-subprotocol-optional off → on"),
        (
            {"server_gauge": ServerGauge(source="http://a/metrics#n", before=0.0)},
            "--ws-server-metrics none → http://a/metrics#n",
        ),
    ],
)
def test_what_else_differs_does_not_prevent_a_comparison(changes: dict[str, Any], told: str) -> None:
    """Where, with what and by which rules a run was made: both values."""
    found = other_differences([manifest()], [manifest(**changes)])
    assert told in list(map(str, found))
    assert not any(one.in_plan for one in found)


def test_margins_are_a_difference() -> None:
    """Those of the candidate hold."""
    other = manifest(margins=margins_of(parse_margins(["p50=30%"])))
    (found,) = other_differences([manifest()], [other])
    assert found.what == "--ws-margin"


def test_runs_that_are_alike_have_no_differences() -> None:
    """Each run has its own id, revision and time: these are no differences."""
    other = manifest(run_id="other", revision="v2", started_at="2026-11-24T00:00:00Z")
    assert differences([manifest()], [other]) == []


def test_those_of_the_plan_come_first() -> None:
    """They prevent a comparison."""
    other = manifest(run_plan=plan(rate=2.0), made_by="probe")
    assert [one.in_plan for one in differences([manifest()], [other])] == [True, False]


def test_what_a_file_says_is_cut_to_a_line() -> None:
    """A run.json may come from anywhere."""
    (found,) = other_differences([manifest()], [manifest(locustfile=HOSTILE)])
    assert found.candidate.isprintable()
    assert len(found.candidate) <= 100


def test_only_versions_of_known_libraries_are_named() -> None:
    """Any name may stand in a run.json, of any length and number."""
    versions = {f"{HOSTILE}{number}": "1" for number in range(1000)} | {"python": "3.13"}
    found = other_differences([manifest()], [manifest(versions=versions)])
    assert list(map(str, found)) == ["version of python none → 3.13"]


# Rules by which a run counts.


GAUGES = [ServerGauge(source=f"http://{host}/metrics#n", before=0.0) for host in "ab"]


@pytest.mark.parametrize(
    ("changes", "item", "why"),
    [
        ({"pushes_per_s": 5.0}, "messaging", "--ws-pushes-per-s none → 5"),
        ({"cleanup_timeout_s": 40.0}, "cleanup", "--ws-cleanup-timeout none → 40"),
        ({"server_gauge": GAUGES[0]}, "cleanup", "--ws-server-metrics none → given"),
        ({"subprotocol_optional": True}, "connect", "--ws-subprotocol-optional off → on"),
    ],
)
def test_rules_that_cannot_be_applied_again_make_an_item_unclear(
    changes: dict[str, Any], item: str, why: str
) -> None:
    """What they count is counted while the run goes on; in one pair of many is enough."""
    usual, other = manifest(), manifest(**changes)
    assert judged_otherwise([usual], [other]) == {item: f"judged by different rules ({why})"}
    assert list(judged_otherwise([usual, usual], [usual, other])) == [item]
    assert judged_otherwise([other], [other]) == {}


def test_rules_that_are_alike_make_nothing_unclear() -> None:
    """Limits and allowances are the candidate's for both; each server has its own gauge; a promise counts."""
    other = manifest(limits=stored(parse_limits(["p99=5ms"])), allowed_losses=("1012=2",))
    assert judged_otherwise([manifest()], [other]) == {}
    a, b = (manifest(server_gauge=gauge) for gauge in GAUGES)
    assert judged_otherwise([a], [b]) == {}
    promised = manifest(promises=Promises(ordered=True, identifies=True, pushes=False, cleanup_s=40.0))
    assert judged_otherwise([manifest(cleanup_timeout_s=40.0)], [promised]) == {}


def test_edited_code_is_a_difference() -> None:
    """Of scripts it prevents a comparison; of other classes it is shown; what is not known is none."""
    one, other, unknown = (manifest(code=code) for code in ("aaaaaaaabbbb", "ccccccccdddd", None))
    assert list(map(str, other_differences([one], [other]))) == ["the locustfile's code aaaaaaaa → cccccccc"]
    assert script_differences([one], [other]) == []
    assert other_differences([one], [unknown]) == []
    chat = UserClass(name="Chat", plan=plan(tasks={"ask": 1}), code="aaaaaaaabbbb")
    feed = UserClass(name="Feed", plan=plan(), code="eeeeeeeeffff")
    edited = structs.replace(chat, code="ccccccccdddd")
    sides = [[manifest(user_classes=classes)] for classes in ((chat, feed), (edited, feed))]
    assert list(map(str, script_differences(*sides))) == ["the script's code aaaaaaaa → cccccccc"]


def test_updates_of_one_kernel_are_one_machine() -> None:
    """They come every week; a new kernel may schedule otherwise. Both are shown."""
    old, update, new = (
        manifest(host=Host(system="Linux", release=release))
        for release in ("6.8.0-45", "6.8.0-48", "6.11.0-9")
    )
    assert machine_differences([old], [update]) == []
    assert "host Linux 6.8.0-45 → Linux 6.8.0-48" in map(str, other_differences([old], [update]))
    assert list(map(str, machine_differences([old], [new]))) == ["host Linux 6.8 → Linux 6.11"]


def test_a_history_ends_with_the_machine_but_not_with_a_version() -> None:
    """What is not known, as of runs of earlier versions, does not differ."""
    known = Host(system="Linux", release="6.1", machine="x86_64", cpus=2, model="Model A")
    here = manifest(host=known, versions={"python": "3.11"})
    for other in (structs.replace(known, memory_mb=9), Host(), Host(cpus=2)):
        assert host_differences([here], [manifest(host=other, versions={"python": "3.12"})]) == []
    for field, value in (("system", "BSD"), ("machine", "arm64"), ("model", "Model B"), ("cpus", 4)):
        elsewhere = manifest(host=structs.replace(known, **{field: value}))
        assert len(host_differences([here], [elsewhere])) == 1, field
        assert host_differences([here], [elsewhere]) == machine_differences([here], [elsewhere])
