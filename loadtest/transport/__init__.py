"""The WebSocket on a socket, and the ways to break it. Only home of websockets and socket.

One transport for everything: the sans-I/O protocol of the websockets library, driven by an own
asyncio.Protocol. That costs half the CPU of the library's high-level client, and hands the socket to the
drops and each step's time to the recorder.
"""
