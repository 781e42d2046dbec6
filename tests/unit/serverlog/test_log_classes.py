"""Classes of records by cause, whatever logger or carrier they came through; no fault as a disconnect."""

import json
from collections.abc import Callable
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from loadtest.serverlog.log_reader import LogReader
from loadtest.serverlog.records import Level, LogRecord, is_error
from loadtest.serverlog.rules import DISCONNECTS, LogClass, load_rules
from tests.support.growth import assert_linear
from tests.support.places import LOG_CLASSES

TABLE = load_rules()


def records_of(text: str) -> list[LogRecord]:
    """The records of a log."""
    reader = LogReader()
    return reader.feed(text.encode()) + reader.finish()


def paragraphs() -> list[str]:
    """The faults, each as it stands in a log. A paragraph goes on after an empty line if its text does."""
    text = (LOG_CLASSES / "faults.txt").read_text(encoding="utf-8")
    blocks = [block for block in text.split("\n\n") if not block.startswith("#")]
    joined: list[str] = []
    for block in blocks:
        if joined and not (block[0].isdigit() or block.startswith(("{", "ERROR", "time="))):
            joined[-1] += f"\n\n{block}"
        else:
            joined.append(block)
    return [block.strip("\n") for block in joined]


@pytest.mark.parametrize("text", paragraphs(), ids=lambda text: text[:60])
def test_a_fault_is_no_disconnect(text: str) -> None:
    """What is lost is the connection to another service, or something else went wrong as a client left."""
    (record,) = records_of(text + "\n")
    assert is_error(record.level)
    assert TABLE.classify(record) is LogClass.REAL_ERROR


def examples() -> list[tuple[LogRecord, LogClass]]:
    """The message and the traceback of each example of the table, and its class."""
    texts = [
        (rule, text)
        for rule in TABLE.rules
        for text in ([rule.example] if isinstance(rule.example, str) else rule.example)
    ]
    return [(records_of(text.strip("\n") + "\n")[0], rule.log_class) for rule, text in texts]


def _plain(record: LogRecord) -> str:
    head = f"2026-11-24 14:20:35,107 - chat - ERROR - {record.message}"
    return f"{head}\n{record.traceback}" if record.traceback else head


def _json(level: str, message: str, exception: str) -> Callable[[LogRecord], str]:
    def write(record: LogRecord) -> str:
        fields = {"timestamp": "2026-11-24T14:20:35.107Z", level: "ERROR", message: record.message}
        return json.dumps(fields | ({exception: record.traceback} if record.traceback else {}))

    return write


LOGGERS: dict[str, Callable[[LogRecord], str]] = {
    "logging": _plain,
    "uvicorn": lambda record: (
        f"ERROR:    {record.message}" + f"\n{record.traceback}" * bool(record.traceback)
    ),
    "python-json-logger": _json("levelname", "message", "exc_info"),
    "structlog": _json("level", "event", "exception"),
    "Cloud Run": _json("severity", "message", "stack_trace"),
    "ecs": _json("log.level", "message", "error.stack_trace"),
}

CARRIERS: dict[str, Callable[[str], str]] = {
    "none": lambda line: line,
    "docker compose": lambda line: f"chat-1  | {line}",
    "kubectl -t": lambda line: f"2026-11-24T14:20:35.107000000Z {line}",
    "cri": lambda line: f"2026-11-24T14:20:35.107000000Z stderr F {line}",
    "heroku": lambda line: f"2026-11-24T14:20:35.107000+00:00 app[web.1]: {line}",
    "docker json-file": lambda line: json.dumps(
        {"log": f"{line}\n", "stream": "stderr", "time": "2026-11-24T14:20:35.107Z"}
    ),
}


@pytest.mark.parametrize(("logger", "carrier"), list(product(LOGGERS, CARRIERS)))
def test_a_class_does_not_depend_on_logger_and_carrier(logger: str, carrier: str) -> None:
    """Each example of the table, written by another logger and wrapped by a carrier, has the same class."""
    wrong = []
    for example, log_class in examples():
        lines = LOGGERS[logger](example).split("\n")
        found = records_of("\n".join(map(CARRIERS[carrier], lines)) + "\n")
        classes = [TABLE.classify(record) for record in found]
        if classes != [log_class]:
            wrong.append((log_class, classes, "\n".join(lines)))
    assert not wrong


