"""Output of a duel: lines for each run and look during the duel, tables at its end."""

import math
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from loadtest import text
from loadtest.duel.duel_advice import next_lines
from loadtest.duel.duel_record import DuelRecord
from loadtest.duel.judging import DuelPair, DuelRun, instance_limit
from loadtest.duel.settings import DuelSettings, Order, Side
from loadtest.duel.stopping import End, next_look
from loadtest.report.advice import shown_items
from loadtest.report.change_tables import change_table
from loadtest.report.judged_comparison import JudgedComparison, PairMade
from loadtest.report.pair_sums import PairSums
from loadtest.report.tables import Sheet, gate_table, limit_table, pair_table, verdict_table
from loadtest.ruling import Ruling
from loadtest.statistics.comparison import MIN_UNITS
from loadtest.statistics.margins import GATES
from loadtest.verdict.differences import differences
from loadtest.verdict.evidence import LatencyEvidence
from loadtest.verdict.items import AnyItem, Item, whole
from loadtest.verdict.remedies import MACHINE
from loadtest.verdict.side_changes import fails_in_both
from loadtest.verdict.timing import changes, spoiling

_SECONDS_BESIDE = 5
"""Seconds that Locust takes beyond a run's duration: starting, closing sessions, writing reports."""


def opening_lines(settings: DuelSettings) -> Iterator[str]:
    """Yield the lines printed first: the two sides, the order and number of runs, and the maximum time."""
    a, b = (f"{_named(side)} ({_where(side.url)})" for side in settings.sides)
    runs = settings.pairs * (1 if settings.order is Order.PARALLEL else 2)
    most_s = runs * (settings.duration_s + _SECONDS_BESIDE)
    pairs = text.counted(settings.pairs, "pair")
    looks, each = ", ".join(map(str, settings.looks)), text.clock(settings.duration_s)
    if settings.pairs_per_unit > 1:
        looks += f" units of {settings.pairs_per_unit} pairs"
    starts = " plus server start-up" if settings.restarted else ""
    yield f"{b} against {a}"
    yield (
        f"up to {pairs} of {each} runs, {_ORDERS[settings.order]}; evaluated after {looks}; "
        f"up to {text.clock(most_s)}{starts}"
    )
    if settings.restarted:
        yield f"{_restarts(settings.restarted, settings.restart_every)}{_units(settings)}"
    if limit := instance_limit(settings.restarted, every=settings.restart_every):
        yield limit


MAX_LOAD_PER_CORE = 1.5
"""Load average per core up to which a machine may still give a load generator the CPU that it needs."""


def busy_line(load_average: float, cores: int) -> str:
    """Return the warning printed before the first pair on a machine that is busy already; empty if it is not.

    Args:
        load_average: mean number of processes that run or wait for a core, over the last minute.
        cores: number of the machine's cores.
    """
    if load_average <= MAX_LOAD_PER_CORE * cores:
        return ""
    return (
        f"this machine is busy already (load average {load_average:.1f} on {text.counted(cores, 'core')}): "
        "pairs do not count while the load generator is overloaded"
    )


def _units(settings: DuelSettings) -> str:
    """Return the effect of pairs that share instances of the servers; empty if each has its own."""
    if settings.pairs_per_unit == 1:
        return ""
    found = f", which count as one unit: {text.counted(settings.units, 'unit')}"
    if settings.units < MIN_UNITS:
        found += f"; {MIN_UNITS} are needed to measure how much instances differ"
    return found


_ORDERS = {Order.TURNS: "in turn, in random order", Order.PARALLEL: "in parallel"}


def _restarts(restarted: Sequence[str], every: int) -> str:
    who = "both servers restart" if len(restarted) == 2 else f"the server of {restarted[0]} restarts"
    return f"{who} for every pair" if every == 1 else f"{who} every {every} pairs"


def _named(side: Side) -> str:
    return side.role if side.revision == side.role else f"{side.role}, {side.revision}"


def _where(url: str) -> str:
    return text.public_url(url) if url else "from its command"


