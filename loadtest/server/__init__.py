"""The reference server: a correct WebSocket backend that can be made to misbehave on request.

It is the default target of a load test, the server that each check is tested against, and a model of the
application this tool was written for, before and after its hotfix. Loopback only.

    server_settings  every option, checked
    faults           deliberate faults
    alterations      how faults change texts and histories
    json_lines       the messages on the wire
    tokens           login tokens
    storage          sessions and messages in SQLite
    backend          state shared by all connections
    client           one WebSocket
    outbox           delivery of its replies
    chat             the conversation on it
    handling         how disconnects and errors are logged, before and after the hotfix
    wire             faults of the transport below a WebSocket
    implementations  uvicorn's WebSocket implementations, adapted for `wire`
    app              the ASGI application
    service          the process around it
    server_process   runs that process as a child
"""
