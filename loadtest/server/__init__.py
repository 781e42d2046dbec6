"""The reference server: what a sound WebSocket backend does and, on demand, one thing that it must not.

It is the default target of a load test, the thing each check is tried against, and a model of the
application that this tool was made for, before and after its hotfix. Loopback only.

    settings    every option, checked
    faults      what goes wrong on purpose
    frames      the words on the wire
    storage     sessions and messages in SQLite
    handling    how disconnects and errors are logged, before and after the hotfix
    connection  one WebSocket; outbox: the way of its replies; emergence, echo: what is spoken
    app         the ASGI application; service: the process around it; process: that as a child
"""
