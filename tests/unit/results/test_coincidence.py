"""Which failed attempts lost connections explain."""

from loadtest.results.coincidence import Coincidences
from loadtest.results.uptime import Away
from loadtest.session.recorder import Lifecycle
from loadtest.session.schedule import NS_PER_S


def gathered(*events: tuple[float, str, bool], away: tuple[Away, ...] = ()) -> dict[str, int]:
    """Return what losses explain, of events by time, kind (`lost`, `closed`, `refused`) and outage."""
    found = Coincidences()
    for number, (at_s, kind, in_outage) in enumerate(events):
        code, cause = (None, "http_503") if kind == "refused" else (1006, "reset")
        event = "lost" if kind == "lost" else "failed"
        record = Lifecycle(
            at_ns=int(at_s * NS_PER_S), event=event, session=f"s{number}", code=code, cause=cause
        )
        found.event(record, in_outage=in_outage)
    return found.explained(away)


def test_a_killed_server() -> None:
    """Connections that had not worked yet went down with the others, of both items."""
    lost = [(8.9 + number / 10, "lost", False) for number in range(8)]
    assert gathered(*lost, (9.0, "closed", True), (9.5, "closed", False)) == {"connect": 1, "reconnect": 1}


def test_a_revolving_door() -> None:
    """Where each lost session's return is closed at once, its own loss explains nothing."""
    turns = [
        (number / 50 + later_s, kind, True)
        for number in range(100)
        for later_s, kind in ((0.0, "lost"), (0.3, "closed"))
    ]
    assert gathered(*turns) == {"reconnect": 0}


def test_at_another_time() -> None:
    """What ends seconds before or after losses has another cause."""
    lost = [(5.0, "lost", False)] * 9
    assert gathered(*lost, (3.0, "closed", True), (7.0, "closed", True)) == {"reconnect": 0}


def test_refusals_while_the_server_was_away() -> None:
    """A proxy's 503, or nobody there, is explained while no session was up after losses."""
    refused = [(at_s, "refused", True) for at_s in (4.0, 5.5, 7.9, 9.0)]
    assert gathered(*refused, away=(Away(5.0, 8.0),)) == {"reconnect": 2}
    assert gathered(*refused, away=(Away(5.0, None),)) == {"reconnect": 3}
    assert gathered(*refused) == {"reconnect": 0}


def test_a_server_that_turns_away_while_it_is_up() -> None:
    """Attempts that find nobody are the server's fault while other sessions are up."""
    events = [(at_s, "refused", True) for at_s in range(5)]
    assert gathered(*events, away=(Away(8.0, 9.0),)) == {"reconnect": 0}


def test_impossible_times() -> None:
    """A damaged file may hold any time."""
    lost = [(-1e9, "lost", False)] * 4
    assert gathered(*lost, (1e12, "lost", False), (0.0, "closed", True)) == {"reconnect": 1}
