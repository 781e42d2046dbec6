"""Servers with which nothing ever works: FAIL in one item, with the cause and what to do; sound twins pass.

The servers are small: each has one defect, on every connection. Their runs are made a few at a time, since
they mostly wait.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.locusts import Finished, LocustProcess, two_workers
from tests.support.peers import Line, bare_server, close_frame, server_frame

AT_ONCE = 3
"""Runs made together: more would compete for the CPU while Locust starts."""

ECHO = ("--ws-dialect", "echo", "--ws-path", "/chat/{session_id}?key=k", "--ws-drop-every", "0")
EMERGENCE = ("--ws-drop-every", "0", "--ws-token", "a-token")
TWICE = (
    *("--ws-sessions", "5", "--ws-backoff", "exponential(0.1,1,1,none,1)"),
    *("--ws-open-timeout", "1", "--ws-warmup", "0"),
)
"""Each of ten sessions tries twice, then gives up."""


def http(status: str, *headers: str) -> Callable[[Line], Awaitable[None]]:
    """Answer every request with this status."""
    lines = (f"HTTP/1.1 {status}", *headers, "Content-Length: 0", "Connection: close", "", "")
    return saying("\r\n".join(lines).encode())


def saying(answer: bytes) -> Callable[[Line], Awaitable[None]]:
    """Answer every request with these bytes."""

    async def script(line: Line) -> None:
        await line.hear_request()
        await line.send(answer)
        await line.record()

    return script


async def shout(line: Line) -> None:
    """Answer whatever comes as a web server without TLS does."""
    await line.read()
    await line.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await line.record()


def then(data: bytes, *headers: str) -> Callable[[Line], Awaitable[None]]:
    """Accept every WebSocket, and send these bytes at once."""

    async def script(line: Line) -> None:
        await line.upgrade(*headers, then=data)
        await line.record()

    return script


JWT = "Sec-WebSocket-Protocol: jwt"
REFUSED_LOGIN = server_frame(json.dumps({"type": "ws:auth_required", "payload": {"reason": "expired"}}))


@dataclass(frozen=True)
class Defect:
    """One defect: what the server does, the run's options, and what the run must say about it."""

    script: Callable[[Line], Awaitable[None]]
    cause: str
    step: str
    options: tuple[str, ...] = ECHO
    scheme: str = "ws"


DEFECTS = {
    "403": Defect(http("403 Forbidden"), "HTTP 403 for /chat/…", "--ws-token"),
    "404": Defect(http("404 Not Found"), "HTTP 404 for /chat/…", "no endpoint at this path"),
    "503": Defect(
        http("503 Busy", "Retry-After: 1"), "HTTP 503 for /chat/…", "has the server finished starting"
    ),
    "200": Defect(http("200 OK"), "HTTP 200 for /chat/…, no upgrade to WebSocket", "plain HTTP"),
    "ssh": Defect(
        saying(b"SSH-2.0-OpenSSH\r\n"),
        "no valid WebSocket upgrade for /chat/…",
        "not from a WebSocket server",
    ),
    "no TLS": Defect(shout, "the TLS handshake with 127.0.0.1:", "is this a TLS port", scheme="wss"),
    "silent": Defect(saying(b""), "no answer to the upgrade for /chat/… within 1 s", "is it stuck"),
    "closes": Defect(
        then(close_frame(1011, "boom")),
        "closed with 1011 (internal error) before",
        "look up the first error",
    ),
    "violates": Defect(then(server_frame("x", bits=0x40)), "violated the WebSocket protocol", "RFC 6455"),
    "selects none": Defect(
        then(b""),
        "selected none of the subprotocols offered (jwt, …)",
        "--ws-subprotocol-optional",
        EMERGENCE,
    ),
    "establishes nothing": Defect(
        then(b"", JWT), "the session was not established within 1 s", "loadtest dialect check", EMERGENCE
    ),
    "refuses the login": Defect(
        then(REFUSED_LOGIN + close_frame(4401), JWT),
        "the server rejected the login: expired",
        "--ws-token",
        EMERGENCE,
    ),
}


def forgiving(script: Callable[[Line], Awaitable[None]]) -> Callable[[Line], Awaitable[None]]:
    """Let clients leave whenever they want: Locust looks first whether anybody listens."""

    async def forgiven(line: Line) -> None:
        with suppress(AssertionError, ConnectionError, BrokenPipeError):
            await script(line)

    return forgiven


