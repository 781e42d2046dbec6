"""Hold WebSocket sessions against a server, drop them, and see whether they come back as they were.

    locust -f locustfiles/ws.py --host wss://staging.example.org

Without --host it tests the reference server that comes with the package. Settings are the --ws-… options
(`loadtest options` shows them) or attributes of the class.
"""

from loadtest import WebSocketUser


class ChatUser(WebSocketUser):
    """Twenty sessions of the chat application, a message a second each, dropped every 20 s on average."""
