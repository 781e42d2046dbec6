"""Detects functions of a dialect that block Locust's thread: they wait in C code, or compute without a pause.

It measures a greenlet's time between switches with greenlet's trace function, which is set only while such
functions run.
"""

import time
from collections.abc import Callable
from typing import Any

import gevent
import greenlet

HELD_S = 0.05
"""Blocking time that counts: longer than a greenlet runs for a TLS handshake or a large answer."""

MOST_S = 1.0
"""Sum of such times of one function that is reported. A busy machine, a first import or one slow answer does
not reach it. After 3 s in a row a master misses its worker's heartbeats."""


class HeldThread:
    """Watches greenlets. Use it in gevent's thread.

    Args:
        held: called once with a function's name and the seconds, when it has blocked the thread for too long.
            It is called between greenlets, so it must not switch.
    """

    def __init__(self, held: Callable[[str, float], None]) -> None:
        self._held = held
        self._names: dict[object, str] = {}  # by greenlet
        self._held_s: dict[str, float] = {}  # by name
        self._since_s = 0.0
        self._previous: Any = None  # another's trace function

    def watch(self, watched: "gevent.Greenlet[..., None]", name: str) -> None:
        """Watch a greenlet until it ends."""
        if not self._names:
            self._since_s = time.monotonic()
            self._previous = greenlet.settrace(self._trace)
        self._names[watched] = name
        watched.rawlink(self._forget)

    def _forget(self, watched: object) -> None:
        del self._names[watched]
        if not self._names:
            greenlet.settrace(self._previous)

    def _trace(self, event: str, switch: Any) -> None:
        now_s = time.monotonic()
        name, took_s = self._names.get(switch[0]), now_s - self._since_s
        self._since_s = now_s
        if name is not None and took_s > HELD_S:
            self._add(name, took_s)
        if self._previous is not None:
            self._previous(event, switch)

    def _add(self, name: str, took_s: float) -> None:
        before_s = self._held_s.get(name, 0.0)
        self._held_s[name] = before_s + took_s
        if before_s <= MOST_S < before_s + took_s:
            self._held(name, before_s + took_s)
