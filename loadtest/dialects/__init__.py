"""Dialects: what applications speak over WebSocket.

    base       what a dialect must answer: `Dialect`, and what a message can mean
    echo       any server that returns what it gets
    emergence  the chat application of the reference server

A dialect of your own is a subclass in your locustfile, known by its `name` as soon as it is defined. Those
that come with the package are known once they are imported, which is done here.
"""

from loadtest.dialects import echo, emergence

__all__ = ["echo", "emergence"]
