"""The bundled dialect `graphql` against Strawberry: operations, streamed answers, pushes, a login."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.bundled import bundled_server, check_bundled, run_bundled
from tests.support.examples import failed, passed
from tests.support.locusts import Finished

QUERY = "query=query ($text: String!) { answer(text: $text) }"
STREAM = "query=subscription ($text: String!) { answer(text: $text) }"
NEWS = (
    "listen=subscription ($topic: String!) { news(topic: $topic) { number } }",
    'listen-variables={"topic": "$session_id"}',
    "push-number=news.number",
)


def _run(url: str, folder: Path, *options: str, token: str = "secret", seconds: int = 5) -> Finished:
    """Run the dialect; an answer takes the server some milliseconds, hence the low rate."""
    settings = ("--ws-rate", "2", "--ws-token", token)
    return run_bundled("graphql", url, folder, *settings, options=options, seconds=seconds)


def _run_faulty(fault: str, folder: Path, *options: str) -> Finished:
    """Run the dialect against a server with one defect."""
    with bundled_server("graphql", fault) as url:
        return _run(url, folder, *options)


@pytest.fixture(scope="module")
def sound() -> Iterator[str]:
    """The URL of a sound server."""
    with bundled_server("graphql") as url:
        yield url


def test_streams_and_pushes(sound: str, tmp_path: Path) -> None:
    """The results of a subscription are one reply, those of the kept one pushes; a query has one result."""
    checked = check_bundled("graphql", sound, QUERY, "text=answer", token="secret")
    assert (checked["exit_code"], checked["findings"]) == (0, [])
    finished = _run(sound, tmp_path, STREAM, "text=answer", *NEWS)
    summaries = passed(finished)
    assert summaries["persistence"] == "sessions of the dialect graphql have no identity"
    assert finished.counts["messaging.pushes"] >= 100
    latency = finished.evidence("messaging")["percentiles"]
    assert latency["first_part"]["p50_ms"] < latency["service"]["p50_ms"]


def test_a_refused_token(sound: str, tmp_path: Path) -> None:
    """Nobody connects, for the reason that the protocol gives."""
    summary, errors = failed(_run(sound, tmp_path, token="stale", seconds=3), "connect")
    assert "closed with 4403 (forbidden) before the session was established" in summary
    assert errors["established: closed_4403"] == "Forbidden"


def test_an_answer_that_is_an_error(tmp_path: Path) -> None:
    """The server's own words are shown, and the kind of operation."""
    summary, errors = failed(_run_faulty("pool_exhausted", tmp_path, QUERY), "messaging")
    assert "answered with an error" in summary
    example = errors["the server answered with an error"]
    assert example.endswith("(query): connection pool exhausted")


def test_a_stream_without_its_last_piece(tmp_path: Path) -> None:
    """The report shows where the text ends."""
    summary, errors = failed(_run_faulty("cut_off", tmp_path, STREAM), "messaging")
    assert "answered with an altered text" in summary
    assert not errors["reply altered"].rpartition(", got ")[2].rpartition('"')[0].endswith("]")
