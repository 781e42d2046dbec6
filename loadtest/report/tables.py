"""The tables of a report, built once for terminal, Markdown and HTML.

A table is rows of text. Cells from outside are marked `Untrusted`, so that Markdown can put them into code
spans. Nothing is escaped here: each output format does that. The number of rows is limited, because a real
run has a few dozen kinds, causes and errors, but a hostile file may have thousands.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from loadtest import histograms, text
from loadtest.drops.kinds import disconnects
from loadtest.histograms import Histogram
from loadtest.results.data import RunData
from loadtest.results.manifest import Manifest, Plan
from loadtest.results.said_revision import GIVEN
from loadtest.ruling import Ruling, worst
from loadtest.session.count_words import count_words
from loadtest.session.recorder import COUNTS, ErrorTally
from loadtest.session.schedule import NS_PER_S
from loadtest.setting import written
from loadtest.statistics.comparison import MIN_UNITS
from loadtest.statistics.margins import GATES, GateKind
from loadtest.verdict.evidence import (
    CountedEvidence,
    LatencyEvidence,
    LimitedEvidence,
    LimitResult,
    PairEvidence,
)
from loadtest.verdict.gate_evidence import GateResult
from loadtest.verdict.gate_words import change, interval, level, margin, not_judged, short_names, values
from loadtest.verdict.items import AnyItem
from loadtest.verdict.log_evidence import KindEvidence, ServerLogEvidence

ROWS_LIMIT = 30

_PAIR_GATES = 4
"""Gates in a table of pairs: more would not fit into 80 columns."""

PERCENTILES = (50.0, 90.0, 95.0, 99.0, 99.9, 100.0)


class Untrusted(str):
    """Text from outside: from a server, or from a file that anyone may have written."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Table:
    """A table for any output format.

    Args:
        header: names of the columns.
        aligns: one letter per column, `l` or `r`.
        rows: rows with one cell per column.
        title: what the table shows.
        more: number of rows left out at the end.
        note: remark that helps to read the table.
    """

    header: Sequence[str]
    aligns: str
    rows: Sequence[Sequence[str]]
    title: str = ""
    more: int = field(default=0, kw_only=True)
    note: str = field(default="", kw_only=True)

    def __bool__(self) -> bool:
        return bool(self.rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """Tables under one headline, for any output format.

    Args:
        headline: what the tables are about.
        tables: the tables; empty ones are not shown.
        ruling: the verdict, None if nothing is judged.
        lines: sentences for people.
        commands: commands that tell more, to be copied.
        again: the command that shows the sheet again, empty if there is none.
    """

    headline: str
    tables: Sequence[Table]
    ruling: Ruling | None = None
    lines: Sequence[str] = ()
    commands: Sequence[str] = ()
    again: str = ""


def bounded(title: str, header: Sequence[str], aligns: str, rows: Iterable[Sequence[str]]) -> Table:
    """Return a table of the first `ROWS_LIMIT` rows."""
    found = list(rows)
    return Table(header, aligns, found[:ROWS_LIMIT], title, more=max(0, len(found) - ROWS_LIMIT))


def verdict_table(items: Iterable[AnyItem]) -> Table:
    """Return the table of items: name, verdict, summary."""
    rows = [(item.item, str(item.verdict), item.summary) for item in items]
    return Table(("item", "verdict", "summary"), "lll", rows, "Verdict")


def percentile_cells(histogram: Histogram, percentiles: Sequence[float] = PERCENTILES) -> list[str]:
    """Return the percentiles of a histogram, a dash for those that its samples do not carry."""
    carried_us = histograms.carried_us(histogram, percentiles)
    return [_time(carried_us.get(percentile)) for percentile in percentiles]


def _time(us: float | None) -> str:
    """Write a time; a histogram holds whole microseconds, so 0 is less than one."""
    return "< 0.001 ms" if us == 0 else text.span(us)


def outage_table(run: RunData) -> Table:
    """Return the outages by trigger and cause: drops first, then losses."""
    rows = [
        (
            Untrusted(group.name),
            "dropped" if group.trigger == "drop" else "lost",
            text.count(group.begun),
            text.count(group.resumed)
            if group.trigger == "loss" or disconnects(group.name)
            else "stays connected",
            *(
                text.span(us if histograms.carries(group.resumed, at) else None)
                for at, us in {50: group.p50_us, 95: group.p95_us, 100: group.max_us}.items()
            ),
        )
        for group in sorted(run.outages, key=lambda group: (group.trigger != "drop", group.name))
    ]
    header = ("kind", "by", "made", "resumed", "outage p50", "p95", "max")
    return bounded("Drops and losses", header, "llrrrrr", rows)


def phase_table(run: RunData) -> Table:
    """Return the phases of the outages that ended, without phases that never took time."""
    rows = [
        (phase, *percentile_cells(took, (50, 95, 100)))
        for phase, took in run.phases.items()
        if took.get_max_value()
    ]
    return Table(("phase", "p50", "p95", "max"), "lrrr", rows, "Phases of an outage")


def error_table(errors: Iterable[ErrorTally]) -> Table:
    """Return the errors in the given order, with the first occurrence of each."""
    rows = (
        (
            tally.item,
            text.count(tally.count),
            Untrusted(tally.error),
            text.clock(tally.at_ns / NS_PER_S),
            Untrusted(tally.session),
            Untrusted(tally.example),
        )
        for tally in errors
    )
    header = ("item", "count", "error", "first at", "in session", "example")
    return bounded("Errors", header, "lrlrll", rows)


def count_table(item: AnyItem) -> Table:
    """Return an item's counts with their meaning."""
    rows = (
        (text.count(count), COUNTS.get(f"{item.item}.{name}") or Untrusted(count_words(item.item, name)))
        for name, count in counts(item).items()
    )
    return bounded("Counts", ("count", "what"), "rl", rows)


def counts(item: AnyItem) -> Mapping[str, int]:
    """Return an item's counts, empty for an item that is not judged by counting."""
    return item.evidence.counts if isinstance(item.evidence, CountedEvidence) else {}


def time_limits(item: AnyItem) -> Sequence[LimitResult]:
    """Return how an item's limits on times were met, empty if none was given."""
    limited = isinstance(item.evidence, LimitedEvidence | LatencyEvidence)
    return (item.evidence.time_limits if limited else None) or ()


def limit_table(items: Iterable[AnyItem]) -> Table:
    """Return the limits on times of all items, with the values of the run."""
    rows = (
        (
            one.name,
            item.item,
            text.count(one.samples),
            text.span(None if one.value_ms is None else 1000 * one.value_ms),
            text.span(1000 * one.limit_ms),
            str(one.verdict),
        )
        for item in items
        for one in time_limits(item)
    )
    return bounded("Limits", ("limit", "item", "samples", "value", "allowed", "verdict"), "llrrrl", rows)


def gates(item: AnyItem) -> Sequence[GateResult]:
    """Return the gates of the item `latency`, empty if nothing was compared."""
    compared = item.evidence.gates if isinstance(item.evidence, LatencyEvidence) else None
    return compared or ()


def gate_table(item: AnyItem) -> Table:
    """Return each gate of `latency`: both values, the change with its bounds, the margin, the verdict.

    Gates that were left out are rows if their values are known. The table is empty if no gate has values on
    both sides: there is no change to show.
    """
    rows = [
        (gate.gate, *values(gate), change(gate), interval(gate), margin(gate), str(gate.decision))
        for gate in gates(item)
        if gate.compared or text.UNKNOWN not in values(gate)
    ]
    header = ("gate", "baseline", "candidate", "change", "bounds", "margin", "verdict")
    found = bounded("Change against the baseline", header, "lrrrrrl", rows)
    if not rows:
        return found
    left_out = [f"{words[0].upper()}{words[1:]}." for words in not_judged(gates(item))]
    return replace(found, note=" ".join([*_gate_notes(item.evidence), *left_out]))


def _gate_notes(evidence: LatencyEvidence) -> Iterator[str]:
    """Yield what helps to read the table of gates, a sentence each."""
    compared = evidence.gates or ()
    yield from _margin_note([gate for gate in compared if gate.absolute])
    yield from (f"Slow replies took {text.span(gate.slow_us)} or more." for gate in compared if gate.slow_us)
    for gate in compared:
        if gate.between_us is not None:
            low, high = map(text.span, gate.between_us)
            yield f"{gate.gate} falls between two groups of replies, around {low} and {high}."
    if levels := evidence.levels:
        yield (
            f"Error levels, one-sided: {level(levels.pass_ratio)} for a PASS, "
            f"{level(levels.fail_ratio)} for a FAIL ({levels.correction})."
        )
    if noise := _noise_note(evidence):
        yield noise


def _margin_note(absolute: Sequence[GateResult]) -> Iterator[str]:
    """Yield which margins are times, and what share of the baseline each is."""
    shares = ", ".join(
        f"{name} ({text.share(gate.margin_ratio)} instead of {text.share(gate.relative_margin_ratio)})"
        for name, gate in short_names(absolute)
    )
    if shares:
        yield f"Where the margin in percent is below the minimum time, that time applies: {shares}."


def _noise_note(evidence: LatencyEvidence) -> str:
    """Return the run-to-run noise of the gates of which every run has enough samples; empty if unused."""
    if evidence.noise is None or (evidence.units or evidence.pairs or 0) >= MIN_UNITS:
        return ""
    names = [gate.name for gate in GATES if gate.required and gate.name in evidence.noise]
    told = "; ".join(f"{name} {evidence.noise[name]}" for name in names)
    return f"Run-to-run noise: {told}." if told else ""


def pair_table(latency: LatencyEvidence) -> Table:
    """Return the pairs of runs, with the change of the gates that decided in each pair."""
    names = _decisive(latency.gates or ())
    rows = (
        (
            str(pair.pair),
            Untrusted(pair.baseline.run_id),
            Untrusted(pair.candidate.run_id),
            *(_pair_change(pair, name) for name in names),
            "yes" if pair.fit else "no",
        )
        for pair in latency.runs or ()
    )
    header = ("pair", "baseline", "candidate", *names, "counts")
    return bounded("Pairs of runs", header, f"rll{'r' * len(names)}l", rows)


def _decisive(compared: Sequence[GateResult]) -> list[str]:
    """Return the names of the gates that make the verdict, or of those that every run is judged by."""
    ruling = worst(gate.decision for gate in compared)
    found = [gate.gate for gate in compared if gate.decision is ruling and gate.kind is not GateKind.SLOW]
    required = [gate.name for gate in GATES if gate.required]
    return found[:_PAIR_GATES] if found and ruling is not Ruling.PASS else required


def _pair_change(pair: PairEvidence, name: str) -> str:
    """Return the change of a gate within a pair."""
    if name in pair.change_ratios or pair.losses_change_per_h is None:
        return text.change(pair.change_ratios.get(name))
    return f"{pair.losses_change_per_h:+,.3g}/h"


def server_log_table(item: AnyItem) -> Table:
    """Return the log levels for each client action; empty if no server log was judged."""
    kinds = item.evidence.by_kind if isinstance(item.evidence, ServerLogEvidence) else []
    rows = (
        (
            kind.kind,
            str(kind.drops),
            str(kind.drops_with_record),
            _level_counts(kind.departure_levels),
            _levels(kind),
        )
        for kind in kinds
    )
    header = ("client action", "times", "with a record", "disconnects by worst level", "records by level")
    return bounded("Server log by drop kind", header, "lrrll", rows)


def _level_counts(levels: Mapping[str, int]) -> str:
    return ", ".join(f"{level} {count}" for level, count in levels.items()) or "none"


def _levels(kind: KindEvidence) -> str:
    levels = _level_counts(kind.levels)
    return f"{levels} ({kind.expected_errors} expected)" if kind.expected_errors else levels


def plan_tables(manifest: Manifest) -> list[Table]:
    """Return the run's plan, or that of each of its user classes."""
    if not manifest.classes:
        return [plan_table(manifest.plan)]
    return [replace(plan_table(one.plan), title=f"Plan of {one.name}") for one in manifest.classes]


def plan_table(plan: Plan) -> Table:
    """Return the settings of the plan."""
    rows = [
        ("dialect", Untrusted(f"{plan.dialect} {written(plan.dialect_options)}".strip())),
        ("path", Untrusted(plan.path)),
        ("users", f"{plan.users}, {plan.spawn_rate:g} started per second"),
        ("sessions per user", str(plan.sessions_per_user)),
        ("messages per second per session", f"{plan.rate:g}, {plan.arrivals}"),
        *([("tasks of a session", Untrusted(written(plan.tasks)))] if plan.tasks else []),
        ("bytes per message", Untrusted(str(plan.message_bytes))),
        ("in flight at most", str(plan.in_flight or "any number")),
        ("mean seconds between drops", f"{plan.drop_every_s:g}" if plan.drop_every_s else "no drops"),
        ("drops", Untrusted(written(plan.drops))),
        *([("storms", Untrusted(written(plan.storms)))] if plan.storms else []),
        *([("drills", f"at {written(plan.drills_at_s)} s")] if plan.drills_at_s else []),
        ("backoff", Untrusted(plan.backoff)),
        *([("ping", f"every {plan.ping_interval_s:g} s")] if plan.ping_interval_s else []),
        ("timeouts", f"reply {plan.reply_timeout_s:g} s, opening {plan.open_timeout_s:g} s"),
        ("seed", str(plan.seed)),
        ("warm-up", f"{plan.warmup_s:g} s"),
        ("duration", "until stopped" if plan.duration_s is None else f"{plan.duration_s:g} s"),
    ]
    return Table(("setting", "value"), "ll", rows, "Plan")


def _compression(run: RunData) -> str:
    """Return what was offered to the server, and what it agreed to."""
    offered = run.manifest.plan.compression
    if offered == "off":
        return "not offered"
    opened, agreed = run.count("connect.opened"), run.count("connect.compressed")
    of_all = f"agreed on {text.count(agreed)} of {text.counted(opened, 'connection')}"
    resets = (("client", "connect.resets_sent"), ("server", "connect.resets_received"))
    alone = [f"the {who} on {text.count(run.count(name))}" for who, name in resets if run.count(name)]
    each = f"; each message compressed on its own: {', '.join(alone)}" if alone else ""
    return f"permessage-deflate offered ({Untrusted(offered)}), {of_all}{each}"


def _passed_over(run: RunData) -> list[tuple[str, str]]:
    """Return the row of addresses of the server's name that did not answer, if there were any."""
    count = run.count("connect.passed_over")
    if not count:
        return []
    told = f"{text.counted(count, 'connection')} used another address than the first one tried"
    return [("addresses of the host", told)]


def named_revision(manifest: Manifest) -> str:
    """Return the revision of a run's server and, unless a person named it, how it is known."""
    source = manifest.revision_source
    return manifest.revision if source in (None, GIVEN) else f"{manifest.revision} ({source})"


def environment_table(run: RunData) -> Table:
    """Return where, when and with which versions the run was made."""
    manifest, host, said = run.manifest, run.manifest.host, run.manifest.revision_said
    rows = [
        ("revision", Untrusted(named_revision(manifest))),
        *([("the server says", Untrusted(f"{said.name} ({said.source})"))] if said is not None else []),
        ("run", Untrusted(manifest.run_id)),
        ("target", Untrusted(manifest.target)),
        *([("proxy", Untrusted(manifest.proxy))] if manifest.proxy is not None else []),
        ("compression", _compression(run)),
        *_passed_over(run),
        ("started", Untrusted(manifest.started_at)),
        ("ended", Untrusted(manifest.ended_at or "killed")),
        ("length", text.clock(run.length_s)),
        ("processes", str(max(1, len(manifest.workers)))),
        ("host", Untrusted(f"{host.system} {host.release} {host.machine}".strip())),
        *([("CPU", Untrusted(host.model))] if host.model else []),
        ("cores, memory", f"{host.cpus}, {text.count(host.memory_mb)} MiB"),
        ("comparability hash", Untrusted(manifest.comparability_hash)),
        *((name, Untrusted(version)) for name, version in manifest.versions.items()),
    ]
    return bounded("Environment", ("what", "value"), "ll", rows)
