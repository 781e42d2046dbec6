"""The server names its revision: asked once, before the run, by the process that records it."""

from __future__ import annotations

import http
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

from loadtest.drops.plan import DropPlan
from loadtest.duel.expectation import PlannedLoad, expected
from loadtest.results.reader import read_run
from loadtest.session.schedule import parse_backoff
from loadtest.verdict.timing import timing
from tests.support.locusts import BRISK, LOCUSTFILE, Finished, LocustProcess, two_workers

OWN_LOCUSTFILE = """
from loadtest import WebSocketUser
from loadtest.dialects.echo import Echo

class WithHealth(Echo):
    name = "with_health"
    health_path = "/health"

class User(WebSocketUser):
    dialect = WithHealth
"""

UNNAMED = ("--ws-revision", "")
"""After the revision that tests usually give."""

SECONDS = 8


@contextmanager
def versioned() -> Iterator[tuple[str, Counter[str]]]:
    """Run an echo server that names its version; yield its URL and the paths that it was asked for by GET."""
    asked: Counter[str] = Counter()

    def echo(connection: ServerConnection) -> None:
        try:
            for message in connection:
                connection.send(message)
        except ConnectionClosed:
            pass

    def answer(_connection: ServerConnection, request: Request) -> Response | None:
        if "Upgrade" in request.headers:
            return None
        asked[request.path] += 1
        return Response(
            http.HTTPStatus.OK,
            "OK",
            Headers({"X-Version": "build-7", "Content-Length": "18"}),
            b'{"version": "v42"}',
        )

    with serve(echo, "127.0.0.1", 0, process_request=answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}", asked
        finally:
            server.shutdown()
            thread.join()


def test_the_server_names_its_revision(tmp_path: Path) -> None:
    """In its health endpoint's JSON, asked by a master, or in a header; each once, before the run's time.

    The second run has as many round trips and outages as its plan lets expect. A third was told another
    revision than the server says, which is kept.
    """
    locustfile = tmp_path / "own.py"
    locustfile.write_text(OWN_LOCUSTFILE)

    def run(name: str, *arguments: str, locustfile: Path = LOCUSTFILE) -> Finished:
        options = (*BRISK, "--host", address, *UNNAMED, *arguments)
        with LocustProcess(tmp_path / name, *options, seconds=SECONDS, locustfile=locustfile) as locust:
            return locust.wait()

    with versioned() as (address, asked), ThreadPoolExecutor() as threads:
        by_health = threads.submit(run, "health", *two_workers(), locustfile=locustfile)
        by_header = threads.submit(run, "header", "--ws-dialect", "echo", "--ws-revision-header", "X-Version")
        by_hand = threads.submit(run, "hand", "--ws-revision", "v9", locustfile=locustfile)
        health, header, hand = by_health.result(), by_header.result(), by_hand.result()
    assert asked == {"/health": 2, "/": 1}
    doubt = "--ws-revision is v9, but the server says v42 (version in GET /health)"
    assert hand.output.count(doubt) == 2, hand.output  # before the run, and in its verdict
    assert hand.notes == [doubt]
    assert hand.run.parent.name == "v9"
    assert hand.manifest["revision_said"] == {"name": "v42", "source": "version in GET /health"}
    assert "the server says" in (hand.run / "report.html").read_text()
    for finished, revision, source, folder in (
        (health, "v42", "version in GET /health", "v42"),
        (header, "build-7", "header X-Version of GET /", "build-7"),
    ):
        assert finished.manifest["revision"] == revision, finished.output
        assert finished.manifest["revision_source"] == source
        assert finished.run.parent.name == folder
        assert f"the revision is {revision} ({source})" in finished.output
        assert f"verdict of {revision} ({source})" in finished.output
        said, counted = map(finished.output.index, ("the revision is", "Run time limit set"))
        assert said < counted, "a slow answer would use up the run time"
    _has_what_was_expected(header)


def _has_what_was_expected(finished: Finished) -> None:
    run = read_run(finished.run)
    found = timing(run).measured.histograms
    planned = PlannedLoad(
        sessions=20,
        rate=2.0,
        duration_s=int(run.length_s),  # rows of a second are counted whole
        warmup_s=1.0,
        drops=DropPlan(4.0),
        backoff=parse_backoff("constant(0.3)"),
    )
    hoped = expected(planned)
    assert found["service"].samples == pytest.approx(hoped.round_trips, rel=0.2)
    assert found["outage"].samples == pytest.approx(hoped.outages, rel=0.35)
