"""A server that answers nothing: known from the counts of `messaging`, and how long messages waited.

This is a finding about messages, and about nothing else. That a session came back to a connection that does
not answer says nothing about reconnecting if no connection ever answered.
"""

from collections.abc import Mapping

from loadtest.results.data import RunData
from loadtest.session.ledger import REPLIES
from loadtest.session.recorder import HANGING_NS

_SIGNS = (*REPLIES, "broken_off", "duplicated", "unmatched", "unreadable")
"""Counts of `messaging` that show that something was answered, well or badly."""


def silent(counts: Mapping[str, int]) -> bool:
    """Return whether messages that should be answered were sent, and nothing ever came back.

    Args:
        counts: of the item `messaging`.
    """
    asked = counts.get("sent", 0) - counts.get("unanswerable", 0)
    return asked > 0 and not any(counts.get(sign) for sign in _SIGNS)


def is_silent(run: RunData) -> bool:
    """Return whether a server never answered, not even with a part of a reply."""
    parts = run.samples("first_part") + run.samples("part_gap")
    return silent(run.counts_of("messaging")) and not parts


MAX_HANGING_RATIO = 0.001
"""Share of messages that may be hanging: one drop in a hiccup is chance, more than 1 in 1,000 is not."""


def hanging(run: RunData, item: str) -> int:
    """Return how many messages had no reply for long when their connection ended, before the reply timeout.

    It is 0 if they are so few that it may be chance, or if replies are usually slow.

    Args:
        run: the run.
        item: `messaging`, or `reconnect` for those on new connections that had not answered yet.
    """
    found = run.count(f"{item}.hanging")
    asked = run.count("messaging.sent") - run.count("messaging.unanswerable")
    usual_us = run.percentiles_us("service", (99,)).get(99, 0)
    few = found <= max(1, MAX_HANGING_RATIO * asked)
    return 0 if few or usual_us * 1000 > HANGING_NS else found


def longest_wait_s(run: RunData) -> float:
    """Return how long a message waited in vain on a connection that stayed up, at least; 0 if none did."""
    timed_out = run.count("messaging.lost") or run.count("reconnect.silent")
    waited_us = run.percentiles_us("unanswered", (100,)).get(100, 0)
    return max(waited_us / 1e6, run.manifest.plan.reply_timeout_s if timed_out else 0.0)
