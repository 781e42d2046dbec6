"""The engine: one event loop in one native thread, which owns clock, timers and sockets of all sessions.

`engine` runs the loop and is what other threads talk to, `link` performs what one session asks for, `timers`
wakes both, and `health` watches whether all this is still fit to measure. Sessions decide, the engine
carries out.
"""
