"""What to do next, item by item, and whose advice comes first.

Everything but the server's log needs sessions that connect. Where they did not, what could not be judged is
told to depend on `connect`, before any advice of its own: a person who is told to run longer and to mend the
server would do the wrong one first. verdict.json keeps every summary as it was made; this is about what
people read.
"""

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from loadtest import text
from loadtest.report.tables import gates, told
from loadtest.results.data import RunData
from loadtest.text import one_line
from loadtest.verdict.items import Generator, Item, Ruling
from loadtest.verdict.latency import PassedOver

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
        yield "counts: " + ", ".join(f"{name} {text.count(count)}" for name, count in counts.items())


class _Error(Struct, frozen=True, kw_only=True):
    error: str
    count: int
    example: str
    session: str
    at_s: float


def _error_lines(item: Item) -> Iterator[str]:
    for error in told(item, "errors", list[_Error], []):
        yield f"{text.count(error.count)} x {one_line(error.error)}"
        yield f"    first at {text.clock(error.at_s)} in session {one_line(error.session)}"
        if error.example:
            yield f"    example: {one_line(error.example)}"


def _gate_lines(item: Item) -> Iterator[str]:
    for gate in gates(item):
        if gate.change_ratio is None:
            yield f"{gate.decision} {gate.gate}: {gate.reason}"
            continue
        yield (
            f"{gate.decision} {gate.gate}: {text.span(gate.baseline_us)} -> "
            f"{text.span(gate.candidate_us)}, {text.change(gate.change_ratio)} "
            f"({gate.interval} %), margin {gate.margin}{f' = {gate.share}' if gate.absolute else ''}"
        )


class _LogLine(Struct, frozen=True, kw_only=True):
    line: int
    text: str
    file: str = ""


def _log_lines(item: Item) -> Iterator[str]:
    for name in ("first_disconnect_errors", "first_real_errors"):
        for logged in told(item, name, list[_LogLine], [])[:_LINES_LIMIT]:
            where = f"{one_line(logged.file)} line" if logged.file else "line"
            yield f"{where} {logged.line}: {one_line(logged.text)}"


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
    shown = text.share(value) if name.endswith("_ratio") else f"{value:.3g}"
    unit = " ms" if name.endswith("_ms") else ""
    return _FIGURES.get(name, f"{plain} {{}}").replace("{}", f"{shown}{unit}")


def failure_lines(evidence: RunData) -> list[str]:
    """Return what made the tool itself give up, and what the rest is then; nothing if nothing did."""
    failure = evidence.manifest.failure
    if failure is None:
        return []
    recorded = text.clock(evidence.length_s)
    return [
        f"The tool itself failed: {failure}",
        f"What follows is of the {recorded} that it had recorded, and says nothing of what came after.",
    ]


def herd_line(evidence: RunData) -> str:
    """Return when the most connections were attempted at once, empty where none was."""
    if evidence.herd_peak_s is None:
        return ""
    peak, at = text.count(evidence.herd_peak), text.clock(evidence.herd_peak_s)
    return f"The most connection attempts in a second were {peak}, at {at}."


_STEPS: Mapping[tuple[str, Ruling], str] = {
    ("connect", Ruling.FAIL): "open one connection by hand with the same path, token and subprotocols; "
    "the error says at which step it ended",
    ("messaging", Ruling.FAIL): "look for the session and the time of the first error in the server's log; "
    "a run with --ws-drop-every 0 tells whether drops have to do with it",
    ("reconnect", Ruling.FAIL): "look for the session and the time of the first error in the server's log; "
    "a run with one kind (--ws-drops reset) tells which drops do it",
    ("persistence", Ruling.FAIL): "look up the first session in the server's store; a run with "
    "--ws-drops close tells whether orderly disconnects lose data too",
    (
        "latency",
        Ruling.FAIL,
    ): "repeat both revisions in turn, as loadtest duel does; if it stays, profile the "
    "quantile that moved: p50 is the common path, p99 the queue or the pause",
    ("server_log", Ruling.FAIL): "log at INFO what clients cause by leaving, and look into the real errors; "
    "the first lines of both are given here",
    ("server_log", Ruling.INCONCLUSIVE): "give the whole log of the run's time, also afterwards: "
    "loadtest report RUN --server-log FILE",
}

_SETTLE = "loadtest duel runs both revisions in turn until it is settled"
_FIRST_RUN = (
    "run the same command against the old revision, with --ws-revision NAME; later runs are compared with it"
)
_NAME_ONE = "one that was passed over can be named with --ws-baseline DIRECTORY"

_INDEPENDENT = ("connect", "server_log")
"""Items that do not wait for connect: a server writes its log whoever connects."""


def told_items(items: Sequence[Item]) -> list[Item]:
    """Return the items of a verdict as people are to read them: what waits for connect says so."""
    connect = _connect(items)
    return [_waiting(item, connect) if _waits(item, connect) else item for item in items]


def _connect(items: Sequence[Item]) -> Item:
    return next(item for item in items if item.item == "connect")


def _waits(item: Item, connect: Item) -> bool:
    """Tell whether an item may lack what connect has kept from it."""
    return item.verdict is Ruling.INCONCLUSIVE and item.item not in _INDEPENDENT and _in_the_way(connect)


def _in_the_way(connect: Item) -> bool:
    """Tell whether sessions did not connect; where it only cannot be told of all, it is in nobody's way."""
    return connect.verdict is Ruling.FAIL or _nobody(connect)


def _nobody(connect: Item) -> bool:
    counts = told(connect, "counts", dict[str, int], {})
    return bool(counts.get("attempts")) and not counts.get("established")


def _waiting(item: Item, connect: Item) -> Item:
    depends = f"it depends on connect, which is {connect.verdict}"
    if _nobody(connect):  # whatever it lacks, it lacks for that
        return replace(item, summary=f"no session was established: {depends}")
    return replace(item, summary=f"{depends}; then: {item.summary}")


def next_step(item: Item, items: Sequence[Item]) -> str:
    """Return what to do about an item of a verdict, empty where its summary or connect's says it."""
    waits = item.verdict is not Ruling.FAIL and item.item not in _INDEPENDENT
    if waits and _in_the_way(_connect(items)):
        return ""
    if item.item == "latency" and item.verdict is not Ruling.FAIL:
        return _of_latency(item)
    return _STEPS.get((item.item, item.verdict), "")


def _of_latency(item: Item) -> str:
    if item.verdict is Ruling.INCONCLUSIVE:
        undecided = [gate for gate in gates(item) if gate.decision == Ruling.INCONCLUSIVE]
        can_tell = undecided and all(gate.change_ratio is not None for gate in undecided)
        return _SETTLE if can_tell else ""  # more runs that are too short would not tell either
    if item.verdict is Ruling.PASS or "baseline" in item.evidence or item.evidence.get("rule"):
        return ""
    return f"{_FIRST_RUN}; {_NAME_ONE}" if item.evidence.get("passed_over") else _FIRST_RUN
