"""Translates the exceptions of other libraries into `ConnectFailed`: why a WebSocket did not open.

Each `ConnectFailed` has the phase that failed, a short fixed cause to count by, and a line of limited length
for people. The line quotes the beginning of the response of the server or the proxy, without secrets.
"""

import errno
import socket
import ssl
from collections.abc import Collection, Sequence

from websockets.exceptions import InvalidHandshake, InvalidStatus, NegotiationError

from loadtest.errors import ConnectFailed
from loadtest.events import UNREACHABLE, Refused
from loadtest.scrubber import Secrets, public_line
from loadtest.text import LINE_LENGTH, public_url
from loadtest.transport.proxies import SERVER_UNREACHABLE, ProxyRefused
from loadtest.transport.retry_after import retry_after_s
from loadtest.transport.tls_alerts import CLIENT_CERTIFICATE, CLIENT_CERTIFICATE_REFUSED, alert_in

_CAUSES = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETUNREACH: "unreachable",
    errno.ETIMEDOUT: "timeout",
    errno.EADDRNOTAVAIL: "out_of_ports",
    errno.EADDRINUSE: "out_of_ports",  # the system's error when a source address was given
    errno.EMFILE: "out_of_files",
    errno.ENFILE: "out_of_files",
}

_HINTS = {
    "certificate": "trust it with --ws-tls-ca, or accept any with --ws-tls-insecure",
    "tls": "is this a TLS port? If not, use ws://",
}


_ABOUT_CLIENT_CERTIFICATES = (CLIENT_CERTIFICATE, CLIENT_CERTIFICATE_REFUSED)


class NoneSelected(InvalidHandshake):
    """The server accepted the upgrade, but selected none of the subprotocols offered.

    RFC 6455 allows that; browsers fail the connection (WHATWG WebSockets, section 2).
    """

    def __init__(self, offered: Sequence[str]) -> None:
        more = ", …" if len(offered) > 1 else ""  # one of them may be a token
        super().__init__(f"the server selected none of the subprotocols offered ({offered[0]}{more})")


def by_timeout(phase: str, timeout_s: float, secrets: Collection[str]) -> ConnectFailed:
    """Return the failure of an attempt that took too long."""
    return _failed(phase, "timeout", f"no answer within {timeout_s:g} s", secrets)


def by_error(phase: str, error: OSError | EOFError, secrets: Collection[str]) -> ConnectFailed:
    """Return the failure for an error of the system or of TLS, or for the end of the connection."""
    who = "the proxy" if phase == "proxy" else "the server"
    if isinstance(error, EOFError):
        return _failed(phase, "eof", f"the connection ended before {who} answered", secrets)
    alert = alert_in(error)
    if alert is not None:
        if phase == "upgrade" and alert.cause in _ABOUT_CLIENT_CERTIFICATES:
            phase = "tls"  # of TLS 1.3, where the client is through first (RFC 8446, section 4.4)
        return _failed(phase, alert.cause, f"{who} sent the TLS alert '{alert.words}'", secrets)
    return _failed(phase, _cause(error), _text(error), secrets)


def by_missing_certificate() -> ConnectFailed:
    """Return the failure for a missing client certificate, in the TLS phase, however late it appears."""
    detail = "the server asked for a client certificate, got none, and ended the connection"
    return _failed("tls", CLIENT_CERTIFICATE, detail, ())


def by_proxy(error: ProxyRefused, secrets: Collection[str]) -> ConnectFailed:
    """Return the failure for a proxy's answer."""
    return _failed("proxy", error.cause, error.detail, secrets)


def by_answer(error: InvalidHandshake, secrets: Collection[str]) -> ConnectFailed:
    """Return the failure for the server's answer to the upgrade request."""
    if isinstance(error, InvalidStatus):
        return _by_status(error, secrets)
    cause = "no_subprotocol" if isinstance(error, NoneSelected) else "bad_handshake"
    if isinstance(error, NegotiationError) and "subprotocol" not in str(error):
        cause = "extension"
    text = f"{error}: {error.__cause__}" if error.__cause__ else str(error)
    return _failed("upgrade", cause, text, secrets, answered=True)


def _by_status(error: InvalidStatus, secrets: Collection[str]) -> ConnectFailed:
    response = error.response
    status, body = response.status_code, bytes(response.body).decode("utf-8", "replace")
    if status == _BAD_REQUEST and _NGINX_WANTS_CERTIFICATE in body:
        return by_missing_certificate()
    locations = response.headers.get_all("Location")
    if status // 100 == _REDIRECT and locations:
        detail = f"HTTP {status} to {public_url(locations[0])}"
    else:
        detail = f"HTTP {status} {body}"
    wait_s = retry_after_s(status, response.headers)
    failed = _failed("upgrade", f"http_{status}", detail, secrets, answered=True, wait_s=wait_s)
    return ConnectFailed(failed.refused, tuple(response.headers.get_all("Set-Cookie")))


_REDIRECT = 3
_BAD_REQUEST = 400
_NGINX_WANTS_CERTIFICATE = "No required SSL certificate was sent"
"""What nginx answers over HTTP where other servers end the TLS connection."""


def _cause(error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return "unknown_host"
    if isinstance(error, ssl.SSLCertVerificationError):
        return "certificate"
    if isinstance(error, ssl.SSLError):
        return "tls"
    return _CAUSES.get(error.errno or 0, "reset" if isinstance(error, ConnectionError) else "os_error")


def _text(error: OSError) -> str:
    text = error.strerror or str(error) or type(error).__name__
    hint = _HINTS.get(_cause(error))
    return f"{text}; {hint}" if hint else text


def _failed(
    phase: str,
    cause: str,
    detail: str,
    secrets: Collection[str],
    *,
    answered: bool = False,
    wait_s: float = 0.0,
) -> ConnectFailed:
    known = Secrets(secrets)
    return ConnectFailed(
        Refused(
            phase=phase,
            cause=cause,
            detail=public_line(" ".join(detail.split()), known, LINE_LENGTH),
            unreachable=not answered and (cause in UNREACHABLE or cause == SERVER_UNREACHABLE),
            retry_after_s=wait_s,
        )
    )
