"""Causes of failed attempts in words, without secrets, each with advice of its own."""

from __future__ import annotations

import re

import msgspec
import pytest

from loadtest.session.recorder import ErrorTally
from loadtest.verdict.causes import DETAIL_LENGTH, cause_of, explained, why
from tests.support.runs import manifest, plan, sound, tally


def said(error: str, example: str = "", *, target: str = "ws://127.0.0.1:8000", path: str = "/chat") -> str:
    """Return the explanation of this error."""
    of = manifest(target=target, run_plan=plan(path=path), proxy="http://proxy.example:3128")
    one = msgspec.structs.replace(tally("connect", error, 5), example=example)
    found = explained(sound(of=of, errors=[one]), "connect")
    assert found is not None
    assert found.times == 5
    return found.text


@pytest.mark.parametrize(
    ("error", "example", "text", "advice"),
    [
        ("dns: unknown_host", "Name or service not known", "could not be resolved: Name or service", "DNS"),
        ("tcp: refused", "Connection refused", "connection refused by 127.0.0.1:8000", "is the server up"),
        ("tcp: timeout", "no answer within 10 s", "no answer from 127.0.0.1:8000", "firewall"),
        ("tcp: unreachable", "", "no route to 127.0.0.1:8000", "network"),
        (
            "tcp: reset",
            "Connection reset",
            "could not connect to 127.0.0.1:8000: Connection reset",
            "network",
        ),
        (
            "tls: certificate",
            "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate "
            "(_ssl.c:1006); trust it with --ws-tls-ca, or accept any with --ws-tls-insecure",
            "the certificate of 127.0.0.1:8000 was not accepted: self-signed certificate",
            "--ws-tls-ca",
        ),
        ("upgrade: eof", "", "answered the upgrade for /chat, or the proxy proxy.example:3128 did", "log"),
        ("proxy: refused", "", "connection refused by the proxy proxy.example:3128", "--ws-proxy"),
        ("proxy: timeout", "", "no answer from the proxy proxy.example:3128 within", "the proxy is up"),
        (
            "proxy: answered_407",
            "HTTP 407 No",
            "requires a login, or rejected this one: HTTP 407 No",
            "USER:PASSWORD",
        ),
        (
            "proxy: answered_403",
            "HTTP 403 No",
            "refused a connection to 127.0.0.1:8000: HTTP 403",
            "may connect",
        ),
        ("proxy: server_unreachable", "HTTP 502 X", "cannot reach 127.0.0.1:8000: HTTP 502", "server up"),
        (
            "proxy: bad_answer",
            "it answered: SSH",
            "does not speak the protocol of --ws-proxy: it answered: SSH",
            "socks5h",
        ),
        ("proxy: login", "it rejected user", "rejected the login: it rejected user", "socks5://"),
        ("tls: client_certificate", "got none", "certificate, and none was given", "--ws-tls-cert"),
        ("tls: client_certificate_refused", "", "rejected the client certificate", "--ws-tls-cert"),
        ("tls: unrecognized_name", "", "does not know the host name", "--ws-sni"),
        ("upgrade: extension", "", "extensions that were not offered", "--ws-compression"),
        (
            "tls: tls",
            "[SSL] record layer failure (_ssl.c:1006); is this",
            "failed: record layer",
            "--ws-tls-cert",
        ),
        ("tls: timeout", "", "in the TLS handshake", "is this a TLS port"),
        ("upgrade: http_200", "HTTP 200 hello", "HTTP 200 for /chat, no upgrade", "plain HTTP"),
        (
            "upgrade: http_301",
            "HTTP 301 to wss://x/",
            "/chat is a redirect: HTTP 301 to wss://x/",
            "do not follow redirects",
        ),
        ("upgrade: http_401", "", "HTTP 401 for /chat", "--ws-token"),
        ("upgrade: http_403", "", "HTTP 403 for /chat", "Origin"),
        ("upgrade: http_404", "", "HTTP 404 for /chat", "no endpoint at this path"),
        ("upgrade: http_418", "", "HTTP 418 for /chat", "--ws-path"),
        ("upgrade: http_429", "", "HTTP 429 for /chat", "-r"),
        ("upgrade: http_500", "", "HTTP 500 for /chat", "failed while handling the upgrade"),
        ("upgrade: http_502", "", "HTTP 502 for /chat", "proxy in front got no valid response"),
        ("upgrade: http_503", "", "HTTP 503 for /chat", "finished starting"),
        ("upgrade: http_599", "", "HTTP 599 for /chat", "server's log"),
        (
            "upgrade: bad_handshake",
            "missing Upgrade",
            "for /chat: missing Upgrade",
            "not from a WebSocket server",
        ),
        ("upgrade: no_subprotocol", "none of (jwt, …)", "none of (jwt, …)", "--ws-subprotocol-optional"),
        ("upgrade: timeout", "", "no answer to the upgrade for /chat within 10 s", "stuck"),
        ("upgrade: eof", "", "127.0.0.1:8000 ended the connection before it answered", "wss://"),
        (
            "token: token_error",
            "the token source raised OSError",
            "no token: the token source",
            "outside of a run",
        ),
        ("token: command_failed", "it printed nothing", "no token: it printed nothing", "--ws-token-cmd"),
        ("login: login_failed", "HTTP 403: wrong", "login failed: HTTP 403: wrong", "credentials"),
        ("login: timeout", "no answer within 10 s", "login failed: no answer within 10 s", "credentials"),
        ("established: auth_required", "token expired", "rejected the login: token expired", "--ws-token"),
        ("working: auth_required", "", "rejected the login: no reason given", "--ws-token"),
        ("established: establish_timeout", "", "not established within 10 s", "loadtest dialect check"),
        (
            "established: closed_1011",
            "boom",
            "1011 (internal error) before the session was established: boom",
            "log",
        ),
        (
            "working: closed_4401",
            "",
            "closed with 4401 (login rejected) before the session had worked",
            "token",
        ),
        ("working: closed_4999", "", "closed with 4999 before the session had worked", "this code means"),
        (
            "working: closed_protocol_error",
            "masked frame",
            "WebSocket protocol before the session had",
            "RFC 6455",
        ),
        ("working: closed_eof", "", "without a close frame before the session had worked", "crash"),
        (
            "working: closed_flooded",
            "9 frames in 1 s, limit 8 (--ws-max-frames-per-s)",
            "sent too much: 9 frames in 1 s, limit 8 (--ws-max-frames-per-s)",
            "raise the limit",
        ),
        ("working: closed_message_too_big", "", "a message was too large", "max_message_bytes"),
    ],
)
def test_each_cause_is_told_with_its_advice(error: str, example: str, text: str, advice: str) -> None:
    """What happened, where and why, and the step that fits."""
    found = said(error, example)
    assert text in found
    assert not re.search(r"[{}]|_ssl|--ws-tls-ca", found)
    cause = cause_of(error)
    assert cause is not None
    assert advice in cause.advice


