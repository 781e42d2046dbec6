"""Dialects: the protocols that applications speak over WebSocket.

    base             the base class `Dialect`, and the kinds of incoming messages
    dialect_session  a session as its dialect sees it
    marks            the marked texts of requests
    calls            calls to a user's dialect
    mistakes         mistakes in a user's dialect
    observed         reports of a dialect's calls, for `loadtest dialect check`
    meanings         results of `read` as text, for the same
    dialect_options  attributes that the command line sets
    bundled          dialects for common protocols, imported on first use
    echo             any server that returns what it receives
    emergence        the chat application of the reference server

To add your own, subclass `Dialect` in your locustfile; defining the class registers it by its `name`. `echo`
and `emergence` are registered by importing them here, the bundled dialects by `bundled`.
"""

from loadtest.dialects import echo, emergence

__all__ = ["echo", "emergence"]
