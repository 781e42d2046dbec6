"""Servers that do not read what is sent to them: scripts wait, memory is bounded, connections are lost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from loadtest import DialectSession, Request
from loadtest.dialects.echo import Echo
from loadtest.engine.script_session import ScriptSession
from loadtest.session.schedule import Pace
from loadtest.transport import unsent
from tests.support.engine_run import EngineRun, running, settings
from tests.support.examples import stranger
from tests.support.serverclient import wait_for
from tests.wire.test_scripts import performing


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that waits no longer than the reply timeout."""
    monkeypatch.setattr(unsent, "LEAST_WAIT_NS", 0)


class OneWay(Echo):
    """Sends messages that need no reply."""

    name = "one-way"

    def request(self, session: DialectSession, sequence: int) -> Any:
        """Say something."""
        return Request(session.text(sequence), replies=False)


BODY = "x" * 20_000


async def _sends(_user: Any, session: ScriptSession) -> None:
    while True:
        await session.send(BODY)


def unread_port(url: str) -> int:
    """Return the port of a server's address."""
    return int(url.rpartition(":")[2])


def test_a_script_waits_for_a_server_that_does_not_read() -> None:
    """`send` holds back what the server does not read; after the reply timeout the connection is lost."""
    with (
        stranger("desk", "never_reads") as url,
        performing(unread_port(url), _sends, dialect=Echo(), reply_timeout_s=0.6) as run,
    ):
        numbers = run.add(3)
        wait_for(lambda: len(run.lived("lost")) >= 3, what="losses")
        run.stop(numbers)
        sent = run.counts["messaging.sent"]
        causes = {record.cause for record in run.lived("lost")}
    assert sent * len(BODY) < 3 * 2 * 64 * 2**20  # the kernel's buffers, of two connections each, and ours
    assert causes == {"not_reading"}


def test_a_script_that_sends_all_the_time_loses_no_server_that_reads() -> None:
    """A server that reads, however slowly, keeps its connections, and the loop goes on."""
    with (
        stranger("counting") as url,
        performing(unread_port(url), _sends, dialect=Echo(), reply_timeout_s=4.0) as run,
    ):
        numbers = run.add(2)
        run.await_count("messaging.unmatched", 300)  # it answers, 20 kB each
        run.engine.call(run.engine.begin_ending)
        run.stop(numbers, 0.1)
        assert not run.lived("lost")


def test_planned_traffic_to_a_server_that_does_not_read() -> None:
    """Planned messages are bounded likewise: the connection is lost, also where no reply would be missed."""
    with stranger("desk", "never_reads") as url:
        made = settings(unread_port(url), dialect=OneWay(), pace=Pace(1000.0), reply_timeout_s=0.6)
        made = replace(made, config=replace(made.config, size_of=20_000))
        with running(made) as run:
            numbers = run.add(1)
            wait_for(lambda: _ends(run), what="the end of a connection")
            run.stop(numbers)
            assert _ends(run) <= {"not_reading", "closed_not_reading"}


def _ends(run: EngineRun) -> set[str | None]:
    return {record.cause for event in ("lost", "failed", "ended") for record in run.lived(event)}
