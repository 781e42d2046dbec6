"""Losses in groups, how long sessions were up, and when the server was away."""

from __future__ import annotations

from typing import Any

import pytest

from loadtest.results.interval import IntervalLine, pack
from loadtest.results.loss_groups import GROUPS_LIMIT, OTHER_LOSSES, REASON_LIMIT
from loadtest.results.uptime import AWAY_LIMIT, Away, Uptime, UptimeGathering
from loadtest.session.recorder import Lifecycle
from loadtest.session.schedule import NS_PER_S
from tests.support.runs import gathered, interval


def event(at_s: float, what: str, session: str, **fields: Any) -> Lifecycle:
    """Return a lifecycle event."""
    return Lifecycle(at_ns=int(at_s * NS_PER_S), event=what, session=session, **fields)


def lost(at_s: float, session: str = "a", cause: str = "eof", code: int = 1006, **fields: Any) -> Lifecycle:
    """Return the loss of a connection."""
    return event(at_s, "lost", session, cause=cause, code=code, **fields)


def uptime_of(*events: Lifecycle) -> Uptime:
    """Return what these events say."""
    gathering = UptimeGathering()
    for one in events:
        gathering.event(one)
    return gathering.uptime()


# Losses.


def test_losses_are_grouped_by_cause_code_and_reason() -> None:
    """The largest group comes first, with its first and last time and its first three sessions."""
    found = uptime_of(
        lost(9, "b", "1011", 1011, detail="internal error"),
        *(lost(at, f"s-{at}", "reset") for at in (4, 3, 5, 6)),
        lost(7, "s-4", "reset"),
        lost(8, "b", "1011", 1011),
    )
    assert [(group.cause, group.code, group.reason, group.count) for group in found.losses] == [
        ("reset", 1006, "", 5),
        ("1011", 1011, "", 1),
        ("1011", 1011, "internal error", 1),
    ]
    first = found.losses[0]
    assert (first.first_at_s, first.last_at_s, first.sessions) == (3.0, 7.0, ["s-4", "s-3", "s-5"])
    assert (found.lost, found.lost_by_code) == (7, {1006: 5, 1011: 2})


def test_floods_over_the_same_limit_are_one_group() -> None:
    """However much it was; the largest is the example. Reasons of a server are never put together."""
    messages, frames = (
        "in 1 s, limit 100,000 (--ws-max-messages-per-s)",
        "in 1 s, limit 200,000 (--ws-max-frames-per-s)",
    )
    found = uptime_of(
        *(
            lost(at, "a", "flooded", detail=f"{count} messages {messages}")
            for at, count in enumerate(("155,461", "1,171,845", "999,999"), 1)
        ),
        lost(4, "a", "flooded", detail=f"204,801 frames {frames}"),
        lost(5, "a", "4000", 4000, detail="after 1 s"),
        lost(6, "a", "4000", 4000, detail="after 2 s"),
    )
    assert [(group.reason, group.count) for group in found.losses] == [
        (f"1,171,845 messages {messages}", 3),
        (f"204,801 frames {frames}", 1),
        ("after 1 s", 1),
        ("after 2 s", 1),
    ]


@pytest.mark.parametrize(
    ("cause", "code", "counted_as"),
    [
        ("eof", 1006, 1006),
        ("ping_timeout", 1006, 1006),
        ("protocol_error", 1006, 1002),
        ("invalid_utf8", 1006, 1007),
        ("message_too_big", 1006, 1009),
        ("1005", 1005, 1005),
        ("x", None, 1006),
        ("x", -7, 1006),
    ],
)
def test_every_loss_has_a_close_code(cause: str, code: int | None, counted_as: int) -> None:
    """The server's, that with which the client answered bad data, or 1006."""
    assert uptime_of(event(1, "lost", "a", cause=cause, code=code)).lost_by_code == {counted_as: 1}


def test_a_server_with_reasons_without_end_fills_no_memory() -> None:
    """The groups are limited, texts are cut, and the codes are counted all the same."""
    found = uptime_of(
        *(lost(n, f"{n}" * 400, "4000", 4000, detail=f"{n} " + "x" * 400) for n in range(3 * GROUPS_LIMIT))
    )
    assert len(found.losses) == GROUPS_LIMIT + 1
    rest = found.losses[0]
    assert (rest.cause, rest.code, rest.count) == (OTHER_LOSSES, None, 2 * GROUPS_LIMIT)
    assert found.lost_by_code == {4000: 3 * GROUPS_LIMIT}
    assert max(len(group.reason) for group in found.losses) == REASON_LIMIT
    assert max(len(name) for group in found.losses for name in group.sessions) <= REASON_LIMIT


