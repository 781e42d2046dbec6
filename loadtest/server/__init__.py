"""The reference server: what a sound WebSocket backend does and, on demand, one thing that it must not.

It is the default target of a load test, the server each check is tried against, and a model of the
application that started this tool, before and after its hotfix. Loopback only.

    server_settings  every option, checked
    faults           what goes wrong on purpose
    json_lines       the messages on the wire
    storage          sessions and messages in SQLite
    backend          what all connections share
    client           one WebSocket
    outbox           the way of its replies
    chat             what is said on it
    handling         how disconnects and errors are logged, before and after the hotfix
    app              the ASGI application
    service          the process around it
    server_process   that process as a child
"""
