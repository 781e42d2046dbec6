"""`loadtest probe`: the checks you would make by hand after a deploy, in under a minute.

A few sessions connect and exchange messages. Each is dropped once, with the kinds of drop in turn, and must
reconnect and resume. A probe is a run like any other, with Locust as a library: it has a run directory, the
server's log, a verdict and reports. It adds the item `health`: it queries the health endpoint before the
first connection. It ends as soon as there is enough to judge.
"""

import argparse
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gevent
from locust.env import Environment

from loadtest.drops.plan import DEFAULT_WEIGHTS, OnceInTurn
from loadtest.errors import LoadtestError
from loadtest.locust_plugin import roles, stats
from loadtest.locust_plugin.load_locustfile import user_class
from loadtest.locust_plugin.recording_lifecycle import RecordingLifecycle
from loadtest.locust_plugin.user import WebSocketUser
from loadtest.login_options import LOGIN, overridden
from loadtest.report.judged_run import JudgedRun
from loadtest.transport.http_health import Health, check_health_path
from loadtest.values import Whole
from loadtest.verdict import messaging
from loadtest.verdict.reconnect import MIN_RESUMED

DROPPED_AFTER_S = 4.0
"""Mean time to a session's drop: long enough to exchange messages first, short enough to wait for."""

MAX_S = 20.0
"""Longest wait for sessions to reconnect, so that a probe usually ends within a minute."""

SETTLE_S = 1.0
"""Pause after the last resume, for the first replies on the new connections."""

_SESSIONS = Whole(MIN_RESUMED, 100_000)
"""With fewer sessions reconnecting could not be judged."""

_USUAL = {"rate": 2.0, "warmup_s": 1.0, "baseline": "none", "storms": (), "drills": ()}


@dataclass(frozen=True, slots=True)
class Probed:
    """Result of a probe.

    Args:
        judged: the judged run; None if the run could not begin.
        exit_code: 0 pass, 1 fail, 4 inconclusive, 5 the tool itself failed.
    """

    judged: JudgedRun | None
    exit_code: int

    @property
    def health(self) -> Health | None:
        """The health endpoint's response; None if there is no such endpoint."""
        return None if self.judged is None else self.judged.run.manifest.health

    def to_json(self) -> dict[str, Any]:
        """Return the result for programs; `verdict` is the content of verdict.json."""
        return {
            "exit_code": self.exit_code,
            "health": self.health,
            "run": None if self.judged is None else str(self.judged.path),
            "verdict": None if self.judged is None else self.judged.verdict,
        }


def probe(
    host: str | None,
    values: Mapping[str, Any],
    *,
    health_path: str | None = None,
    locustfile: Path | None = None,
) -> Probed:
    """Probe a server.

    Args:
        host: the server's URL; None uses the user class's host, or starts a reference server if it has none.
        values: attributes of `WebSocketUser` by name; `sessions` is required.
        health_path: path of the health endpoint; None uses the dialect's.
        locustfile: a file whose one user class supplies all settings not in `values`.

    Raises:
        UsageError: the locustfile cannot be loaded or does not have exactly one user class, there are too few
            sessions, or a setting is wrong.
        LoadtestError: the run could not begin for another reason.
    """
    if health_path is not None:
        check_health_path(health_path)
    base = WebSocketUser if locustfile is None else user_class(locustfile)
    sessions = values["sessions"]
    _SESSIONS.read(sessions, "--sessions")
    drops = OnceInTurn(DROPPED_AFTER_S, DEFAULT_WEIGHTS)
    login = overridden(base.values(), values)
    plan = {**_USUAL, **values, **{name: login[name] for name in LOGIN}}
    plan |= {"drops": drops, "host": host or base.host}
    options = argparse.Namespace(
        headless=True,
        num_users=1,
        spawn_rate=1,
        run_time=None,
        json=False,
        locustfile=None if locustfile is None else str(locustfile),
    )
    kind = type("ProbeUser", (base,), plan)
    return _run(Environment(user_classes=[kind], parsed_options=options), sessions, health_path)


def _run(environment: Environment, sessions: int, health_path: str | None) -> Probed:
    """Run one user of the environment's class."""
    runner = environment.create_local_runner()
    try:
        roles.give_lifecycle(environment, WebSocketUser)
        lifecycle = roles.lifecycle_of(environment)
        assert isinstance(lifecycle, RecordingLifecycle)  # a local runner's
        lifecycle.made_by = "probe"
        lifecycle.health_path = health_path
        runner.start(1, spawn_rate=1)
        _wait(environment, sessions)
    except KeyboardInterrupt:
        pass  # the data so far are judged
    finally:
        runner.quit()
    judged = lifecycle.judged
    exit_code = LoadtestError.exit_code if judged is None else environment.process_exit_code or 0
    return Probed(judged, exit_code)


def _wait(environment: Any, sessions: int) -> None:
    """Wait until every session has reconnected and enough messages were answered, for at most MAX_S."""
    over_s = time.monotonic() + MAX_S
    while environment.process_exit_code is None and time.monotonic() < over_s:
        gevent.sleep(0.2)
        entries = environment.stats.entries
        came_back, replies = (
            entries[name, stats.METHOD].num_requests for name in ("reconnect", "round trip")
        )
        if came_back >= sessions and replies >= messaging.MIN_ANSWERED:
            gevent.sleep(SETTLE_S)
            return
