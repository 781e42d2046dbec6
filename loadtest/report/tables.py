"""The tables of a report, built once for terminal, Markdown and HTML.

A table is rows of text. Cells from outside are marked `Untrusted`, so that Markdown can put them into code
spans. Nothing is escaped here: each output format does that. The number of rows is limited, because a real
run has a few dozen kinds, causes and errors, but a hostile file may have thousands.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from loadtest import text
from loadtest.drops.kinds import disconnects
from loadtest.results.data import RunData
from loadtest.results.manifest import GIVEN, Manifest, Plan
from loadtest.ruling import Ruling
from loadtest.session.recorder import COUNTS, ErrorTally
from loadtest.session.schedule import NS_PER_S
from loadtest.setting import written
from loadtest.verdict.evidence import (
    CountedEvidence,
    GateResult,
    LatencyEvidence,
    LimitedEvidence,
    LimitResult,
    PairEvidence,
)
from loadtest.verdict.items import AnyItem
from loadtest.verdict.log_evidence import KindEvidence, ServerLogEvidence

ROWS_LIMIT = 30

TAG_MEANINGS = {
    "service": "round trip from the actual send",
    "response": "round trip from the planned send",
    "connect": "first connection, start to established",
    "outage": "drop or loss to established again",
    "resume": "WebSocket open to established again",
    "after_resume": "first round trip after a resume",
    "first_part": "request to the first part of a streamed reply",
    "part_gap": "between two parts of a streamed reply",
    "unanswered": "wait for a reply that had not come",
    "collateral": "service time while others are in an outage",
    "push": "push delay above its connection's smallest",
    "push_gap": "time without a push on a connection",
    "cleanup_close": "close frame of a drop to the end of TCP",
    "cleanup_half_open": "silence of a half-open client to the end of TCP",
    "send_slip": "actual minus planned send",
}
"""What each tag measures, in the order of the latency table."""

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
        again: the command that shows the sheet again, empty if there is none.
    """

    headline: str
    tables: Sequence[Table]
    ruling: Ruling | None = None
    lines: Sequence[str] = ()
    again: str = ""


def bounded(title: str, header: Sequence[str], aligns: str, rows: Iterable[Sequence[str]]) -> Table:
    """Return a table of the first `ROWS_LIMIT` rows."""
    found = list(rows)
    return Table(header, aligns, found[:ROWS_LIMIT], title, more=max(0, len(found) - ROWS_LIMIT))


def verdict_table(items: Iterable[AnyItem]) -> Table:
    """Return the table of items: name, verdict, summary."""
    rows = [(item.item, str(item.verdict), item.summary) for item in items]
    return Table(("item", "verdict", "summary"), "lll", rows, "Verdict")


def latency_table(run: RunData) -> Table:
    """Return the percentiles of each tag with samples."""
    header = ("latency", "samples", "p50", "p90", "p95", "p99", "p99.9", "max", "what it measures")
    rows = [
        (
            tag,
            text.count(run.samples(tag)),
            *(text.span(us) for us in run.percentiles_us(tag, PERCENTILES).values()),
            meaning,
        )
        for tag, meaning in _meanings(run)
        if run.samples(tag)
    ]
    return Table(header, "lrrrrrrrl", rows, "Latency")


def _meanings(run: RunData) -> Iterator[tuple[str, str]]:
    """Yield each tag with what it measures; round trips by size come after those of all sizes."""
    for tag, meaning in TAG_MEANINGS.items():
        yield tag, meaning
        if tag == "service":
            yield from (
                (of_size, f"of these, texts of {text.count(size)} bytes")
                for of_size, size in run.size_tags.items()
            )


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
            *(text.span(us) for us in (group.p50_us, group.p95_us, group.max_us)),
        )
        for group in sorted(run.outages, key=lambda group: (group.trigger != "drop", group.name))
    ]
    header = ("kind", "by", "made", "resumed", "outage p50", "p95", "max")
    return bounded("Drops and losses", header, "llrrrrr", rows)


def phase_table(run: RunData) -> Table:
    """Return the phases of the outages that ended, without phases that never took time."""
    rows = [
        (phase, *(text.span(1000 * in_ms) for in_ms in times.values()))
        for phase, times in run.phase_table().items()
        if any(times.values())
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
        (text.count(count), COUNTS.get(f"{item.item}.{name}", Untrusted(name)))
        for name, count in counts(item).items()
    )
    return bounded("Counts", ("count", "of what"), "rl", rows)


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
    """Return the gated quantiles of the item `latency`, empty if nothing was compared."""
    compared = item.evidence.gates if isinstance(item.evidence, LatencyEvidence) else None
    return compared or ()


