"""The metrics page for Prometheus: the table of series in its text format, or in OpenMetrics on request.

The Prometheus client library chooses and writes the format. Nothing listens here: a server calls the WSGI
application.
"""

from collections.abc import Callable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from loadtest.metrics.buckets import Buckets
from loadtest.metrics.latest_run import LatestRun
from loadtest.metrics.series import METRICS, Kind, Metric, Sample

Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily | InfoMetricFamily

_FAMILIES: dict[Kind, Callable[..., Any]] = {
    Kind.COUNTER: CounterMetricFamily,
    Kind.GAUGE: GaugeMetricFamily,
    Kind.HISTOGRAM: HistogramMetricFamily,
}


class RunCollector(Collector):
    """Reads the latest run on each request.

    Args:
        latest: holds the run; before the first run there is nothing to read.
    """

    def __init__(self, latest: LatestRun) -> None:
        self._latest = latest

    def collect(self) -> Iterator[Family]:
        """Yield all metrics of the latest run."""
        run = self._latest.shown
        for metric in METRICS if run is not None else ():
            assert run is not None
            yield _family(metric, metric.read(run))


def _family(metric: Metric, samples: Iterator[Sample]) -> Family:
    name = f"loadtest_{metric.name}"
    if metric.kind is Kind.INFO:
        info = InfoMetricFamily(name, metric.help)
        for sample in samples:
            info.add_metric((), dict(zip(metric.labels, sample.labels, strict=True)))
        return info
    family = _FAMILIES[metric.kind](name, metric.help, labels=metric.labels, unit=metric.unit)
    for sample in samples:
        value = sample.value
        if isinstance(value, Buckets):
            family.add_metric(sample.labels, *_counted(value))
        else:
            family.add_metric(sample.labels, value)
    made: Family = family
    return made


def _counted(buckets: Buckets) -> tuple[list[tuple[str, float]], float]:
    """Return the buckets by upper bound in the client library's form, and the sum."""
    bounds = [*map(floatToGoString, buckets.bounds_s), "+Inf"]
    return list(zip(bounds, buckets.counts, strict=True)), buckets.sum_s


def metrics_page(latest: LatestRun) -> Callable[..., Any]:
    """Return the WSGI application that answers each GET with the metrics of the latest run."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(RunCollector(latest))
    page: Callable[..., Any] = make_wsgi_app(registry)
    return page
