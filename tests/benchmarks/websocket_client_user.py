"""A typical locustfile today: websocket-client, one user and greenlet per session, one event per message.

It measures for BENCHMARK_SECONDS (environment) from one second after all users are up. Then it prints the
same line as `clients.py` on standard output, and quits.
"""

import json
import os
import time
from typing import Any

import gevent
import websocket
from locust import User, constant, events, task
from locust.env import Environment

TEXT = "x" * 37
SETTLING_S = 1.0


class WebSocketClientUser(User):
    """A session."""

    wait_time = constant(0)

    def on_start(self) -> None:
        """Connect."""
        self.connection = websocket.create_connection(str(self.host))
        self.sequence = 10_000

    @task
    def round_trip(self) -> None:
        """Send a message, wait for its echo, and report it to Locust."""
        self.sequence += 1
        began_s = time.perf_counter()
        self.connection.send(json.dumps({"sequence": self.sequence, "text": TEXT}))
        echo = self.connection.recv()
        assert json.loads(echo)["sequence"] == self.sequence
        self.environment.events.request.fire(
            request_type="WS",
            name="echo",
            response_time=(time.perf_counter() - began_s) * 1000,
            response_length=len(echo),
            exception=None,
            context={},
        )


def _measure(environment: Environment) -> None:
    runner, options = environment.runner, environment.parsed_options
    assert runner is not None
    assert options is not None
    while runner.user_count < options.num_users:
        gevent.sleep(0.1)
    gevent.sleep(SETTLING_S)
    before, began_s, cpu_s = runner.stats.total.num_requests, time.perf_counter(), time.process_time()
    gevent.sleep(float(os.environ["BENCHMARK_SECONDS"]))
    round_trips = runner.stats.total.num_requests - before
    cpu_us = (time.process_time() - cpu_s) * 1e6 / round_trips
    print(json.dumps({"cpu_us": cpu_us, "per_s": round_trips / (time.perf_counter() - began_s)}), flush=True)
    os._exit(0)  # a hundred greenlets in the middle of a receive would only complain


def _on_init(environment: Environment, **_kwargs: Any) -> None:
    gevent.spawn(_measure, environment)


events.init.add_listener(_on_init)