def gate_table(compared: Sequence[GateResult]) -> Table:
    """Return each gated quantile: both values, the change with its interval, the margin, the verdict.

    The table is empty if no quantile has values on both sides: there is no change to show.
    """
    if not any(gate.baseline_us and gate.candidate_us for gate in compared):
        return Table((), "", ())
    rows = [
        (
            gate.gate,
            text.span(gate.baseline_us),
            text.span(gate.candidate_us),
            text.change(gate.change_ratio),
            interval(gate),
            margin(gate),
            str(gate.decision),
        )
        for gate in compared
    ]
    header = ("quantile", "baseline", "candidate", "change", "interval, %", "margin", "verdict")
    return Table(header, "lrrrrrl", rows, "Change against the baseline", note=_margin_note(compared))


def interval(gate: GateResult) -> str:
    """Return the interval of a quantile's change, in percent."""
    if gate.low_ratio is None or gate.high_ratio is None:
        return text.UNKNOWN
    low, high = (text.change(ratio).removesuffix("%") for ratio in (gate.low_ratio, gate.high_ratio))
    return f"{low} to {high}"


def margin(gate: GateResult) -> str:
    """Return the margin in force as text: a time, or a share of the baseline."""
    return text.span(gate.absolute_margin_us) if gate.absolute else text.share(gate.margin_ratio)


def _margin_note(compared: Sequence[GateResult]) -> str:
    """Return the note: which samples the values come from, and the share that each absolute margin is."""
    notes = ["Values are of whole seconds after the warm-up."]
    absolute = [gate for gate in compared if gate.absolute]
    for least in dict.fromkeys(map(margin, absolute)):
        shares = ", ".join(
            f"{text.share(gate.margin_ratio)} of {gate.gate} (else {text.share(gate.relative_margin_ratio)})"
            for gate in absolute
            if margin(gate) == least
        )
        notes.append(f"A margin is {least} at least, which is {shares}.")
    return " ".join(notes)


def pair_table(pairs: Sequence[PairEvidence]) -> Table:
    """Return the pairs of runs, with the change of each quantile in each pair."""
    names = list(dict.fromkeys(name for pair in pairs for name in pair.change_ratios))
    rows = (
        (
            str(pair.pair),
            Untrusted(pair.baseline.run_id),
            Untrusted(pair.candidate.run_id),
            *(text.change(pair.change_ratios.get(name)) for name in names),
            "yes" if pair.fit else "no",
        )
        for pair in pairs
    )
    header = ("pair", "baseline", "candidate", *names, "counts")
    return bounded("Pairs of runs", header, f"rll{'r' * len(names)}l", rows)


def server_log_table(item: AnyItem) -> Table:
    """Return the log levels for each client action; empty if no server log was judged."""
    kinds = item.evidence.by_kind if isinstance(item.evidence, ServerLogEvidence) else []
    rows = (
        (kind.kind, str(kind.drops), str(kind.drops_with_record), str(kind.records), _levels(kind))
        for kind in kinds
    )
    header = ("client action", "times", "with a record", "records", "server's log level")
    return bounded("Server log by drop kind", header, "lrrrl", rows)


def _levels(kind: KindEvidence) -> str:
    levels = ", ".join(f"{level} {count}" for level, count in kind.levels.items()) or "nothing"
    return f"{levels} ({kind.expected_errors} expected)" if kind.expected_errors else levels


def plan_table(plan: Plan) -> Table:
    """Return the settings of the plan."""
    rows = [
        ("dialect", Untrusted(plan.dialect)),
        ("path", Untrusted(plan.path)),
        ("users", f"{plan.users}, {plan.spawn_rate:g} started a second"),
        ("sessions a user", str(plan.sessions_per_user)),
        ("messages a second and session", f"{plan.rate:g}, {plan.arrivals}"),
        ("bytes a message", Untrusted(str(plan.message_bytes))),
        ("in flight at most", str(plan.in_flight or "any number")),
        ("mean seconds between drops", f"{plan.drop_every_s:g}" if plan.drop_every_s else "no drops"),
        ("drops", Untrusted(written(plan.drops))),
        *([("storms", Untrusted(written(plan.storms)))] if plan.storms else []),
        *([("drills", f"at {written(plan.drills_at_s)} s")] if plan.drills_at_s else []),
        ("backoff", Untrusted(plan.backoff)),
        ("timeouts", f"reply {plan.reply_timeout_s:g} s, opening {plan.open_timeout_s:g} s"),
        ("seed", str(plan.seed)),
        ("warm-up", f"{plan.warmup_s:g} s"),
        ("duration", "until stopped" if plan.duration_s is None else f"{plan.duration_s:g} s"),
    ]
    return Table(("setting", "value"), "ll", rows, "Plan")


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
        ("started", Untrusted(manifest.started_at)),
        ("ended", Untrusted(manifest.ended_at or "not in good order")),
        ("length", text.clock(run.length_s)),
        ("processes", str(max(1, len(manifest.workers)))),
        ("host", Untrusted(f"{host.system} {host.release} {host.machine}".strip())),
        ("cores, memory", f"{host.cpus}, {text.count(host.memory_mb)} MiB"),
        ("comparability hash", Untrusted(manifest.comparability_hash)),
        *((name, Untrusted(version)) for name, version in manifest.versions.items()),
    ]
    return bounded("Environment", ("what", "value"), "ll", rows)
