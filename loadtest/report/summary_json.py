"""summary.json: a run's figures in one flat object, for jq, spreadsheets and dashboards.

Every name says its unit, and the order never changes. A figure that is not known, or that too few samples
carry (`loadtest.histograms.carries`), is null. `FIELDS` lists all names but those of `DYNAMIC`. In a run of
several user classes each class's figures follow, with its name and a dot before theirs. verdict.json has the
evidence.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from loadtest.errors import LoadtestError, UsageError
from loadtest.report.judged_run import JudgedRun
from loadtest.report.untimed import untimed
from loadtest.results.data import RunData
from loadtest.results.per_second import KINDS_LIMIT, MEANINGS, OTHER, SERIES
from loadtest.session.recorder import FAILED_MESSAGES
from loadtest.verdict.findings import findings
from loadtest.verdict.items import KINDS
from loadtest.verdict.log_evidence import ServerLogEvidence

Value = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Field:
    """A figure of summary.json.

    Args:
        name: its name; it ends with the unit.
        type: its type in JSON Schema.
        meaning: what it is, for the schema.
        of: returns its value.
        nullable: whether it may be null.
    """

    name: str
    type: str
    meaning: str
    of: Callable[[JudgedRun], Value]
    nullable: bool = False


_Count = tuple[str, Callable[[JudgedRun], Value]]


def _findings(item: str, judged: JudgedRun) -> Value:
    found = findings(judged.run.counts, judged.run.manifest)
    return sum(count for (of, _), count in found.items() if of == item)


def _count(meaning: str, *names: str) -> _Count:
    return meaning, lambda judged: sum(map(judged.run.count, names))


def _series(name: str) -> _Count:
    return MEANINGS[name], lambda judged: sum(map(judged.run.count, SERIES[name]))


def _family(name: str) -> _Count:
    return MEANINGS[name], lambda judged: sum(judged.run.counts_of(name).values())


_COUNTS: Mapping[str, _Count] = {
    **{name: _series(name) for name in ("sent", "answered", "failed", "lost_messages", "lost_in_outage")},
    "untimed": (
        "messages late or without a reply on a connection that stayed up: no latency includes them",
        lambda judged: untimed(judged.run),
    ),
    "duplicated": _count("of these, repeated replies", "messaging.duplicated"),
    "unmatched": _count("of these, replies without a request", "messaging.unmatched"),
    "unreadable": _count("of these, messages that the dialect cannot read", "messaging.unreadable"),
    "wrong_pushes": _count(
        "of these, pushes missing, received twice, out of order, altered, or with another session's text",
        *(f"messaging.{name}" for name in FAILED_MESSAGES if name.startswith("pushes_")),
    ),
    "persistence_findings": (
        "faults of resumed sessions: in their identity, their histories, or the requests in these",
        partial(_findings, "persistence"),
    ),
    "cleanup_findings": (
        "connections that the server left open, or closed too late",
        partial(_findings, "cleanup"),
    ),
    "unfinished": _count("messages still under way when the run ended", "messaging.unfinished"),
    "pushes": _count("pushes received", "messaging.pushes"),
    **{name: _series(name) for name in ("attempts", "failed_attempts")},
    "outages": _count("outages begun", "reconnect.outages"),
    "resumed": _count("outages that ended with the session established again", "reconnect.resumed"),
    **{name: _family(name) for name in ("drops", "losses")},
}

_TIMES = {
    "service": ("ms", (50, 90, 99, 99.9, 100), "round trip from the actual send, after the warm-up"),
    "response": ("ms", (50, 90, 99, 99.9, 100), "round trip from the planned send, after the warm-up"),
    "first_part": ("ms", (50, 90, 99, 100), "request to the first part of a streamed reply"),
    "after_resume": ("ms", (50, 90, 99, 100), "first round trip after a resume"),
    "connect": ("ms", (50, 90, 99, 100), "first connection, from the attempt until established"),
    "resume": ("ms", (50, 90, 99, 100), "attempt that ended an outage, until established"),
    "outage": ("s", (50, 95, 99, 100), "drop or loss until established again"),
}
"""Unit, percentiles and meaning of each histogram (`loadtest.session.recorder.TAGS`)."""

_US_PER = {"ms": 1e3, "s": 1e6}

_FIGURES = {
    "send_slip_p99_ms": "how late messages were sent",
    "achieved_ratio": "share of the planned messages that were sent",
    "loop_lag_p99_ms": "delay of the engine's event loop",
    "cpu_ratio": "CPU of the busiest engine, exceeded in few seconds; 1 is a core",
    "stall_max_ms": "stall of a process, exceeded in few seconds",
    "steal_ratio": "share of the CPU stolen by the host, exceeded in few seconds",
}
"""Figures of the load generator (`Generator.figures`) with their meaning."""


def _samples(tag: str, judged: JudgedRun) -> Value:
    return judged.run.samples(tag)


def _time(tag: str, percentile: float, per_unit: float, judged: JudgedRun) -> Value:
    us = judged.run.carried_us(tag, (percentile,)).get(percentile)
    return None if us is None else round(us / per_unit, 6)


def _time_fields() -> Iterator[Field]:
    for tag, (unit, percentiles, meaning) in _TIMES.items():
        yield Field(f"{tag}_samples", "integer", f"samples: {meaning}", partial(_samples, tag))
        for percentile in percentiles:
            name = "max" if percentile == 100 else f"p{percentile:g}".replace(".", "_")
            of = partial(_time, tag, percentile, _US_PER[unit])
            yield Field(f"{tag}_{name}_{unit}", "number", f"{name}: {meaning}", of, nullable=True)


def _item(name: str, judged: JudgedRun) -> Value:
    return next((item.verdict for item in judged.verdict.items if item.item == name), None)


def _sent_per_s(judged: JudgedRun) -> Value:
    run = judged.run
    return round(run.count("messaging.sent") / run.length_s, 3) if run.length_s else None


CLASS_FIELDS = (
    Field(
        "verdict",
        "string",
        "verdict on the run: PASS, FAIL or INCONCLUSIVE",
        lambda judged: judged.verdict.verdict,
    ),
    *(
        Field(f"item_{name}", "string", f"verdict on the item {name}", partial(_item, name), nullable=True)
        for name in KINDS
    ),
    Field("sessions", "integer", "sessions planned", lambda judged: judged.run.manifest.sessions),
    Field(
        "session_hours",
        "number",
        "hours that connections were up, added up",
        lambda judged: round(judged.run.uptime.session_hours, 6),
        nullable=True,
    ),
    Field("sent_per_s", "number", "messages sent per second, on average", _sent_per_s, nullable=True),
    *(Field(name, "integer", meaning, of) for name, (meaning, of) in _COUNTS.items()),
    *_time_fields(),
)
"""The figures of a run, and of each of its user classes if it has several."""


def _figure(name: str, judged: JudgedRun) -> Value:
    return judged.verdict.generator.figures.get(name)


def _log(name: str, judged: JudgedRun) -> Value:
    evidence = judged.verdict.item("server_log").evidence
    return getattr(evidence, name) if isinstance(evidence, ServerLogEvidence) else None


def _log_errors(judged: JudgedRun) -> Value:
    log = judged.verdict.item("server_log").evidence
    if not isinstance(log, ServerLogEvidence):
        return None
    return log.real_errors + log.expected_errors + log.disconnect_errors


def _exit_code(judged: JudgedRun) -> Value:
    manifest = judged.run.manifest
    if manifest.usage_error:
        return UsageError.exit_code
    return judged.verdict.exit_code if manifest.failure is None else LoadtestError.exit_code


HEAD_FIELDS = (
    Field("schema", "integer", "version of the file format: 1", lambda _judged: 1),
    Field("run_id", "string", "short id of the run", lambda judged: judged.run.manifest.run_id),
    Field("revision", "string", "version of the server under test", lambda judged: judged.verdict.revision),
    Field(
        "baseline",
        "string",
        "revision of the baseline",
        lambda judged: judged.verdict.baseline,
        nullable=True,
    ),
    Field("target", "string", "URL of the server", lambda judged: judged.run.manifest.target),
    Field("started_at", "string", "ISO 8601 in UTC", lambda judged: judged.run.manifest.started_at),
    Field(
        "ended_at", "string", "ISO 8601 in UTC", lambda judged: judged.run.manifest.ended_at, nullable=True
    ),
    Field(
        "complete", "boolean", "whether the run ended normally", lambda judged: judged.run.manifest.complete
    ),
    Field("length_s", "number", "length of the run", lambda judged: round(judged.run.length_s, 3)),
    Field(
        "exit_code",
        "integer",
        "exit code of the verdict: 0 PASS, 1 FAIL, 4 INCONCLUSIVE; 2 a mistake in the settings, the data or "
        "the dialect ended the run; 5 the tool itself failed",
        _exit_code,
    ),
    Field(
        "failure",
        "string",
        "the error that ended the run",
        lambda judged: judged.run.manifest.failure,
        nullable=True,
    ),
)

TAIL_FIELDS = (
    Field(
        "log_errors",
        "integer",
        "errors in the server's log: real errors, errors that a drop is meant to cause, and disconnects",
        _log_errors,
        nullable=True,
    ),
    Field(
        "log_real_errors",
        "integer",
        "errors that no client's disconnect explains",
        partial(_log, "real_errors"),
        nullable=True,
    ),
    Field(
        "log_disconnect_errors",
        "integer",
        "records of disconnects at ERROR or worse",
        partial(_log, "disconnect_errors"),
        nullable=True,
    ),
    Field(
        "log_info_ratio",
        "number",
        "share of disconnects logged at INFO or below",
        partial(_log, "info_ratio"),
        nullable=True,
    ),
    Field(
        "generator_valid",
        "boolean",
        "whether the load generator was fit to measure latency",
        lambda judged: judged.verdict.generator.valid,
    ),
    *(
        Field(f"generator_{name}", "number", meaning, partial(_figure, name), nullable=True)
        for name, meaning in _FIGURES.items()
    ),
)

FIELDS = (*HEAD_FIELDS, *CLASS_FIELDS, *TAIL_FIELDS)
"""All figures with a fixed name, in order."""

DYNAMIC = {
    "drops": "connections that the run dropped in this way",
    "losses": "connections lost for this cause",
}
"""Counts with a name for each kind of drop (`drops_KIND`) and each cause of loss (`losses_CAUSE`)."""

_NO_WORD = re.compile(r"\W")
_NAME_LENGTH = 60


def summary_json(judged: JudgedRun) -> bytes:
    """Return summary.json."""
    found = {field.name: field.of(judged) for field in FIELDS}
    found |= _by_kind(judged.run)
    for name, of_class in judged.classes.items():
        own = {field.name: field.of(of_class) for field in CLASS_FIELDS} | _by_kind(of_class.run)
        found |= {f"{_word(name)}.{figure}": value for figure, value in own.items()}
    return json.dumps({name: _finite(value) for name, value in found.items()}, indent=2).encode() + b"\n"


def _by_kind(run: RunData) -> dict[str, Value]:
    """Return the drops by kind, those planned among them, and the losses by cause."""
    plan = run.manifest.plan
    planned = sorted({*plan.drops, *(storm.kind for storm in plan.storms)})
    found: dict[str, Value] = {}
    for family, kinds in (("drops", planned), ("losses", [])):
        counts = Counter(dict.fromkeys(map(_word, kinds[:KINDS_LIMIT]), 0))
        for kind, count in run.counts_of(family).items():
            word = _word(kind)
            counts[word if word in counts or len(counts) < KINDS_LIMIT else OTHER] += count
        found |= {f"{family}_{kind}": counts[kind] for kind in sorted(counts)}
    return found


def _word(name: str) -> str:
    """Return a name from a file as a word that is usable in a key."""
    return _NO_WORD.sub("_", name[:_NAME_LENGTH])


def _finite(value: Value) -> Value:
    return None if isinstance(value, float) and not math.isfinite(value) else value
