"""The engine: one event loop in one native thread. It owns the clock, timers and sockets of all sessions.

    engine            runs the loop and takes calls from other threads
    link              carries out the actions of one session
    dropping          a drop in progress
    watch             watches whether the server ends a dropped connection
    login             before each attempt: the token, the dialect's login and endpoint
    timers            the timer queue of all sessions
    monitor           samples the health of the load generator
    scripted_session  one scripted session, to check a dialect
    transcript        the messages of that session and what they mean
    conversation      the result: the transcript and the data for findings, without secrets

Tasks use anyio: groups, cancel scopes, events, sleeping. asyncio is used for what anyio
lacks: the loop's callbacks and timers, transports, protocols and their futures.
"""
