"""A receiver of OpenTelemetry's metrics on loopback: OTLP over HTTP, the last value of each series."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


class Receiver:
    """What was received: values by name and attributes."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.url = f"http://127.0.0.1:{server.server_port}"
        self.last: Series = {}

    def read(self, body: bytes) -> None:
        """Read one export."""
        found: Series = {}
        for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
            for metric in (one for scope in resource.scope_metrics for one in scope.metrics):
                points = metric.sum.data_points or metric.gauge.data_points
                for point in points:
                    labels = frozenset((one.key, one.value.string_value) for one in point.attributes)
                    found[metric.name, labels] = point.as_double or float(point.as_int)
        self.last |= found


@contextmanager
def otlp_receiver() -> Iterator[Receiver]:
    """Run a receiver."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            receiver.read(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver = Receiver(server)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
