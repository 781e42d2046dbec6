"""Keeps the run's secrets out of this process's output: logs, uncaught exceptions, Locust's own tables.

Log records are scrubbed with their tracebacks when they are formatted, in every handler: the terminal, a log
file, the web page's log tab, and what a worker sends to its master. So `--loglevel DEBUG` stays usable. The
websockets library logs frames with their middle cut out, where half a secret cannot be recognised. So only
the kind and size of a frame are kept, and only the name of a header that may be a credential.
"""

import copy
import logging
import re
import sys
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final

import gevent

from loadtest.scrubber import Secrets, beginning, without_secrets
from loadtest.text import HIDDEN, without_commands, without_likely_secrets

_LEFT_OUT = " [truncated]"

_LIBRARY = "websockets"
_FRAME = re.compile(r"([<>] (?:TEXT|BINARY|CONT|PING|PONG|CLOSE(?: \d+)?)\b).*?(\[[^\[\]]*\])?\Z", re.DOTALL)
_HEADER = re.compile(r"([<>] [\w-]*(?:auth|cookie|token|secret|key|protocol|session|jwt)[\w-]*: ).*", re.I)

AllSecrets = Callable[[], Secrets]
"""Returns the currently known texts that must not be shown."""


def scrubbed(text: str, secrets: AllSecrets) -> str:
    """Return a text, shortened if it is too long, without secrets and without commands to a CI job."""
    begun = beginning(text)
    return without_commands(without_secrets(begun, secrets())) + ("" if begun == text else _LEFT_OUT)


_FORMAT: Final = logging.Handler.format
"""The original method, so that a record is scrubbed once, however often this is set up."""


def _scrub_records(secrets: AllSecrets) -> None:
    """Scrub formatted records in all handlers, including those that a locustfile adds later."""

    def format_scrubbed(handler: logging.Handler, record: logging.LogRecord) -> str:
        return scrubbed(_FORMAT(handler, _without_data(record)), secrets)

    logging.Handler.format = format_scrubbed  # type: ignore[assignment,method-assign]  # there is no other hook


def _without_data(record: logging.LogRecord) -> logging.LogRecord:
    """Return a record; if it is from the websockets library, without the data of frames and headers.

    It is changed before it is formatted, because a formatter may escape text, for example for JSON.
    """
    if record.name.partition(".")[0] != _LIBRARY:
        return record
    reduced = copy.copy(record)
    reduced.msg, reduced.args = _message_without_data(record.getMessage()), None
    return reduced


def _message_without_data(message: str) -> str:
    if found := _FRAME.match(message):
        return f"{found[1]} {found[2] or ''}".rstrip()
    if found := _HEADER.match(message):
        return f"{found[1]}{HIDDEN}"
    return without_likely_secrets(message)


class _ScrubbedErrors:
    """Standard error for gevent's output about uncaught exceptions, scrubbed."""

    def __init__(self, secrets: AllSecrets) -> None:
        self._secrets = secrets

    def write(self, text: str) -> int:
        return sys.stderr.write(scrubbed(text, self._secrets))

    def flush(self) -> None:
        sys.stderr.flush()


def keep_out_of_output(secrets: AllSecrets, runner: Any) -> None:
    """Keep secrets out of this process's logs and tracebacks, and out of the exceptions that Locust collects.

    Args:
        secrets: the texts that must not be shown.
        runner: Locust's runner.
    """
    _scrub_records(secrets)
    hub: Any = gevent.get_hub()
    hub.exception_stream = _ScrubbedErrors(secrets)

    def uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        sys.stderr.write(scrubbed("".join(traceback.format_exception(kind, error, trace)), secrets))

    sys.excepthook = uncaught
    _keep_out_of_exceptions(secrets, runner)


def _keep_out_of_exceptions(secrets: AllSecrets, runner: Any) -> None:
    """Scrub the exceptions of users' tasks, which the web page and Locust's report show."""
    collect = runner.log_exception

    def log_exception(node_id: str, msg: str, formatted_tb: str) -> None:
        collect(node_id, scrubbed(str(msg), secrets), scrubbed(str(formatted_tb), secrets))

    runner.log_exception = log_exception
