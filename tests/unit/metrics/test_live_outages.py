"""Outages of a run under way: by what began them, with their phases."""

from typing import Any

from loadtest.metrics.live_outages import LiveOutages
from loadtest.session.recorder import Lifecycle
from tests.support.stories import story


def lived(event: str, session: str = "s-1", **fields: Any) -> Lifecycle:
    """Return an event."""
    return Lifecycle(at_ns=0, event=event, session=session, **fields)


def test_by_what_began_them() -> None:
    """A drop, a loss, a connection that ended in a drop that was to keep it; one is not over yet."""
    outages = LiveOutages()
    resumed = lived("resumed", outage_ns=2_000_000_000, wait_ns=1_500_000_000, tcp_ns=500_000_000)
    outages.append([lived("dropped", kind="fin"), resumed])
    outages.append([lived("dropped", kind="fin", session="s-2")])
    outages.append([lived("lost", cause="1011"), resumed])
    outages.append([lived("dropped", kind="slow_reader"), lived("ended"), resumed])
    found = {(kind.trigger, kind.name): kind for kind in outages.kinds}
    assert {key: (kind.begun, kind.seconds.buckets.total) for key, kind in found.items()} == {
        ("drop", "fin"): (2, 1),
        ("loss", "1011"): (1, 1),
        ("drop", "slow_reader"): (1, 1),
    }
    fin = found["drop", "fin"]
    assert (fin.seconds.sum_s, fin.phases_s["wait"], fin.phases_s["tcp"]) == (2.0, 1.5, 0.5)
    assert outages.kinds[0].name == "fin"


def test_a_loss_for_good_begins_no_outage() -> None:
    """Who must not come back is not away: he has left."""
    outages = LiveOutages()
    outages.append([lived("lost", cause="4401", final=True)])
    assert outages.kinds == []


def test_a_server_cannot_crowd_out_the_kinds_of_drops() -> None:
    """It may send any number of close codes; kinds of drops come from the plan, and keep their names."""
    outages = LiveOutages()
    outages.append(lived("lost", cause=str(code), session=str(code)) for code in range(3000, 3100))
    outages.append([lived("dropped", kind="fin", session="s-1")])
    found = {(kind.trigger, kind.name): kind.begun for kind in outages.kinds}
    assert found["drop", "fin"] == 1
    assert found["loss", "other"] == 60


def test_as_the_files_say_it() -> None:
    """The same events as the run's files hold make the same outages."""
    outages = LiveOutages()
    for one in story():
        outages.append(one.lifecycle)
    (kind,) = outages.kinds
    assert (kind.trigger, kind.name, kind.begun, kind.seconds.buckets.total) == ("drop", "fin", 8, 8)
