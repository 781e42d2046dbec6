"""What a verdict means and what to do next, item by item, as lines of text.

Every item but `server_log` needs sessions that connect, and some need a server that answers. Without these,
an INCONCLUSIVE item says first that it depends on `connect` or `messaging`: if people were advised both to
run longer and to repair the server, they would start with the wrong one. This changes only what people read;
verdict.json keeps the original summaries.
"""

from collections.abc import Iterator, Mapping, Sequence

from msgspec.structs import replace

from loadtest import text
from loadtest.report.losses import loss_lines
from loadtest.report.next_steps import server_log_step, step_by_evidence
from loadtest.report.tables import counts, gates, time_limits
from loadtest.results.data import RunData
from loadtest.ruling import Ruling
from loadtest.session.count_words import COUNT_WORDS, count_words
from loadtest.text import one_line
from loadtest.verdict.causes import foreign_cause_of
from loadtest.verdict.differences import SCRIPT
from loadtest.verdict.evidence import CountedEvidence, LatencyEvidence
from loadtest.verdict.gate_words import change, how_much_longer, interval, margin, values
from loadtest.verdict.items import AnyItem, Item, Verdict
from loadtest.verdict.log_evidence import LogLine, ServerLogEvidence
from loadtest.verdict.silence import silent


def baseline_lines(latency: Item[LatencyEvidence]) -> Iterator[str]:
    """Yield the baseline with the rule that chose it, and the newest run that the rule did not choose."""
    baseline, passed_over = latency.evidence.baseline, latency.evidence.passed_over
    if baseline and baseline.path:
        yield (
            f"Compared with {baseline.revision}, started {baseline.started_at} ({baseline.path}): "
            f"{baseline.rule}"
        )
    if passed_over:
        newest, more = passed_over[0], len(passed_over) - 1
        others = f"; {more} more in verdict.json" if more else ""
        yield f"Not chosen as baseline: {newest.revision} ({newest.path}): {newest.why}{others}"


def duel_command(item: AnyItem) -> str:
    """Return the command of a duel that settles an INCONCLUSIVE latency, empty if none would."""
    command = item.evidence.duel_command if isinstance(item.evidence, LatencyEvidence) else None
    return one_line(command or "", _COMMAND_LENGTH)


def item_lines(item: AnyItem) -> list[str]:
    """Return an item's evidence as text: counts, findings and quantiles."""
    return [*count_lines(item), *finding_lines(item), *_gate_lines(item), *filter(None, [duel_command(item)])]


def finding_lines(item: AnyItem) -> list[str]:
    """Return findings: the most frequent errors, and those of the server's log."""
    return [*_error_lines(item), *loss_lines(item), *_log_lines(item)]


def count_lines(item: AnyItem) -> Iterator[str]:
    """Yield a line with the item's counts in words, if it has any about the server."""
    found, known = counts(item), list(COUNT_WORDS)
    in_order = sorted(found, key=lambda name: _place(f"{item.item}.{name}", known))
    told = [
        f"{text.count(found[name])} {one_line(count_words(item.item, name))}"
        for name in in_order
        if f"{item.item}.{name}" not in _BOOKKEEPING
    ]
    if told:
        yield f"counted: {', '.join(told)}"


def _place(name: str, known: Sequence[str]) -> int:
    """Return the place of a count among the known ones: words such as "of these" refer to the one before."""
    return known.index(name) if name in known else len(known)


def _error_lines(item: AnyItem) -> Iterator[str]:
    for error in item.evidence.errors if isinstance(item.evidence, CountedEvidence) else ():
        yield f"{text.count(error.count)} x {one_line(error.error)}"
        yield f"    first at {text.clock(error.at_s)} in session {one_line(error.session)}"
        if error.example:
            yield f"    example: {one_line(error.example)}"


def open_gates(item: AnyItem) -> Iterator[str]:
    """Yield why each gate is INCONCLUSIVE whose values a table shows."""
    for gate in gates(item):
        if gate.decision is Ruling.INCONCLUSIVE:
            yield f"{gate.gate}: {gate.reason}"


