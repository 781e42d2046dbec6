"""What a person can act on, in lines of plain text: of the tool's own failure, of an item that did not pass,
of the baseline, of the generator. The terminal and junit.xml show the same lines.
"""

from collections.abc import Iterator

from msgspec import Struct

from loadtest.evidence import Evidence
from loadtest.report import figures
from loadtest.report.tables import gates, told
from loadtest.report.text import printable
from loadtest.run import PassedOver
from loadtest.verdict import Generator, Item

_LINES_LIMIT = 5


class _Baseline(Struct, frozen=True, kw_only=True):
    revision: str
    started_at: str = ""
    path: str = ""
    rule: str = ""


def baseline_lines(item: Item) -> Iterator[str]:
    """Yield which run latency was compared with and why, and which were passed over for it."""
    baseline = told(item, "baseline", _Baseline, _Baseline(revision=""))
    if baseline.path:
        yield (
            f"Compared with {baseline.revision}, started {baseline.started_at} ({baseline.path}): "
            f"{baseline.rule}"
        )
    passed_over = told(item, "passed_over", list[PassedOver], [])
    if passed_over:
        newest, more = passed_over[0], len(passed_over) - 1
        others = f"; {more} more in verdict.json" if more else ""
        yield f"Passed over as a baseline: {newest.revision} ({newest.path}): {newest.why}{others}"


def item_lines(item: Item) -> list[str]:
    """Return the evidence of an item: counts, findings and quantiles."""
    return [*count_lines(item), *finding_lines(item), *_gate_lines(item)]


def finding_lines(item: Item) -> list[str]:
    """Return what was found: the commonest errors, the first lines of a server's log."""
    return [*_error_lines(item), *_log_lines(item)]


def count_lines(item: Item) -> Iterator[str]:
    """Yield the counts of an item, if it has any."""
    counts = told(item, "counts", dict[str, int], {})
    if counts:
        yield "counts: " + ", ".join(f"{name} {figures.count(count)}" for name, count in counts.items())


class _Error(Struct, frozen=True, kw_only=True):
    error: str
    count: int
    example: str
    session: str
    at_s: float


def _error_lines(item: Item) -> Iterator[str]:
    for error in told(item, "errors", list[_Error], []):
        yield f"{figures.count(error.count)} x {printable(error.error)}"
        yield f"    first at {figures.clock(error.at_s)} in session {printable(error.session)}"
        if error.example:
            yield f"    example: {printable(error.example)}"


def _gate_lines(item: Item) -> Iterator[str]:
    for gate in gates(item):
        if gate.change_ratio is None:
            yield f"{gate.decision} {gate.gate}: {gate.reason}"
            continue
        yield (
            f"{gate.decision} {gate.gate}: {figures.span(gate.baseline_us)} -> "
            f"{figures.span(gate.candidate_us)}, {figures.change(gate.change_ratio)} "
            f"({gate.interval} %), margin {gate.margin}{f' = {gate.share}' if gate.absolute else ''}"
        )


class _LogLine(Struct, frozen=True, kw_only=True):
    line: int
    text: str
    file: str = ""


def _log_lines(item: Item) -> Iterator[str]:
    for name in ("first_disconnect_errors", "first_real_errors"):
        for logged in told(item, name, list[_LogLine], [])[:_LINES_LIMIT]:
            where = f"{printable(logged.file)} line" if logged.file else "line"
            yield f"{where} {logged.line}: {printable(logged.text)}"


_FIGURES = {
    "achieved_ratio": "{} of the planned messages sent",
    "cpu_ratio": "engine's CPU {} of a core",
    "process_cpu_ratio": "whole process's {}",
    "steal_ratio": "{} of the CPU stolen by the host",
    "gc_pause_max_ms": "longest GC pause {}",
    "files_ratio": "{} of the open files allowed",
    "ports_ratio": "{} of the local ports",
}
"""How figures of the generator are told, where their names do not say it."""


def generator_line(generator: Generator) -> str:
    """Return whether the load generator was fit to measure, with its figures."""
    seen = [_figure(name, value) for name, value in generator.figures.items() if value is not None]
    return f"Load generator {'valid' if generator.valid else 'NOT VALID'}: {', '.join(seen) or 'no figures'}"


def _figure(name: str, value: float) -> str:
    """Write a figure with the unit that its name ends with."""
    plain = name.removesuffix("_ratio").removesuffix("_ms").replace("_", " ")
    shown = figures.share(value) if name.endswith("_ratio") else f"{value:.3g}"
    unit = " ms" if name.endswith("_ms") else ""
    return _FIGURES.get(name, f"{plain} {{}}").replace("{}", f"{shown}{unit}")


def failure_lines(evidence: Evidence) -> list[str]:
    """Return what made the tool itself give up, and what the rest is then; nothing if nothing did."""
    failure = evidence.manifest.failure
    if failure is None:
        return []
    recorded = figures.clock(evidence.length_s)
    return [
        f"The tool itself failed: {failure}",
        f"What follows is of the {recorded} that it had recorded, and says nothing of what came after.",
    ]


def herd_line(evidence: Evidence) -> str:
    """Return when the most connections were attempted at once, empty where none was."""
    if evidence.herd_peak_s is None:
        return ""
    peak, at = figures.count(evidence.herd_peak), figures.clock(evidence.herd_peak_s)
    return f"The most connection attempts in a second were {peak}, at {at}."