async def run_against(defect: Defect, results: Path, *arguments: str, seconds: int = 30) -> Finished:
    """Run Locust against a server with this defect."""
    results.mkdir()
    async with bare_server(forgiving(defect.script)) as server:
        host = ("--host", f"{defect.scheme}://127.0.0.1:{server.port}")
        with LocustProcess(results, *host, *TWICE, *defect.options, *arguments, seconds=seconds) as locust:
            return await asyncio.to_thread(locust.wait)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Finished]:
    """A run against a server with each of the defects."""
    folder, room = tmp_path_factory.mktemp("defects"), asyncio.Semaphore(AT_ONCE)

    async def one(name: str, defect: Defect) -> Finished:
        async with room:
            return await run_against(defect, folder / name.replace(" ", "-"))

    async def all_of_them() -> list[Finished]:
        return await asyncio.gather(*(one(name, defect) for name, defect in DEFECTS.items()))

    return dict(zip(DEFECTS, asyncio.run(all_of_them()), strict=True))


def failed(run: Finished) -> list[str]:
    """Return the items that a run fails."""
    return [item for item, ruling in run.rulings.items() if ruling == "FAIL"]


def told(run: Finished, item: str) -> str:
    """Return the summary of an item."""
    return next(str(found["summary"]) for found in run.verdict["items"] if found["item"] == item)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", DEFECTS)
def test_a_server_that_lets_nobody_in_fails_connect_alone(runs: dict[str, Finished], name: str) -> None:
    """The cause stands in the summary, the step that fits it below; the run ends early, with exit code 1."""
    run, defect = runs[name], DEFECTS[name]
    assert (run.exit_code, failed(run)) == (1, ["connect"]), run.output
    attempts, gave_up = run.counts["connect.attempts"], run.counts["connect.gave_up"]
    assert gave_up == 10
    beginning = f"{attempts} of {attempts} attempts failed, 10 sessions gave up: "
    assert told(run, "connect").startswith(beginning)
    assert defect.cause in told(run, "connect")
    steps = " ".join(run.output.split()).partition("next: ")[2]
    assert defect.step in steps
    assert "run longer" not in " ".join(run.output.split())
    assert run.manifest["ended_early"] == "all 10 sessions have given up for good"
    assert run.output.count("ending the run early: all 10 sessions have given up for good") == 1
    assert "a-token" not in (run.run / "verdict.json").read_text() + run.output


def test_a_selected_subprotocol_and_an_optional_one_connect(tmp_path: Path) -> None:
    """The sound twins of a server that selects none: one that selects, and one that need not."""

    async def both() -> tuple[Finished, Finished]:
        plain = DEFECTS["establishes nothing"]
        greeting = server_frame(json.dumps({"type": "ws:session_established", "payload": {}}))
        selecting = Defect(then(greeting, JWT), "", "", plain.options)
        none = Defect(then(greeting), "", "", plain.options)
        quiet = ("--ws-rate", "0")
        return await asyncio.gather(
            run_against(selecting, tmp_path / "selects", *quiet, seconds=4),
            run_against(none, tmp_path / "none", *quiet, "--ws-subprotocol-optional", seconds=4),
        )

    for run in asyncio.run(both()):
        assert run.rulings["connect"] == "PASS", run.output
        assert failed(run) == []
        assert run.manifest["ended_early"] is None


def test_workers_end_early_too(tmp_path: Path) -> None:
    """The master sees from all workers together that nobody is left, and ends the run in good order."""
    run = asyncio.run(run_against(DEFECTS["403"], tmp_path / "workers", *two_workers()))
    assert (run.exit_code, failed(run)) == (1, ["connect"]), run.output
    assert told(run, "connect") == "20 of 20 attempts failed, 10 sessions gave up: HTTP 403 for /chat/…"
    assert run.manifest["ended_early"] == "all 10 sessions have given up for good"
    assert run.manifest["missing_workers"] == []


def test_keep_going_keeps_going(tmp_path: Path) -> None:
    """With --ws-keep-going the run lasts as long as it should; the verdict is the same."""
    run = asyncio.run(
        run_against(DEFECTS["403"], tmp_path / "on", "--ws-keep-going", seconds=5),
    )
    assert (run.exit_code, failed(run)) == (1, ["connect"]), run.output
    assert run.manifest["ended_early"] is None
    assert "run early" not in run.output


def test_a_server_that_never_answers_fails_messaging_alone(tmp_path: Path) -> None:
    """Connections stay up and nothing comes back: FAIL, also in a run as short as the reply timeout."""
    mute = Defect(then(b""), "", "")
    run = asyncio.run(run_against(mute, tmp_path / "mute", "--ws-reply-timeout", "5", seconds=5))
    assert (run.exit_code, failed(run)) == (1, ["messaging"]), run.output
    assert told(run, "messaging").startswith("none of ")
    words = " ".join(run.output.split())
    assert "next: check in the server's log that it receives the messages" in words
    assert "run longer" not in words
