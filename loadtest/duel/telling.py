"""How a duel is told: a line a run and a look while it goes, tables at its end, for terminal and Markdown."""

import math
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from loadtest.duel.judging import DuelPair, DuelRun
from loadtest.duel.record import DuelRecord
from loadtest.duel.settings import DuelSettings, Order, Side
from loadtest.duel.steps import next_look
from loadtest.evidence import redact
from loadtest.report import figures
from loadtest.report.advice import told_items
from loadtest.report.tables import Sheet, gate_table, gates, pair_table, told, verdict_table
from loadtest.statistics import GATES
from loadtest.verdict import Item, Ruling
from loadtest.verdict.latency import changes
from loadtest.verdict.timing import OPTIONAL_TAGS

_SECONDS_BESIDE = 5
"""What Locust takes beyond a run's duration: starting, closing, reports."""


def opening_lines(settings: DuelSettings) -> Iterator[str]:
    """Yield what is going to happen."""
    a, b = (f"{_named(side)} ({_where(side.url)})" for side in settings.sides)
    runs = settings.pairs * (1 if settings.order is Order.PARALLEL else 2)
    most_s = runs * (settings.duration_s + _SECONDS_BESIDE)
    looks, each = ", ".join(map(str, settings.looks)), figures.clock(settings.duration_s)
    yield f"{b} against {a}"
    yield (
        f"at most {pairs_of(settings.pairs)} of runs of {each}, {settings.order}, looked at after {looks}: "
        f"at most {figures.clock(most_s)}"
    )


def _named(side: Side) -> str:
    return side.role if side.revision == side.role else f"{side.role}, {side.revision}"


def pairs_of(count: int) -> str:
    """Return a number of pairs with its noun."""
    return f"{count} pair{'s' * (count != 1)}"


def _where(url: str) -> str:
    return redact(url) if url else "from its command"


def turn_line(settings: DuelSettings, number: int, roles: Sequence[str]) -> str:
    """Return which runs begin."""
    names = " and ".join(_named(side) for side in settings.sides if side.role in roles)
    verb = "runs" if len(roles) == 1 else "run at once"
    return f"pair {number} of {settings.pairs}: {names} {verb} for {figures.clock(settings.duration_s)}"


def pair_lines(number: int, pair: DuelPair) -> Iterator[str]:
    """Yield what each run of a pair showed."""
    for role, run in (("a", pair.a), ("b", pair.b)):
        quantiles = ", ".join(f"{name} {_of_run(run, name)}" for name in ("p50", "p90", "p99"))
        yield f"pair {number}, {role}: {_rulings(run)}; service {quantiles}; {run.path}"
        if not run.timing.generator.valid:
            yield f"pair {number} does not count: {'; '.join(run.timing.generator.problems)}"
    for lack in pair.lacks:
        yield f"pair {number}: too little to judge, {lack}"


def _of_run(run: DuelRun, name: str) -> str:
    in_ms = run.timing.percentiles.get("service", {}).get(f"{name}_ms")
    return figures.span(None if in_ms is None else 1000 * in_ms)


def _rulings(run: DuelRun) -> str:
    """Return the run's verdict, with how items failed, and with the names of those that cannot be told."""
    items = run.verdict.items
    found = [f"{item.item}: {item.summary}" for item in items if item.verdict is Ruling.FAIL]
    untold = [item.item for item in items if item.verdict is Ruling.INCONCLUSIVE]
    if untold:
        found.append(f"cannot tell {', '.join(untold)}")
    return f"{run.verdict.verdict} ({'; '.join(found)})" if found else str(run.verdict.verdict)


def standing_line(fit: Sequence[DuelPair], look: Item | None, *, looks: Sequence[int]) -> str:
    """Return what is known so far, and what is missing.

    Args:
        fit: the pairs that count.
        look: what a look found, None where none was due.
    """
    counted = pairs_of(len(fit))
    if look is not None:
        return f"look at {counted}: {look.verdict}: {look.summary}"
    names = [str(gate) for gate in GATES if gate.tag not in OPTIONAL_TAGS]
    means = ", ".join(f"{name} {figures.change(_mean(fit, name))}" for name in names)
    upcoming = next_look(len(fit), looks)
    missing = "no look is left" if upcoming is None else f"{upcoming - len(fit)} more until the next look"
    return f"so far {counted}: {means}; {missing}"


def _mean(pairs: Sequence[DuelPair], gate: str) -> float | None:
    """Return the mean change over the pairs, in logarithms, where each of them has one."""
    found = [changes(pair.timings)[gate] for pair in pairs]
    known = [math.log1p(ratio) for ratio in found if ratio is not None]
    return math.expm1(math.fsum(known) / len(known)) if known else None


def duel_sheet(record: DuelRecord, folder: Path) -> Sheet:
    """Return the tables of a duel under its verdict."""
    latency = record.item("latency")
    return Sheet(
        headline=f"verdict of {record.b} against {record.a}",
        ruling=record.verdict,
        lines=[
            f"{len(record.pairs)} of {pairs_of(record.pairs_planned)} of runs of "
            f"{figures.clock(record.duration_s)} ({record.order}): {record.end}",
            *record.notes,
            *told(latency, "spoiled", list[str], []),
        ],
        tables=[verdict_table(told_items(record.items)), gate_table(gates(latency)), pair_table(latency)],
        again=f"loadtest report {shlex.quote(str(folder))}",
    )
