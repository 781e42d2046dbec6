"""The item `messaging`: does each message on an undisturbed connection get its reply, once and intact?"""

from loadtest import text
from loadtest.results.data import RunData
from loadtest.ruling import Ruling, worst
from loadtest.session.recorder import FAILED_MESSAGES, HANGING_NS, ROUND_TRIPS
from loadtest.verdict import push_rate
from loadtest.verdict.evidence import MessagingEvidence
from loadtest.verdict.items import Item, errors_seen, failing, imbalance, unaccounted
from loadtest.verdict.silence import hanging, is_silent, longest_wait_s

FAILINGS = {
    "lost": "without a reply although the connection stayed up",
    "failed": "answered with an error",
    "broken_off": "answered with a stream that broke off",
    "late": "answered after the reply timeout",
    "duplicated": "answered twice",
    "reordered": "answered out of order",
    "corrupted": "answered with an altered text",
    "foreign": "answered with another session's text",
    "unmatched": "replies without a request (errors included)",
    "unreadable": "messages that the dialect cannot read",
    "script_failed": "failures reported by scripts",
    "pushes_missing": "pushes missing",
    "pushes_duplicated": "pushes received twice or out of order",
    "pushes_reordered": "pushes with texts out of order",
    "pushes_altered": "pushes with an altered text",
    "pushes_foreign": "pushes with another session's text",
}
"""What each of `FAILED_MESSAGES` means.

One finding is enough for FAIL: TCP delivers everything in order, so on an undisturbed connection
every message must arrive, and a server that loses one in a million has a fault. Losses explained by a drop or
an outage are counted separately (`lost_in_outage`, `recovered`) and do not fail the item."""

_TAGS = (*ROUND_TRIPS, "response", "first_part", "part_gap", "push", "push_gap")

MIN_ANSWERED = 100
"""Answers needed for PASS: a server that loses 3% of messages still answers 100 in a row in 1 of 20 runs."""

OUTCOMES = (
    "answered",
    "unanswerable",
    "reordered",
    "corrupted",
    "foreign",
    "failed",
    "broken_off",
    "late",
    "recovered",
    "lost",
    "lost_in_outage",
    "unfinished",
)
"""Every request sent ends with exactly one of these outcomes."""

SILENT_RATIO = 0.8
"""Share of the reply timeout that a message must have waited in vain for FAIL where none was ever answered. A
run may be as short as its reply timeout, so nothing need have waited for the whole of it. A server whose
replies all take longer than this has no margin to that timeout. One that is meant to be slow (a model that
answers after 30 s) has a longer timeout, and a run that ends long before is INCONCLUSIVE."""

MAX_ARREARS_RATIO = 0.01
"""Share of connections whose replies may have been fewer than the requests for long: one hiccup is chance."""

PUSHES_EXPECTED_AFTER_S = 60


def judge(run: RunData) -> Item[MessagingEvidence]:
    """Judge requests, replies and pushes."""
    verdict, summary = _with_push_rate(run, _ruling(run))
    remarks = _remarks(run)
    return Item(
        item="messaging",
        verdict=verdict,
        summary="; ".join([summary, *remarks]),
        evidence=MessagingEvidence(
            counts=_counts(run),
            unaccounted=_unaccounted(run),
            limits={**dict.fromkeys(FAILINGS, 0), "least_answered": MIN_ANSWERED, **push_rate.limits(run)},
            percentiles=run.percentile_table(_TAGS),
            errors=errors_seen(run, "messaging"),
        ),
    )


def _counts(run: RunData) -> dict[str, int]:
    """Return the counts; of a script's messages, all of which are sent, none is planned."""
    counts = run.counts_of("messaging")
    if run.only_scripted:
        counts.pop("planned", None)
    return counts


