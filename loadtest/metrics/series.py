"""The table of time series: the metrics of a run in progress for Prometheus and OpenTelemetry.

Each row is one metric and how its values are read from the run; docs/metrics.md lists the same names. A
counter never falls during a run, and restarts with the next one. Labels come from fixed lists or from
`BoundedNames`, so the number of series is bounded, whatever the server sends.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from loadtest.metrics.buckets import OUTAGES_S, ROUND_TRIPS_S, SLIPS_S, Buckets, buckets_of
from loadtest.metrics.latest_run import ShownRun
from loadtest.results.interval import counts_of
from loadtest.session.schedule import NS_PER_S
from loadtest.text import one_line
from loadtest.verdict.findings import findings
from loadtest.verdict.messaging import OUTCOMES

LABEL_LENGTH = 100


class Kind(StrEnum):
    """The type of a metric."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a metric.

    Args:
        labels: values of the metric's labels, in order.
        value: the value; the buckets of a histogram.
    """

    labels: tuple[str, ...]
    value: "float | Buckets"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A row of the table.

    Args:
        name: name without the namespace, the unit and `_total`.
        kind: its type.
        help: its help text.
        read: yields its samples for a run.
        labels: names of its labels.
        unit: its unit; empty for counts.
    """

    name: str
    kind: Kind
    help: str
    read: Callable[[ShownRun], Iterator[Sample]]
    labels: tuple[str, ...] = ()
    unit: str = ""

    @property
    def prometheus_name(self) -> str:
        """Its name in Prometheus queries (histograms add `_bucket`, `_sum` and `_count`)."""
        suffix = {Kind.COUNTER: "_total", Kind.INFO: "_info"}.get(self.kind, "")
        return f"loadtest_{self.name}{f'_{self.unit}' if self.unit else ''}{suffix}"


def _number(value: float, *labels: str) -> Iterator[Sample]:
    yield Sample(labels, value)


def _sessions(run: ShownRun) -> Iterator[Sample]:
    now = run.progress
    for state, number in (("up", now.up), ("connecting", now.connecting), ("in_outage", now.in_outage)):
        yield Sample((state,), max(0, number))


def _family(prefix: str) -> Callable[[ShownRun], Iterator[Sample]]:
    def read(run: ShownRun) -> Iterator[Sample]:
        for name, count in sorted(counts_of(run.live.total(), prefix).items()):
            yield Sample((name,), count)

    return read


def _of_items(what: str) -> Callable[[ShownRun], Iterator[Sample]]:
    def read(run: ShownRun) -> Iterator[Sample]:
        totals = run.live.total()
        for item in ("connect", "reconnect"):
            yield Sample((item,), totals.get(f"{item}.{what}", 0))

    return read


def _count(name: str) -> Callable[[ShownRun], Iterator[Sample]]:
    return lambda run: _number(run.live.total().get(name, 0))


def _outcomes(run: ShownRun) -> Iterator[Sample]:
    totals, taken_back = run.live.total(), run.live.taken_back
    for outcome in OUTCOMES:
        name = f"messaging.{outcome}"
        yield Sample((outcome,), totals.get(name, 0) + taken_back.get(name, 0))


def _outcomes_taken_back(run: ShownRun) -> Iterator[Sample]:
    for outcome in OUTCOMES:
        if count := run.live.taken_back.get(f"messaging.{outcome}", 0):
            yield Sample((outcome,), count)


def _findings(run: ShownRun) -> Iterator[Sample]:
    for key, count in findings(run.live.total(), run.manifest).items():
        yield Sample(key, count)


def _distribution(tag: str, bounds_s: tuple[float, ...]) -> Callable[[ShownRun], Iterator[Sample]]:
    def read(run: ShownRun) -> Iterator[Sample]:
        yield Sample((), buckets_of(run.live.distributions.totals.get(tag), bounds_s))

    return read


def _outages(run: ShownRun) -> Iterator[Sample]:
    for kind in run.live.details.outages.kinds if run.live.details else ():
        yield Sample((kind.trigger, kind.name), kind.seconds.buckets)


def _phases(run: ShownRun) -> Iterator[Sample]:
    for kind in run.live.details.outages.kinds if run.live.details else ():
        for phase, took_s in kind.phases_s.items():
            yield Sample((kind.trigger, kind.name, phase), took_s)


def _verdicts(run: ShownRun) -> Iterator[Sample]:
    for item in run.verdict.items if run.verdict else ():
        yield Sample((item.item, item.verdict), 1)


def _verdict(run: ShownRun) -> Iterator[Sample]:
    if run.verdict is not None:
        yield Sample((run.verdict.verdict,), 1)


def _info(run: ShownRun) -> Iterator[Sample]:
    of = run.manifest
    values = (of.run_id, of.revision, of.plan.dialect, of.versions.get("loadtest", ""))
    yield Sample(tuple(one_line(value, LABEL_LENGTH) for value in values), 1)


