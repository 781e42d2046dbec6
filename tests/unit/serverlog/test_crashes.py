"""Crashes that a runtime prints under a record that is no error, by many loggers and carriers."""

import json
from itertools import product

import pytest

from loadtest.serverlog.log_reader import LogReader
from loadtest.serverlog.records import Level, LogRecord
from loadtest.serverlog.rules import LogClass, load_rules

TABLE = load_rules()
PYTHON = [
    "Traceback (most recent call last):",
    '  File "/app/ws.py", line 31, in handler',
    "KeyError: 'thread'",
]
CRASHES = {
    "Python": PYTHON,
    "Python's threads": ["Exception in thread Thread-1 (run):", *PYTHON],
    "Python's faulthandler": [
        "Fatal Python error: Segmentation fault",
        "",
        "Current thread 0x7f (most recent call first):",
    ],
    "Java's thread": [
        'Exception in thread "http-8080-exec-1" java.lang.NullPointerException: x',
        "\tat a.B.c(B.java:1)",
    ],
    "Java": ["java.lang.NullPointerException: x", "\tat a.B.c(B.java:1)"],
    "Java's memory": ["java.lang.OutOfMemoryError: Java heap space", "\tat a.B.c(B.java:1)"],
    "JVM": [
        "#",
        "# A fatal error has been detected by the Java Runtime Environment:",
        "#",
        "#  SIGSEGV (0xb)",
    ],
    ".NET": [
        "Unhandled exception. System.NullReferenceException: no",
        "   at Chat.Send(String m) in /src/Hub.cs:line 31",
    ],
    "Rust": [
        "thread 'tokio-runtime-worker' panicked at src/ws.rs:31:5:",
        "called `Option::unwrap()` on a `None` value",
    ],
    "Rust before 1.73": [
        "thread 'main' panicked at 'called `Option::unwrap()` on a `None` value', src/ws.rs:31:5"
    ],
    "Go": [
        "fatal error: concurrent map writes",
        "",
        "goroutine 12 [running]:",
        "main.handle(0xc0)",
        "\t/app/main.go:31 +0x1d",
    ],
    "Ruby": [
        "/app/chat.rb:31:in `receive': undefined method `id' for nil (NoMethodError)",
        "\tfrom /app/chat.rb:12:in `x'",
    ],
    "PHP": [
        "PHP Fatal error:  Uncaught RuntimeException: boom in /app/Chat.php:31",
        "Stack trace:",
        "#0 {main}",
    ],
    "Node": ["TypeError: Cannot read properties of undefined", "    at onMessage (/app/server.js:31:20)"],
    "Node's promise": [
        "(node:7) UnhandledPromiseRejectionWarning: TypeError: x",
        "    at onMessage (/app/server.js:31:20)",
    ],
    "Node's rejection": [
        "[UnhandledPromiseRejection: This error originated either by throwing inside of an async function]"
    ],
    "Node's console": [
        "Error handling message: TypeError: x is undefined",
        "    at onMessage (/app/server.js:31:20)",
    ],
    "a shell": ["Segmentation fault (core dumped)"],
    "Erlang": ["=ERROR REPORT==== 24-Nov-2026::14:20:40.107123 ===", "** Generic server chat terminating"],
}
GONE = [
    "Traceback (most recent call last):",
    '  File "/app/ws.py", line 3, in f',
    "ConnectionResetError: [Errno 104] Connection reset by peer",
]
HEADS = {
    "uvicorn": "INFO:     {}",
    "logging": "2026-11-24 14:20:35,107 - chat - INFO - {}",
    "debug": "2026-11-24 14:20:35,107 DEBUG chat {}",
    "logback": "14:20:35.107 [exec-1] INFO  c.e.Chat - {}",
    "JSON": '{{"level":"info","time":"2026-11-24T14:20:35.107Z","msg":"{}"}}',
}
CARRIERS = {
    "none": "{}",
    "docker compose": "chat-1  | {}",
    "kubectl -t": "2026-11-24T14:20:35.{:09d}Z {}",
    "cri": "2026-11-24T14:20:35.{:09d}Z stderr F {}",
}


def read(lines: list[str]) -> list[LogRecord]:
    """The records of a log of these lines."""
    reader = LogReader()
    return reader.feed("".join(f"{line}\n" for line in lines).encode()) + reader.finish()