def _with_push_rate(run: RunData, found: tuple[Ruling, str]) -> tuple[Ruling, str]:
    """Return the verdict on messages together with that on the rate of pushes, if one was expected."""
    of_pushes = push_rate.ruling(run)
    if of_pushes is None:
        return found
    both = (found, of_pushes)
    verdict = worst(ruling for ruling, _ in both)
    told = both if verdict is Ruling.PASS else [one for one in both if one[0] is verdict]
    return verdict, "; ".join(summary for _, summary in told)


def _ruling(run: RunData) -> tuple[Ruling, str]:
    if is_silent(run) and (waited_s := longest_wait_s(run)):
        return _silence(run, waited_s)
    failings = [
        failing(count, FAILINGS[name])
        for name in FAILED_MESSAGES
        if (count := run.count(f"messaging.{name}"))
    ]
    sent, answered = run.count("messaging.sent"), run.count("messaging.answered")
    asked = sent - run.count("messaging.unanswerable")
    if failings:
        planned, pushes = run.manifest.plan.messages_planned, run.count("messaging.pushes")
        seen = f"{text.counted(sent, 'message')} sent" if planned else f"{_pushes_text(pushes)} received"
        return Ruling.FAIL, f"{seen}: {', '.join(failings)}"
    if left := _unaccounted(run):
        return Ruling.INCONCLUSIVE, imbalance(left, f"{text.counted(sent, 'message')} sent")
    if not run.manifest.plan.messages_planned:
        return _pushes_ruling(run, "no messages are planned (rate 0)")
    if not asked and run.manifest.plan.tasks:
        return _pushes_ruling(run, "the script expects no replies")
    if sent and not asked:
        return _pushes_ruling(run, f"none of {text.counted(sent, 'message')} sent needs a reply")
    if answered < MIN_ANSWERED and not _mostly_hears(run):
        return Ruling.INCONCLUSIVE, (
            f"{text.only(answered, 'message')} answered, {MIN_ANSWERED} are needed: "
            "run longer, or with more sessions or a higher rate"
        )
    if doubt := _doubt(run, asked):
        return Ruling.INCONCLUSIVE, doubt
    heard = f"; {_pushes_text(run.count('messaging.pushes'))} received" if answered < MIN_ANSWERED else ""
    return Ruling.PASS, _success(run, answered, asked) + heard


def _doubt(run: RunData, asked: int) -> str:
    """Return why it cannot be told whether messages were lost, empty if it can."""
    if waiting := hanging(run, "messaging"):
        plan = run.manifest.plan
        return (
            f"{text.count(waiting)} of {text.counted(asked, 'message')} had waited over "
            f"{text.span(HANGING_NS / 1000)} for a reply when their connection or the run ended, before the "
            f"reply timeout of {plan.reply_timeout_s:g} s: lower --ws-reply-timeout, drop less often, or run "
            "longer"
        )
    arrears, ends = run.count("messaging.arrears"), run.count("messaging.unnamed_ends")
    if arrears > max(1, MAX_ARREARS_RATIO * ends):
        return (
            f"{text.count(arrears)} of {text.counted(ends, 'connection')} had fewer replies than requests "
            "for a long time. The replies do not name their request, so they may be lost or slow: have "
            "Reply name the request or hold its text, or lower --ws-rate"
        )
    return ""


def _silence(run: RunData, waited_s: float) -> tuple[Ruling, str]:
    """Judge a run in which no message was answered, though connections stayed up."""
    asked = run.count("messaging.sent") - run.count("messaging.unanswerable")
    timeout_s = run.manifest.plan.reply_timeout_s
    messages = text.counted(asked, "message")
    told = f"none of {messages} was answered; the longest wait was {text.span(waited_s * 1000000.0)}"
    if waited_s >= SILENT_RATIO * timeout_s:
        return Ruling.FAIL, told
    return Ruling.INCONCLUSIVE, (
        f"{told}, and the reply timeout is {timeout_s:g} s: run longer than that, drop less often, or lower "
        "--ws-reply-timeout"
    )


