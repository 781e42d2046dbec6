"""The WebSocket on a socket, and the ways to break it. Only home of websockets and socket.

    target       a URL, and how TLS is done with it
    addresses    local addresses to connect from
    opening      names resolved, sockets connected, TLS and the upgrade done, phase by phase
    connection   one open WebSocket
    frames       the fast path for whole, unfragmented data frames
    http_health  the health endpoint

One transport for everything: the sans-I/O protocol of the websockets library, driven by an own
asyncio.Protocol. That costs half the CPU of the library's high-level client, and hands the socket to the
drops and each step's time to the recorder.
"""
