"""The WebSocket on a socket, and the ways to break it. Only this package imports websockets and socket.

    target         the server's URL and the TLS settings
    addresses      local addresses to connect from
    opening        DNS, TCP, TLS and the upgrade, phase by phase
    connection     one open WebSocket
    deflate        its messages, where they are compressed
    listener       whom it tells what it receives
    raw_tcp        what lies below it, for drops
    frames         the fast path for whole, unfragmented data frames
    bounded_http   answers over HTTP, bounded in time and size
    http_health    the health endpoint
    metrics_gauge  a gauge of the server, in Prometheus format

One transport serves everything: the websockets library's sans-I/O protocol, driven by our own
asyncio.Protocol. It takes half the CPU of the library's high-level client, and gives the drops access to the
socket and the recorder the time of each phase.
"""
