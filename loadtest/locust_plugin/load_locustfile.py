"""Loads a locustfile for a command that needs its WebSocketUser."""

import traceback
from pathlib import Path

from locust.util.load_locustfile import load_locustfile

from loadtest.errors import UsageError
from loadtest.locust_plugin.user import WebSocketUser


def user_class(locustfile: Path, name: str | None = None) -> type[WebSocketUser]:
    """Return the WebSocketUser class of a locustfile.

    Args:
        locustfile: the file.
        name: name of the class; None for the only one.

    Raises:
        UsageError: the file cannot be loaded, has no such class, or has several and no name is given.
    """
    try:
        classes, *_ = load_locustfile(str(locustfile))
    except (Exception, SystemExit) as error:  # a user's file may raise anything
        problem = f"{type(error).__name__}: {error}{_where(error, locustfile)}"
        raise UsageError(f"{locustfile} cannot be loaded: {problem}") from error
    found = {kind.__name__: kind for kind in classes.values() if issubclass(kind, WebSocketUser)}
    names = ", ".join(sorted(found))
    if not found:
        problem = "must define a subclass of loadtest.WebSocketUser (found none)"
        raise UsageError(f"{locustfile} {problem}")
    if name is None and len(found) > 1:
        raise UsageError(f"{locustfile} must have exactly one WebSocketUser (found {len(found)}: {names})")
    if name is not None and name not in found:
        raise UsageError(f"{locustfile} has no WebSocketUser {name!r} (found {names})")
    return next(iter(found.values())) if name is None else found[name]


def _where(error: BaseException, locustfile: Path) -> str:
    """Return the file's last line that was executed; empty for a SyntaxError, whose text has the line."""
    if isinstance(error, SyntaxError):
        return ""
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(locustfile)
    ]
    return f" (line {frames[-1].lineno})" if frames else ""
