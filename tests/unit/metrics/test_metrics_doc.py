"""docs/metrics.md: its table has the metrics of the code, and its queries name no other."""

import re

from loadtest.metrics.series import METRICS, Kind
from loadtest.metrics.verdict_so_far import Standing
from tests.support.places import ROOT

PAGE = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")

_ROW = re.compile(r"^\| `(loadtest_\w+)` \| (\w+) \| ([^|]*)\|$", re.MULTILINE)


def test_the_table_has_all_metrics() -> None:
    """Names, kinds and labels, in the order of the code."""
    rows = [(name, kind, tuple(re.findall(r"`(\w+)`", labels))) for name, kind, labels in _ROW.findall(PAGE)]
    assert rows == [(one.prometheus_name, one.kind.value, one.labels) for one in METRICS]


def test_queries_name_what_there_is() -> None:
    """Each name in the page is a metric, or a part of a histogram."""
    suffixes = {Kind.HISTOGRAM: ("", "_bucket", "_sum", "_count")}
    known = {f"{one.prometheus_name}{suffix}" for one in METRICS for suffix in suffixes.get(one.kind, ("",))}
    assert set(re.findall(r"\bloadtest_\w+", PAGE)) - known == set()


def test_each_standing_is_explained() -> None:
    """The words of the tab stand in the table."""
    assert all(f"| `{one}` |" in PAGE for one in Standing)


def test_the_page_is_short() -> None:
    """At most 800 words."""
    assert len(PAGE.split()) <= 800