# Exposure.


def test_exposure_adds_up_sessions_over_processes_and_intervals() -> None:
    """Ten sessions for a minute and five for half of it, by another worker, are 750 session-seconds."""
    found = gathered(
        [
            pack(interval(0, seconds=60, gauges={"sessions_up": 10.0}), 1),
            pack(interval(0, seconds=30, gauges={"sessions_up": 5.0}), 2),
            pack(interval(30, seconds=30, gauges={"sessions": 5.0}), 2),
        ]
    )
    assert found.uptime.session_s == 750.0
    assert found.uptime.session_hours == pytest.approx(750 / 3600)


@pytest.mark.parametrize("sessions", [-1.0, float("nan")])
def test_an_impossible_gauge_adds_nothing(sessions: float) -> None:
    """A file may hold any number."""
    gathering = UptimeGathering()
    gathering.up(sessions)
    assert gathering.uptime().session_s == 0.0
    assert IntervalLine(start_ns=0, stop_ns=1).gauges == {}


# Away.

UP = (event(0, "connected", "a"), event(0.5, "connected", "b"))


def test_a_server_that_is_killed_is_away_until_the_first_is_back() -> None:
    """From the last loss to the first establishment, with a failed attempt in between."""
    found = uptime_of(
        *UP,
        lost(10, "a"),
        lost(10.2, "b"),
        event(11, "failed", "a", cause="refused"),
        event(13.5, "resumed", "b"),
        event(13, "resumed", "a"),  # of another worker, later in the file
        lost(20, "b"),
        event(21, "failed", "b", cause="refused"),  # while a is up
        event(22, "resumed", "b"),
    )
    assert found.away == [Away(10.2, 13.0)]


def test_a_server_may_never_be_back() -> None:
    """Then it is away until the run's end."""
    found = uptime_of(*UP, lost(10, "a"), lost(11, "b"), event(12, "failed", "a", cause="refused"))
    assert found.away == [Away(11.0, None)]


def test_drops_alone_do_not_make_the_server_away() -> None:
    """A storm of all sessions, and losses after which every attempt succeeds."""
    storm = [event(10, "dropped", session, kind="reset", storm=0) for session in ("a", "b")]
    refused = event(11, "failed", "a", cause="http_503")
    assert uptime_of(*UP, *storm, refused, event(12, "resumed", "a")).away == []
    assert uptime_of(*UP, lost(10, "a"), lost(10, "b"), event(12, "resumed", "a")).away == []


@pytest.mark.parametrize("last", [event(10.1, "dropped", "b", kind="reset"), event(10.1, "ended", "b")])
def test_the_last_connection_may_have_been_dropped(last: Lifecycle) -> None:
    """The server was killed in the middle of a drop; a slow reader stays connected until then."""
    reader = event(9, "dropped", "b", kind="slow_reader")
    found = uptime_of(
        *UP, reader, lost(10, "a"), last, event(11, "failed", "a", cause="refused"), event(13, "resumed", "a")
    )
    assert found.away == [Away(10.1, 13.0)]


@pytest.mark.parametrize("cause", ["out_of_ports", "out_of_files", "no_reconnect"])
def test_attempts_that_were_not_made_say_nothing(cause: str) -> None:
    """The load generator had no port left, or the policy is not to come back."""
    found = uptime_of(*UP, lost(10, "a"), lost(10, "b"), event(11, "failed", "a", cause=cause))
    assert found.away == []


def test_times_away_are_limited() -> None:
    """A server that restarts all the time fills no report."""
    cycles = [
        one
        for at in range(0, 10 * (AWAY_LIMIT + 3), 10)
        for one in (event(at, "resumed", "a"), lost(at + 5), event(at + 6, "failed", "a", cause="refused"))
    ]
    found = uptime_of(*cycles)
    assert (len(found.away), found.more_away) == (AWAY_LIMIT, 3)
