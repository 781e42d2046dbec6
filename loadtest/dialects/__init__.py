"""Dialects: what applications speak over WebSocket.

A dialect is one class: `Dialect` in `base` says what it must answer, `echo` and `emergence` are the two
that come with the package, and a user's own is a subclass in their locustfile, known by its `name` as soon
as it is defined. Dialects are pure and keep no state: one instance serves all sessions.
"""
