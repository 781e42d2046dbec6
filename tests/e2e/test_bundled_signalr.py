"""The bundled dialect `signalr`, against a hub by the published protocol that Microsoft's client can use."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.support.bundled import bundled_server, check_bundled, run_bundled
from tests.support.examples import failed, passed
from tests.support.locusts import Finished
from tests.support.places import ROOT

pytestmark = pytest.mark.external("node", "npm")

TOKEN = ("--ws-token", "secret")
DUE = "due to an error on the server"
SAVED = ("text=saved",)
STREAM = ("target=Spell", "stream=on")


def _run(fault: str | None, folder: Path, *options: str, token: str = "secret", seconds: int = 5) -> Finished:
    with bundled_server("signalr.mjs", fault) as url:
        return run_bundled("signalr", url, folder, "--ws-token", token, options=options, seconds=seconds)


def test_microsofts_client_and_the_dialect(tmp_path: Path) -> None:
    """The server is one that Microsoft's client can use; so is it for the dialect, which passes."""
    with bundled_server("signalr.mjs") as url:
        script = ROOT / "tests" / "support" / "strangers" / "signalr_client.mjs"
        address = url.replace("ws://", "http://") + "/hub"
        client = subprocess.run(
            ["node", script, address], capture_output=True, text=True, timeout=30, check=True
        )
        checked = check_bundled("signalr", url, *STREAM, token="secret")
        finished = run_bundled("signalr", url, tmp_path, *TOKEN, options=SAVED)
    assert json.loads(client.stdout) == {
        "result": {"saved": "é🙂", "length": 3},
        "items": ["x" * 20, "x" * 20, "x" * 10],
        "said": "hello",
        "error": f"Failed to invoke 'Nothing' {DUE}. HubException: Method does not exist.",
        "greeted": 1,
    }
    assert (checked["exit_code"], checked["findings"]) == (0, [])
    passed(finished)
    assert finished.counts["messaging.pushes"] >= 20


def test_a_hub_that_raises(tmp_path: Path) -> None:
    """The words that the server gives its clients are shown."""
    summary, errors = failed(_run("exception", tmp_path), "messaging")
    assert "answered with an error" in summary
    assert "unexpected error occurred invoking 'Send'" in errors["the server answered with an error"]


def test_a_stream_that_stops(tmp_path: Path) -> None:
    """A stream without its completion is broken off; the pieces of the others are timed."""
    with bundled_server("signalr.mjs", "stream_stops") as url:
        settings = (*TOKEN, "--ws-reply-timeout", "1")
        finished = run_bundled("signalr", url, tmp_path, *settings, options=STREAM)
    summary, errors = failed(finished, "messaging")
    assert "broke off" in summary or "broken off" in summary
    assert any("streamed reply broke off" in error for error in errors)
    latency = finished.evidence("messaging")["percentiles"]
    assert latency["first_part"]["p50_ms"] < latency["service"]["p50_ms"]


def test_a_refused_token(tmp_path: Path) -> None:
    """Nobody connects, as the negotiation is refused."""
    _, errors = failed(_run(None, tmp_path, token="stale", seconds=3), "connect")
    assert errors["login: login_failed"] == "negotiate: HTTP 401"
