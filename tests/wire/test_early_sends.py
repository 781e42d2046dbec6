"""Messages of an engine under load: what they measure when they are sent before or after their time."""

import asyncio
import threading
from collections.abc import Iterator

import pytest
import uvloop

from loadtest.engine.send_slack import MOST_NS
from loadtest.session.schedule import Arrivals, Pace
from tests.benchmarks.echo_server import Echo
from tests.support.engine_run import EngineRun, running, settings


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """The port of an echo server that costs little."""
    loop = uvloop.new_event_loop()
    server = loop.run_until_complete(loop.create_server(Echo, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]  # of its subclass
    loop.call_soon_threadsafe(server.close)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


def samples(run: EngineRun, tag: str) -> list[int]:
    """All samples of a histogram so far, in the order in which they came."""
    return [sample for interval in run.intervals for sample in interval.samples[tag]]


@pytest.mark.parametrize("arrivals", ["constant", "poisson"])
def test_early_and_late_sends_are_measured(port: int, arrivals: Arrivals) -> None:
    """Each slip is a distance, early ones are counted, and no response time is below its service time."""
    with running(settings(port, pace=Pace(100.0, arrivals))) as run:
        numbers = run.add(40)
        run.await_up(40)
        run.await_count("messaging.early", 100)
        run.stop(numbers)
        counts = run.counts
    slips_ns, times_ns = samples(run, "send_slip"), (samples(run, "service"), samples(run, "response"))
    assert len(slips_ns) == counts["messaging.sent"] == counts["messaging.answered"]
    assert min(slips_ns) >= 0
    assert sum(slip_ns <= MOST_NS for slip_ns in slips_ns) >= counts["messaging.early"]
    round_trips = list(zip(*times_ns, strict=True))
    assert len(round_trips) == counts["messaging.answered"]
    assert all(response_ns >= service_ns for service_ns, response_ns in round_trips)
    begun_early = sum(response_ns == service_ns for service_ns, response_ns in round_trips)
    assert counts["messaging.early"] <= begun_early < len(round_trips)


def test_no_early_sends_at_low_rates(port: int) -> None:
    """Without load, no message is sent before its time, though replies wake the process."""
    with running(settings(port, pace=Pace(50.0))) as run:
        numbers = run.add(20)
        run.await_count("messaging.answered", 1000)
        run.stop(numbers)
        assert run.count("messaging.early") == 0