def _gate_lines(item: AnyItem) -> Iterator[str]:
    for gate in gates(item):
        if not gate.compared:
            yield f"{gate.decision} {gate.gate}: {gate.reason}"
            continue
        share = f" = {text.share(gate.margin_ratio)}" if gate.absolute else ""
        yield (
            f"{gate.decision} {gate.gate}: {' -> '.join(values(gate))}, {change(gate)} "
            f"({interval(gate)}), margin {margin(gate)}{share}"
        )


def _log_lines(item: AnyItem) -> Iterator[str]:
    found = item.evidence
    if not isinstance(found, ServerLogEvidence):
        return
    yield from _shape_lines(
        found.first_disconnect_errors, found.disconnect_errors, found.disconnect_error_shapes
    )
    yield from _shape_lines(found.first_real_errors, found.real_errors, found.real_error_shapes)


def _shape_lines(shown: Sequence[LogLine], records: int, shapes: int) -> Iterator[str]:
    """Yield the records of a log by shape, and how many others there are."""
    for logged in shown:
        yield f"{text.count(logged.count)} x {one_line(logged.text)}"
        moment = "" if logged.first_s is None else f" at {text.clock(max(0.0, logged.first_s))}"
        session = f" in session {one_line(logged.session)}" if logged.session else ""
        yield f"    first{moment}{session}, {one_line(f'{logged.file} line {logged.line}'.lstrip())}"
    left = records - sum(logged.count for logged in shown)
    if shapes > len(shown) and left > 0:
        yield f"and {text.count(left)} more, of {text.counted(shapes - len(shown), 'other shape')}"


_BOOKKEEPING = frozenset(
    {
        *("connect.upgrades", "connect.opened", "connect.compressed"),
        *("connect.resets_sent", "connect.resets_received"),
        *("messaging.planned", "messaging.other_sent", "messaging.drop_sent", "messaging.drop_answers"),
        *("messaging.wire_sent", "messaging.wire_received", "messaging.push_stretches"),
    }
)
"""Counts of the load or the wire, left out of the line for lack of room; report.html has them."""

_COMMAND_LENGTH = 4096

_FIGURES = {
    "achieved_ratio": "{} of the planned messages sent",
    "loop_lag_max_ms": "event loop at most {} late in 80% of the seconds",
    "cpu_ratio": "engine CPU {} of a core",
    "process_cpu_ratio": "process CPU {} of a core",
    "steal_ratio": "{} of the CPU stolen by the host",
    "gc_pause_max_ms": "longest GC pause {}",
    "stall_max_ms": "longest stall {}",
    "files_ratio": "{} of the open files allowed",
    "ports_ratio": "{} of the local ports",
}
"""Text for load generator figures; the others are shown by their names."""


FAILURES_DOUBTFUL = "Failures may be the tool's own"


def failures_are_doubtful(verdict: Verdict) -> bool:
    """Return whether an item failed while the load generator was overloaded."""
    return verdict.generator.state == "overloaded" and any(
        item.verdict is Ruling.FAIL for item in verdict.items
    )


def generator_line(verdict: Verdict) -> str:
    """Return whether the load generator was fit to measure, and what that means for latency."""
    generator, latency = verdict.generator, verdict.latency.verdict
    figures = {name: value for name, value in generator.figures.items() if value is not None}
    if generator.valid:
        return f"Load generator OK: {', '.join(map(_figure, figures, figures.values())) or 'no figures'}"
    exceeded = {name: limit for name, limit in generator.exceeded.items() if name in figures}
    found = [f"{_figure(name, figures[name])}, limit {_amount(name, exceeded[name])}" for name in exceeded]
    told = f" ({'; '.join(found)})" if found else ""
    doubt = f". {FAILURES_DOUBTFUL}." if failures_are_doubtful(verdict) else ""
    if latency is Ruling.INCONCLUSIVE:
        return f"Load generator {generator.state}: latency not judged{told}{doubt}"
    return f"Load generator {generator.state}{told}: latencies may include the tool's own delays{doubt}"


def _figure(name: str, value: float) -> str:
    """Format a figure with the unit at the end of its name."""
    plain = name.removesuffix("_ratio").removesuffix("_ms").replace("_", " ")
    return _FIGURES.get(name, f"{plain} {{}}").replace("{}", _amount(name, value))


