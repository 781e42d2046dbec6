"""The next step for a failed item, chosen by its evidence: which losses, which drops, which replies.

Items that always have the same next step are in `loadtest.report.advice`.
"""

from collections.abc import Iterator, Sequence

from loadtest import text
from loadtest.ruling import Ruling
from loadtest.verdict.connect import ID_OF_ANOTHER
from loadtest.verdict.drill_rules import turns_away
from loadtest.verdict.evidence import (
    CleanupEvidence,
    ConnectEvidence,
    MessagingEvidence,
    PersistenceEvidence,
    ReconnectEvidence,
)
from loadtest.verdict.items import AnyItem
from loadtest.verdict.log_evidence import ServerLogEvidence
from loadtest.verdict.log_summary import MAX_UNREAD_RATIO, MIN_COVERED_RATIO, MIN_DROPS
from loadtest.verdict.loss_evidence import DrillEvidence, LossesSeen, StabilityEvidence
from loadtest.verdict.messaging import FAILINGS

_BAD_DATA = {
    "protocol_error": "the server, or a proxy in front of it, sends frames that RFC 6455 forbids (see the "
    "reason). Clients must end such connections",
    "invalid_utf8": "the server sends text messages that are not UTF-8: it must send them as binary messages",
    "message_too_big": "if messages this large are intended, raise WebSocketUser.max_message_bytes",
    "flooded": "the server sent more than the limit in the reason. If this is intended, raise the limit",
}
"""By cause, losses that the client's own library asked for because of what it was sent."""

_CODES_SHOWN = 3

_LEAK = (
    "look up both sessions in the server's log: where does it take a session's id from? If both log in to "
    "one account, give each session its own (--ws-data), or leave session_id out of Established"
)

_OWN_TEXTS = (
    "if sessions share a room, pass only the session's own texts, and the number of all messages: "
    "Restored(texts=own, count=len(all)), with shares_history = True (in a template: shared = true in "
    "[history])"
)

_SHARES_HISTORY = (
    "if sessions share a history, as in a room, set shares_history = True in the dialect (in a template: "
    "shared = true in [history]); if not, look up the first session in the server's store"
)

_OWN_PUSHES = (
    "if sessions share a room, leave text out of Push (in a template: out of [push]), as the texts of others "
    "are right there; if not, find the first error's session and time in the server's log"
)

_LEFT_OPEN = "look up the first session in the server's log: "


def step_by_evidence(item: AnyItem) -> str:
    """Return what to do about a failed item, empty if its evidence makes no difference."""
    match item.evidence:
        case StabilityEvidence() as found if found.losses:
            return _about_losses(found.losses)
        case MessagingEvidence() as found:
            return _about_messages(found)
        case PersistenceEvidence() as found:
            return _about_history(found)
        case CleanupEvidence() as found:
            return _about_cleanup(found)
        case ReconnectEvidence() as found:
            return _about_drills(found.drills)
        case ConnectEvidence(counts=counts) if ID_OF_ANOTHER in counts:
            return _LEAK
    return ""


def _about_losses(groups: Sequence[LossesSeen]) -> str:
    losses = [group for group in groups if group.allowed != "any"] or groups
    if step := _BAD_DATA.get(losses[0].cause):
        return step
    codes = dict.fromkeys(group.code for group in losses if group.code and group.cause not in _BAD_DATA)
    rule = ",".join(map(str, list(codes)[:_CODES_SHOWN])) or "1006"
    return (
        "check the logs of the server and of every proxy in front of it at the time of the first loss: "
        "restarts, timeouts, crashes. To allow losses that you accept, use for example --ws-allow-losses "
        f"{rule}=2/h"
    )


def _about_drills(drills: Sequence[DrillEvidence]) -> str:
    """Say when nothing listened, if that is how most attempts failed in a drill, and sessions came back."""
    for one in drills:
        if one.back and turns_away(one) and 2 * one.nobody > one.refused:
            first, last = text.clock(one.nobody_from_s or 0.0), text.clock(one.nobody_until_s or 0.0)
            when = f"at {first}" if first == last else f"from {first} to {last}"
            return (
                f"no server was listening {when}, during the drill: start the new server before the old one "
                "stops, or let the load balancer hold connections"
            )
    return ""


def _about_messages(found: MessagingEvidence) -> str:
    counts = found.counts
    if counts.get("corrupted") and not counts.get("answered"):
        return (
            "every reply is altered: does the dialect read the right part of it ('loadtest dialect check' "
            "shows that), or does the server limit the size of a text (--ws-message-bytes)?"
        )
    if counts.get("pushes_foreign"):
        return _OWN_PUSHES
    if "pushes_per_s" in found.limits and not any(counts.get(failing) for failing in FAILINGS):
        return (
            "check that this is the push rate of each session (--ws-pushes-per-s, or the dialect's "
            "pushes_per_s). If it is, find out in the server's log when and why pushes stopped or slowed "
            "down"
        )
    return ""


def _about_history(found: PersistenceEvidence) -> str:
    counts = found.counts
    if counts.get("foreign") or counts.get("missing_uncounted"):
        return f"{_OWN_TEXTS}; if not, look up the first session in the server's store"
    return _SHARES_HISTORY if counts.get("missing_in_full") else ""


def _about_cleanup(found: CleanupEvidence) -> str:
    counts = found.counts
    if counts.get("close_not_closed"):
        return (
            f"{_LEFT_OPEN}after the closing handshake the server must close TCP. To see only this, run with "
            "--ws-drops close"
        )
    if counts.get("half_open_not_closed") or counts.get("half_open_late"):
        return (
            f"{_LEFT_OPEN}a server keeps the connection if it sends no pings, or if its handler never ends. "
            "To see only this, run with --ws-drops half_open"
        )
    return (
        "compare the gauge with the server's open sockets (ss -tn): if none is left, the gauge misses some "
        "disconnects. To find the kind of drop, repeat with one kind at a time (--ws-drops reset)"
    )


def server_log_step(found: ServerLogEvidence, verdict: Ruling) -> str:
    """Return what to do about a server's log, by what is wrong with it; empty if that makes no difference."""
    if verdict is Ruling.FAIL:
        return "; ".join(_wrong_records(found))
    return _missing_records(found) if verdict is Ruling.INCONCLUSIVE else ""


def _wrong_records(found: ServerLogEvidence) -> Iterator[str]:
    if found.disconnect_errors:
        yield "log client disconnects at INFO, starting with the first lines above"
    elif found.info_ratio is not None and found.info_ratio < found.least_info_ratio:
        loud = sum(n for level, n in found.departure_levels.items() if level == "WARNING")
        yield f"log client disconnects at INFO: {text.count(loud)} are at WARNING"
    if found.real_errors > found.allowed_errors:
        also = "also " if found.disconnect_errors else ""
        yield (
            f"{also}look into the real errors, the most frequent first. To allow errors that you accept, use "
            f"--ws-server-log-errors {found.real_errors}"
        )


def _missing_records(found: ServerLogEvidence) -> str:
    if found.problems and not found.records:
        return "make the log readable, then repeat the run: the summary says what went wrong"
    if found.drops < MIN_DROPS:
        return "run longer, or drop more often (--ws-drop-every)"
    if found.reading.unlevelled_ratio() > MAX_UNREAD_RATIO:
        return (
            "log a level with each record, or name the format: loadtest report RUN --server-log FILE --format"
        )
    if found.records and not found.disconnect_records and found.covered_ratio >= MIN_COVERED_RATIO:
        return "log each disconnect at INFO, with its session"
    return ""
