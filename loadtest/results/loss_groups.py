"""Lost connections, grouped by cause, close code and reason.

A server can send any number of reasons, so the number of groups is limited; losses are counted by code
without limit, for the rules in `loadtest.verdict.allowances`.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from loadtest.events import ABNORMAL_CLOSURE
from loadtest.session.recorder import Lifecycle
from loadtest.session.schedule import NS_PER_S

GROUPS_LIMIT = 50
"""Maximum number of groups of losses; further losses are one group together, `OTHER_LOSSES`."""

OTHER_LOSSES = "other"

SESSIONS_NAMED = 3
"""Sessions named per group."""

REASON_LIMIT = 123
"""Maximum length of a reason: more bytes do not fit into a close frame (RFC 6455, section 5.5)."""

LATEST_NS = 2**62
"""Limit of times read from files, far beyond any run."""

_CODE_SENT = {"protocol_error": 1002, "invalid_utf8": 1007, "message_too_big": 1009, "flooded": 1008}
"""The close code that the client sent, by cause, if what the server sent was wrong."""

_FIGURE = re.compile(r"[0-9][0-9,]*")
"""A number as the reasons of floods have it (`loadtest.transport.meter`): `204,801`."""


def code_of(record: Lifecycle) -> int:
    """Return a loss's close code: the server's, the client's if it had to close, else 1006."""
    code = record.code or ABNORMAL_CLOSURE
    return _CODE_SENT.get(record.cause or "", code if 1000 <= code < 5000 else ABNORMAL_CLOSURE)


def _exceeded(reason: str) -> str:
    """Return which limit a flood has exceeded: its reason without the figures, which vary."""
    return _FIGURE.sub("", reason)


def _figures(reason: str) -> list[int]:
    """Return the figures of a reason: reasons of one group differ in nothing else."""
    return [int(figure.replace(",", "")) for figure in _FIGURE.findall(reason)]


def within_limits(at_ns: int) -> int:
    """Return a time as read from a file, clamped to [0, `LATEST_NS`]."""
    return at_ns if 0 <= at_ns <= LATEST_NS else min(max(at_ns, 0), LATEST_NS)


@dataclass(frozen=True, slots=True, kw_only=True)
class LossGroup:
    """Losses with the same cause, close code and reason.

    Args:
        cause: cause as counted in `losses.CAUSE`, or `OTHER_LOSSES`.
        code: close code (`code_of`); None for `OTHER_LOSSES`.
        reason: the server's reason, or what was wrong with its data; of floods over one limit, the largest.
        count: number of losses.
        first_at_s, last_at_s: times of the first and the last, in seconds since the run's start.
        sessions: sessions of the first few.
    """

    cause: str
    code: int | None
    reason: str
    count: int
    first_at_s: float
    last_at_s: float
    sessions: Sequence[str]


@dataclass(slots=True)
class _Group:
    reason: str  # the one with the largest figures
    count: int = 0
    first_ns: int = LATEST_NS
    last_ns: int = 0
    sessions: list[str] = field(default_factory=list)


class LossGroups:
    """Groups losses as they are read.

    Attributes:
        by_code: number of losses by close code.
    """

    def __init__(self) -> None:
        self.by_code: Counter[int] = Counter()
        self._groups: dict[tuple[str, int | None, str], _Group] = {}

    def add(self, record: Lifecycle) -> None:
        """Add the lifecycle event of a loss."""
        at_ns, code = within_limits(record.at_ns), code_of(record)
        self.by_code[code] += 1
        reason = (record.detail or "")[:REASON_LIMIT]
        cause = (record.cause or OTHER_LOSSES)[:REASON_LIMIT]
        key: tuple[str, int | None, str] = (cause, code, _exceeded(reason) if cause == "flooded" else reason)
        if key not in self._groups and len(self._groups) >= GROUPS_LIMIT:
            key, reason = (OTHER_LOSSES, None, ""), ""
        group = self._groups.setdefault(key, _Group(reason))
        group.reason = max(group.reason, reason, key=_figures)
        group.count += 1
        group.first_ns, group.last_ns = min(group.first_ns, at_ns), max(group.last_ns, at_ns)
        if len(group.sessions) < SESSIONS_NAMED and record.session not in group.sessions:
            group.sessions.append(record.session[:REASON_LIMIT])

    def groups(self) -> list[LossGroup]:
        """Return the groups so far, the largest first."""
        found = [
            LossGroup(
                cause=cause,
                code=code,
                reason=group.reason,
                count=group.count,
                first_at_s=group.first_ns / NS_PER_S,
                last_at_s=group.last_ns / NS_PER_S,
                sessions=group.sessions,
            )
            for (cause, code, _), group in self._groups.items()
        ]
        return sorted(found, key=lambda group: (-group.count, group.first_at_s))
