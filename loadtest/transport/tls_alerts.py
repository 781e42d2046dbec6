"""TLS alerts in words, and detection of servers that ask for a client certificate.

An alert says why a server ends a TLS connection (RFC 8446, section 6). Many servers send no alert when a
client certificate is missing; asyncio servers just close the connection. In TLS 1.3 the handshake is over by
then, so it looks like a server that went down. The server's handshake messages show whether it asked for a
certificate.
"""

import _ssl
import re
import ssl
from typing import Any, Final, NamedTuple

CLIENT_CERTIFICATE: Final = "client_certificate"
"""Cause of failed attempts: the server requires a client certificate and got none."""

CLIENT_CERTIFICATE_REFUSED: Final = "client_certificate_refused"
"""Cause of failed attempts: the server does not accept the client certificate."""

_ALERT = re.compile(r"(?:SSLV3|TLSV1|TLSV13)_(?:ALERT_)?([A-Z_]+)")

_CAUSES: Final = {
    "certificate required": CLIENT_CERTIFICATE,
    "bad certificate": CLIENT_CERTIFICATE_REFUSED,
    "unsupported certificate": CLIENT_CERTIFICATE_REFUSED,
    "certificate revoked": CLIENT_CERTIFICATE_REFUSED,
    "certificate expired": CLIENT_CERTIFICATE_REFUSED,
    "certificate unknown": CLIENT_CERTIFICATE_REFUSED,
    "unknown ca": CLIENT_CERTIFICATE_REFUSED,
    "access denied": CLIENT_CERTIFICATE_REFUSED,
    "unrecognized name": "unrecognized_name",
}
"""Causes of failed attempts by alert; for other alerts, the cause is `tls`."""


class Alert(NamedTuple):
    """An alert from the server.

    Args:
        words: its name in RFC 8446, with spaces.
        cause: cause of the failed attempt.
    """

    words: str
    cause: str


def alert_in(error: BaseException) -> Alert | None:
    """Return the server's alert reported by an OpenSSL error, None if it reports none."""
    reason = getattr(error, "reason", None) if isinstance(error, ssl.SSLError) else None
    match = _ALERT.fullmatch(reason) if isinstance(reason, str) else None
    if match is None:
        return None
    words = match[1].lower().replace("_", " ")
    return Alert(words, _CAUSES.get(words, "tls"))


_HANDSHAKE = 22
_CERTIFICATE_REQUEST = 13
"""Content and message types of TLS (RFC 8446, appendix B)."""


class CertificateRequests:
    """Detects whether servers ask for a client certificate, from the first handshake on.

    Args:
        context: the TLS context of the connections.

    Attributes:
        asked: whether a server asked for a certificate.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self.asked = False
        self._watch(context, self._message)

    def stop(self, context: ssl.SSLContext) -> None:
        """Stop watching, so that records have no extra cost."""
        self._watch(context, None)

    @staticmethod
    def _watch(context: ssl.SSLContext, callback: Any) -> None:
        # CPython's own hook for this, at its origin: gevent's context would not pass it on.
        hook: Any = getattr(_ssl._SSLContext, "_msg_callback", None)
        if hook is not None:
            hook.__set__(context, callback)

    def _message(
        self, _connection: object, direction: str, _version: int, kind: int, message: int, _data: bytes
    ) -> None:
        if direction == "read" and kind == _HANDSHAKE and message == _CERTIFICATE_REQUEST:
            self.asked = True
