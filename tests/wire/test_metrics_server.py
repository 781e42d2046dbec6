"""Where the metrics server listens: on this machine only, on a port that is free before and after it."""

import gc
import socket

import pytest

from loadtest.errors import InvalidSetting
from loadtest.locust_plugin.metrics_server import MetricsServer
from loadtest.metrics.latest_run import LatestRun
from tests.support.ports import free_port


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_taken_port_is_refused() -> None:
    """With the option and what it must be."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InvalidSetting) as refused:
            MetricsServer(port, LatestRun())
    said = str(refused.value)
    assert "--ws-prometheus must be a free port on 127.0.0.1 (Address already in use)" in said
    assert f"(got {port})" in said
    del refused
    gc.collect()  # gevent leaves the socket that it could not bind to the collector, which warns


def test_it_listens_on_one_address_until_it_is_stopped() -> None:
    """Another address of this machine is left alone; the port is free again after it."""
    port = free_port()
    server = MetricsServer(port, LatestRun())
    try:
        with pytest.raises(OSError, match="in use"):
            socket.create_server(("127.0.0.1", port))
        socket.create_server(("127.0.0.2", port)).close()
    finally:
        server.stop()
    socket.create_server(("127.0.0.1", port)).close()
