"""The engine: one event loop in one native thread, which owns clock, timers and sockets of all sessions.

    engine   runs the loop; what other threads talk to
    link     carries out what one session asks for
    timers   one timer queue for all sessions
    monitor  whether the load generator is still fit to measure

anyio structures the engine's tasks: groups, cancel scopes, events, sleeping. asyncio is used for what anyio
does not have: the loop with its callbacks and timers, transports, protocols and their futures.
"""
