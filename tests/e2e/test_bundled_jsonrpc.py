"""The bundled dialect `jsonrpc` against jsonrpcserver: calls, batches, notifications, calls of the server."""

from __future__ import annotations

from pathlib import Path

from tests.support.bundled import bundled_server, check_bundled, run_bundled
from tests.support.examples import failed, passed
from tests.support.locusts import Finished

BATCHES = ("batch=3", "ids=string", "text=text")
LOGIN = ("login-method=login", 'login-params={"user": "$session_id"}')
PEER = ("push-number=number", 'answer={"ready": true}')
OFTEN = ("--ws-sessions", "5", "--ws-rate", "20")
"""So often that responses overtake each other."""


def _run(fault: str, folder: Path) -> Finished:
    with bundled_server("json_rpc", fault) as url:
        return run_bundled("jsonrpc", url, folder, *OFTEN, options=PEER)


def test_sound(tmp_path: Path) -> None:
    """Batches after a login, single calls, a refused login; the server's calls are answered."""
    with bundled_server("json_rpc") as url:
        checked = check_bundled("jsonrpc", url, *PEER)
        refused = check_bundled("jsonrpc", url, *PEER, LOGIN[0], 'login-params={"user": "nobody"}')
        options = (*BATCHES, *LOGIN, *PEER)
        finished = run_bundled("jsonrpc", url, tmp_path, "--ws-rate", "3", options=options)
    assert (checked["exit_code"], checked["findings"]) == (0, [])
    assert "no such user (-32001)" in refused["headline"]
    summaries = passed(finished)
    assert "messages answered, intact and once;" in summaries["messaging"]
    assert summaries["persistence"] == "sessions of the dialect jsonrpc have no identity"
    assert finished.counts["messaging.pushes"] >= 30


def test_an_error_object(tmp_path: Path) -> None:
    """A call that fails on the server fails the run, with the server's words and code."""
    summary, errors = failed(_run("internal_errors", tmp_path), "messaging")
    assert "answered with an error" in summary
    example = errors["the server answered with an error"]
    assert example.endswith(": Internal error: database is locked (-32603)")


def test_ids_that_clients_share(tmp_path: Path) -> None:
    """A result that another client's call with the same id had shows both texts."""
    finished = _run("ids_shared", tmp_path)
    summary, errors = failed(finished, "messaging")
    assert "answered with another session's text" in summary
    sent, _, got = errors["reply holds another session's text"].partition(", got ")
    run_id = finished.manifest["run_id"]
    assert f'sent "[{run_id}.' in sent
    assert f'"[{run_id}.' in got
    assert sent.split(".")[1] != got.split(".")[1]
