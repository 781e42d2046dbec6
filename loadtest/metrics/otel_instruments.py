"""The table of series as OpenTelemetry instruments, if Locust's `--otel` has set it up.

OpenTelemetry has no observable histogram, and recording each round trip would cost more than the round trip.
So a histogram is exported as three counters, the same as in Prometheus: `.count`, `.sum` and `.bucket`, which
counts the values up to its attribute `le`.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from opentelemetry.metrics import CallbackOptions, Meter, Observation, get_meter

from loadtest.metrics.buckets import Buckets
from loadtest.metrics.latest_run import LatestRun
from loadtest.metrics.series import METRICS, Kind, Metric, Sample

_UNITS = {"seconds": "s", "": "1"}


def otel_name(metric: Metric) -> str:
    """Return a metric's name in OpenTelemetry: the Prometheus name with dots, without unit and suffix."""
    return f"loadtest.{metric.name}"


def observe(latest: LatestRun, meter: Meter | None = None) -> None:
    """Create an instrument for each metric; each reads the latest run when it is exported.

    Args:
        latest: holds the run.
        meter: creates the instruments; None for a meter of the provider that Locust has set.
    """
    meter = meter or get_meter("loadtest")
    for metric in METRICS:
        unit = _UNITS[metric.unit]
        if metric.kind is Kind.HISTOGRAM:
            name, counter = otel_name(metric), meter.create_observable_counter
            counter(f"{name}.bucket", [_callback(latest, metric, _buckets)], "1", metric.help)
            counter(f"{name}.count", [_callback(latest, metric, _totals)], "1", metric.help)
            counter(f"{name}.sum", [_callback(latest, metric, _sums)], unit, metric.help)
            continue
        read = [_callback(latest, metric, _values)]
        if metric.kind is Kind.COUNTER:
            meter.create_observable_counter(otel_name(metric), read, unit, metric.help)
        else:
            meter.create_observable_gauge(otel_name(metric), read, unit, metric.help)


_Observed = Callable[[dict[str, str], Any], Iterable[Observation]]


def _callback(
    latest: LatestRun, metric: Metric, observed: _Observed
) -> Callable[[CallbackOptions], Iterator[Observation]]:
    def read(_options: CallbackOptions) -> Iterator[Observation]:
        run = latest.shown
        samples: Iterable[Sample] = metric.read(run) if run is not None else ()
        for sample in samples:
            yield from observed(dict(zip(metric.labels, sample.labels, strict=True)), sample.value)

    return read


def _values(labels: dict[str, str], value: float) -> Iterable[Observation]:
    yield Observation(value, labels)


def _totals(labels: dict[str, str], value: Buckets) -> Iterable[Observation]:
    yield Observation(value.total, labels)


def _sums(labels: dict[str, str], value: Buckets) -> Iterable[Observation]:
    yield Observation(value.sum_s, labels)


def _buckets(labels: dict[str, str], value: Buckets) -> Iterable[Observation]:
    bounds = [*(f"{bound_s:g}" for bound_s in value.bounds_s), "+Inf"]
    for bound, count in zip(bounds, value.counts, strict=True):
        yield Observation(count, {**labels, "le": bound})
