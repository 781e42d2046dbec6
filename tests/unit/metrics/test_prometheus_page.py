"""The page for Prometheus: read by its own parser, with the names of the table, and bounded."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as plain

from loadtest.metrics.latest_run import LatestRun, ShownRun
from loadtest.metrics.prometheus_page import metrics_page
from loadtest.metrics.series import BOUNDS_S, METRICS, Kind
from loadtest.results.interval import pack
from loadtest.verdict.run import judge
from tests.support.live_runs import latest, under_way
from tests.support.runs import interval, manifest, sound
from tests.support.stories import story

OPEN_METRICS = "application/openmetrics-text; version=1.0.0"


def page(of: LatestRun, accept: str = "") -> str:
    """Return the page."""
    answers: list[Any] = []
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/metrics", "QUERY_STRING": "", "HTTP_ACCEPT": accept}
    body = b"".join(metrics_page(of)(environ, lambda *answer: answers.append(answer)))
    assert answers[0][0] == "200 OK"
    return body.decode()


def read(
    text: str, parse: Callable[[str], Any] = plain
) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Return the samples by name and labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parse(text)
        for sample in family.samples
    }


def judged(shown: ShownRun) -> ShownRun:
    """Return a run with a verdict."""
    shown.verdict = judge(sound())
    return shown


def test_before_the_first_run_there_is_nothing() -> None:
    """An empty page, which is valid."""
    assert read(page(LatestRun())) == {}


@pytest.mark.parametrize(("accept", "parse"), [("", plain), (OPEN_METRICS, open_metrics)])
def test_the_values(accept: str, parse: Callable[[str], Any]) -> None:
    """Counts, gauges and distributions of the run, in both formats."""
    shown = judged(under_way(story()))
    found = read(page(latest(shown), accept), parse)
    assert found["loadtest_messages_sent_total", ()] == 24
    assert found["loadtest_messages_total", (("outcome", "answered"),)] == 24
    assert found["loadtest_sessions", (("state", "up"),)] == 100
    assert found["loadtest_service_time_seconds_bucket", (("le", "0.0005"),)] == 16
    assert found["loadtest_service_time_seconds_count", ()] == 24
    labels = (("kind", "fin"), ("trigger", "drop"))
    assert found["loadtest_outage_duration_seconds_count", labels] == 8
    assert found["loadtest_item_verdict", (("item", "connect"), ("verdict", "PASS"))] == 1
    assert found["loadtest_run_verdict", (("verdict", shown.verdict.verdict),)] == 1  # type: ignore[union-attr]
    assert found["loadtest_run_active", ()] == 1


def test_each_row_of_the_table_is_on_the_page_under_its_name() -> None:
    """The name that docs and queries use is the one that is written."""
    text = page(latest(judged(under_way(story()))))
    families = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")}
    assert families == {metric.prometheus_name for metric in METRICS}
    assert {metric.name for metric in METRICS if metric.kind is Kind.HISTOGRAM} == set(BOUNDS_S)


def test_hostile_labels() -> None:
    """Quotes, line ends and endless names of a server stay inside a label; their number is bounded."""
    counts = {'losses.a"b\\c\n# TYPE x counter': 1, "losses." + "x" * 150: 2} | {
        f"losses.{code}": 1 for code in range(1000, 2000)
    }
    shown = under_way([interval(0, counts=counts)], manifest(revision='v"1\n2' + "y" * 300, complete=False))
    found = read(page(latest(shown)))
    losses = {labels: value for (name, labels), value in found.items() if name == "loadtest_losses_total"}
    assert sum(losses.values()) == 1003
    assert len(losses) <= 41
    assert all(len(value) <= 100 for _, labels in found for _, value in labels)
    assert read(page(latest(shown), OPEN_METRICS), open_metrics)


def test_no_counter_falls_when_an_outcome_is_taken_back() -> None:
    """The outcome stays counted, and is counted as taken back; the difference is what the verdict counts."""
    shown = under_way([interval(0, counts={"messaging.lost": 3})])
    before = read(page(latest(shown)))
    shown.live.append(pack(interval(1, counts={"messaging.lost": -1, "messaging.late": 1})))
    after = read(page(latest(shown)))
    assert all(after[key] >= value for key, value in before.items() if key[0].endswith("_total"))
    lost = (("outcome", "lost"),)
    assert after["loadtest_messages_total", lost] == 3
    assert after["loadtest_messages_taken_back_total", lost] == 1
    assert shown.live.total()["messaging.lost"] == 2


def test_what_fails_an_item_has_a_series() -> None:
    """An alert on a server that doubles replies or forgets a history is not silent; zeros are there, too."""
    shown = under_way([interval(0, counts={"messaging.duplicated": 3, "persistence.missing": 2})])
    found = read(page(latest(shown)))

    def of(item: str, finding: str) -> float:
        return found["loadtest_findings_total", (("finding", finding), ("item", item))]

    assert (of("messaging", "duplicated"), of("persistence", "missing")) == (3, 2)
    assert (of("messaging", "unmatched"), of("cleanup", "close_not_closed")) == (0, 0)


def test_the_next_run_starts_again() -> None:
    """Its counters begin at zero, and the verdict before it is gone."""
    holder = latest(judged(under_way(story())))
    holder.begin(under_way([], msgspec.structs.replace(manifest(complete=False), run_id="99999999")))
    found = read(page(holder))
    assert found["loadtest_messages_sent_total", ()] == 0
    assert not any(name == "loadtest_item_verdict" for name, _ in found)


def test_after_the_end_the_values_stay() -> None:
    """The clock stands still, and the run is no longer active."""
    now = [5.0]
    shown = under_way(story())
    shown.elapsed_s = lambda: now[0]
    holder = latest(shown)
    holder.stop()
    holder.finish(judge(sound()))
    now[0] = 99.0
    found = read(page(holder))
    assert (found["loadtest_run_elapsed_seconds", ()], found["loadtest_run_active", ()]) == (5, 0)
