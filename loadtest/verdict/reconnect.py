"""The item `reconnect`: does each client get back to work after a drop, within its backoff's limits?"""

import math
from collections.abc import Sequence

from loadtest import text
from loadtest.drops.plan import Storm
from loadtest.results.data import RunData, StormRecovery
from loadtest.results.manifest import Plan
from loadtest.results.outages import OutageGroup
from loadtest.ruling import Ruling
from loadtest.session.recorder import HANGING_NS
from loadtest.session.schedule import NS_PER_S
from loadtest.verdict.causes import explained
from loadtest.verdict.drill_rules import (
    command_doubt,
    drill_failings,
    drill_seen,
    drills_text,
    in_the_drills,
    return_doubt,
)
from loadtest.verdict.evidence import OutagesOfKind, ReconnectEvidence, StormEvidence
from loadtest.verdict.generator import own_failures, own_reason
from loadtest.verdict.items import Item, errors_seen, imbalance, unaccounted
from loadtest.verdict.silence import hanging, is_silent

FAILINGS = {
    "gave_up": "gave up",
    "forbidden": "barred from reconnecting by the close code",
    "silent": "ended on a new connection that did not answer",
    "overdue": "not back by the run's end after three or more failed attempts",
}
"""Outcomes of which one is enough for FAIL: a client that exhausts its backoff, or must not reconnect, leaves
its user with a dead page."""

ENDINGS = ("resumed", *FAILINGS, "unproven", "cut_short", "unresolved")
"""Every outage ends with exactly one of these outcomes."""

MAX_REFUSED_RATIO = 0.01
"""Share of attempts that a reachable server may refuse. Ten times that of `connect`, because many clients
reconnecting at once hit connection limits and restarts, which backoff is there to handle. Attempts while the
server was away after losses do not count: that is a matter of `stability`. Those in a drill are judged by
themselves (`loadtest.verdict.drill_rules`)."""

MIN_RESUMED = 10
"""Resumes needed for PASS if drops are planned: with the seven default kinds of drop, ten outages show some
kinds once."""


def judge(run: RunData) -> Item[ReconnectEvidence]:
    """Judge all outages, whether begun by a drop or a loss."""
    verdict, summary = _ruling(run)
    return Item(
        item="reconnect",
        verdict=verdict,
        summary=summary,
        evidence=ReconnectEvidence(
            counts=run.counts_of("reconnect"),
            unaccounted=unaccounted(run, "reconnect", "outages", ENDINGS),
            explained_by_losses=run.explained_by_losses.get("reconnect", 0),
            drops=run.counts_of("drops"),
            losses=run.counts_of("losses"),
            closes=run.counts_of("closes"),
            outages=[_outages(group) for group in run.outages],
            herd_peak_per_s=run.herd_peak,
            herd_peak_at_s=run.herd_peak_s,
            storms=[_storm(one) for one in run.storms],
            drills=[drill_seen(one, run.manifest.drill_window_s) for one in run.drills],
            limits={
                **dict.fromkeys(FAILINGS, 0),
                "refused_ratio": MAX_REFUSED_RATIO,
                "least_resumed": MIN_RESUMED,
            },
            percentiles=run.percentile_table(["outage", "resume"], (50, 95, 100)),
            phases=run.phase_table(),
            errors=errors_seen(run, "reconnect"),
        ),
    )


def _ruling(run: RunData) -> tuple[Ruling, str]:
    plan = run.manifest.plan
    outages, resumed = run.count("reconnect.outages"), run.count("reconnect.resumed")
    if failings := [*_failings(run), *drill_failings(run)]:
        of = f"{text.counted(outages, 'outage')}: " if outages else ""
        return Ruling.FAIL, f"{of}{', '.join(failings)}{_why_attempts_failed(run)}"
    if doubt := command_doubt(run):
        return Ruling.INCONCLUSIVE, doubt
    if not outages and not plan.outages_planned and _storm_without_sessions(run) is None:
        return Ruling.NOT_JUDGED, _no_outages(run)
    own = own_failures(run, "reconnect")
    if own:
        return Ruling.INCONCLUSIVE, (
            f"{text.counted(own, 'attempt')} to reconnect could not be made: {own_reason(run, 'reconnect')}"
        )
    if not plan.reconnects:
        return (
            Ruling.NOT_JUDGED,
            f"{text.counted(outages, 'outage')}, but the backoff policy does not reconnect",
        )
    if doubt := _doubt(run, outages, resumed):
        return Ruling.INCONCLUSIVE, doubt
    return Ruling.PASS, _success(run, outages, resumed)


def _no_outages(run: RunData) -> str:
    if barred := run.count("stability.barred"):
        return f"no outages: a close code bars {text.counted(barred, 'lost session')} from reconnecting"
    return f"no outages are planned and no connection was lost{in_the_drills(run)}"


def _why_attempts_failed(run: RunData) -> str:
    """Return the most frequent cause of failed attempts, empty if none failed or it is unknown."""
    found = explained(run, "reconnect")
    failed = run.count("reconnect.failed")
    return (
        f"; {text.count(found.times)} of {text.counted(failed, 'failed attempt')}: {found.text}"
        if found
        else ""
    )


