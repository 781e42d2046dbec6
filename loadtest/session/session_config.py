"""How all sessions of a run behave: the configuration of the state machine, its traffic and attempts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from loadtest.dialects.base import Dialect
from loadtest.dialects.dialect_session import SizeOf
from loadtest.dialects.marks import LEAST_BYTES
from loadtest.session.schedule import Backoff, Pace
from loadtest.session.script import Script

LOGIN_REFUSED = 4401
"""By custom, the equivalent of HTTP 401 among the private close codes (RFC 6455, section 7.4.2)."""


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """How all sessions of a run behave.

    Args:
        dialect: protocol of the application.
        pace: when messages are due.
        backoff: when clients reconnect.
        reply_timeout_ns: time after which a request without a reply is lost.
        in_flight: outstanding requests allowed per session, 0 for any number; further messages wait.
        size_of: size of request texts.
        data: rows of `--ws-data` by session number; empty if there are none.
        cleanup_s: seconds after which the server closes half-open connections, which are held a little
            longer; None if unknown, in which case they are held for as long as the drop says.
        pushes_per_s: pushes that each session should receive per second, 0 if none are expected.
        renews_token: whether a session whose token was rejected gets another one.
        script: script that sessions run, in addition to or instead of planned messages; None for none.
    """

    dialect: Dialect
    pace: Pace
    backoff: Backoff
    reply_timeout_ns: int
    in_flight: int = 0
    size_of: SizeOf = LEAST_BYTES
    data: Sequence[Mapping[str, str]] = ()
    cleanup_s: float | None = None
    pushes_per_s: float = 0.0
    renews_token: bool = False
    script: Script | None = None

    @property
    def forbidding_codes(self) -> frozenset[int]:
        """Close codes after which a session must not reconnect."""
        codes = self.dialect.forbidding_close_codes
        return codes - {LOGIN_REFUSED} if self.renews_token else codes
