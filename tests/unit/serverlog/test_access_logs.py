"""Requests in logs of proxies: a status of 500 and above is an error, also without level and message."""

import json

import pytest

from loadtest.serverlog.log_reader import LogReader
from loadtest.serverlog.records import Level, LogRecord
from loadtest.serverlog.rules import LogClass, load_rules

TABLE = load_rules()
LINES = {
    "haproxy": "Nov 24 14:20:35 lb haproxy[7]: 10.0.0.1:54 [24/Nov/2026:14:20:35.107] fe be/s1 0/-1/2 {} 2 ",
    "haproxy, plain": "10.0.0.1:54321 [24/Nov/2026:14:20:35.107] fe be/<NOSRV> 0/-1/-1/-1/0 {} 217 - -",
    "envoy": '[2026-11-24T14:20:35.107Z] "GET /ws HTTP/1.1" {} UF 0 91 3 - "-" "x" "id" "chat" "10.0.0.7:80"',
    "alb": 'http 2026-11-24T14:20:35.107123Z app/lb/5 10.0.0.1:2817 10.0.0.7:80 0.0 0.1 -1 {} {} 3 366 "GET"',
    "gin": '[GIN] 2026/11/24 - 14:20:35 | {} |    1.234ms |    10.0.0.1 | GET      "/ws"',
}
OBJECTS = {
    "nginx": {"time": "2026-11-24T14:20:35+00:00", "request": "GET /ws HTTP/1.1"},
    "istio": {"start_time": "2026-11-24T14:20:35.107Z", "method": "GET", "path": "/ws"},
    "traefik": {
        "ClientAddr": "10.0.0.1:5",
        "RequestMethod": "GET",
        "RequestPath": "/ws",
        "level": "info",
        "msg": "",
    },
}
FIELDS = {"nginx": "status", "istio": "response_code", "traefik": "DownstreamStatus"}
LEVELS = [(101, Level.INFO), (200, Level.INFO), (404, Level.WARNING), (502, Level.ERROR)]


def read(text: str) -> LogRecord:
    """The one record of a log."""
    reader = LogReader()
    (record,) = reader.feed(f"{text}\n".encode()) + reader.finish()
    assert (reader.counts.broken, reader.counts.stray) == (0, 0)
    return record


@pytest.mark.parametrize(("status", "level"), LEVELS)
@pytest.mark.parametrize("proxy", LINES)
def test_a_line_of_a_proxy_has_the_level_of_its_status(proxy: str, status: int, level: Level) -> None:
    """Text of proxies and frameworks."""
    record = read(LINES[proxy].format(status, status))
    assert record.level == level
    assert record.at_ns is not None or proxy == "gin"
    assert (TABLE.classify(record) is LogClass.REAL_ERROR) == (status == 502)


@pytest.mark.parametrize("written", [int, str])
@pytest.mark.parametrize(("status", "level"), LEVELS)
@pytest.mark.parametrize("proxy", OBJECTS)
def test_an_object_of_a_proxy_has_the_level_of_its_status(
    proxy: str, status: int, level: Level, written: type
) -> None:
    """JSON of proxies; Traefik writes INFO for all of them."""
    record = read(json.dumps({**OBJECTS[proxy], FIELDS[proxy]: written(status)}))
    assert (record.level, record.message[:3]) == (level, "GET")
    assert record.message.endswith(str(status))


def test_an_applications_own_level_is_kept() -> None:
    """A logger that writes a request with a level has chosen it."""
    record = read(
        json.dumps({"level": "info", "msg": "served", "method": "GET", "path": "/x", "status": 500})
    )
    assert (record.level, record.message) == (Level.INFO, "served")


def test_a_status_without_a_request_is_no_level() -> None:
    """A number named status may be anything."""
    record = read(json.dumps({"msg": "device state", "status": 500}))
    assert record.level is None
