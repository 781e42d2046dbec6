"""Storms against real servers: the members of one lose their connections at its moment and come back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from loadtest.drops.plan import MAX_STORMS, DropPlan, Storm, parse_storms
from loadtest.events import Drop
from loadtest.session.schedule import NS_PER_S, Backoff
from tests.support.asgi_server import AsgiServer, asgi_server
from tests.support.engine_run import EngineRun, Planned, running, settings
from tests.support.serverclient import wait_for


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
    moments = [0.5 * number for number in range(1, MAX_STORMS + 1)]
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