def wrapped(lines: list[str], carrier: str) -> list[str]:
    """The lines, each behind a carrier's prefix; its stamps grow by a millisecond."""
    form = CARRIERS[carrier]
    return [
        form.format(*((n * 1_000_000, line) if "09d" in form else (line,))) for n, line in enumerate(lines)
    ]


@pytest.mark.parametrize("crash", CRASHES)
@pytest.mark.parametrize(("head", "carrier"), list(product(HEADS, CARRIERS)))
def test_a_crash_under_a_record_at_info_is_an_error(crash: str, head: str, carrier: str) -> None:
    """Each crash is one real error, and each record before and after it stays what it is."""
    said = HEADS[head].format("client disconnected (code=1001)")
    found = read(wrapped([said, *CRASHES[crash], said] * 2, carrier))
    errors = [record for record in found if record.level is not None and record.level >= Level.ERROR]
    assert [TABLE.classify(record) for record in errors] == [LogClass.REAL_ERROR] * 2
    others = [record for record in found if record not in errors]
    assert [TABLE.classify(record) for record in others] == [LogClass.GRACEFUL] * 4
    assert all(record.level in (Level.INFO, Level.DEBUG) for record in others)


@pytest.mark.parametrize("newest_first", [False, True])
def test_a_crash_in_cloud_logging_is_an_error(newest_first: bool) -> None:
    """Cloud Logging stores each line as an entry; `gcloud logging read` prints the newest first."""
    lines = ["INFO:     connection closed", "INFO:     connection closed", *PYTHON] * 3
    entries = [
        {"textPayload": line, "timestamp": f"2026-11-24T14:20:{number:02d}.107Z", "severity": "DEFAULT"}
        for number, line in enumerate(lines)
    ]
    found = read([json.dumps(entries[::-1] if newest_first else entries)])
    assert sorted(str(record.level) for record in found) == ["20"] * 6 + ["40"] * 3
    assert {record.exception for record in found if record.level == Level.ERROR} == {"KeyError: 'thread'"}


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("head", [head for head in HEADS if head != "JSON"])
def test_what_is_logged_at_info_on_purpose_stays_so(head: str, carrier: str) -> None:
    """`logger.info("client disconnected", exc_info=True)` is one record at INFO, a client's leaving."""
    said = [HEADS[head].format(text) for text in ("client disconnected (code=1006)", "handler ended")]
    found = read(wrapped([said[0], *GONE, said[1], *GONE], carrier))
    assert [record.level for record in found] == [Level.DEBUG if head == "debug" else Level.INFO] * 2
    assert [TABLE.classify(record) for record in found] == [LogClass.ABRUPT, LogClass.OTHER]
    assert all(record.exception.startswith("ConnectionResetError") for record in found)


def test_a_lost_connection_to_a_database_is_no_clients_leaving() -> None:
    """The same exception, printed from a library that speaks to another service, is an error."""
    frame = '  File "/app/lib/asyncpg/connection.py", line 3, in f'
    found = read(["INFO:     handler ended", GONE[0], frame, GONE[2]])
    assert [(record.level, TABLE.classify(record)) for record in found] == [
        (Level.INFO, LogClass.OTHER),
        (Level.ERROR, LogClass.REAL_ERROR),
    ]


def test_an_exception_logged_as_a_warning_stays_one() -> None:
    """From WARNING upwards a traceback is the record's own."""
    (record,) = read(["WARNING:  retrying", *PYTHON])
    assert (record.level, record.exception) == (Level.WARNING, "KeyError: 'thread'")


def test_a_go_crash_without_any_head_is_one_record() -> None:
    """A log with no level at all still shows the crash, and what follows are records."""
    found = read(["client connected", *CRASHES["Go"], "Segmentation fault"])
    assert [record.level for record in found] == [None, Level.ERROR]
    assert found[1].message == "fatal error: concurrent map writes"


def test_lines_before_the_first_head_keep_a_crash() -> None:
    """A banner is forgotten, a crash in it is not."""
    found = read(["Starting chat", "Segmentation fault (core dumped)", "INFO:     started"])
    assert [record.level for record in found] == [Level.ERROR, Level.INFO]