def _amount(name: str, value: float) -> str:
    shown = text.share(value) if name.endswith("_ratio") else text.figures(value)
    return f"{shown} ms" if name.endswith("_ms") else shown


def failure_lines(run: RunData) -> list[str]:
    """Return the error that ended a run, and what the report then covers; empty if none did."""
    failure = run.manifest.failure
    if failure is None:
        return []
    recorded = text.clock(run.length_s)
    return [
        f"The run ended early: {failure}" if run.manifest.usage_error else f"loadtest failed: {failure}",
        f"The results below cover only the {recorded} recorded before that.",
    ]


def herd_line(run: RunData) -> str:
    """Return the peak of connection attempts per second and its time, empty without attempts."""
    if run.herd_peak_s is None:
        return ""
    peak, at = text.count(run.herd_peak), text.clock(run.herd_peak_s)
    return f"Peak: {peak} connection attempts per second, at {at}."


_STEPS: Mapping[tuple[str, Ruling], str] = {
    ("server_log", Ruling.INCONCLUSIVE): "give the whole log of the run's time, also after the run: "
    "loadtest report RUN --server-log FILE",
    ("connect", Ruling.FAIL): "open one connection by hand with the same path, token and subprotocols: the "
    "error shows the step that failed",
    ("messaging", Ruling.FAIL): "look up the first error in the server's log, by its session and time",
    ("reconnect", Ruling.FAIL): "look up the first error in the server's log, by its session and time",
    ("persistence", Ruling.FAIL): "look up the first session in the server's store",
    (
        "latency",
        Ruling.FAIL,
    ): "confirm it with loadtest duel, which runs both revisions in turn. If it stays, profile what moved: "
    "p50 shows the common path, p99 shows queues and pauses",
    (
        "health",
        Ruling.FAIL,
    ): "request the health endpoint yourself (curl); set another path with --health-path",
}

_OF_DROPS: Mapping[str, str] = {
    "messaging": "; to rule out drops, repeat with --ws-drop-every 0",
    "reconnect": "; to find the kind of drop, repeat with one kind at a time (--ws-drops reset)",
    "persistence": "; to see whether clean disconnects lose data too, repeat with --ws-drops close",
}
"""What more to do about an item that failed in a run with drops."""

_SETTLE = "run loadtest duel: it runs both revisions in turn until the result is clear"
_MAKE_ALIKE = "repeat the baseline's run on this machine, with the same versions and duration"
_SAME_SCRIPT = (
    "run this script against the baseline's server too: later runs of it are compared with that run"
)
_FIRST_RUN = (
    "run the same command against the old revision with --ws-revision NAME. Later runs are compared with it"
)
_NAME_ONE = "or choose the baseline with --ws-baseline DIRECTORY"

_LATE = (
    "find out in report.html when it was slow, and what the server did then. If it is fast enough, raise "
    "the limit"
)

_NO_ANSWER = (
    "check in the server's log that it receives the messages, and with 'loadtest dialect check' that the "
    "dialect understands its replies"
)

_ATTEMPTING = ("connect", "reconnect")
"""Items whose errors are causes of failed attempts."""

_INDEPENDENT = ("connect", "server_log", "health")
"""Items that do not depend on `connect`: a server writes its log, and answers HTTP, whether or not clients
connect."""

_NEED_REPLIES = ("reconnect", "persistence", "latency")
"""Items that need a server that answers messages."""


def shown_items(items: Sequence[AnyItem]) -> list[AnyItem]:
    """Return the items as shown to people: those that depend on a failed item say so."""
    return [_blocked(item, items) if item.verdict is Ruling.INCONCLUSIVE else item for item in items]


def _root(item: AnyItem, items: Sequence[AnyItem]) -> AnyItem | None:
    """Return the item that must be fixed before this one can be judged, None if there is none."""
    connect = _named("connect", items)
    if item.item not in _INDEPENDENT and _blocks_others(connect):
        return connect
    messaging = _named("messaging", items)
    return messaging if item.item in _NEED_REPLIES and _none_answered(messaging) else None


def _named(name: str, items: Sequence[AnyItem]) -> AnyItem:
    return next(item for item in items if item.item == name)


