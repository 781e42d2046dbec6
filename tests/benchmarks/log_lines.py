"""CPU of judging a million lines of a server's log: `loadtest check-log`, a process for each kind of log.

    python -m tests.benchmarks.log_lines [--lines 100000] [KIND …]

The logs are those of a chat server with many clients. Nearly all lines are ordinary, each with a different
client, session and time; one record in a hundred is an abrupt disconnect, and one in two thousand has a
traceback. Lines are counted as the server writes them, so a gcloud entry printed on twenty lines counts as
one. Process start is measured separately: figures for fewer lines are scaled to a million without it.
"""

import argparse
import json
import random
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from loadtest.serverlog.records import Level
from tests.support.log_writers import CARRIERS, LOGGERS, Said

MILLION = 1_000_000
CHUNK = 20_000
"""Lines written at a time."""

_BEGAN_MS = 1_795_530_000_000
_TRACEBACK = """\
Traceback (most recent call last):
  File "/app/lib/uvicorn/protocols/websockets/websockets_impl.py", line 244, in run_asgi
    result = await self.app(self.scope, self.asgi_receive, self.asgi_send)
  File "/app/lib/uvicorn/middleware/proxy_headers.py", line 60, in __call__
    return await self.app(scope, receive, send)
  File "/app/lib/starlette/routing.py", line 362, in handle
    await self.app(scope, receive, send)
  File "/app/chat/ws.py", line 88, in receive
    await self.send_text(reply)
  File "/app/lib/starlette/websockets.py", line 120, in _raise_on_disconnect
    raise WebSocketDisconnect(code=1006)
{raised}"""
_RAISED = ("starlette.websockets.WebSocketDisconnect: (1006, '')", "KeyError: 'thread-{number}'")


@dataclass(frozen=True, slots=True)
class Event:
    """A record of a server: its first line, and the lines of a traceback below it."""

    said: Said
    under: tuple[str, ...] = ()


Write = Callable[[Sequence[Event]], str]


