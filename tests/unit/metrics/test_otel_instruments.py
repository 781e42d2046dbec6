"""OpenTelemetry's instruments: the same series, read by the SDK's own reader."""

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from loadtest.metrics.latest_run import LatestRun
from loadtest.metrics.otel_instruments import observe
from loadtest.metrics.series import METRICS, Kind
from loadtest.verdict.run import judge
from tests.support.live_runs import latest, under_way
from tests.support.runs import sound
from tests.support.stories import story


def exported(of: LatestRun) -> dict[tuple[str, frozenset[tuple[str, object]]], float]:
    """Return what an export would hold."""
    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader])
    observe(of, provider.get_meter("loadtest"))
    data = reader.get_metrics_data()
    provider.shutdown()
    if data is None:
        return {}
    return {
        (metric.name, frozenset((point.attributes or {}).items())): point.value  # type: ignore[union-attr]  # sums and gauges
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    }


def test_the_values() -> None:
    """Counters, gauges, and histograms as counters with bounds."""
    shown = under_way(story())
    shown.verdict = judge(sound())
    found = exported(latest(shown))
    assert found["loadtest.messages_sent", frozenset()] == 24
    assert found["loadtest.sessions", frozenset({("state", "up")})] == 100
    assert found["loadtest.service_time.count", frozenset()] == 24
    assert found["loadtest.service_time.bucket", frozenset({("le", "0.0005")})] == 16
    assert found["loadtest.service_time.bucket", frozenset({("le", "+Inf")})] == 24
    assert found["loadtest.item_verdict", frozenset({("item", "connect"), ("verdict", "PASS")})] == 1


def test_each_row_of_the_table_has_its_instrument() -> None:
    """The names are those of the table."""
    shown = under_way(story())
    shown.verdict = judge(sound())
    names = {name for name, _ in exported(latest(shown))}
    for metric in METRICS:
        suffixes = (".bucket", ".count", ".sum") if metric.kind is Kind.HISTOGRAM else ("",)
        if list(metric.read(shown)):
            assert {f"loadtest.{metric.name}{suffix}" for suffix in suffixes} <= names


def test_before_the_first_run_there_is_nothing() -> None:
    """Nothing is exported, and nothing raises."""
    assert exported(LatestRun()) == {}