def turn_line(settings: DuelSettings, number: int, roles: Sequence[str]) -> str:
    """Return the line printed when runs start."""
    names = " and ".join(_named(side) for side in settings.sides if side.role in roles)
    verb = "runs" if len(roles) == 1 else "run in parallel"
    return f"pair {number} of {settings.pairs}: {names} {verb} for {text.clock(settings.duration_s)}"


_HOW_TO_RELIEVE = {
    Order.TURNS: "options for Locust go after --, as in: -- --processes 2 --ws-rate 0.5",
    Order.PARALLEL: "use --order turns, so that runs do not share the host; options for Locust go after --",
}
"""How to follow the advice for an overloaded load generator in a duel."""


def _relief(pair: DuelPair, order: Order) -> Iterator[str]:
    """Yield how to follow the advice, unless it is to leave the machine to the load generator."""
    problems = {problem for run in (pair.a, pair.b) for problem in run.timing.generator.problems}
    if any(MACHINE not in problem for problem in problems) or (problems and order is Order.PARALLEL):
        yield _HOW_TO_RELIEVE[order]


def pair_lines(number: int, pair: DuelPair, settings: DuelSettings) -> Iterator[str]:
    """Yield the results of each run of a pair, and why the pair does not count for latency, if so."""
    for role, run in (("a", pair.a), ("b", pair.b)):
        quantiles = ", ".join(f"{name} {_of_run(run, name)}" for name in ("p50", "p90", "p99"))
        yield f"pair {number}, {role}: {_rulings(run, settings.followed)}; service {quantiles}; {run.path}"
        if why := spoiling(run.timing):
            yield f"pair {number} does not count for latency: {role}: {why}"
    yield from _relief(pair, settings.order)
    for missing in pair.lacks(pairs=settings.pairs, units=settings.units):
        yield f"pair {number}: too few samples to judge: {missing}"


def _of_run(run: DuelRun, name: str) -> str:
    in_ms = run.timing.percentiles.get("service", {}).get(f"{name}_ms")
    return text.span(None if in_ms is None else 1000 * in_ms)


def _rulings(run: DuelRun, followed: Sequence[str]) -> str:
    """Return the items that failed and those that are INCONCLUSIVE; the run's verdict if there are none.

    A log that the duel itself chose may be one that cannot be judged (`loadtest.duel.judging`).
    """
    unasked = {"server_log"} if followed else set()
    items = [
        item
        for item in run.verdict.items
        if not (item.verdict is Ruling.INCONCLUSIVE and item.item in unasked)
    ]
    failed = [f"{item.item} ({item.summary})" for item in items if item.verdict is Ruling.FAIL]
    inconclusive = [item.item for item in items if item.verdict is Ruling.INCONCLUSIVE]
    found = ((Ruling.FAIL, failed), (Ruling.INCONCLUSIVE, inconclusive))
    return " · ".join(f"{ruling} {', '.join(some)}" for ruling, some in found if some) or str(whole(items))


def both_lines(items: Sequence[AnyItem]) -> Iterator[str]:
    """Yield a line with the items that both sides fail alike, if there are any."""
    if names := fails_in_both(items):
        yield f"fails on both sides so far, so it is not a regression: {', '.join(names)}"


def standing_line(
    fit: Sequence[DuelPair],
    look: AnyItem | None,
    *,
    made: int,
    units: int,
    settings: DuelSettings,
    end: str = "",
) -> str:
    """Return the state after a pair: the result of the look, or the mean changes so far.

    Args:
        fit: the pairs that count.
        look: the item judged at this look, None if no look was due.
        made: number of pairs so far.
        units: number of units that count.
        settings: settings of the duel.
        end: why this is the last pair, empty if it is not.
    """
    counted, of_units = text.counted(len(fit), "pair"), settings.pairs_per_unit > 1
    if of_units:
        counted += f" in {text.counted(units, 'unit')}"
    if look is not None:
        return f"check after {counted}: {look.verdict}: {look.summary}"
    names = [str(gate) for gate in GATES if gate.required]
    known = [(name, mean) for name in names if (mean := _mean(fit, name)) is not None]
    means = ", ".join(f"{name} {text.change(mean)}" for name, mean in known) or "nothing to compare"
    return f"so far {counted}: {means}; {end or _outlook(made, units, settings)}"


