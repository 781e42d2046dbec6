"""The default user of `loadtest duel`: the same as in locustfiles/ws.py, but part of the installed package.

It has a folder of its own because Locust puts the locustfile's folder first in `sys.path` while it loads the
file. Next to modules of this package it could shadow the standard library's, such as `statistics`.
"""

from loadtest.locust_plugin.user import WebSocketUser


class DefaultUser(WebSocketUser):
    """Twenty sessions per user, each sending one message per second and dropped every 20 s on average."""
