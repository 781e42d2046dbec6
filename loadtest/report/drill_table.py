"""How drills are shown: their table."""

from collections.abc import Iterator
from dataclasses import replace

from loadtest import text
from loadtest.report.tables import Table, Untrusted, bounded
from loadtest.results.data import RunData
from loadtest.results.drill_recovery import DrillRecovery
from loadtest.results.manifest import DrillRun
from loadtest.verdict.stability import cause_text

_CAUSES_SHOWN = 3
_COMMANDS_SHOWN = 3
_COMMAND_LENGTH = 120


def drill_table(run: RunData) -> Table:
    """Return how each drill went; empty if there was none."""
    header = ("drill at", "exit", "took", "lost", "by", "back", "50%", "95%", "100%", "outage p95", "peak/s")
    note = (
        f"{' '.join(_commands(run))} Lost: connections that ended between a drill's start and "
        f"{run.manifest.drill_window_s:g} s after its end. 50%, 95%, 100%: time from the command's start "
        "until this share of their sessions was back ('-': never). Outages are measured from each loss. "
        f"Peak: the most connection attempts in one second. {' '.join(_across(run))}"
    )
    return replace(bounded("Drills", header, "rrrrlrrrrrr", map(_row, run.drills)), note=note.strip())


def _commands(run: RunData) -> Iterator[str]:
    """Yield what the first drills ran: a command is too long for a column."""
    for one in run.drills[:_COMMANDS_SHOWN]:
        yield f"At {_moment(one.drill)}: {text.one_line(one.drill.command, _COMMAND_LENGTH)}."


def _row(one: DrillRecovery) -> tuple[str, ...]:
    drill = one.drill
    times = (None if after_s is None else 1e6 * after_s for after_s in one.back_after_s.values())
    causes = [
        f"{text.count(group.count)} x {cause_text(group.cause)}" for group in one.losses[:_CAUSES_SHOWN]
    ]
    return (
        _moment(drill),
        _exit(drill),
        text.span(_took_us(drill)),
        text.count(one.lost),
        Untrusted(", ".join(causes)),
        _back(one),
        *map(text.span, times),
        text.span(one.outage_us.get(95)),
        text.count(one.peak_per_s),
    )


def _back(one: DrillRecovery) -> str:
    if not one.sessions:
        return text.UNKNOWN
    return "all" if one.back == one.sessions else f"{text.count(one.back)} of {text.count(one.sessions)}"


def _moment(drill: DrillRun) -> str:
    return f"{drill.at_s:g} s"


def _exit(drill: DrillRun) -> str:
    if drill.stopped:
        return "stopped"
    return text.UNKNOWN if drill.exit_status is None else str(drill.exit_status)


def _took_us(drill: DrillRun) -> float | None:
    if drill.started_s is None or drill.ended_s is None:
        return None
    return 1e6 * (drill.ended_s - drill.started_s)


_ACROSS = {
    "messaging.lost_in_outage": (
        "{} message was lost with its connection",
        "{} messages were lost with their connection",
    ),
    "messaging.released": ("{} message waited for the reconnect", "{} messages waited for the reconnect"),
    "messaging.missed": ("{} message was not sent", "{} messages were not sent"),
    "persistence.histories": ("{} restored history was compared", "{} restored histories were compared"),
    "persistence.missing": (
        "{} acknowledged request was missing from them",
        "{} acknowledged requests were missing from them",
    ),
    "persistence.identity_changed": (
        "{} session resumed as another session",
        "{} sessions resumed as another session",
    ),
}
"""What a drill's note says of its counts, where they are not 0: of one, and of more."""


def _across(run: RunData) -> Iterator[str]:
    """Yield a sentence for each drill about its messages and histories."""
    for one in run.drills:
        if said := [
            forms[one.counts[name] != 1].format(text.count(one.counts[name]))
            for name, forms in _ACROSS.items()
            if name in one.counts
        ]:
            yield f"From {_moment(one.drill)} on: {', '.join(said)}."