TRACE = 'Traceback (most recent call last):\n  File "/app/lib/uvicorn/x.py", line 3, in f\n    call()\n'
LINKS = (
    "\nDuring handling of the above exception, another exception occurred:\n\n",
    "\nThe above exception was the direct cause of the following exception:\n\n",
)
MERE = (
    "starlette.websockets.WebSocketDisconnect: (1001, '')",
    "starlette.websockets.WebSocketDisconnect",
    "uvicorn.protocols.utils.ClientDisconnected",
    "ConnectionResetError: [Errno 104] Connection reset by peer",
    "websockets.exceptions.ConnectionClosedError: no close frame received or sent",
    "aiohttp.client_exceptions.ClientConnectionResetError: Cannot write to closing transport",
    'RuntimeError: Cannot call "send" once a close message has been sent.',
    "tornado.websocket.WebSocketClosedError",
    "anyio.ClosedResourceError",
)
FAULTS = (
    "KeyError: 'thread-17'",
    "sqlalchemy.exc.OperationalError: (psycopg2.OperationalError) server closed the connection unexpectedly",
    "redis.exceptions.ConnectionError: Connection closed by server.",
    "httpx.ReadError",
    "OSError: [Errno 28] No space left on device",
    "chat.errors.ThreadClosed: client disconnected",
    "RuntimeError: dictionary changed size during iteration",
    "AssertionError",
    "MemoryError",
)
MESSAGES = (
    "Exception in ASGI application",
    "connection handler failed",
    "client disconnected",
    "WebSocket closed",
)


def chained(message: str, exceptions: list[str], links: list[str]) -> LogRecord:
    """A record of a chain of exceptions, the first raised first."""
    parts = [TRACE + exception + "\n" for exception in exceptions]
    text = parts[0] + "".join(link + part for link, part in zip(links, parts[1:], strict=False))
    (record,) = records_of(f"ERROR:    {message}\n{text}")
    return record


@given(
    st.sampled_from(MESSAGES),
    st.lists(st.sampled_from(MERE), min_size=1, max_size=3),
    st.lists(st.sampled_from(LINKS), min_size=3, max_size=3),
)
def test_a_chain_of_disconnects_is_one(message: str, exceptions: list[str], links: list[str]) -> None:
    """Whatever raised what as a client left, it is a disconnect."""
    assert TABLE.classify(chained(message, exceptions, links)) in DISCONNECTS


@given(
    st.sampled_from(MESSAGES),
    st.lists(st.sampled_from(MERE), max_size=3),
    st.sampled_from(FAULTS),
    st.integers(0, 3),
    st.lists(st.sampled_from(LINKS), min_size=4, max_size=4),
)
def test_a_fault_anywhere_in_a_chain_stays_one(
    message: str, exceptions: list[str], fault: str, place: int, links: list[str]
) -> None:
    """A fault before, between or after disconnects is a real error, whatever the message says."""
    exceptions = [*exceptions[:place], fault, *exceptions[place:]]
    assert TABLE.classify(chained(message, exceptions, links)) is LogClass.REAL_ERROR


NAMED = [text for text in paragraphs() if "\n" in text and "never retrieved" not in text]
"""Faults whose lines under the head name what was lost."""


@pytest.mark.parametrize("words", ["client disconnected", "WebSocket closed"])
@pytest.mark.parametrize("text", NAMED, ids=lambda text: text[:60])
def test_a_fault_told_as_a_disconnect_is_none(text: str, words: str) -> None:
    """A service's words for its lost connection do not become a client's by standing after such words."""
    (record,) = records_of(text + "\n")
    assert TABLE.classify(replace(record, message=words)) is LogClass.REAL_ERROR


