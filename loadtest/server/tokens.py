"""Login tokens, offered as the WebSocket subprotocols `jwt, TOKEN`.

The server has one secret, `--token`. A token is valid if it is that secret itself, or a JWT (RFC 7519) that
is signed with it (HS256). Without a secret every token is valid, and none is needed.

The claim `sid` of a JWT names the session: it replaces the session id in the path on every connection that
uses the token.
"""

import hmac
import re
import warnings
from collections.abc import Sequence
from typing import Any

LOGIN = "jwt"
"""The subprotocol that a client offers before its token, and that the server accepts."""

# Ids go into the log and the database: bounded, and without characters that could forge a log line.
ID = re.compile(r"[A-Za-z0-9._~:@-]{1,128}")

_ALGORITHM = "HS256"


class LoginRefused(Exception):
    """A client's login is not valid; the text is sent to the client."""


def session_of(subprotocols: Sequence[str], secret: str | None) -> str | None:
    """Return the session id in a valid login, None if it has none.

    Raises:
        LoginRefused: the token is missing or not valid.
    """
    if len(subprotocols) != 2 or subprotocols[0] != LOGIN:
        if secret is None:
            return None
        raise LoginRefused("missing token")
    session_id = _claims(subprotocols[1], secret).get("sid")
    if session_id is None:
        return None
    if not isinstance(session_id, str) or not ID.fullmatch(session_id):
        raise LoginRefused("impossible sid in the token")
    return session_id


def _claims(token: str, secret: str | None) -> dict[str, Any]:
    """Return the claims of a valid token; a token that is not a JWT has none."""
    import jwt  # only here: it imports all of cryptography, an eighth of the server's start-up time

    needs_signature = secret is not None and not hmac.compare_digest(token.encode(), secret.encode())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the secret may be short: it protects nothing
            return jwt.decode(
                token,
                secret or "",
                algorithms=[_ALGORITHM],
                options={"verify_signature": needs_signature, "verify_aud": False},
            )
    except (jwt.InvalidTokenError, RecursionError) as error:  # older versions let RecursionError through
        if needs_signature:
            raise LoginRefused("invalid token") from error
        return {}
