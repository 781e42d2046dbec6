"""The default user of `loadtest duel`: that of locustfiles/ws.py, wherever the package is installed.

It is alone in its folder because Locust puts a locustfile's folder in front of all others while it reads the
file: beside modules of this package it would hide the standard library's `statistics`.
"""

from loadtest.locust_plugin.user import WebSocketUser


class DefaultUser(WebSocketUser):
    """Twenty sessions, a message a second each, dropped every 20 s on average."""
