"""The server's log on standard error: one handler for the application, uvicorn and all else.

`text` is Python logging's usual line, in local time, `2026-11-24 07:38:34,123 INFO loadtest.server: …`;
`json` is one object a line as Cloud Run reads them (timestamp in UTC, severity, message), tagged with the
session. What a client sent may stand in a message (uvicorn logs paths), so control characters are escaped,
which keeps a record from forging a second one, and messages are cut at a length.
"""

import logging
import sys
from datetime import UTC, datetime

import msgspec

from loadtest.server.settings import LogFormat

_LONGEST_MESSAGE = 2000
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))} | {
    0x2028: "\\u2028",
    0x2029: "\\u2029",
}


def configure_log(log_format: LogFormat) -> None:
    """Send every record from INFO up to standard error, in one format."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter() if log_format == "json" else _TextFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name in ("uvicorn.error", "uvicorn.access", "uvicorn.asgi"):  # uvicorn gave them levels of their own
        logging.getLogger(name).setLevel(logging.NOTSET)


def _printable(message: str) -> str:
    return message.rstrip("\n")[:_LONGEST_MESSAGE].translate(_CONTROL)


class _TextFormatter(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        record.message = _printable(record.message)
        return super().formatMessage(record)


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "severity": record.levelname,
            "logger": record.name,
            "message": _printable(record.getMessage()),
        }
        if (session := getattr(record, "session", None)) is not None:
            line["session"] = session
        if record.exc_info:
            line["stack_trace"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()
