"""WebSocket connections and the ways to break them. Only this package imports websockets and socket.

    target         the server's URL and the TLS settings
    addresses      local addresses to connect from
    opening        DNS, TCP, TLS and the upgrade, phase by phase
    connection     one open WebSocket
    deflate        compressed messages
    listener       receives a connection's messages
    raw_tcp        TCP below asyncio, for drops
    frames         the fast path for whole, unfragmented data frames
    bounded_http   HTTP requests with limits of time and size
    http_health    the health endpoint
    metrics_gauge  a gauge of the server, in Prometheus format

There is one transport: the websockets library's sans-I/O protocol, driven by an asyncio.Protocol of this
package. It takes half the CPU of the library's high-level client, gives drops access to the socket, and times
each phase.
"""
