"""Storms against real servers: the members of one lose their connections at its moment and come back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtest.drops.plan import MOST, DropPlan, Storm, parse_storms
from loadtest.events import Drop
from loadtest.server.server_process import ServerProcess
from loadtest.session.schedule import NS_PER_S, Backoff
from tests.asgi_server import AsgiServer, asgi_server
from tests.engine_run import EngineRun, Planned, running, settings
from tests.locusts import BRISK, Finished, LocustProcess
from tests.ports import free_port
from tests.serverclient import wait_for


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AsgiServer]:
    """A server that echoes."""
    with asgi_server(tmp_path_factory.mktemp("storms"), ws="wsproto") as running_server:
        yield running_server


def drops_of(run: EngineRun) -> dict[str, list[tuple[str | None, int | None]]]:
    """Return kind and ordinal of each session's drops up to now, in order."""
    of: dict[str, list[tuple[str | None, int | None]]] = {}
    for record in run.lived("dropped"):
        of.setdefault(record.session, []).append((record.kind, record.ordinal))
    return of


def struck(run: EngineRun, plan: DropPlan, at_s: float) -> set[str]:
    """Return whom a storm meets, once its moment is over: members that were connected by then."""
    wait_for(lambda: run.engine.clock() > at_s * NS_PER_S, what="the storm")
    up = [record.session for record in run.lived("connected") if record.at_ns < at_s * NS_PER_S]
    return {session for session in up if plan.next_drop(int(session.partition("-")[2]), 0, 0.0)}


def moment_s(port: int, sessions: int) -> float:
    """Return a time of a run by which so many sessions are up, by far, from how long they take just now."""
    with running(settings(port)) as run:
        run.add(sessions)
        run.await_up(sessions)
        return 0.5 + 5 * run.engine.clock() / NS_PER_S


def test_a_storm_drops_its_members_and_all_come_back(server: AsgiServer) -> None:
    """Members, and no others, are dropped at the storm's moment, each once; all are back and go on."""
    at_s = moment_s(server.port, 40)
    plan = DropPlan(0, storms=(Storm(at_s=at_s, share_ratio=0.5),))
    with running(settings(server.port, drops=plan)) as run:
        numbers = run.add(40)
        met = struck(run, plan, at_s)
        run.await_count("reconnect.resumed", len(met))
        run.await_up(40)
        before = run.count("messaging.answered")
        run.await_count("messaging.answered", before + 40)
        run.stop(numbers)
        drops, counts = run.lived("dropped"), run.counts
    assert {record.session for record in drops} == met
    assert len(drops) == len(met) > 10
    assert min(record.at_ns for record in drops) >= at_s * NS_PER_S
    assert counts["drops.reset"] == counts["reconnect.outages"] == counts["reconnect.resumed"] == len(drops)
    assert counts["messaging.lost"] == 0


def test_storms_follow_on_each_other(server: AsgiServer) -> None:
    """Who is back is met by the next storm, by each once; a session's drops are counted through."""
    moments = [0.5 * number for number in range(1, MOST + 1)]
    plan = DropPlan(0, storms=tuple(Storm(at_s=at_s, share_ratio=1.0) for at_s in moments))
    with running(settings(server.port, drops=plan)) as run:
        run.add(5)
        run.await_count("drops.reset", 20)
        drops = run.lived("dropped")
    for session in {record.session for record in drops}:
        own = [record for record in drops if record.session == session]
        assert [record.ordinal for record in own] == list(range(len(own)))
        met = [sum(at_s * NS_PER_S <= record.at_ns for at_s in moments) for record in own]
        assert met[0] > 0
        assert met == sorted(set(met))


def test_a_session_in_an_outage_is_passed_over(server: AsgiServer) -> None:
    """A member that is not connected at the moment cannot be dropped: it keeps its one outage."""
    own = (Drop(kind="fin", ordinal=0, after_s=0.01),)
    plan = Planned(drops=(own,) * 10, storms=parse_storms(["1@1"]))
    far = Backoff(base_s=3600, cap_s=3600)
    with running(settings(server.port, drops=plan, backoff=far)) as run:
        numbers = run.add(10)
        wait_for(lambda: run.engine.clock() > 1.2 * NS_PER_S, what="the storm to be over")
        run.await_count("reconnect.outages", 10)
        assert Counter(map(len, drops_of(run).values())) == {1: 10}
        run.stop(numbers)
        assert run.count("reconnect.outages") == run.count("reconnect.cut_short") == 10


