"""The engine: one event loop in one native thread. It owns the clock, timers and sockets of all sessions.

    engine            runs the loop and takes calls from other threads
    link              carries out the actions of one session
    dropping          a drop in progress
    watch             whether the server ends a dropped connection
    login             what comes before an attempt: token, the dialect's login and endpoint
    timers            one timer queue for all sessions
    monitor           samples the load generator's own health
    scripted_session  one session led by a script, to check a dialect
    transcript        what such a session says and hears, and what that means
    conversation      the result: a transcript and what findings are drawn from, without secrets

anyio structures the engine's tasks: groups, cancel scopes, events, sleeping. asyncio is used for what anyio
lacks: the loop's callbacks and timers, transports, protocols and their futures.
"""