def _doubt(run: RunData, outages: int, resumed: int) -> str:
    """Return why a run without failings cannot PASS, empty if it can."""
    plan = run.manifest.plan
    if doubt := return_doubt(run):
        return doubt
    if unresolved := run.count("reconnect.unresolved"):
        return (
            f"{text.count(unresolved)} of {text.counted(outages, 'outage')} had a failed or a long attempt "
            "just before the run's end: run longer"
        )
    if silent := run.count("reconnect.silent"):
        return (
            f"{text.count(silent)} of {text.counted(outages, 'outage')} ended on a connection that did not "
            "answer; no connection of this run answered"
        )
    if waiting := hanging(run, "reconnect"):
        return (
            f"{waiting} messages on new connections had waited over {HANGING_NS / NS_PER_S:g} s for a reply "
            f"when the connection was dropped, before the reply timeout of {plan.reply_timeout_s:g} s: lower "
            "--ws-reply-timeout, or drop less often"
        )
    if (missed := _storm_without_sessions(run)) is not None:
        return (
            f"the storm {missed} hit no session: schedule it while sessions are up, and "
            f"drop at least one of {plan.sessions}"
        )
    if left := unaccounted(run, "reconnect", "outages", ENDINGS):
        return imbalance(left, text.counted(outages, "outage"))
    if plan.outages_planned and resumed < MIN_RESUMED:
        return f"{text.only(resumed, 'outage')} resumed, {MIN_RESUMED} are needed: {_more_resumes(run)}"
    return ""


def _more_resumes(run: RunData) -> str:
    """Return advice for getting more outages that are known to have ended."""
    unproven = run.count("reconnect.unproven")
    if unproven <= run.count("reconnect.resumed"):
        return more_outages(run.manifest.plan)
    dropped = f"{text.count(unproven)} were dropped again"
    return f"{dropped}, or the run ended, before the first reply: drop less often"


def _storm_without_sessions(run: RunData) -> Storm | None:
    """Return the first storm that dropped no session, None if there is none or the run is incomplete."""
    storms = run.storms if run.manifest.complete else ()
    return next((one.storm for one in storms if not one.met), None)


def more_outages(plan: Plan) -> str:
    """Return advice for getting more outages; a longer run does not repeat storms."""
    if plan.outages_planned and not plan.drops_disconnect:
        return "use more sessions, or more or larger storms"
    return "run longer, use more sessions, or drop more often"


def _failings(run: RunData) -> list[str]:
    reconnects = run.manifest.plan.reconnects
    own = own_failures(run, "reconnect")
    excused = ("silent",) if is_silent(run) else ()  # no connection ever answered: that fails `messaging`
    failings = [
        f"{text.count(count)} {meaning}"
        for name, meaning in FAILINGS.items()
        # Up to `own` outages may be the load generator's fault; a close code never is.
        if (count := run.count(f"reconnect.{name}")) > (own if name != "forbidden" else 0)
        and (reconnects or name == "forbidden")
        and name not in excused
    ]
    attempts = run.count("reconnect.attempts")
    refused = run.count("reconnect.failed") - own - run.explained_by_losses.get("reconnect", 0)
    refused -= sum(one.refused for one in run.drills)
    if refused > MAX_REFUSED_RATIO * attempts:
        failings.append(f"{text.count(refused)} of {text.counted(attempts, 'attempt')} failed")
    return failings


def _success(run: RunData, outages: int, resumed: int) -> str:
    at_us = run.carried_us("outage", (50, 95))
    times = "".join(f", p{percentile:g} {text.span(value_us)}" for percentile, value_us in at_us.items())
    cut_short = run.count("reconnect.cut_short")
    end = f", {text.count(cut_short)} cut short by the run's end" if cut_short else ""
    unproven = run.count("reconnect.unproven")
    end += f", {text.count(unproven)} ended again before the first reply" if unproven else ""
    outages_text = text.counted(outages, "outage")
    recovered = f"{_worst(run.storms)}{drills_text(run)}"
    return f"{text.count(resumed)} of {outages_text} resumed{times}{end}{recovered}"


def _worst(storms: Sequence[StormRecovery]) -> str:
    """Describe the storm with the longest recovery."""
    met = [one for one in storms if one.met]
    if not met:
        return ""
    worst = max(met, key=_recovery_s)
    more = f", the worst of {len(met)} storms" if len(met) > 1 else ""
    return f"; storm at {worst.storm.at_s:g} s: {text.count(worst.met)} {_recovery_text(worst)}{more}"


def _recovery_s(one: StormRecovery) -> float:
    """Return the seconds until all sessions were back: inf if some never were, 0 if none disconnected."""
    all_s = one.back_after_s[1.0]
    return 0.0 if not one.disconnects else math.inf if all_s is None else all_s


def _recovery_text(one: StormRecovery) -> str:
    if not one.disconnects:
        return "disturbed"
    all_s = one.back_after_s[1.0]
    back = (
        f"{text.count(one.back)} back by the run's end"
        if all_s is None
        else f"all back after {text.span(all_s * 1e6)}"
    )
    return f"dropped, {back}"


def _storm(one: StormRecovery) -> StormEvidence:
    back_after_s = one.back_after_s
    return StormEvidence(
        at_s=one.storm.at_s,
        share_ratio=one.storm.share_ratio,
        kind=one.storm.kind,
        dropped=one.met,
        back=one.back,
        back_p50_s=back_after_s[0.5],
        back_p95_s=back_after_s[0.95],
        back_p100_s=back_after_s[1.0],
        attempts_peak_per_s=one.peak_per_s,
    )


def _outages(group: OutageGroup) -> OutagesOfKind:
    return OutagesOfKind(
        trigger=group.trigger,
        name=group.name,
        begun=group.begun,
        resumed=group.resumed,
        p50_ms=_ms(group.p50_us),
        p95_ms=_ms(group.p95_us),
        max_ms=_ms(group.max_us),
    )


def _ms(value_us: int | None) -> float | None:
    return None if value_us is None else value_us / 1000
