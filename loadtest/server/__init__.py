"""The reference server: a correct WebSocket backend that can be made to misbehave on request.

It is the default target of a load test, the server that each check is tested against, and a model of the
application this tool was written for, before and after its hotfix. Loopback only.

    server_settings  every option, checked
    faults           deliberate faults
    json_lines       the messages on the wire
    storage          sessions and messages in SQLite
    backend          state shared by all connections
    client           one WebSocket
    outbox           delivery of its replies
    chat             the conversation on it
    handling         how disconnects and errors are logged, before and after the hotfix
    app              the ASGI application
    service          the process around it
    server_process   runs that process as a child
"""
