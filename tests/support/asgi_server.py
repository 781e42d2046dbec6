"""A server whose wire protocol is not ours: a plain ASGI function under uvicorn, in its own process.

It reports what the application sees. The path of a connection selects the behaviour:

    /echo               echoes                           /close/CODE    accepts, then closes
    /reply/BYTES/COUNT  sends COUNT replies per message  /silent        accepts and sends nothing
    /refuse/STATUS      refuses the upgrade              /session/…     speaks the `emergence` dialect
    /late/SECONDS       echoes after a delay         /visits         echoes; its cookie counts the visits

Standard output gets one JSON object per line: listening, opened, disconnected (with the close code that the
application received), send_failed. Standard error is uvicorn's own log. The process ends with its parent.
"""

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.places import ROOT
from tests.support.serverclient import wait_for

Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class AsgiServer:
    """A running server."""

    port: int
    output: Path
    errors: Path
    process: subprocess.Popen[bytes]

    def events(self, event: str) -> list[Message]:
        """Return all reports of an event so far."""
        lines = self.output.read_text().splitlines(keepends=True)
        reports = [json.loads(line) for line in lines if line.endswith("\n")]
        return [report for report in reports if report["event"] == event]

    def await_events(self, event: str, count: int = 1) -> list[Message]:
        """Wait for this many reports of an event and return them all."""

        def enough() -> list[Message] | None:
            events = self.events(event)
            return events if len(events) >= count else None

        found: list[Message] = wait_for(enough, what=f"{count} x {event}, there is {self.output.read_text()}")
        return found

    @property
    def faults(self) -> list[str]:
        """The lines of uvicorn's log that report an error."""
        lines = self.errors.read_text().splitlines()
        return [line for line in lines if line.startswith(("ERROR", "CRITICAL", "Traceback"))]

    def kill(self) -> None:
        """Kill the process and wait for its end."""
        self.process.kill()
        self.process.wait()


@contextmanager
def asgi_server(folder: Path, *arguments: str, ws: str = "websockets", port: int = 0) -> Iterator[AsgiServer]:
    """Run the server in its own process; `arguments` are those of `main`."""
    number = len(list(folder.glob("asgi-*.out")))
    output, errors = folder / f"asgi-{number}.out", folder / f"asgi-{number}.err"
    command = [sys.executable, "-m", "tests.support.asgi_server", "--ws", ws, "--port", str(port), *arguments]
    with output.open("wb") as out, errors.open("wb") as err:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, stderr=err, cwd=ROOT)
    try:
        server = AsgiServer(0, output, errors, process)
        listening = server.await_events("listening")[0]
        yield AsgiServer(listening["port"], output, errors, process)
    finally:
        process.kill()
        process.communicate()


# The code below runs in the server's process.


def report(event: str, **fields: Any) -> None:
    """Write one report."""
    print(json.dumps({"event": event, **fields}), flush=True)


async def application(scope: Message, receive: Callable[[], Awaitable[Message]], send: Any) -> None:
    """Serve one connection, or the server's lifespan."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        return
    await receive()
    _, kind, *arguments = scope["path"].split("/")
    if kind == "refuse":
        await _refuse(int(arguments[0]), scope, send)
        return
    subprotocols = scope["subprotocols"]
    headers = {name.decode(): value.decode() for name, value in scope["headers"]}
    accept = {"type": "websocket.accept", "subprotocol": subprotocols[0] if subprotocols else None}
    if kind == "visits":
        visits = int(headers.get("cookie", "").partition("visits=")[2] or 0) + 1
        accept["headers"] = [(b"set-cookie", f"visits={visits}; Path=/".encode())]
    await send(accept)
    report("opened", path=scope["path"], subprotocols=subprotocols, headers=headers)
    if kind == "close":
        await send({"type": "websocket.close", "code": int(arguments[0]), "reason": "as asked"})
    elif kind == "session":
        await _say(send, "ws:session_established", session_id=arguments[0], thread_id="thread")
    await _converse(scope["path"], kind, arguments, receive, send)


async def _refuse(status: int, scope: Message, send: Any) -> None:
    authorization = dict(scope["headers"]).get(b"authorization", b"nothing")
    headers = [(b"content-type", b"text/plain")]
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": b"no entry for " + authorization})


async def _say(send: Any, kind: str, **payload: Any) -> None:
    await send({"type": "websocket.send", "text": json.dumps({"type": kind, "payload": payload})})


async def _converse(path: str, kind: str, arguments: list[str], receive: Any, send: Any) -> None:
    messages = 0
    while (message := await receive())["type"] == "websocket.receive":
        messages += 1
        try:
            await _answer(message, kind, arguments, send)
        except Exception as error:
            report("send_failed", path=path, messages=messages, error=type(error).__name__)
            return
    report("disconnected", path=path, messages=messages, code=message["code"])


async def _answer(message: Message, kind: str, arguments: list[str], send: Any) -> None:
    said = message.get("text") or message.get("bytes")
    if kind == "late":
        await asyncio.sleep(float(arguments[0]))
    if kind in ("echo", "late", "visits"):
        await send({"type": "websocket.send", "text" if isinstance(said, str) else "bytes": said})
    elif kind == "reply":
        for _ in range(int(arguments[1])):
            await send({"type": "websocket.send", "text": "x" * int(arguments[0])})
    elif kind == "session":
        try:
            request = json.loads(said or "")
        except ValueError:
            return  # sent by the drop `bad_message`
        await _say(send, "ws:ack", received=True, echo=request)


def main() -> None:
    """Serve until the parent process ends."""
    import uvicorn  # not in the tests' own process: some of its implementations warn when imported

    parser = argparse.ArgumentParser()
    parser.add_argument("--ws", default="websockets")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--ping-interval", type=float, default=20.0)
    parser.add_argument("--certificate")
    options = parser.parse_args()

    def outlived() -> None:
        sys.stdin.read()
        os._exit(0)

    threading.Thread(target=outlived, daemon=True).start()
    listening = socket.create_server(("127.0.0.1", options.port), backlog=1024)
    config = uvicorn.Config(
        application,
        ws=options.ws,
        ws_ping_interval=options.ping_interval,
        ws_ping_timeout=options.ping_interval,
        ssl_certfile=options.certificate,
        log_level="info",
        use_colors=False,
        access_log=False,
    )

    async def serve() -> None:
        report("listening", port=listening.getsockname()[1])
        await uvicorn.Server(config).serve(sockets=[listening])

    asyncio.run(serve())


if __name__ == "__main__":
    main()
