"""What a target is called."""

import pytest

from loadtest.transport.target import Target, Tls


@pytest.mark.parametrize(
    ("host", "websocket", "http"),
    [
        ("ws://chat.example.org", "ws://chat.example.org:80", "http://chat.example.org:80"),
        ("wss://chat.example.org", "wss://chat.example.org:443", "https://chat.example.org:443"),
        ("https://[::1]:8443/chat", "wss://[::1]:8443", "https://[::1]:8443"),
    ],
)
def test_a_target_has_a_url_for_each_protocol(host: str, websocket: str, http: str) -> None:
    """Dialects that log in over HTTP need the same server that the sessions connect to."""
    target = Target.parse(host, Tls())
    assert (str(target), target.http_url) == (websocket, http)
