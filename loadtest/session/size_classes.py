"""Round trips by text size, in runs whose sizes vary.

The overall percentiles can hide one slow size: if 10% of messages have 100 kB, p50 never shows them. Such
runs have a histogram for each size, for example `service/64`, in addition to `service` for all. Sessions
whose texts have one size use a plain `Traffic`, without extra cost.
"""

from collections.abc import Sequence

from loadtest.dialects.base import Reply
from loadtest.dialects.dialect_session import DialectSession
from loadtest.events import Send
from loadtest.session.recorder import Recorder
from loadtest.session.session_config import SessionConfig
from loadtest.session.traffic import Traffic


def new_traffic(about: DialectSession, config: SessionConfig, recorder: Recorder) -> Traffic:
    """Return the messages of a new session."""
    kind = Traffic if isinstance(config.size_of, int) else _SizedTraffic
    return kind(about, config, recorder)


class _SizedTraffic(Traffic):
    """One session's messages, with texts that vary in size."""

    __slots__ = ()

    def replied(self, reply: Reply, now_ns: int, *, steady: bool) -> Sequence[Send]:
        """Record a reply and add its round trip to those of its size; see `Traffic.replied`."""
        sequence = reply.sequence if isinstance(reply.sequence, int) else self._number(reply.sequence)
        service = self._recorder.service
        before = len(service)
        sends = super().replied(reply, now_ns, steady=steady)
        if len(service) > before:  # an answer, and of an undisturbed session
            size_of = self._config.size_of
            size = size_of if isinstance(size_of, int) else size_of(self._about.number, sequence)
            self._recorder.sized(size).append(service[-1])
        return sends
