"""A server that answers nothing: known from the counts of `messaging`, and how long messages waited.

This is a finding about messages, and about nothing else. That a session came back to a connection that does
not answer says nothing about reconnecting if no connection ever answered.
"""

from collections.abc import Mapping

from loadtest.results.data import RunData
from loadtest.session.ledger import REPLIES

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


def longest_wait_s(run: RunData) -> float:
    """Return how long a message waited in vain on a connection that stayed up, at least; 0 if none did."""
    timed_out = run.count("messaging.lost") or run.count("reconnect.silent")
    waited_us = run.percentiles_us("unanswered", (100,)).get(100, 0)
    return max(waited_us / 1e6, run.manifest.plan.reply_timeout_s if timed_out else 0.0)
