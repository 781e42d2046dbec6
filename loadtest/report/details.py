"""What a person can act on, in lines of plain text: of an item that did not pass, of the generator, of what
to do next. The terminal and junit.xml show the same lines.
"""

from collections.abc import Iterator, Mapping

from msgspec import Struct

from loadtest.evidence import Evidence
from loadtest.report import figures
from loadtest.report.tables import gates, told
from loadtest.report.text import printable
from loadtest.verdict import Generator, Item, Ruling

_STEPS: Mapping[tuple[str, Ruling], str] = {
    ("connect", Ruling.FAIL): "open one connection by hand with the same path, token and subprotocols; "
    "the error says at which step it ended",
    ("messaging", Ruling.FAIL): "look for the session and the time of the first error in the server's log; "
    "a run with --ws-drop-every 0 tells whether drops have to do with it",
    ("reconnect", Ruling.FAIL): "look for the session and the time of the first error in the server's log; "
    "a run with one kind (--ws-drops reset) tells which drops do it",
    ("persistence", Ruling.FAIL): "look up the first session in the server's store; a run with "
    "--ws-drops close tells whether orderly disconnects lose data too",
    ("latency", Ruling.FAIL): "repeat both revisions in turn on a quiet machine; if it stays, profile the "
    "quantile that moved: p50 is the common path, p99 the queue or the pause",
    ("latency", Ruling.INCONCLUSIVE): "repeat both revisions in turn, longer or more often",
    ("latency", Ruling.NOT_JUDGED): "run the same command against the old revision, with --ws-revision NAME; "
    "later runs are compared with it",
    ("server_log", Ruling.FAIL): "log at INFO what clients cause by leaving, and look into the real errors; "
    "the first lines of both are given here",
    ("server_log", Ruling.INCONCLUSIVE): "give the whole log of the run's time, also afterwards: "
    "loadtest report RUN --server-log FILE",
}


_LINES_LIMIT = 5


def next_step(item: Item) -> str:
    """Return what to do about an item, empty where the summary says it."""
    return _STEPS.get((item.item, item.verdict), "")


class _Baseline(Struct, frozen=True, kw_only=True):
    revision: str
    started_at: str = ""
    path: str = ""
    rule: str = ""


def baseline_line(item: Item) -> str:
    """Return which run latency was compared with and why, empty where there was none."""
    baseline = told(item, "baseline", _Baseline, _Baseline(revision=""))
    if not baseline.path:
        return ""
    return (
        f"Compared with {baseline.revision}, started {baseline.started_at} ({baseline.path}): {baseline.rule}"
    )


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
            f"({gate.interval} %), margin {figures.share(gate.margin_ratio)}"
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


def generator_line(generator: Generator) -> str:
    """Return whether the load generator was fit to measure, with its figures."""
    seen = [_figure(name, value) for name, value in generator.figures.items() if value is not None]
    return f"Load generator {'valid' if generator.valid else 'NOT VALID'}: {', '.join(seen) or 'no figures'}"


def _figure(name: str, value: float) -> str:
    """Write a figure with the unit that its name ends with."""
    if name.endswith("_ratio"):
        return f"{_words(name.removesuffix('_ratio'))} {figures.share(value)}"
    if name.endswith("_ms"):
        return f"{_words(name.removesuffix('_ms'))} {value:.3g} ms"
    return f"{_words(name)} {value:.3g}"


def _words(name: str) -> str:
    return name.replace("_", " ")


def herd_line(evidence: Evidence) -> str:
    """Return when the most connections were attempted at once, empty where none was."""
    if evidence.herd_peak_s is None:
        return ""
    peak, at = figures.count(evidence.herd_peak), figures.clock(evidence.herd_peak_s)
    return f"The most connection attempts in a second were {peak}, at {at}."
