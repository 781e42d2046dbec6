"""Which failed attempts ended together with lost connections."""

from loadtest.results.coincidence import Coincidences
from loadtest.session.recorder import Lifecycle
from loadtest.session.schedule import NS_PER_S


def gathered(*events: tuple[float, str, bool]) -> dict[str, int]:
    """Return what losses explain, of events by time, kind (`lost`, `closed`, `refused`) and outage."""
    found = Coincidences()
    for number, (at_s, kind, in_outage) in enumerate(events):
        code = None if kind == "refused" else 1006
        event = "lost" if kind == "lost" else "failed"
        record = Lifecycle(at_ns=int(at_s * NS_PER_S), event=event, session=f"s{number}", code=code)
        found.event(record, in_outage=in_outage)
    return found.explained()


def test_a_killed_server() -> None:
    """Connections that had not worked yet went down with the others, of both items."""
    lost = [(8.9 + number / 10, "lost", False) for number in range(5)]
    assert gathered(*lost, (9.0, "closed", True), (10.1, "closed", False)) == {"connect": 1, "reconnect": 1}


def test_each_loss_explains_one() -> None:
    """A revolving door has many more attempts that end early than losses."""
    closed = [(number / 10, "closed", True) for number in range(100)]
    assert gathered((5.0, "lost", False), *closed) == {"reconnect": 1}


def test_at_another_time() -> None:
    """What ends seconds before or after a loss has another cause."""
    assert gathered((5.0, "lost", False), (3.0, "closed", True), (7.0, "closed", True)) == {"reconnect": 0}


def test_refusals_are_no_lost_connections() -> None:
    """An attempt that was refused is not explained by a loss."""
    assert gathered((5.0, "lost", False), (5.0, "refused", True)) == {}


def test_impossible_times() -> None:
    """A damaged file may hold any time."""
    assert gathered((-1e9, "lost", False), (1e12, "lost", False), (0.0, "closed", True)) == {"reconnect": 1}