METRICS: Final = (
    Metric(
        name="run",
        kind=Kind.INFO,
        help="The run: its id, the server's revision, the dialect and the version of loadtest.",
        labels=("run_id", "revision", "dialect", "version"),
        read=_info,
    ),
    Metric(
        name="run_start_time",
        kind=Kind.GAUGE,
        unit="seconds",
        help="Start of the run, in Unix time.",
        read=lambda run: _number(run.manifest.started_unix_ns / NS_PER_S),
    ),
    Metric(
        name="run_elapsed",
        kind=Kind.GAUGE,
        unit="seconds",
        help="Time since the start of the run; its length once it has ended.",
        read=lambda run: _number(run.length_s),
    ),
    Metric(
        name="run_active",
        kind=Kind.GAUGE,
        help="1 while the run is in progress, 0 once it has ended.",
        read=lambda run: _number(float(run.ended_after_s is None)),
    ),
    Metric(
        name="sessions",
        kind=Kind.GAUGE,
        help="Current sessions by state: up, connecting for the first time, or in an outage.",
        labels=("state",),
        read=_sessions,
    ),
    Metric(
        name="connection_attempts",
        kind=Kind.COUNTER,
        help="Attempts to establish a session, the first time (connect) or in an outage (reconnect).",
        labels=("item",),
        read=_of_items("attempts"),
    ),
    Metric(
        name="connection_attempts_failed",
        kind=Kind.COUNTER,
        help="Failed attempts to establish a session.",
        labels=("item",),
        read=_of_items("failed"),
    ),
    Metric(
        name="drops",
        kind=Kind.COUNTER,
        help="Connections that the tool ended or disturbed on purpose, by kind of drop.",
        labels=("kind",),
        read=_family("drops"),
    ),
    Metric(
        name="losses",
        kind=Kind.COUNTER,
        help="Connections that the server or the network ended, by cause: a close code, reset, eof …",
        labels=("cause",),
        read=_family("losses"),
    ),
    Metric(
        name="outages",
        kind=Kind.COUNTER,
        help="Outages started.",
        read=_count("reconnect.outages"),
    ),
    Metric(
        name="outages_resumed",
        kind=Kind.COUNTER,
        help="Outages after which the session worked again.",
        read=_count("reconnect.resumed"),
    ),
    Metric(
        name="outage_duration",
        kind=Kind.HISTOGRAM,
        unit="seconds",
        help="Length of outages, from the drop or loss until the session is established again, by cause.",
        labels=("trigger", "kind"),
        read=_outages,
    ),
    Metric(
        name="outage_phase",
        kind=Kind.COUNTER,
        unit="seconds",
        help="Time spent in each phase of these outages. The client determines detect and wait.",
        labels=("trigger", "kind", "phase"),
        read=_phases,
    ),
    Metric(
        name="messages_sent",
        kind=Kind.COUNTER,
        help="Requests sent.",
        read=_count("messaging.sent"),
    ),
    Metric(
        name="messages",
        kind=Kind.COUNTER,
        help="Requests with a known outcome, by outcome.",
        labels=("outcome",),
        read=_outcomes,
    ),
    Metric(
        name="messages_taken_back",
        kind=Kind.COUNTER,
        help="Outcomes revised because the reply arrived after all: subtract them from messages.",
        labels=("outcome",),
        read=_outcomes_taken_back,
    ),
    Metric(
        name="findings",
        kind=Kind.COUNTER,
        help="What else fails an item: repeated replies, wrong pushes, lost history, open connections.",
        labels=("item", "finding"),
        read=_findings,
    ),
    Metric(
        name="pushes",
        kind=Kind.COUNTER,
        help="Pushes received.",
        read=_count("messaging.pushes"),
    ),
    Metric(
        name="service_time",
        kind=Kind.HISTOGRAM,
        unit="seconds",
        help="Round-trip time from the actual send, for sessions in steady state, warm-up included.",
        read=_distribution("service", ROUND_TRIPS_S),
    ),
    Metric(
        name="response_time",
        kind=Kind.HISTOGRAM,
        unit="seconds",
        help="Round-trip time from the planned send, for sessions in steady state, warm-up included.",
        read=_distribution("response", ROUND_TRIPS_S),
    ),
    Metric(
        name="send_slip",
        kind=Kind.HISTOGRAM,
        unit="seconds",
        help="Time between planned and actual send, early or late: how far the tool is off its plan.",
        read=_distribution("send_slip", SLIPS_S),
    ),
    Metric(
        name="item_verdict",
        kind=Kind.GAUGE,
        help="1 for each item's verdict, once the run is judged.",
        labels=("item", "verdict"),
        read=_verdicts,
    ),
    Metric(
        name="run_verdict",
        kind=Kind.GAUGE,
        help="1 for the verdict of the whole run, once it is judged.",
        labels=("verdict",),
        read=_verdict,
    ),
)
"""All metrics, in the order in which they are written."""

BOUNDS_S: Final[Mapping[str, tuple[float, ...]]] = {
    "outage_duration": OUTAGES_S,
    "service_time": ROUND_TRIPS_S,
    "response_time": ROUND_TRIPS_S,
    "send_slip": SLIPS_S,
}
"""Upper bounds of the histograms' buckets."""