def _success(run: RunData, answered: int, asked: int) -> str:
    """Return what is known of the answers: a text shows one intact, a name or a text whose it is."""
    promised, unchecked = run.manifest.promised, run.count("messaging.unchecked")
    unnamed = run.count("messaging.unnamed")
    claims = [
        *([] if unchecked else ["intact"]),
        *(["once"] if not unnamed else []),
        *(["in order"] if not unnamed and (promised is None or promised.ordered) else []),
    ]
    claim = " and ".join(filter(None, [", ".join(claims[:-1]), *claims[-1:]]))
    counted = f"{text.count(answered)} of {text.counted(asked, 'message')} answered"
    told = ", ".join(filter(None, [counted, claim]))
    if not unchecked:
        return told
    which = "texts" if unchecked >= answered else text.counted(unchecked, "text")
    told = f"{told}; {which} not checked: these replies do not hold the request's text"
    return (
        f"{told}, and {text.count(unnamed)} replies do not name their request, so they were only counted"
        if unnamed
        else told
    )


def _pushes_ruling(run: RunData, reason: str) -> tuple[Ruling, str]:
    """Judge a run without replies by its pushes, if the server sends any.

    Args:
        run: the run.
        reason: why there are no replies.
    """
    pushes = run.count("messaging.pushes")
    if run.manifest.pushes_per_s or not (pushes or _promises_pushes(run)):
        return Ruling.NOT_JUDGED, reason  # where a rate is expected, that judges the pushes
    if pushes < MIN_ANSWERED and not run.manifest.plan.messages_planned and _has_requests(run):
        return Ruling.NOT_JUDGED, reason  # rate 0 was chosen, and the server may have nothing to push
    if pushes < MIN_ANSWERED:
        return Ruling.INCONCLUSIVE, (
            f"{reason}, and only {_pushes_text(pushes)} received, {MIN_ANSWERED} are needed: "
            "run longer, or with more sessions"
        )
    return Ruling.PASS, f"{_pushes_text(pushes)} received, none known to be missing, repeated or altered"


def _mostly_hears(run: RunData) -> bool:
    """Return whether sessions run a script that asks little, and were told enough to judge that."""
    return bool(run.manifest.plan.tasks) and run.count("messaging.pushes") >= MIN_ANSWERED


def _pushes_text(pushes: int) -> str:
    return text.counted(pushes, "push", "pushes")


def _has_requests(run: RunData) -> bool:
    promised = run.manifest.promised
    return promised is None or promised.requests


def _promises_pushes(run: RunData) -> bool:
    promised = run.manifest.promised
    return promised is not None and promised.pushes


def _lacks_pushes(run: RunData) -> bool:
    """Return whether promised pushes did not come, where no rate is expected, which would judge that."""
    return _promises_pushes(run) and not (run.count("messaging.pushes") or run.manifest.pushes_per_s)


def _unaccounted(run: RunData) -> int:
    return unaccounted(run, "messaging", "sent", OUTCOMES)


def _remarks(run: RunData) -> list[str]:
    explained = run.count("messaging.lost_in_outage") + run.count("messaging.recovered")
    missed, unfinished = run.count("messaging.missed"), run.count("messaging.unfinished")
    remarks = [
        said.format(text.count(count))
        for count, said in (
            (run.count("messaging.unanswerable"), "{} need no reply"),
            (explained, "{} lost in an outage"),
            (missed, "{} were due while not connected"),
            (unfinished, "{} unfinished at the run's end"),
            (run.count("messaging.hanging"), "{} of these overdue"),
        )
        if count
    ]
    if rejections := run.count("messaging.rejections"):
        times = text.counted(rejections, "time")
        remarks.append(f"the token of an established session was rejected {times}")
    if unmarked := run.count("messaging.pushes_unmarked"):
        remarks.append(f"{_pushes_text(unmarked)} could not be checked (no mark)")
    if _lacks_pushes(run) and run.length_s > PUSHES_EXPECTED_AFTER_S:
        remarks.append("no pushes were received")
    return remarks