def test_the_usual_causes_have_different_advice() -> None:
    """403, 404, 503, certificate, token, refused and no upgrade: nobody is sent the wrong way."""
    errors = (
        *("upgrade: http_403", "upgrade: http_404", "upgrade: http_503", "upgrade: bad_handshake"),
        *(
            "tls: certificate",
            "token: token_error",
            "token: command_failed",
            "tcp: refused",
            "dns: unknown_host",
        ),
        *("established: auth_required", "upgrade: no_subprotocol", "established: establish_timeout"),
    )
    found = {cause.advice for error in errors if (cause := cause_of(error))}
    assert len(found) == len(errors)


@pytest.mark.parametrize("error", ["no reply on the new connection", "other errors", "tcp", "upgrade:x", ""])
def test_what_is_no_failed_attempt_has_no_cause(error: str) -> None:
    """Other errors of an item explain no attempt; then the summary ends without a cause."""
    assert cause_of(error) is None
    run = sound(errors=[tally("connect", error, 5)])
    assert explained(run, "connect") is None
    assert why(run, "connect") == ""


def test_where_it_was_is_told_without_secrets() -> None:
    """Placeholders are elided, queries left out; a port that the URL lacks is that of its scheme."""
    path = "/ws/{session_id}?thread_id={thread_id}&key=secret"
    assert said("upgrade: http_403", path=path) == "HTTP 403 for /ws/…"
    refused = "tcp: refused"
    assert (
        said(refused, target="wss://user:pass@chat.example/x?y") == "connection refused by chat.example:443"
    )
    assert said(refused, target="ws://[::1]") == "connection refused by [::1]:80"


def test_what_servers_say_is_bounded_and_means_nothing() -> None:
    """A long text is cut; braces and control characters in it do nothing."""
    found = said("established: auth_required", "{path} {server} {detail} \x1b[2J" + "x" * 500)
    assert "{path} {server} {detail} \\x1b[2J" in found
    assert len(found) <= len("the server rejected the login: ") + DETAIL_LENGTH


def test_the_first_known_cause_is_the_most_frequent() -> None:
    """Errors of the attempts are ranked by how often they occurred."""

    def seen(error: str, count: int) -> ErrorTally:
        return tally("reconnect", error, count)

    errors = [
        seen("tcp: refused", 3),
        seen("upgrade: http_503", 7),
        seen("no reply on the new connection", 9),
    ]
    found = explained(sound(errors=errors), "reconnect")
    assert found is not None
    assert (found.times, found.text) == (7, "HTTP 503 for /ws/…")
