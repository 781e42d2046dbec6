"""The part of `reconnect` that a drill adds: a deploy in mid-run, which the run itself started.

A deploy may end connections, so its losses fail nothing by themselves. The sessions must come back without
being turned away: a server that hands over properly is never away. What the deploy does to messages and
histories is judged by `messaging` and `persistence`, how long it takes by limits (`--ws-limit
outage.p95=5s`). Where the command failed, or a session was not back when the run ended, nothing is proven,
and the item is INCONCLUSIVE.
"""

from collections.abc import Iterator, Mapping

from loadtest import text
from loadtest.results.data import RunData
from loadtest.results.drill_recovery import DrillRecovery
from loadtest.verdict.loss_evidence import DrillEvidence, LossesSeen
from loadtest.verdict.stability import loss_text

MAX_REFUSED_RATIO = 0.01
"""Share of the attempts to reconnect in a drill that may fail."""

MAX_STRAY = 1
"""Failed attempts that any drill may have: a listener that closes resets what it has not accepted."""

SETTLED_S = 10.0
"""Seconds without a loss at the run's end that show that a deploy is over, if it ended connections again and
again."""

_GROUPS_SHOWN = 3


def drill_seen(one: DrillRecovery, window_s: float) -> DrillEvidence:
    """Return how a drill went, as evidence."""
    drill, back_after_s = one.drill, one.back_after_s
    return DrillEvidence(
        at_s=drill.at_s,
        command=drill.command,
        started_s=drill.started_s,
        ended_s=drill.ended_s,
        exit_status=drill.exit_status,
        window_s=window_s,
        lost=one.lost,
        losses=list(map(LossesSeen.of, one.losses)),
        sessions=one.sessions,
        barred=one.barred,
        back=one.back,
        back_p50_s=back_after_s[0.5],
        back_p95_s=back_after_s[0.95],
        back_p100_s=back_after_s[1.0],
        outage_p50_ms=_ms(one.outage_us, 50),
        outage_p95_ms=_ms(one.outage_us, 95),
        outage_max_ms=_ms(one.outage_us, 100),
        attempts=one.attempts,
        attempts_peak_per_s=one.peak_per_s,
        refused=one.refused,
        nobody=one.nobody,
        nobody_from_s=one.nobody_from_s,
        nobody_until_s=one.nobody_until_s,
        counts=dict(one.counts),
    )


def _ms(values_us: Mapping[float, int], percentile: float) -> float | None:
    value_us = values_us.get(percentile)
    return None if value_us is None else value_us / 1000


def drill_failings(run: RunData) -> Iterator[str]:
    """Yield what fails `reconnect` in drills: sessions that must not come back, attempts that failed."""
    if barred := sum(one.barred for one in run.drills):
        yield f"{text.counted(barred, 'session')} barred from reconnecting by a drill's close code"
    for one in run.drills:
        if turns_away(one):
            attempts = text.counted(one.attempts, "attempt")
            yield f"{text.count(one.refused)} of {attempts} failed during {drill_name(one)}"


def turns_away(one: DrillRecovery | DrillEvidence) -> bool:
    """Whether so many attempts failed in a drill that it fails `reconnect`."""
    return one.refused > max(MAX_STRAY, MAX_REFUSED_RATIO * one.attempts)


def command_doubt(run: RunData) -> str:
    """Return why the command of a drill is not known to have done its work, empty if each has."""
    return next(filter(None, map(_command_doubt, run.drills)), "")


def _command_doubt(one: DrillRecovery) -> str:
    drill = one.drill
    name = f"the command of {drill_name(one)}"
    if drill.started_s is None:
        return f"{name} {drill.last_words or 'was never started: the run ended first'}"
    if drill.ended_s is None or drill.stopped:
        return f"{name} was still running when the run ended: run longer"
    if not one.met:
        return f"{drill_name(one)} hit no session: schedule it while sessions are up"
    if drill.exit_status:
        words = f" ({text.one_line(drill.last_words, 120)})" if drill.last_words else ""
        return f"{name} failed with exit status {drill.exit_status}{words}"
    return ""


def return_doubt(run: RunData) -> str:
    """Return what speaks against the sessions of a drill being back for good, empty if nothing does."""
    for one in run.drills:
        if away := one.sessions - one.barred - one.back:
            of = text.counted(one.sessions, "session")
            return (
                f"{text.count(away)} of {of} dropped in {drill_name(one)} were not back by the run's end: "
                "run longer"
            )
        last_s = max((group.last_at_s for group in one.losses), default=0.0)
        if one.lost > one.sessions and last_s > run.length_s - SETTLED_S:
            losses = f"{text.count(one.lost)} losses of {text.counted(one.sessions, 'session')}"
            return (
                f"{drill_name(one)} was still ending connections when the run ended: {losses}, the last at "
                f"{text.clock(last_s)}: run longer"
            )
    return ""


def drill_name(one: DrillRecovery) -> str:
    """Return how a drill is called in sentences."""
    return f"the drill at {one.drill.at_s:g} s"


def in_the_drills(run: RunData) -> str:
    """Return the end of a sentence about losses that did not happen, empty without drills."""
    if not run.drills:
        return ""
    return ", nor in the drill" if len(run.drills) == 1 else ", nor in the drills"


def drills_text(run: RunData) -> str:
    """Describe each drill in a clause, empty if there were none."""
    return "".join(f"; {_text(one)}" for one in run.drills)


def _text(one: DrillRecovery) -> str:
    if not one.lost:
        return f"{drill_name(one)} ended no connections"
    shown = list(map(loss_text, one.losses[:_GROUPS_SHOWN]))
    if rest := one.lost - sum(group.count for group in one.losses[:_GROUPS_SHOWN]):
        shown.append(f"{text.count(rest)} others")
    return (
        f"{drill_name(one)} ended {text.counted(one.lost, 'connection')} ({', '.join(shown)}): {_back(one)}"
    )


def _back(one: DrillRecovery) -> str:
    p95_s, all_s = one.back_after_s[0.95], one.back_after_s[1.0]
    if p95_s is None or all_s is None:
        return f"{text.count(one.back)} of {text.counted(one.sessions, 'session')} back by the run's end"
    return f"95% back {text.span(p95_s * 1e6)} after the command's start, all {text.span(all_s * 1e6)}"
