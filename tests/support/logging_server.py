"""An echo server that logs, through a library of choice, that its clients have left.

    python -m tests.support.logging_server --logger loguru --level ERROR

A plain ASGI function under uvicorn, in its own process, whose own records go through the same library. Every
disconnect is one record at the level that is given. Standard output gets the port, standard error the log.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.places import ROOT


@dataclass(frozen=True, slots=True)
class LoggingServer:
    """A running server."""

    url: str
    log: Path


@contextmanager
def logging_server(folder: Path, logger: str, level: str) -> Iterator[LoggingServer]:
    """Run the server in its own process."""
    log = folder / f"{logger}-{level}.log"
    command = [sys.executable, "-m", "tests.support.logging_server", "--logger", logger, "--level", level]
    with log.open("wb") as errors:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, cwd=ROOT, text=True
        )
    try:
        assert process.stdout is not None
        port = process.stdout.readline()
        assert port, log.read_text()
        yield LoggingServer(f"ws://127.0.0.1:{int(port)}", log)
    finally:
        process.kill()
        process.communicate()


# The code below runs in the server's process.


class PinoFormatter(logging.Formatter):
    """Writes what pino writes: https://getpino.io, levels 10 to 60, time in milliseconds."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one JSON object."""
        found: dict[str, Any] = {
            "level": record.levelno + 10,
            "time": int(record.created * 1000),
            "pid": record.process,
            "hostname": "chat-1",
            "name": record.name,
            "msg": record.getMessage(),
        }
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            stack = self.formatException(record.exc_info)
            found["err"] = {"type": type(error).__name__, "message": str(error), "stack": stack}
        return json.dumps(found)


def _to_standard_error(formatter: logging.Formatter) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=logging.INFO)


def through_loguru() -> None:
    """Write loguru's own text, records of `logging` too, as its documentation shows."""
    from loguru import logger

    class Intercept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            logger.opt(exception=record.exc_info).log(record.levelname, record.getMessage())

    logger.remove()
    logger.add(sys.stderr, level="INFO", colorize=False)
    logging.basicConfig(handlers=[Intercept()], level=logging.INFO)


def through_ecs() -> None:
    """Write Elastic's Common Schema with its own library."""
    import ecs_logging

    _to_standard_error(ecs_logging.StdlibFormatter())


def through_pino() -> None:
    """Write JSON as pino does."""
    _to_standard_error(PinoFormatter())


LOGGERS: dict[str, Callable[[], None]] = {
    "loguru": through_loguru,
    "ecs": through_ecs,
    "pino": through_pino,
}


def echo(level: int) -> Callable[..., Any]:
    """Return an application that returns what it gets, and logs each disconnect at this level."""
    logger = logging.getLogger("chat")

    async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            return
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"{}"})
            return
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            kind = "text" if message.get("text") is not None else "bytes"
            try:
                await send({"type": "websocket.send", kind: message[kind]})
            except Exception as error:
                logger.log(level, "Client disconnected during send: %s", type(error).__name__)
                return
        logger.log(level, "Client disconnected (code=%s)", message.get("code"))

    return application


def main() -> None:
    """Serve until the parent process ends."""
    import uvicorn

    parser = argparse.ArgumentParser()
    parser.add_argument("--logger", choices=LOGGERS, required=True)
    parser.add_argument("--level", choices=("INFO", "WARNING", "ERROR"), required=True)
    options = parser.parse_args()

    def outlived() -> None:
        sys.stdin.read()
        os._exit(0)

    threading.Thread(target=outlived, daemon=True).start()
    LOGGERS[options.logger]()
    listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
    config = uvicorn.Config(echo(getattr(logging, options.level)), log_config=None, access_log=False)
    print(listening.getsockname()[1], flush=True)
    asyncio.run(uvicorn.Server(config).serve(sockets=[listening]))


if __name__ == "__main__":
    main()