def _outlook(made: int, units: int, settings: DuelSettings) -> str:
    """Return the distance to the next look; if too few pairs are left for one, when the verdict comes."""
    upcoming, per_unit = next_look(units, settings.looks), settings.pairs_per_unit
    if upcoming is None or (upcoming - units) > math.ceil((settings.pairs - made) / per_unit):
        at = "" if upcoming is None else f"too few pairs are left for the check after {upcoming}: "
        return f"{at}the verdict comes after the last pair, {settings.pairs}"
    left = upcoming - units
    return f"{text.counted(left, 'unit') if per_unit > 1 else left} more until the next check"


def end_text(end: End, certain: Sequence[AnyItem]) -> str:
    """Return why a duel ends after a pair; `certain` are the items in which the candidate regressed."""
    if end is End.SETTLED and certain:
        return f"settled: the candidate fails {', '.join(item.item for item in certain)}"
    return f"stopped: {end}"


def _mean(pairs: Sequence[DuelPair], gate: str) -> float | None:
    """Return the geometric mean of the change over the pairs in which it is known."""
    found = [changes(pair.timings)[gate] for pair in pairs]
    known = [math.log1p(ratio) for ratio in found if ratio is not None]
    return math.expm1(math.fsum(known) / len(known)) if known else None


def duel_sheet(record: DuelRecord, folder: Path) -> Sheet:
    """Return the verdict of a duel with its tables."""
    latency: Item[LatencyEvidence] = record.item("latency")
    return Sheet(
        headline=f"verdict of {record.b} against {record.a}",
        ruling=record.verdict,
        lines=list(_remarks(record)),
        tables=[
            change_table(record.changes),
            verdict_table(shown_items(record.items)),
            limit_table([latency]),
            gate_table(latency),
            pair_table(latency.evidence),
        ],
        again=f"loadtest report {shlex.quote(str(folder))}",
    )


def _remarks(record: DuelRecord) -> Iterator[str]:
    """Yield how the runs were made, why the duel ended, its notes, and the advice."""
    yield (
        f"{len(record.pairs)} of {text.counted(record.pairs_planned, 'pair')} of runs of "
        f"{text.clock(record.duration_s)} ({_how(record)}): {record.end}"
    )
    yield from record.notes
    yield from next_lines(record)


def judged_duel(record: DuelRecord, pairs: Sequence[DuelPair], drawn: PairSums) -> JudgedComparison:
    """Return a finished duel in the form for its reports.

    Args:
        record: its record, with the verdict.
        pairs: its pairs.
        drawn: the data for their charts.
    """
    sides = [[of_pair.timings[side].manifest for of_pair in pairs] for side in (0, 1)]
    return JudgedComparison(
        made_by="duel",
        verdict=record.verdict or Ruling.INCONCLUSIVE,
        baseline=record.a,
        candidate=record.b,
        started_at=record.started_at,
        headline=f"{record.b} against {record.a} over {text.counted(len(pairs), 'pair')}",
        remarks=list(_remarks(record)),
        commands=[],
        latency=record.item("latency"),
        changes=record.changes,
        differences=differences(*sides) if pairs else [],
        pairs=[
            PairMade(baseline=pair.a.path, candidate=pair.b.path, first=first)
            for pair, first in zip(pairs, drawn.firsts, strict=False)  # Ctrl-C may come between them
        ],
        drawn=drawn,
        next_step=next(next_lines(record), "").removeprefix("next: "),
    )


def _how(record: DuelRecord) -> str:
    """Return how the runs of a duel were made; for files of earlier versions, the order as they name it."""
    order = _ORDERS[Order(record.order)] if record.order in list(Order) else record.order
    if not record.restarted:
        return order
    return f"{order}; {_restarts(record.restarted, record.restart_every)}"
