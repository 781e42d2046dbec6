"""Levels that a logger writes as numbers: each has its own scale, recognised by the record's fields."""

from bisect import bisect_right
from collections.abc import Mapping
from typing import Any

from loadtest.serverlog.records import Level

Object = Mapping[str, Any]

_STEPS = (Level.DEBUG, Level.INFO, Level.WARNING, Level.ERROR, Level.CRITICAL)
_SCALES: dict[str, tuple[tuple[int, ...], tuple[Level, ...]]] = {
    # at which numbers each level of _STEPS begins
    "python": ((0, 20, 30, 40, 50), _STEPS),
    "pino": ((0, 30, 40, 50, 60), _STEPS),
    "opentelemetry": ((0, 9, 13, 17, 21), _STEPS),
    "google": ((0, 200, 400, 500, 600), _STEPS),
    "monolog": ((0, 200, 300, 400, 500), _STEPS),
    "log4j": ((0, 20_000, 30_000, 40_000, 50_000), _STEPS),
    "syslog": ((0, 3, 4, 5, 7), (Level.CRITICAL, Level.ERROR, Level.WARNING, Level.INFO, Level.DEBUG)),
    "dotnet": ((0, 2, 3, 4, 5), _STEPS),
    "insights": ((0, 1, 2, 3, 4), _STEPS),
    "log15": ((0, 1, 2, 3, 4), (Level.CRITICAL, Level.ERROR, Level.WARNING, Level.INFO, Level.DEBUG)),
}


def level_of_number(value: float, name: str, data: Object) -> Level | None:
    """Return the level that a number in a field of an object means; None if nothing tells."""
    if not 0 <= value <= 60_000 or name in ("status", "at"):
        return None
    scale = _scale(value, name, data)
    if scale is None:
        return None
    begins, levels = _SCALES[scale]
    return levels[bisect_right(begins, value) - 1]


def _scale(value: float, name: str, data: Object) -> str | None:
    """Return the scale of a level that is a number, by its name and what else the logger writes.

    None if nothing tells it: of 0 to 9, each logger means something else.
    """
    if ("everity" in name and "umber" in name) or name == "severity_number":
        return "opentelemetry"
    if name == "lvl":
        return "log15"
    if name == "severityLevel" and value <= 4:
        return "insights"
    if name in ("LogLevel", "logLevel") and value <= 6:
        return "dotnet"
    if value > 1_000:
        return "log4j"
    if value > 60:
        return "google" if name == "severity" else "monolog"
    if value < 10:
        syslog = name not in ("level", "log_level", "loglevel", "levelno") or "short_message" in data
        return "syslog" if syslog and value <= 7 else None
    return "pino" if name == "level" and (value == 60 or _is_pino(data)) else "python"


def _is_pino(data: Object) -> bool:
    """Whether an object is of pino or bunyan, whose levels are ten more than Python's.

    They write `msg`, and process and host, or none of both if so configured.
    """
    if "msg" not in data or not _OF_PYTHON.isdisjoint(data):
        return False
    hosted = ("pid" in data) + ("hostname" in data)
    if hosted == 2 or "v" in data or isinstance(data.get("time"), int):
        return True
    return not hosted and "name" not in data


_OF_PYTHON = frozenset({"levelname", "levelno", "logger", "lineno", "funcName"})
