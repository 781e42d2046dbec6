"""Log records, tracebacks and collected exceptions hold no secret, at any log level."""

import io
import json
import logging
import sys
from types import SimpleNamespace
from typing import Any

import gevent
import pytest

from loadtest.locust_plugin.scrubbed_output import keep_out_of_output, scrubbed
from loadtest.scrubber import MAX_READ, Secrets

TOKEN = "t0ken/with+slash"


def _secrets() -> Secrets:
    return Secrets([TOKEN])


@pytest.fixture(autouse=True)
def runner(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Output is scrubbed, set up twice; afterwards the process is as before. Returns a runner."""
    monkeypatch.setattr(logging.Handler, "format", logging.Handler.format)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(gevent.get_hub(), "exception_stream", None)
    kept: list[tuple[str, ...]] = []
    runner = SimpleNamespace(log_exception=lambda *given: kept.append(given), kept=kept)
    for _ in range(2):
        keep_out_of_output(_secrets, runner)
    return runner


class Json(logging.Formatter):
    """Escapes, as formatters for log collectors do."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a line of JSON."""
        return json.dumps({"name": record.name, "message": record.getMessage()})


def _formatted(
    name: str,
    message: str,
    *arguments: object,
    error: BaseException | None = None,
    formatter: logging.Formatter | None = None,
) -> str:
    trace = None if error is None else (type(error), error, error.__traceback__)
    record = logging.LogRecord(name, logging.DEBUG, "x.py", 1, message, arguments, trace)
    handler = logging.Handler()
    handler.setFormatter(formatter or logging.Formatter("%(name)s: %(message)s"))
    return handler.format(record)


def test_no_line_of_a_record_is_a_command_to_a_ci_job() -> None:
    """A message that begins a line, and a traceback, whose exception may quote the server."""
    plain = logging.Formatter("%(message)s")
    assert _formatted("x", "::error::%s", "##[error]y", formatter=plain) == r"\x3a:error::\x23#[error]y"
    shown = _formatted("x", "failed", error=ValueError("it said\n::add-mask::a"), formatter=plain)
    assert shown.endswith("\n\\x3a:add-mask::a")


def test_a_record_is_formatted_as_before_without_secrets() -> None:
    """In its arguments, in any spelling, and in a traceback."""
    assert _formatted("asyncio", "sent %s", "t0ken%2fwith%2bslash") == "asyncio: sent ***"
    try:
        raise ValueError(f"bad {TOKEN}")
    except ValueError as error:
        shown = _formatted("locust", "failed", error=error)
    assert "ValueError: bad ***" in shown
    assert TOKEN not in shown


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ('> TEXT \'{"token": "t0ke...lash"}\' [312 bytes]', "> TEXT [312 bytes]"),
        ("< BINARY 01 02 ... 03 [9 bytes, continued]", "< BINARY [9 bytes, continued]"),
        ("< CLOSE 4401 (bad token t0ken/wi...) [40 bytes]", "< CLOSE 4401 [40 bytes]"),
        ("> PING 74 30 6b 65 [binary, 4 bytes]", "> PING [binary, 4 bytes]"),
        ("< Set-Cookie: sid=unknown-to-us", "< Set-Cookie: ***"),
        ("> Authorization: Basic dTpw", "> Authorization: ***"),
        ("> X-Api-Key: unknown", "> X-Api-Key: ***"),
        ("> Sec-WebSocket-Protocol: jwt, unknown", "> Sec-WebSocket-Protocol: ***"),
        ("> Host: example.org", "> Host: example.org"),
        ("> GET /ws?key=unknown123 HTTP/1.1", "> GET /ws?[secret removed] HTTP/1.1"),
        ("= connection is OPEN", "= connection is OPEN"),
    ],
)
def test_frames_and_headers_of_the_library_lose_their_data(message: str, shown: str) -> None:
    """It cuts frames in their middle, where half a secret is not recognised."""
    assert _formatted("websockets.client", "%s", message) == f"websockets.client: {shown}"
    assert json.loads(_formatted("websockets.client", "%s", message, formatter=Json()))["message"] == shown


def test_what_is_too_long_is_cut() -> None:
    """A frame of megabytes in a log must not hold up the run; a secret at the cut leaves no beginning."""
    shown = scrubbed("x" * (MAX_READ - 9) + TOKEN * 1000, _secrets)
    assert len(shown) < MAX_READ + 100
    assert "truncated" in shown
    assert TOKEN[:4] not in shown


def test_every_handler_is_scrubbed() -> None:
    """Also one that a locustfile adds, or gives another format, later; once each."""
    logger = logging.Logger("a.test.of.scrubbing")
    handler = logging.StreamHandler(written := io.StringIO())
    logger.addHandler(handler)
    logger.warning("it is %s", TOKEN)
    handler.setFormatter(Json())
    logger.warning("it is %s", TOKEN)
    assert written.getvalue() == 'it is ***\n{"name": "a.test.of.scrubbing", "message": "it is ***"}\n'


def test_what_was_raised_is_scrubbed(runner: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """What users' tasks raised, which Locust shows; what nobody caught."""
    runner.log_exception("local", f"bad {TOKEN}", f"line with {TOKEN}")
    assert runner.kept == [("local", "bad ***", "line with ***")]
    sys.excepthook(ValueError, ValueError(f"bad {TOKEN}"), None)
    assert capsys.readouterr().err == "ValueError: bad ***\n"
