"""What a target is called."""

import pytest

from loadtest.errors import InvalidSetting
from loadtest.transport.target import Target, Tls, path_in


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


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("ws://h", None),
        ("ws://h:1/", None),
        ("ws://h:1/v2/chat", "/v2/chat"),
        ("wss://h/v2/chat/?room=1&x=", "/v2/chat/?room=1&x="),
        ("ws://h?room=1", "/?room=1"),
        ("ws://h/{session_id}?thread={thread_id}", "/{session_id}?thread={thread_id}"),
    ],
)
def test_a_url_may_hold_the_endpoints_path(url: str, path: str | None) -> None:
    """With its query, as typed; a single slash is what a URL without a path has."""
    Target.parse(url, Tls())
    assert path_in(url) == path


@pytest.mark.parametrize("url", ["ws://127.0.0.1:1\n7", "ws://local\thost:80", "ws://localhost:80\r\n"])
def test_a_url_with_control_characters_is_refused(url: str) -> None:
    """The standard library drops them, and the run would load another port."""
    with pytest.raises(InvalidSetting, match=r"--host must not contain a"):
        Target.parse(url, Tls())
