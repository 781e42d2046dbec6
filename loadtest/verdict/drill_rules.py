"""The part of `reconnect` that a drill adds: a deploy in mid-run, which the run itself started.

A deploy may end connections, so its losses fail nothing by themselves. Each session must be back, and must
not have been turned away on its way: a server that hands over properly is never away. What the deploy does to
messages and histories is judged by `messaging` and `persistence`, how long it takes by limits
(`--ws-limit outage.p95=5s`). A command that failed shows nothing, so the run is INCONCLUSIVE.
"""

from collections.abc import Iterator, Mapping

from loadtest import text
from loadtest.results.data import RunData
from loadtest.results.drill_recovery import DrillRecovery
from loadtest.results.loss_groups import LossGroup
from loadtest.verdict.loss_evidence import DrillEvidence, LossesSeen
from loadtest.verdict.stability import loss_text

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
        losses=list(map(_losses_seen, one.losses)),
        sessions=one.sessions,
        barred=one.barred,
        back=one.back,
        back_p50_s=back_after_s[0.5],
        back_p95_s=back_after_s[0.95],
        back_p100_s=back_after_s[1.0],
        outage_p50_ms=_ms(one.outage_us, 50),
        outage_p95_ms=_ms(one.outage_us, 95),
        outage_max_ms=_ms(one.outage_us, 100),
        attempts_peak_per_s=one.peak_per_s,
        refused=one.refused,
        counts=dict(one.counts),
    )


def _losses_seen(group: LossGroup) -> LossesSeen:
    return LossesSeen(
        cause=group.cause,
        code=group.code,
        reason=group.reason,
        count=group.count,
        first_at_s=group.first_at_s,
        last_at_s=group.last_at_s,
        sessions=list(group.sessions),
    )


def _ms(values_us: Mapping[float, int], percentile: float) -> float | None:
    value_us = values_us.get(percentile)
    return None if value_us is None else value_us / 1000


def barred_in_drills(run: RunData) -> Iterator[str]:
    """Yield what fails `reconnect` if a drill's losses bar sessions from reconnecting."""
    if barred := sum(one.barred for one in run.drills):
        yield f"{text.counted(barred, 'session')} barred from reconnecting by a drill's close code"


def refusals_text(run: RunData, refused: int) -> str:
    """Describe failed attempts that count against the server.

    Args:
        run: the run.
        refused: how many attempts failed.
    """
    attempts = text.counted(run.count("reconnect.attempts"), "attempt")
    in_drills = min(refused, sum(one.refused for one in run.drills))
    if not in_drills:
        return f"{text.count(refused)} of {attempts} refused by a server that was there"
    share = "all" if in_drills == refused else text.count(in_drills)
    return f"{text.count(refused)} of {attempts} failed, {share} of them during a drill"


def drills_doubt(run: RunData) -> str:
    """Return why a drill did not show what it was to show, empty if each did."""
    return next(filter(None, map(_doubt, run.drills)), "")


def _doubt(one: DrillRecovery) -> str:
    drill = one.drill
    name = drill_name(one)
    words = f" ({text.one_line(drill.last_words, 120)})" if drill.last_words else ""
    if drill.started_s is None:
        return f"the command of {name} {drill.last_words or 'was never started: the run ended before'}"
    if drill.ended_s is None or drill.stopped:
        return f"the command of {name} was still running when the run ended: run longer"
    if drill.exit_status:
        return f"the command of {name} failed with exit status {drill.exit_status}{words}"
    return ""


def drill_name(one: DrillRecovery) -> str:
    """Return how a drill is called in sentences."""
    return f"the drill at {one.drill.at_s:g} s"


def in_the_drills(run: RunData) -> str:
    """Return the end of a sentence about nothing that happened: in a drill neither; empty without drills."""
    if not run.drills:
        return ""
    return ", not even in the drill" if len(run.drills) == 1 else ", not even in the drills"


def drills_text(run: RunData) -> str:
    """Describe each drill in a clause, empty if there were none."""
    return "".join(f"; {_text(one)}" for one in run.drills)


def _text(one: DrillRecovery) -> str:
    if not one.lost:
        return f"{drill_name(one)} ended no connection"
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
    return f"95% back after {text.span(p95_s * 1e6)}, all after {text.span(all_s * 1e6)}"
