"""Turns a script's call without `await` into an error. Such a call sends nothing, and Python only warns.

Python reports a coroutine that was never awaited as a RuntimeWarning, in the same thread and usually on the
line of the call. The warning is intercepted, whatever the warning filters are, and passed to the loop's
engine.
"""

import asyncio
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from loadtest.errors import ScriptMistake
from loadtest.session.script import Script

_FORGOTTEN = re.compile(r"coroutine 'ScriptSession\.(\w+)' was never awaited")

_engines: dict[asyncio.AbstractEventLoop, tuple[Script, Callable[[Exception], None]]] = {}
"""By their loops, what each runs and what to call with a mistake of it."""

_shown: Callable[..., Any] = warnings.showwarning


def _show(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    found = _FORGOTTEN.match(str(message))
    engine = _engines.get(asyncio.get_running_loop()) if found and _is_looping() else None
    if found is None or engine is None:
        _shown(message, category, filename, lineno, file, line)
        return
    script, failed = engine
    where = f"{filename.rpartition('/')[2]} line {lineno}"
    call = found[1]
    failed(ScriptMistake(script.tasks.name, f"calls session.{call}() without await", where))


def _is_looping() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


@contextmanager
def noticed(script: Script | None, failed: Callable[[Exception], None]) -> Iterator[None]:
    """Call `failed` with the mistake when a script on the running loop forgets an `await`."""
    global _shown
    if script is None:
        yield
        return
    loop = asyncio.get_running_loop()
    _engines[loop] = (script, failed)
    warnings.filterwarnings("always", _FORGOTTEN.pattern, RuntimeWarning)
    if warnings.showwarning is not _show:
        _shown, warnings.showwarning = warnings.showwarning, _show
    try:
        yield
    finally:
        del _engines[loop]
