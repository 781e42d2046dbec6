"""A pytest plugin for coverage runs: `PYTHONPATH=.ci pytest -p native_threads --cov`.

Coverage follows threads that `threading` starts. The engine's thread is native, started by `_thread`, so it
sets the trace function itself. `-p` loads this before anything can import the engine or gevent.
"""

import _thread
import sys
import threading
from collections.abc import Callable
from typing import Any

_start_new_thread = _thread.start_new_thread


def _start_traced(function: Callable[..., object], *arguments: Any) -> int:
    def traced(*args: Any, **kwargs: Any) -> object:
        sys.settrace(threading.gettrace())
        return function(*args, **kwargs)

    return _start_new_thread(traced, *arguments)


_thread.start_new_thread = _start_traced
