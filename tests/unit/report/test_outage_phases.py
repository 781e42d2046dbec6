"""How outages were spent: the phases of a run's, and the means of several runs."""

import pytest

from loadtest.report.outage_phases import CLIENT_PHASES, OutagePhases, outage_phases
from loadtest.session.recorder import Lifecycle
from tests.support.runs import gathered, interval


def test_no_outage_ended() -> None:
    """Nothing is known of their phases."""
    dropped = Lifecycle(at_ns=0, event="dropped", session="a", kind="reset")
    assert outage_phases(gathered([interval(0, lifecycle=[dropped])])) == []


def test_the_servers_share_of_an_outage_is_apart_from_the_clients() -> None:
    """Noticing, waiting and the client's own work are the client's; TCP to resume and failures are not."""
    ms = 1_000_000

    def outage(session: str, attempt: int) -> list[Lifecycle]:
        return [
            Lifecycle(at_ns=0, event="dropped", session=session, kind="reset"),
            Lifecycle(
                at_ns=1000 * ms,
                event="resumed",
                session=session,
                attempt=attempt,
                outage_ns=1000 * ms,
                detect_ns=10 * ms,
                wait_ns=800 * ms,
                dns_ns=1 * ms,
                tcp_ns=2 * ms,
                tls_ns=3 * ms,
                upgrade_ns=4 * ms,
                resume_ns=80 * ms,
            ),
        ]

    (found,) = outage_phases(gathered([interval(0, lifecycle=[*outage("a", 1), *outage("b", 2)])]))
    assert (found.trigger, found.kind, found.outages) == ("drop", "reset", 2)
    assert found.took_ms(["prepare"]) == found.took_ms(["failed_attempts"]) == 50
    assert found.took_ms(list(found.phases_ms)) == pytest.approx(1000)
    assert found.took_ms(CLIENT_PHASES) == pytest.approx(10 + 800 + 1 + 50)


def test_mean_outages_weigh_their_number() -> None:
    """One outage of 4 s and three of 2 s take 2.5 s on average, phase by phase."""
    found = spent(1, {"detect": 3000.0, "tcp": 1000.0}).plus(spent(3, {"detect": 2000.0}))
    assert found.outages == 4
    assert found.phases_ms == pytest.approx({"detect": 2250.0, "tcp": 250.0})


def spent(outages: int, phases_ms: dict[str, float]) -> OutagePhases:
    """Return outages of one kind with these phases."""
    return OutagePhases(trigger="drop", kind="fin", outages=outages, phases_ms=phases_ms)