def test_a_storm_of_slow_readers_begins_no_outage(server: AsgiServer) -> None:
    """A kind that does not disconnect stalls the members, who then go on."""
    at_s = moment_s(server.port, 4)
    plan = DropPlan(0, storms=(Storm(at_s=at_s, share_ratio=1.0, kind="slow_reader"),))
    with running(settings(server.port, drops=plan)) as run:
        run.add(4)
        met = struck(run, plan, at_s)
        assert met
        run.await_count("drops.slow_reader", len(met))
        run.await_up(4)
        assert drops_of(run) == {session: [("slow_reader", 0)] for session in met}
        assert run.count("reconnect.outages") == 0


@pytest.mark.parametrize("moment_s", [0.0, 3600.0])
def test_a_storm_at_no_ones_time(moment_s: float, server: AsgiServer) -> None:
    """A storm before anyone is established, or after the end, drops nobody and keeps nobody from ending."""
    plan = DropPlan(0, storms=(Storm(at_s=moment_s, share_ratio=1.0),))
    with running(settings(server.port, drops=plan)) as run:
        numbers = run.add(5)
        run.await_count("messaging.answered", 10)
        run.stop(numbers)
        assert run.lived("dropped") == []


# Whole runs.

AT_S = 10.0
SHARE_RATIO = 0.5


def storm_run(results: Path, *arguments: str) -> Finished:
    """Make a run of 40 sessions in which half of them are dropped at once, and nothing else happens."""
    with ServerProcess() as server:
        storm = ("--ws-drop-every", "0", "--ws-storm", f"{SHARE_RATIO:.0%}@{AT_S:g}", "--host", server.url)
        with LocustProcess(results, *BRISK, *storm, *arguments, seconds=14, users=4) as locust:
            return locust.wait()


def numbers_of(finished: Finished, event: str, *, before_s: float = float("inf")) -> list[int]:
    """Return the numbers of the sessions that an event happened to, before a moment of the run."""
    return [
        int(record["session"].rpartition("-")[2])
        for record in finished.events
        if record["event"] == event and record["at_ns"] < before_s * NS_PER_S
    ]


def test_a_storm_is_the_same_in_every_run_and_for_any_workers(tmp_path: Path) -> None:
    """One process and two workers, same seed: the same half of the sessions goes at its moment."""
    plan = DropPlan(0, storms=(Storm(at_s=AT_S, share_ratio=SHARE_RATIO),))
    port = str(free_port())
    two_workers = ("--processes", "2", "--master-port", port, "--master-bind-port", port)
    for name, arguments in (("alone", ()), ("shared", two_workers)):
        finished = storm_run(tmp_path / name, *arguments)
        assert finished.rulings["reconnect"] == "PASS", finished.output
        up, met = set(numbers_of(finished, "connected", before_s=AT_S)), numbers_of(finished, "dropped")
        assert len(met) > 10
        assert sorted(met) == [number for number in sorted(up) if plan.next_drop(number, 0, 0.0)]
        assert sorted(numbers_of(finished, "resumed")) == sorted(met)
        moments = [record["at_ns"] for record in finished.events if record["event"] == "dropped"]
        assert min(moments) >= AT_S * NS_PER_S
        assert finished.counts["drops.reset"] == len(met)
        assert finished.manifest["plan"]["storms"] == [{"at_s": AT_S, "share_ratio": 0.5, "kind": "reset"}]


def test_a_storm_after_the_end_is_refused(tmp_path: Path) -> None:
    """Nothing is connected, and no run directory is left."""
    with LocustProcess(tmp_path, "--ws-storm", "0.5@7", seconds=7, users=1) as locust:
        finished = locust.wait()
    assert finished.exit_code == 2
    assert "--ws-storm: '0.5@7:reset' comes when the run is over (--run-time 7s)" in finished.output
    assert not list(tmp_path.rglob("*.*")), "neither a run nor a server's log"