def _blocks_others(connect: AnyItem) -> bool:
    """Whether `connect` prevents judging other items: attempts failed, or no session was established."""
    failed = connect.verdict is Ruling.FAIL and not _only_late(connect)
    return failed or _none_established(connect)


def _only_late(item: AnyItem) -> bool:
    """Whether nothing but a limit on a time fails an item."""
    broken = any(one.verdict is Ruling.FAIL for one in time_limits(item))
    slower = any(gate.decision is Ruling.FAIL for gate in gates(item))
    errors = isinstance(item.evidence, CountedEvidence) and item.evidence.errors
    return broken and not slower and not errors


def _none_established(connect: AnyItem) -> bool:
    found = counts(connect)
    return bool(found.get("attempts")) and not (found.get("established") or found.get("unproven"))


def _none_answered(messaging: AnyItem) -> bool:
    return messaging.verdict is Ruling.FAIL and silent(counts(messaging))


def _blocked(item: AnyItem, items: Sequence[AnyItem]) -> AnyItem:
    """Return an INCONCLUSIVE item with what it depends on as its summary, if it depends on anything."""
    root = _root(item, items)
    if root is None:
        return item
    depends = f"depends on {root.item} ({root.verdict})"
    # These two explain whatever else the item lacks.
    if root.item == "messaging":
        return replace(item, summary=f"no message was answered: {depends}")
    if _none_established(root):
        return replace(item, summary=f"no session was established: {depends}")
    return replace(item, summary=f"{depends}; {item.summary}")


def next_step(item: AnyItem, items: Sequence[AnyItem], *, drops: bool = True) -> str:
    """Return what to do about an item, empty if its summary or that of `connect` or `messaging` says so.

    Args:
        item: the item.
        items: all items of its verdict.
        drops: whether the run planned drops.
    """
    if item.verdict is not Ruling.FAIL and _root(item, items) is not None:
        return ""
    if item.item == "latency" and item.verdict is not Ruling.FAIL:
        return latency_step(item)
    if item.verdict is Ruling.FAIL and _only_late(item):
        return _LATE
    if item.item == "messaging" and _none_answered(item):
        return _NO_ANSWER
    by_evidence = step_by_evidence(item) if item.verdict is Ruling.FAIL else ""
    if isinstance(item.evidence, ServerLogEvidence):
        by_evidence = server_log_step(item.evidence, item.verdict)
    if not by_evidence and item.item in _ATTEMPTING and item.verdict is Ruling.FAIL:
        by_evidence = _cause_step(item)
    if by_evidence or (step := _STEPS.get((item.item, item.verdict), "")) == "":
        return by_evidence
    return step + _OF_DROPS.get(item.item, "") if drops else step


def _cause_step(item: Item[CountedEvidence]) -> str:
    """Return what to do about the most frequent cause of failed attempts, empty if that is not known."""
    causes = (foreign_cause_of(error.error) for error in item.evidence.errors)
    return next((cause.advice for cause in causes if cause is not None), "")


def latency_step(item: Item[LatencyEvidence]) -> str:
    """Return what to do about latency that did not fail, empty if there is nothing to say."""
    if item.verdict is Ruling.INCONCLUSIVE:
        return _unsettled_step(item.evidence)
    if item.verdict is Ruling.PASS or item.evidence.baseline or item.evidence.rule:
        return ""
    return f"{_FIRST_RUN}; {_NAME_ONE}" if item.evidence.passed_over else _FIRST_RUN


def _unsettled_step(latency: LatencyEvidence) -> str:
    """Return what to do about an INCONCLUSIVE comparison, empty if its summary says so or nothing helps."""
    if latency.unlike:
        return _SAME_SCRIPT if any(one.what == SCRIPT for one in latency.unlike) else _MAKE_ALIKE
    undecided = [gate for gate in latency.gates or () if gate.decision is Ruling.INCONCLUSIVE]
    lacking = [gate for gate in undecided if not gate.compared]
    if lacking:  # more runs that are too short would not help
        longer = how_much_longer(lacking) if latency.runs is None else ""
        return f"run {longer}, or at a higher rate" if longer else ""
    if latency.duel_command:
        return f"{_SETTLE}; the command is below"
    return _SETTLE if undecided else ""
