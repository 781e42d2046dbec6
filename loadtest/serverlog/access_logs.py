"""Requests in the objects of access logs: nginx, Envoy, Istio, Traefik, load balancers, Cloud Run.

They have no level and mostly no message. A request's level follows from its status, as in Cloud Logging.
"""

from collections.abc import Mapping
from typing import Any

from loadtest.serverlog.records import Level

Object = Mapping[str, Any]

_STATUS = ("DownstreamStatus", "response_code", "elb_status_code", "status_code", "status")
_METHOD = ("request_method", "RequestMethod", "method", "requestMethod")
_TARGET = ("request_uri", "RequestPath", "path", "uri", "requestUrl")


def request_text(data: Object) -> str:
    """Return the method, URL and status of the request in an object; empty if it has none."""
    request = data.get("httpRequest")
    if isinstance(request, dict):
        return " ".join(_word(request.get(key)) for key in ("requestMethod", "requestUrl", "status")).strip()
    status = _status(data)
    if status is None:
        return ""
    line = _word(data.get("request")) or f"{_first(data, _METHOD)} {_first(data, _TARGET)}"
    return f"{line.strip()} {status}"


def request_level(data: Object, level: Level | None) -> Level | None:
    """Return the level of an object that may be a request; Traefik writes all of them at INFO."""
    if level is not None and "DownstreamStatus" not in data:
        return level
    status = _status(data)
    return level if status is None else level_of_status(status)


def level_of_status(status: int) -> Level:
    """Return the level of a request with an HTTP status."""
    if status >= 500:
        return Level.ERROR
    return Level.WARNING if status >= 400 else Level.INFO


def _status(data: Object) -> int | None:
    """Return the HTTP status in an object; None if it is not a request."""
    if "request" not in data and not any(name in data for name in _METHOD):
        return None
    text = _first(data, _STATUS)
    return int(text) if len(text) == 3 and text.isascii() and text.isdigit() and text[0] in "12345" else None


def _first(data: Object, names: tuple[str, ...]) -> str:
    return next((word for name in names if (word := _word(data.get(name)))), "")


def _word(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return ""
    return f"{value:.0f}" if isinstance(value, float) else str(value)[:2_000]
