"""The engine: one event loop in one native thread, which owns clock, timers and sockets of all sessions.

`engine` runs the loop and is what other threads talk to, `link` performs what one session asks for, and
`timers` wakes both. Sessions decide, the engine carries out.
"""

from loadtest.engine.engine import Engine, EngineSettings

__all__ = ["Engine", "EngineSettings"]
