"""An engine's gauges of its own limits."""

from __future__ import annotations

from pathlib import Path

from loadtest.engine.monitor import local_ports, most_connections
from tests.support.asgi_server import asgi_server
from tests.support.engine_run import running, settings
from tests.support.serverclient import wait_for


def test_an_engine_tells_its_ports_and_files(tmp_path: Path) -> None:
    """Connections are counted as the sockets that are open, until they are gone."""
    with asgi_server(tmp_path, ws="wsproto") as server, running(settings(server.port)) as run:

        def gauges() -> dict[str, float]:
            run.ask(run.engine.flush)
            return run.intervals[-1].gauges

        numbers = run.add(7)
        run.await_up(7)
        up = gauges()
        run.stop(numbers)
        wait_for(lambda: gauges()["ports_ratio"] == gauges()["files_ratio"] == 0, what="all to be closed")
    assert round(up["ports_ratio"] * local_ports()) == 7
    assert round(up["files_ratio"] * most_connections()) == 7
