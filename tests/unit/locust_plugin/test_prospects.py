"""When a run has no prospects: nothing established for long, or all sessions gone; and when it may have."""

from __future__ import annotations

import pytest

from loadtest.locust_plugin.prospects import Prospects
from loadtest.session.recorder import COUNTS, Lifecycle
from loadtest.session.schedule import NS_PER_S
from tests.support.runs import PLAN, manifest, plan

GRACE_S = 3
FAILING = {"connect.attempts": 100, "connect.failed": 90}
ALL = PLAN.sessions


def after(seconds: int, counts: dict[str, int], up: float = 0.0, prospects: Prospects | None = None) -> str:
    """Return what is said this many seconds after the first attempt."""
    told = prospects or Prospects(manifest(), grace_s=GRACE_S)
    assert told.none_left({}, {}, 5 * NS_PER_S) == ""
    told.none_left(counts, {"sessions_up": up}, 7 * NS_PER_S)
    return told.none_left(counts, {"sessions_up": up}, (7 + seconds) * NS_PER_S)


def test_nothing_worked_for_the_grace() -> None:
    """The time counts from the first attempt, and to the second."""
    assert after(GRACE_S - 1, FAILING) == ""
    assert after(GRACE_S, FAILING) == "no session worked in 3 s"
    untried = Prospects(manifest(), grace_s=GRACE_S)
    assert untried.none_left({}, {}, 99 * NS_PER_S) == "", "nothing was tried yet"


@pytest.mark.parametrize(
    ("counts", "up"),
    [
        (FAILING | {"connect.established": 1}, 0),
        (FAILING | {"connect.unproven": 1}, 0),
        (FAILING, 1),
        ({"connect.attempts": 100}, 0),
    ],
)
def test_a_run_with_prospects_goes_on(counts: dict[str, int], up: float) -> None:
    """One session that was up, that is up now, or attempts that may yet succeed: the run goes on."""
    assert after(99, counts, up) == ""


@pytest.mark.parametrize(("identifies", "said"), [(True, True), (True, False), (False, True)])
def test_one_token_for_all_sessions(identifies: bool, said: bool) -> None:
    """Where the server says that sessions are one, no verdict can come; a leak is worth the whole run."""
    told = Prospects(manifest(), identifies=identifies)
    for name in ("a", "b"):
        told.see([Lifecycle(at_ns=1, event="connected", session=name, known_as="x", reassigned=said)])
    why = told.none_left({}, {}, NS_PER_S)
    assert why.startswith("one token gave 2 sessions the same identity") is (identifies and said)
    assert bool(why) is (identifies and said)


@pytest.mark.parametrize(("path", "asked"), [("/chat?v=x", True), ("/chat?v=y", False), ("/chat", False)])
def test_an_id_in_a_value_that_the_plan_hides(path: str, asked: bool) -> None:
    """Whether all sessions asked for it is seen before it is hidden; if they did, no verdict can come."""
    told = Prospects(manifest(run_plan=plan(path="/chat?v=***")), identifies=True, path=path)
    assert not told.same_id_asked
    for name in ("a", "b"):
        told.see([Lifecycle(at_ns=1, event="connected", session=name, known_as="x")])
    assert told.same_id_asked is asked
    assert told.none_left({}, {}, NS_PER_S).startswith("all sessions asked for the same id") is asked


@pytest.mark.parametrize("own", [True, False])
def test_a_mix_up_of_sessions_with_credentials_of_their_own_is_a_finding(own: bool) -> None:
    """Such a run goes on to its end: it fails."""
    told = Prospects(manifest(own_credentials=own), identifies=True)
    for name in ("a", "b"):
        told.see([Lifecycle(at_ns=1, event="connected", session=name, known_as="x", reassigned=True)])
    assert bool(told.none_left({}, {}, NS_PER_S)) is not own


def test_sessions_that_are_closed_at_once_end_the_run() -> None:
    """One that happens to be up as an interval ends delays the end to the next interval with none up."""
    door = Prospects(manifest(), grace_s=GRACE_S)
    assert after(GRACE_S, FAILING, up=1, prospects=door) == ""
    assert after(GRACE_S + 1, FAILING, up=0, prospects=door) == "no session worked in 3 s"


@pytest.mark.parametrize(
    "counts",
    [
        {"connect.gave_up": ALL},
        {"connect.established": ALL, "reconnect.gave_up": ALL},
        {"connect.established": ALL, "reconnect.forbidden": 1, "stability.barred": ALL - 1},
    ],
)
def test_all_sessions_are_gone(counts: dict[str, int]) -> None:
    """Whatever ended them, when the last of the planned sessions is gone, nothing is left to see."""
    assert after(0, counts) == "all 100 sessions have given up for good"
    one = next(name for name, count in counts.items() if count and name != "connect.established")
    assert after(0, counts | {one: counts[one] - 1}) == ""
    assert counts.keys() <= COUNTS.keys()


def test_sessions_may_yet_come() -> None:
    """With a load shape, users may come later; without planned sessions, nobody is gone."""
    gone = {"connect.gave_up": ALL}
    assert after(0, gone, prospects=Prospects(manifest(), all_planned=False)) == ""
    assert after(0, {}, prospects=Prospects(manifest(run_plan=plan(users=0)))) == ""


def test_sessions_that_end_by_plan() -> None:
    """With the policy `none` drops end sessions: no failure, unless they were never established."""
    of = manifest(run_plan=plan(backoff="none"))
    established = {"connect.established": ALL, "reconnect.gave_up": ALL}
    assert after(0, established, prospects=Prospects(of)) == ""
    assert after(0, {"connect.gave_up": ALL}, prospects=Prospects(of)) != ""
