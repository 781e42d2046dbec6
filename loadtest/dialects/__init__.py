"""Dialects: what applications speak over WebSocket.

    base             the base class `Dialect`, and the kinds of incoming messages
    dialect_session  what a dialect knows of a session
    marks            the marked texts of requests
    calls            calls of a user's dialect
    mistakes         mistakes in a user's dialect
    observed         reports of a dialect's calls, to check it
    meanings         what a dialect has read, in words
    dialect_options  attributes that the command line sets
    bundled          protocols that many speak, loaded when they are named
    echo             any server that returns what it receives
    emergence        the chat application of the reference server

To add your own, subclass `Dialect` in your locustfile; defining the class registers it by its `name`. Two
built-in dialects are registered by importing them here, the bundled ones by `bundled`.
"""

from loadtest.dialects import echo, emergence

__all__ = ["echo", "emergence"]
