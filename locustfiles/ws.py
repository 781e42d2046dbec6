"""Holds WebSocket sessions against a server, drops them, and checks that they reconnect and resume.

    locust -f locustfiles/ws.py --host wss://staging.example.org

Without --host it tests the reference server that comes with the package. Set options with --ws-… (see
`loadtest options`) or as attributes of the class.
"""

from loadtest import WebSocketUser


class ChatUser(WebSocketUser):
    """Twenty chat sessions, each with one message per second and a drop every 20 s on average."""