@pytest.mark.parametrize(
    ("head", "repeated", "end"),
    [
        ("2026-11-24T14:20:35.107Z ", "name.", "Error: boom"),
        ("2026-11-24T14:20:35.107Z ", "a", ""),
        ("2026-11-24T14:20:35.107Z ", "a=", ""),
        ("2026-11-24T14:20:35.107Z ", "[a] ", ""),
        ("2026-11-24T14:20:35.107Z ", "a:b:c ", ""),
        ("2026-11-24T14:20:35.107Z ", "1-", ""),
        ("chat-" * 20 + "| ", "a.", ""),
        ("", "chat-", "| a"),
        ("", "[", "ERROR"),
        ("", "a - ", "ERROR x"),
        ("ERROR: ", "websocket client ", "x"),
        ("ERROR: ", "send error (session ", ""),
        ("ERROR: ", "tcp 1:2->", ""),
    ],
)
def test_a_lines_time_is_linear_in_its_length(head: str, repeated: str, end: str) -> None:
    """No line, short or long, is read by a search that backtracks."""

    def read(length: int) -> None:
        for record in records_of(head + repeated * (length // len(repeated)) + end + "\n"):
            TABLE.classify(record)

    assert_linear(read, [32 * 2**power for power in range(9)])


SERVICES = ("redis", "redis.client", "app.kafka", "sqlalchemy.pool", "grpc.channel", "openai")


def _heads_of_services() -> list[tuple[str, LogRecord]]:
    """The words of ambiguous rules, each as the text of another service's client."""
    excused = [
        (rule.source, text)
        for rule in TABLE.rules
        if rule.ambiguous and rule.log_class is not LogClass.REAL_ERROR
        for text in ([rule.example] if isinstance(rule.example, str) else rule.example)
    ]
    return [(source, records_of(text.strip("\n") + "\n")[0]) for source, text in excused]


@pytest.mark.parametrize("service", SERVICES)
def test_the_logger_tells_whose_connection_was_lost(service: str) -> None:
    """Ambiguous words of another service's client are that service's, also if only the logger names it."""
    wrong = [
        (source, record.message)
        for source, record in _heads_of_services()
        if TABLE.classify(replace(record, logger=service, level=Level.ERROR)) is not LogClass.REAL_ERROR
    ]
    assert not wrong


@pytest.mark.parametrize("text", paragraphs(), ids=lambda text: text[:60])
def test_a_fault_does_not_depend_on_where_its_service_stands(text: str) -> None:
    """A service's name before the text, read as the logger, leaves the fault a fault."""
    (record,) = records_of(text + "\n")
    for service in SERVICES:
        assert TABLE.classify(replace(record, logger=service)) is LogClass.REAL_ERROR


@pytest.mark.parametrize(
    "line",
    [
        "ERROR redis.client: [SSL: WRONG_VERSION_NUMBER] wrong version number",
        "ERROR redis: Connection closed",
        "ERROR redis: the server is shutting down",
        "CRITICAL redis: server shutting down",
        "ERROR payments: bad request data: amount is negative",
        "ERROR payments: [SSL: WRONG_VERSION_NUMBER] wrong version number",
        "ERROR payments: the server is shutting down",
        "ERROR billing: Header read timeout",
        "ERROR billing: InvalidContentType",
        "ERROR billing: SSL handshake failure",
        "ERROR billing: SSL_do_handshake() failed",
        "ERROR billing: Invalid HTTP request received from partner",
    ],
)
def test_general_words_excuse_nothing(line: str) -> None:
    """Words that any program may write about another service are no prober's and no shutdown's."""
    (record,) = records_of(f"2026-11-24 14:20:35,107 {line}\n")
    assert TABLE.classify(record) is LogClass.REAL_ERROR


@pytest.mark.parametrize("words", ["sending payload to client", "sending reply to client"])
def test_a_service_is_found_as_a_word(words: str) -> None:
    """`load ` within `payload ` puts no cause elsewhere."""
    (record,) = records_of(f"2026-11-24 14:20:35,107 ERROR ws: error {words}: connection reset by peer\n")
    assert TABLE.classify(record) in DISCONNECTS


@pytest.mark.parametrize(
    "line",
    [
        'warn: Connection id "0HN5" bad request data: "Invalid request line: \'GET\'"',
        "ERROR asyncio: SSL handshake failed: [SSL: WRONG_VERSION_NUMBER] wrong version number",
        "ERROR haproxy: 10.0.0.9:51234 [24/Nov/2026:14:20:35.107] front/1: SSL handshake failure",
        "WARNING hypercorn: tls handshake eof: received corrupt message of type InvalidContentType",
        "ERROR uvicorn.error: Invalid HTTP request received.",
    ],
)
def test_a_writers_own_words_stay_a_probers(line: str) -> None:
    """What servers themselves write of a client that speaks no HTTP or TLS says nothing of the server."""
    (record,) = records_of(f"2026-11-24 14:20:35,107 {line}\n")
    assert TABLE.classify(record) is LogClass.PROBER