def _events(tracebacks: int = 2_000) -> Iterator[Event]:
    """Yield the records of a chat server: one in `tracebacks` has a traceback."""
    rng = random.Random(1)
    at_ms = _BEGAN_MS
    while True:
        at_ms += rng.randrange(12)
        number, session = rng.randrange(10**9), f"{rng.getrandbits(64):016x}"
        address = f"10.0.{number % 200}.{number // 200 % 250}:{1024 + number % 60_000}"
        if number % tracebacks == 0:
            under = _TRACEBACK.format(raised=_RAISED[number // tracebacks % 2].format(number=number))
            text = "Exception in ASGI application"
            yield Event(Said(Level.ERROR, at_ms, "uvicorn.error", text), tuple(under.split("\n")))
            continue
        level, logger, text = _ordinary(rng, number, session, address)
        yield Event(Said(level, at_ms, logger, text))


def _ordinary(rng: random.Random, number: int, session: str, address: str) -> tuple[Level, str, str]:
    match rng.randrange(100):
        case 0:
            return Level.WARNING, "chat.ws", f"Send error (session {session}): WebSocketDisconnect code=1006"
        case low if low < 20:
            path = f"/ws/{session}?thread_id=t{number % 1000}"
            return Level.INFO, "uvicorn.error", f'{address} - "WebSocket {path}" [accepted]'
        case low if low < 40:
            return Level.INFO, "uvicorn.error", "connection open" if low < 30 else "connection closed"
        case low if low < 50:
            return Level.INFO, "uvicorn.access", f'{address} - "GET /health HTTP/1.1" 200 OK'
        case low if low < 55:
            return Level.INFO, "chat.ws", f"client disconnected (code=1001) session={session}"
        case low if low < 65:
            return Level.DEBUG, "chat.ws", f"ping session={session} rtt_ms={number % 97}"
    text = f"message {number} of session={session} answered in {number % 900} ms, {number % 4000} bytes"
    return Level.INFO, "chat.ws", text


def _of(logger: str, carrier: str = "plain", newline: str = "\n") -> Write:
    """Return a writer of lines in the format of a logger, wrapped by a carrier."""

    def write(events: Sequence[Event]) -> str:
        lines = [
            (line, event.said)
            for event in events
            for line in (LOGGERS[logger].line(event.said), *event.under)
        ]
        text = CARRIERS[carrier].wrap(lines)
        return text if newline == "\n" else text.replace("\n", newline)

    return write


def _json(logger: str, field: str, **others: object) -> Write:
    """Return a writer of JSON with tracebacks in a field; `others` are added to each object."""
    rest = f", {json.dumps(others)[1:-1]}}}" if others else "}"

    def write(events: Sequence[Event]) -> str:
        return "".join(_object(LOGGERS[logger].line(event.said), event) for event in events)

    def _object(line: str, event: Event) -> str:
        under = f', "{field}": {json.dumps(chr(10).join(event.under))}' if event.under else ""
        return f"{line[:-1]}{under}{rest}\n"

    return write


_CLOUD_RUN = {
    "insertId": "2ff10c190b07296d5c301f32",
    "labels": {"instanceId": "0069c7a9881b9445c5805b1137866a871b5aefe8af871a54f072af744a171bd5"},
    "logName": "projects/chat/logs/run.googleapis.com%2Fstderr",
    "receiveTimestamp": "2026-11-23T14:00:11.345053512Z",
    "resource": {
        "labels": {
            "configuration_name": "chat",
            "location": "europe-west1",
            "project_id": "chat",
            "revision_name": "chat-00041-ruq",
            "service_name": "chat",
        },
        "type": "cloud_run_revision",
    },
}


def _gcloud(indent: int | None, payload: Callable[[Event, str], Mapping[str, object]]) -> Write:
    """Return a writer of Cloud Logging entries, one per line, or indented as printed by gcloud."""

    def write(events: Sequence[Event]) -> str:
        entries = (
            {**_CLOUD_RUN, **payload(event, line), "timestamp": event.said.iso}
            for event in events
            for line in (event.said.text, *event.under)
        )
        end = "\n" if indent is None else ",\n"
        return "".join(json.dumps(entry, indent=indent) + end for entry in entries)

    return write


def _text_payload(event: Event, line: str) -> Mapping[str, object]:
    return {"textPayload": LOGGERS["uvicorn"].line(event.said) if line == event.said.text else line}


def _json_payload(event: Event, line: str) -> Mapping[str, object]:
    said = event.said
    return {"jsonPayload": {"message": line, "logger": said.logger}, "severity": said.level.name}


def _nginx_access(events: Sequence[Event]) -> str:
    return "".join(
        f"10.0.0.{event.said.at_ms % 250} - - [{event.said.at('%d/%b/%Y:%H:%M:%S +0000')}] "
        f'"GET /ws/{event.said.at_ms % 9973} HTTP/1.1" {101 if event.said.level < Level.WARNING else 499} '
        f'{event.said.at_ms % 4000} "-" "Mozilla/5.0 (X11; Linux x86_64) Firefox/142.0"\n'
        for event in events
    )


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of log: its writer, the text before its first line, and the frequency of tracebacks."""

    write: Write
    head: str = ""
    tracebacks: int = 2_000


KINDS: Mapping[str, Kind] = {
    "uvicorn text": Kind(_of("uvicorn")),
    "uvicorn text, CRLF": Kind(_of("uvicorn", newline="\r\n")),
    "Python logging": Kind(_of("python dashes")),
    "Python logging, a traceback in 40 records": Kind(_of("python plain"), tracebacks=40),
    "loguru": Kind(_of("loguru")),
    "structlog console": Kind(_of("structlog")),
    "Node winston": Kind(_of("winston")),
    "Go slog": Kind(_of("slog")),
    "Spring Boot": Kind(_of("spring")),
    "nginx error log": Kind(_of("nginx")),
    "nginx access log": Kind(_nginx_access),
    "docker compose": Kind(_of("uvicorn", "docker compose")),
    "docker logs -t": Kind(_of("uvicorn", "kubectl --timestamps")),
    "Kubernetes CRI": Kind(_of("python plain", "cri")),
    "kubectl --prefix": Kind(_of("uvicorn", "kubectl --prefix")),
    "journalctl": Kind(_of("uvicorn", "journalctl")),
    "python-json-logger": Kind(_json("python-json-logger", "exc_info")),
    "structlog JSON": Kind(_json("structlog json", "exception")),
    "Cloud Run JSON": Kind(
        _json("cloud logging", "exception", color_message="%s - [accepted]", websocket="<WebSocketProtocol>")
    ),
    "ECS": Kind(_json("ecs", "error.stack_trace", ecs={"version": "1.6.0"})),
    "loguru JSON": Kind(_json("loguru json", "exception")),
    "pino": Kind(_json("pino", "stack")),
    "docker json-file": Kind(_of("uvicorn", "docker json-file")),
    "docker json-file of JSON": Kind(_of("python-json-logger", "docker json-file")),
    "gcloud JSON lines": Kind(_gcloud(None, _text_payload)),
    "gcloud --format=json": Kind(_gcloud(2, _text_payload), head="[\n"),
    "gcloud --format=json, jsonPayload": Kind(_gcloud(2, _json_payload), head="[\n"),
}
"""Kinds of logs by name."""


def written(kind: str, path: Path, lines: int) -> None:
    """Write a log of `lines` lines of the server, rounded up to a record."""
    of = KINDS[kind]
    events = _events(of.tracebacks)
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(of.head)
        while lines > 0:
            some = list(_some(events, min(lines, CHUNK)))
            lines -= sum(1 + len(event.under) for event in some)
            file.write(of.write(some))


def _some(events: Iterator[Event], lines: int) -> Iterator[Event]:
    for event in events:
        yield event
        lines -= 1 + len(event.under)
        if lines <= 0:
            return


def cpu_s(path: Path) -> float:
    """Return the CPU of `loadtest check-log` for a log, in seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "loadtest", "check-log", str(path), "--json"], capture_output=True, check=False
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    records = json.loads(done.stdout)["summary"]["logs_analyzed"]
    assert records, f"{path} has no records: {done.stderr.decode()}"
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def log_lines(_port: int = 0, *, kind: str, lines: int = MILLION) -> dict[str, float]:
    """Return the CPU seconds of judging a million lines of a kind of log.

    Args:
        kind: a name in KINDS.
        lines: number of lines to judge; the CPU is scaled to a million, without process start.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / "server.log"
        written(kind, path, 1)
        start_s = cpu_s(path)
        written(kind, path, lines)
        took_s = cpu_s(path)
    return {f"CPU of a million log lines, s, {kind}": start_s + (took_s - start_s) * MILLION / lines}


def main() -> None:
    """Measure the requested kinds and print their figures."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.log_lines", description=__doc__)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)} (default: all)")
    parser.add_argument("--lines", type=int, default=100_000)
    arguments = parser.parse_args()
    for kind in arguments.kinds or KINDS:
        for figure, value in log_lines(kind=kind, lines=arguments.lines).items():
            print(f"{value:7.2f}  {figure}", flush=True)


if __name__ == "__main__":
    main()
